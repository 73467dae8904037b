"""Times of lines that tell no year, with the year of their records."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CLOCK = r"([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?)"
YEARLESS: Mapping[str, re.Pattern[str]] = {
    "syslog": re.compile(rf"(?:<[0-9]{{1,3}}>)?({'|'.join(_MONTHS)}) ([ 0-9][0-9]) {_CLOCK}"),
    "klog": re.compile(rf"[IWEF]([0-9]{{2}})([0-9]{{2}}) {_CLOCK}"),
    "logcat": re.compile(rf"([0-9]{{2}})-([0-9]{{2}}) {_CLOCK}"),
}
"""Name in `input.timestamp_pattern` -> how lines begin: month, day, time of day."""

_DAY_NS = 86_400 * 10**9
_SLACK = timedelta(days=1)
"""A clock may be ahead, and a zone may be."""


class YearlessTimes:
    """Finds times of one form.

    Args:
        name: Of the form.
    """

    def __init__(self, name: str) -> None:
        self._match = YEARLESS[name].match

    def find(self, texts: Sequence[str], stamps: NDArray[np.int64]) -> list[str | None]:
        """Return N dates and times without an offset, None where a line does not begin with one.

        Args:
            texts: N lines.
            stamps: (N,) Kafka's times of their records, nanoseconds since 1970; with 0 there is no
                year.
        """
        limits: dict[int, tuple[int, str]] = {}
        times: list[str | None] = []
        for text, stamp in zip(texts, (stamps // _DAY_NS).tolist(), strict=True):
            found = self._match(text)
            if found is None or stamp <= 0:
                times.append(None)
                continue
            if stamp not in limits:
                limits[stamp] = _limit(stamp)
            last_year, last_day = limits[stamp]
            month, day, clock = found.groups()
            if not month.isdigit():
                month = f"{_MONTHS.index(month) + 1:02}"
            date = f"{month}-{day.replace(' ', '0')}"
            times.append(f"{last_year - (date > last_day)}-{date}T{clock}")
        return times


def _limit(day: int) -> tuple[int, str]:
    """Return year, and month and day, that no line of a record is after.

    Args:
        day: Of the record, from 1970.
    """
    limit = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day) + _SLACK
    return limit.year, f"{limit:%m-%d}"
