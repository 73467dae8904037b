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
        self._last = np.empty(0, np.int64)
        self._gaps: list[NDArray[np.int64]] = []
        self._longest_ns = round(window_length * _WIDER_S[-1] * 1e9)
        self._pieces = np.empty((3, 0), np.int64)
        """Of the time of each series, without what no window reaches over: see `_joined`."""

    @property
    def n_series(self) -> int:
        """Series that have a line."""
        return len(self._codes)

    @property
    def span_s(self) -> float:
        """From the first line of all to the last one, without what no window reaches over."""
        of_all = self._pieces.copy()
        of_all[0] = 0  # as if of one series
        _, begins, ends = _joined(of_all, self._longest_ns)
        return float((ends - begins).sum()) / 1e9

    def add(self, series: Sequence[str], times: NDArray[np.int64]) -> None:
        """Add N lines.

        Args:
            series: N.
            times: (N,) nanoseconds since 1970.
        """
        if not len(times):
            return
        codes = np.array([self._codes.setdefault(key, len(self._codes)) for key in series])
        order = np.lexsort((times, codes))
        codes, times = codes[order], times[order]
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        ends = np.append(starts[1:], len(codes)) - 1
        here = codes[starts]
        n_new = len(self._codes) - len(self._last)
        self._last = np.append(self._last, np.full(n_new, np.iinfo(np.int64).min))
        known = self._last[here] > np.iinfo(np.int64).min
        gaps = np.diff(times, prepend=times[0])
        gaps[starts] = np.where(known, times[starts] - np.where(known, self._last[here], 0), 0)
        least_ns = self.window_length * _STEPS_S[0] * 1e9
        self._gaps.append(gaps[(gaps > least_ns) & (gaps <= self._longest_ns)])
        self._last[here] = np.maximum(self._last[here], times[ends])
        self._add_times(codes, times)

    def _add_times(self, codes: NDArray[np.int64], times: NDArray[np.int64]) -> None:
        """Add the times of lines, sorted by series."""
        touched = np.isin(self._pieces[0], codes)
        added = np.hstack((self._pieces[:, touched], np.stack((codes, times, times))))
        joined = _joined(added, self._longest_ns)
        self._pieces = np.hstack((self._pieces[:, ~touched], joined))

    @property
    def _total_ns(self) -> float:
        """Time of all series together."""
        return float((self._pieces[2] - self._pieces[1]).sum())

    def missing(self, step_s: float) -> float:
        """Return the share of the time of all series that is in gaps of more than a window.

        All, if there is nothing but gaps that no window reaches over.
        """
        total = self._total_ns
        gaps = np.concatenate([np.empty(0, np.int64), *self._gaps])
        lost = float(gaps[gaps > self.window_length * step_s * 1e9].sum())
        return min(lost / total, 1.0) if total else float(self._pieces.shape[1] > self.n_series)

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


def _joined(pieces: NDArray[np.int64], most_ns: int) -> NDArray[np.int64]:
    """Return pieces of time, those of a series joined that are not farther apart.

    Args:
        pieces: (3, n) number of the series, begin and end of each, in any order.
        most_ns: Between two that are joined.
    """
    codes, begins, ends = pieces[:, np.lexsort((pieces[1], pieces[0]))]
    n = len(codes)
    starts = np.diff(codes, prepend=-1) > 0
    # The latest end so far within a series: by rank, so that one pass serves all.
    ordered = np.sort(ends)
    lifted = np.cumsum(starts) * n + np.searchsorted(ordered, ends)
    latest = ordered[np.maximum.accumulate(lifted) % max(n, 1)]
    starts[1:] |= begins[1:] - latest[:-1] > most_ns
    first = np.flatnonzero(starts)
    last = np.append(first[1:], n)[: len(first)] - 1
    return np.stack((codes[first], begins[first], latest[last]))
