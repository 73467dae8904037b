"""Hours that stand twice in a file of wall-clock times, told apart by the order of the rows."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.inputs.local_times import ParsedTimes

_HOUR_NS = 3600 * 10**9
_SAME_NIGHT_NS = 6 * _HOUR_NS


@dataclass(slots=True)
class _Night:
    """What was seen of the repeated hour of one series."""

    last: int
    """Its last row, nanoseconds since 1970 if it is the first of the two."""
    is_second: bool = False


class RepeatedHours:
    """Takes rows of a repeated hour for the second of it once their series steps back in time.

    Small steps back in rows that are not in order anyway are none: it is the one step, or the one
    of at least half of the hour.
    """

    def __init__(self) -> None:
        self._nights: dict[Hashable, _Night] = {}
        self.n_repeated = 0
        """Rows of such an hour, so far."""
        self.n_second = 0
        """Rows of its second time."""

    def resolve(self, keys: Sequence[Hashable], parsed: ParsedTimes) -> NDArray[np.int64]:
        """Return (N,) times of rows that follow those of earlier calls.

        Args:
            keys: N, of what is in order of time: a series, or a series and a feature.
            parsed: Their times.
        """
        if parsed.repeats_ns is None:
            return parsed.times
        times = parsed.times.copy()
        rows_of: dict[Hashable, list[int]] = {}
        for row in np.flatnonzero(parsed.repeats_ns).tolist():
            rows_of.setdefault(keys[row], []).append(row)
        for key, rows in rows_of.items():
            second = self._second(key, parsed.times[rows], int(parsed.repeats_ns[rows[0]]))
            times[rows] += np.where(second, parsed.repeats_ns[rows], 0)
            self.n_repeated += len(rows)
            self.n_second += int(second.sum())
        return times

    def _second(
        self, key: Hashable, firsts: NDArray[np.int64], repeats_ns: int
    ) -> NDArray[np.bool_]:
        """Return (R,) whether rows are of the second time, and remember the last one."""
        night = self._nights.get(key)
        if night is None or abs(night.last - int(firsts[0])) > _SAME_NIGHT_NS:
            night = self._nights[key] = _Night(last=int(firsts[0]))
            before = firsts[:1]
        else:
            before = np.array([night.last])
        steps = np.diff(np.concatenate([before, firsts]))
        back = np.flatnonzero(steps < 0)
        at = len(firsts)
        if night.is_second:
            at = 0
        elif len(back) and (len(back) == 1 or -steps.min() >= repeats_ns / 2):
            at = int(np.argmin(steps))
        elif len(firsts) == 2 and firsts[0] == firsts[1]:
            at = 1  # one reading an hour
        night.last = int(firsts[-1])
        night.is_second = at < len(firsts)
        return np.arange(len(firsts)) >= at


def seam_of_repeated_hour(times: NDArray[np.int64]) -> int | None:
    """Return the row at which times step back by most of an hour of a night; None if none does.

    So look wall-clock times that are taken for times of a zone without daylight saving.

    Args:
        times: (N,) in the order of the rows.
    """
    back = times[:-1] - times[1:]
    is_night = times[1:] % (24 * _HOUR_NS) < 4 * _HOUR_NS
    rows = np.flatnonzero((back >= _HOUR_NS // 2) & (back <= _HOUR_NS) & is_night)
    return int(rows[0]) + 1 if len(rows) else None
