"""Wall-clock times of a zone to UTC: hours that stand there twice, and hours that never were.

When clocks are set back, an hour of wall-clock time stands there twice, and only the place of a
reading among others, or when it was sent, can tell which one is meant. When they are set forward,
an hour never was.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

_DAY_NS = 86_400 * 10**9
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - wall-clock time of any zone


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedTimes:
    """N event times."""

    times: NDArray[np.int64]
    """(N,) nanoseconds since 1970; of an hour that stands there twice the first."""
    repeats_ns: NDArray[np.int64] | None = None
    """(N,) how much later the same wall-clock time stands there again, 0 where it does not; None:
    it does nowhere."""
    n_skipped: int = 0
    """Wall-clock times that never were, since clocks were set forward; they are read by the offset
    before the change, so they follow it."""

    @property
    def n_repeated(self) -> int:
        """Times of an hour that stands there twice."""
        return 0 if self.repeats_ns is None else int(np.count_nonzero(self.repeats_ns))

    def nearest(self, stamps: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (N,) times, the second of a repeated hour where it is nearer to its stamp.

        Args:
            stamps: (N,) when each was sent, nanoseconds since 1970; 0 where that is unknown.
        """
        if self.repeats_ns is None:
            return self.times
        second = self.times + self.repeats_ns
        is_nearer = np.abs(second - stamps) < np.abs(self.times - stamps)
        return np.where(is_nearer & (stamps > 0), second, self.times)


class LocalZone:
    """A time zone.

    Args:
        name: Of the IANA database, such as `Europe/Berlin`, or `UTC`.

    Raises:
        ValueError: If there is no such zone.
    """

    def __init__(self, name: str) -> None:
        try:
            self._zone = ZoneInfo(name)
        except (OSError, ValueError, LookupError):
            msg = (
                f"time zone {name!r} is unknown; expected an IANA name such as Europe/Berlin or "
                "UTC (systems without zones have them with the package tzdata)"
            )
            raise ValueError(msg) from None
        self._is_utc = name == "UTC"
        self._day_offset = cache(self._offset_of_day)

    def to_utc(self, local_ns: NDArray[np.int64]) -> ParsedTimes:
        """Return the instants of wall-clock times.

        Args:
            local_ns: (N,) nanoseconds from 1970-01-01 on this zone's clocks; within 1969-2200.
        """
        if self._is_utc:
            return ParsedTimes(times=local_ns)
        days, day_of = np.unique(local_ns // _DAY_NS, return_inverse=True)
        offsets = [self._day_offset(day) for day in days.tolist()]
        shift = np.array([offset or 0 for offset in offsets], dtype=np.int64)[day_of]
        changing = np.array([offset is None for offset in offsets], dtype=bool)[day_of]
        if not changing.any():
            return ParsedTimes(times=local_ns - shift)
        repeats = np.zeros_like(local_ns)
        n_skipped = 0
        for row in np.flatnonzero(changing).tolist():
            first, second = self._offsets_at(int(local_ns[row]))
            shift[row] = first
            repeats[row] = max(first - second, 0)
            n_skipped += first < second
        return ParsedTimes(
            times=local_ns - shift,
            repeats_ns=repeats if repeats.any() else None,
            n_skipped=n_skipped,
        )

    def _offset_of_day(self, day: int) -> int | None:
        """Return the offset (ns) of a day on the wall, or None if it changes on it."""
        ends = (*self._offsets_at(day * _DAY_NS), *self._offsets_at((day + 1) * _DAY_NS))
        return ends[0] if len(set(ends)) == 1 else None

    def _offsets_at(self, local_ns: int) -> tuple[int, int]:
        """Return the offsets (ns) of a wall-clock time if it is the first and the second of two.

        They differ only where clocks change: the first is larger where an hour stands there twice.
        """
        local = _EPOCH + timedelta(seconds=local_ns // 10**9)
        first, second = (
            local.replace(tzinfo=self._zone, fold=fold).utcoffset() or timedelta()
            for fold in (0, 1)
        )
        return tuple(offset // timedelta(microseconds=1) * 1000 for offset in (first, second))  # type: ignore[return-value]  # two
