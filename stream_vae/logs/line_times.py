"""When lines were, and the step that suits them.

A step without a line is zero lines, but a gap of more than a window is taken for an outage of what
ships them. So a step is wide enough for windows to reach over the pauses that are usual. A gap that
no step makes a window reach over, as one wrong clock makes, is no time of the history at all.

>>> quiet = LineTimes(window_length=32, wanted=2000)
>>> quiet.add(["web-1"] * 240, np.arange(240) * 60 * 10**9)
>>> quiet.missing(1.0), quiet.missing(2.0)
(1.0, 0.0)
>>> quiet.step_s()  # the longest of which 4 h are 2,000
5.0
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_STEPS_S = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0)
"""That are chosen of; a longer one would delay alerts."""
_WIDER_S = (120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0)
"""That are advised at most."""
MOST_MISSING = 0.05
"""Share of the time that may be in gaps of more than a window."""


class LineTimes:
    """The gaps between the lines of each series.

    Args:
        window_length: T, steps; a gap of more of them is no part of a window.
        wanted: Steps of a history below which shorter ones are taken.
    """

    def __init__(self, window_length: int, wanted: int) -> None:
        self.window_length = window_length
        self.wanted = wanted
        self._codes: dict[str, int] = {}
        self._first = np.empty(0, np.int64)
        self._last = np.empty(0, np.int64)
        self._gaps: list[NDArray[np.int64]] = []
        self._longest_ns = round(window_length * _WIDER_S[-1] * 1e9)
        self._outages_ns = 0
        """Of all series together."""
        self._newest: int | None = None
        self._silence_ns = 0
        """In which no series had a line, of that between the first line and the last one."""

    @property
    def n_series(self) -> int:
        """Series that have a line."""
        return len(self._codes)

    @property
    def span_s(self) -> float:
        """From the first line of all to the last one, without what no window reaches over."""
        if not self._codes:
            return 0.0
        return float(self._last.max() - self._first.min() - self._silence_ns) / 1e9

    def add(self, series: Sequence[str], times: NDArray[np.int64]) -> None:
        """Add N lines.

        Args:
            series: N.
            times: (N,) nanoseconds since 1970.
        """
        if not len(times):
            return
        self._add_silence(np.sort(times))
        codes = np.array([self._codes.setdefault(key, len(self._codes)) for key in series])
        order = np.lexsort((times, codes))
        codes, times = codes[order], times[order]
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        ends = np.append(starts[1:], len(codes)) - 1
        here = codes[starts]
        n_new = len(self._codes) - len(self._last)
        self._first = np.append(self._first, np.full(n_new, np.iinfo(np.int64).max))
        self._last = np.append(self._last, np.full(n_new, np.iinfo(np.int64).min))
        known = self._last[here] > np.iinfo(np.int64).min
        gaps = np.diff(times, prepend=times[0])
        gaps[starts] = np.where(known, times[starts] - np.where(known, self._last[here], 0), 0)
        is_outage = gaps > self._longest_ns
        self._outages_ns += int(gaps[is_outage].sum())
        self._gaps.append(gaps[(gaps > self.window_length * _STEPS_S[0] * 1e9) & ~is_outage])
        self._first[here] = np.minimum(self._first[here], times[starts])
        self._last[here] = np.maximum(self._last[here], times[ends])

    def _add_silence(self, times: NDArray[np.int64]) -> None:
        """Add the time in which no series had a line; `times` are in order."""
        pauses = np.diff(times, prepend=times[0] if self._newest is None else self._newest)
        self._silence_ns += int(pauses[pauses > self._longest_ns].sum())
        self._newest = max(int(times[-1]), self._newest or 0)

    @property
    def _total_ns(self) -> float:
        """Time of all series together."""
        return float((self._last - self._first).sum() - self._outages_ns)

    def missing(self, step_s: float) -> float:
        """Return the share of the time of all series that is in gaps of more than a window.

        All, if there is nothing but gaps that no window reaches over.
        """
        total = self._total_ns
        gaps = np.concatenate([np.empty(0, np.int64), *self._gaps])
        lost = float(gaps[gaps > self.window_length * step_s * 1e9].sum())
        return min(lost / total, 1.0) if total else float(self._outages_ns > 0)

    def n_steps(self, step_s: float) -> int:
        """Return the steps of all series together, those in such gaps left out."""
        return round(self._total_ns / 1e9 * (1 - self.missing(step_s)) / step_s)

    def step_s(self) -> float:
        """Return the longest step up to a minute of which the history has as many as are wanted.

        A longer one, up to a minute, if else more than one part in twenty of the time would be in
        gaps of more than a window.
        """
        fitting = [step for step in _STEPS_S if self.span_s >= self.wanted * step]
        shortest = max(fitting, default=_STEPS_S[0])
        longer = [step for step in _STEPS_S if step >= shortest]
        return next((step for step in longer if self.missing(step) <= MOST_MISSING), longer[-1])

    def wider(self, step_s: float) -> float | None:
        """Return the least step above `step_s` with few such gaps; None if up to 1 h none has."""
        wider = [step for step in (*_STEPS_S, *_WIDER_S) if step > step_s]
        return next((step for step in wider if self.missing(step) <= MOST_MISSING), None)
