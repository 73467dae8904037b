"""Dates and times of a given form: the forms of common exports, and patterns of `strptime`.

All texts of a column are read at once: one search, then whole columns of numbers.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_PARTS: Mapping[str, str] = {
    "Y": "[0-9]{4}",
    "y": "[0-9]{2}",
    "m": "1[0-2]|0?[1-9]",
    "d": "3[01]|[12][0-9]|0?[1-9]",
    "b": "|".join(_MONTHS),
    "H": "2[0-3]|[01]?[0-9]",
    "I": "1[0-2]|0?[1-9]",
    "M": "[0-5]?[0-9]",
    "S": "[0-5]?[0-9]",
    "f": "[0-9]{1,9}",
    "p": "AM|PM",
    "z": r"Z|UTC|GMT|[+-](?:2[0-3]|[01][0-9])(?::?[0-5][0-9])?",
}
_SAMPLE = datetime(2025, 3, 4, 13, 0, 7, 250_000, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class WallTimes:
    """N times as clocks on the wall show them."""

    seconds: NDArray[np.int64]
    """(N,) from 1970-01-01 on that clock; any year."""
    nanoseconds: NDArray[np.int64]
    """(N,) of the fraction."""
    offsets: NDArray[np.int64]
    """(N,) what the text says that the clock is ahead of UTC, in seconds; 0 if it says nothing."""
    has_offset: NDArray[np.bool_]
    """(N,) whether it says so."""


class DateForm:
    """One form of date and time.

    Args:
        regex: With the groups that are named like the directives of `strptime`.
    """

    def __init__(self, regex: str) -> None:
        compiled = re.compile(rf"^(?:{regex})$", re.IGNORECASE | re.MULTILINE | re.ASCII)
        self._one = compiled
        self._position = {name: at - 1 for name, at in compiled.groupindex.items()}

    def read(self, texts: list[str], lines: str) -> WallTimes | None:
        """Return the times, or None if not every text is one.

        Args:
            texts: N, none with a line break.
            lines: The same, one a line.
        """
        if not texts or not self._one.match(texts[0]):
            return None
        found = self._one.findall(lines)
        if len(found) != len(texts):
            return None
        columns = list(zip(*found, strict=True))
        days = self._days(columns)
        if days is None:
            return None
        return WallTimes(
            seconds=days * 86_400 + self._seconds(columns),
            nanoseconds=self._numbers(columns, "f", digits=9),
            offsets=self._offsets(columns),
            has_offset=np.array([text != "" for text in self._texts(columns, "z")], dtype=bool),
        )

    def _texts(self, columns: list[tuple[str, ...]], part: str) -> tuple[str, ...]:
        return columns[self._position[part]] if part in self._position else ("",) * len(columns[0])

    def _numbers(
        self, columns: list[tuple[str, ...]], part: str, *, digits: int = 0
    ) -> NDArray[np.int64]:
        """Return (N,) numbers, 0 where there is none; of a fraction with so many digits."""
        texts = self._texts(columns, part)
        if digits:
            texts = tuple(text.ljust(digits, "0") for text in texts)
        return np.array([int(text or "0") for text in texts], dtype=np.int64)

    def _days(self, columns: list[tuple[str, ...]]) -> NDArray[np.int64] | None:
        """Return (N,) days since 1970, or None for 30 February."""
        if "y" in self._position:
            years = self._numbers(columns, "y")
            years += np.where(years < 69, 2000, 1900)  # as `strptime` does
        else:
            years = self._numbers(columns, "Y")
        if "b" in self._position:
            names = [text.lower() for text in self._texts(columns, "b")]
            months = np.array([_MONTHS.index(name) for name in names], dtype=np.int64)
        else:
            months = self._numbers(columns, "m") - 1
        first = ((years - 1970) * 12 + months).astype("datetime64[M]")
        days = first.astype("datetime64[D]").astype(np.int64) + self._numbers(columns, "d") - 1
        is_same = days.astype("datetime64[D]").astype("datetime64[M]") == first
        return days if bool(is_same.all()) else None

    def _seconds(self, columns: list[tuple[str, ...]]) -> NDArray[np.int64]:
        hours = self._numbers(columns, "H")
        if "I" in self._position:
            is_after_noon = [text.lower() == "pm" for text in self._texts(columns, "p")]
            hours = self._numbers(columns, "I") % 12 + 12 * np.array(is_after_noon, dtype=np.int64)
        return hours * 3600 + self._numbers(columns, "M") * 60 + self._numbers(columns, "S")

    def _offsets(self, columns: list[tuple[str, ...]]) -> NDArray[np.int64]:
        texts = self._texts(columns, "z")
        known = {text: offset_seconds(text) for text in set(texts)}
        return np.array([known[text] for text in texts], dtype=np.int64)


class DatePattern:
    """A pattern of `strptime`, such as `%d/%m/%Y %H:%M`.

    Args:
        pattern: With directives of date and time; other directives are read one by one.

    Raises:
        ValueError: If it does not say what a whole date needs.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._check()

    def _check(self) -> None:
        found = None
        if "%Z" not in self._pattern:  # names of zones mean several zones each
            try:
                found = datetime.strptime(self.sample, self._pattern)  # noqa: DTZ007 - compared
            except (ValueError, re.error):
                found = None
        if found is None or found.date() != _SAMPLE.date():
            msg = (
                f"{self._pattern!r} is no pattern of a date; expected directives of strptime for "
                "year, month and day, such as %d/%m/%Y %H:%M:%S, and %z where the text has an "
                "offset"
            )
            raise ValueError(msg)

    @property
    def has_offset(self) -> bool:
        """Whether the text says how far its clock is ahead of UTC."""
        return "%z" in self._pattern

    @property
    def sample(self) -> str:
        """A text of this form, for messages."""
        return _SAMPLE.strftime(self._pattern)

    def read(self, texts: list[str], lines: str) -> WallTimes | None:
        """Return the times, or None if not every text is one; see `DateForm.read`."""
        if self._form is not None:
            return self._form.read(texts, lines)
        try:
            found = [datetime.strptime(text, self._pattern) for text in texts]  # noqa: DTZ007 - below
        except ValueError:
            return None
        offsets = [one.utcoffset() for one in found]
        wall = [one.replace(tzinfo=UTC) for one in found]
        return WallTimes(
            seconds=np.array([int(one.timestamp() // 1) for one in wall], dtype=np.int64),
            nanoseconds=np.array([one.microsecond * 1000 for one in wall], dtype=np.int64),
            offsets=np.array([0 if one is None else one.total_seconds() for one in offsets]).astype(
                np.int64
            ),
            has_offset=np.array([one is not None for one in offsets], dtype=bool),
        )

    @cached_property
    def _form(self) -> DateForm | None:
        """The pattern as a form, or None if it has directives that forms do not."""
        regex = ""
        seen = set()
        for literal, directive in re.findall(r"([^%]*)(%.|$)", self._pattern, re.DOTALL):
            # Any white space stands for any other, as in `strptime`.
            parts = re.split(r"\s+", literal)
            regex += r"[^\S\n]+".join(map(re.escape, parts))
            part = directive[1:]
            if directive == "%%":
                regex += "%"
            elif directive:
                if part not in _PARTS or part in seen:
                    return None
                seen.add(part)
                regex += f"(?P<{part}>{_PARTS[part]})"
        return DateForm(regex)


def offset_seconds(text: str) -> int:
    """Return how far an offset is ahead of UTC, in seconds.

    >>> [offset_seconds(text) for text in ("", "Z", "+02:00", "-0330", "+01 CET")]
    [0, 0, 7200, -12600, 3600]
    """
    if text[:1] not in ("+", "-"):
        return 0
    digits = text.replace(":", "")
    rest = digits[3:5]
    minutes = 60 * int(digits[1:3]) + (int(rest) if rest.isdigit() else 0)
    return -60 * minutes if text[0] == "-" else 60 * minutes


def _group(part: str) -> str:
    return f"(?P<{part}>{_PARTS[part]})"


_TIME = rf"{_group('H')}:{_group('M')}(?::{_group('S')}(?:[.,]{_group('f')})?)?"
_ZONE = rf"(?: ?{_group('z')})?"
EXPORT_FORMS = (
    # 04.03.2025 01:00 of spreadsheets: between dots the day is always first.
    DateForm(rf"{_group('d')}\.{_group('m')}\.{_group('Y')}(?:,?[ T]{_TIME}{_ZONE})?"),
    DateForm(rf"{_group('Y')}/{_group('m')}/{_group('d')}(?:[ T]{_TIME}{_ZONE})?"),
    # 04-Mar-2025 01:00:00 of historians, 04/Mar/2025:01:00:00 +0000 of web servers, and of mail.
    DateForm(
        rf"(?:[A-Z]{{3}}, )?{_group('d')}[-/ ]{_group('b')}[-/ ]{_group('Y')}"
        rf"(?:[ :]{_TIME}{_ZONE})?"
    ),
    DateForm(  # 20250304T010000Z
        r"(?P<Y>[0-9]{4})(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12][0-9]|3[01])T(?P<H>[01][0-9]|2[0-3])"
        rf"(?P<M>[0-5][0-9])(?:(?P<S>[0-5][0-9])(?:[.,]{_group('f')})?)?{_ZONE}"
    ),
)
"""Forms that mean one thing alone, tried where a text is no RFC 3339. Not among them: 3/4/2025, of
which the day is either."""
