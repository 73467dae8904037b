"""Event times: RFC 3339 text and epoch numbers to nanoseconds since 1970, and back."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import isnan
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.event_time import END_NS
from stream_vae.core.excerpts import excerpt
from stream_vae.errors import DecodeError

TimestampFormat = Literal["auto", "rfc3339", "s", "ms", "us", "ns"]
RawTime = str | int | float | None

_UNIT_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
# Seconds stay below 1e11 until the year 5138, milliseconds until then below 1e14, and so on.
_AUTO_BOUNDS = np.array([1e11, 1e14, 1e17])
_AUTO_UNITS_NS = np.array([10**9, 10**6, 10**3, 1], dtype=np.int64)

_DATE = r"(?:19[7-9][0-9]|20[0-9]{2}|21[0-9]{2})-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_MINUTE = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_SECOND = r":[0-5][0-9](?:\.[0-9]{1,9})?"
_OFFSET = r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
# Possessive, so that a chunk of any size is matched without a backtracking stack.
_STRICT_LINES = re.compile(rf"(?:{_DATE}[Tt ]{_MINUTE}{_SECOND}{_OFFSET}\n)*+")
_LENIENT_LINES = re.compile(rf"(?:{_DATE}(?:[Tt ]{_MINUTE}(?:{_SECOND})?{_OFFSET}?)?\n)*+")
_NUMBER_LINES = re.compile(r"(?:[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\n)*+")
_INTEGER_LINES = re.compile(r"(?:[+-]?[0-9]{1,19}\n)*+")
_FRACTION_LINES = re.compile(r"(?:[+-]?[0-9]+(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)\n)*+")
# Any RFC 3339 shape: the slow path checks years, leap seconds and digits beyond nanoseconds.
_ANY_DATE_TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})(?:[Tt ](?P<minute>[0-9]{2}:[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]+))?)?(?P<offset>[Zz]|[+-][0-9]{2}:[0-9]{2})?)?"
)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the offset is taken off as a number


class TimestampParser:
    """Reads event times of one format.

    Args:
        fmt: `auto` reads text as RFC 3339 and derives the unit of a number from its magnitude:
            seconds below 1e11, milliseconds below 1e14, microseconds below 1e17, else nanoseconds.
        lenient: For files written by people: text without an offset is UTC, seconds or the whole
            time of day may be missing, and `auto` reads numeric text too.
    """

    def __init__(self, fmt: TimestampFormat, *, lenient: bool = False) -> None:
        self._fmt: TimestampFormat = fmt
        self._lenient = lenient
        self._lines = _LENIENT_LINES if lenient else _STRICT_LINES

    @property
    def expected(self) -> str:
        """The expected timestamp format, for messages."""
        text = (
            "2026-04-27 13:00:00 (UTC) or RFC 3339"
            if self._lenient
            else "RFC 3339 with an offset such as 2026-04-27T13:00:00Z"
        )
        if self._fmt == "rfc3339":
            return text
        if self._fmt == "auto":
            return f"{text}, or an epoch number"
        return f"an epoch number in {self._fmt}"

    def parse(self, raw: Sequence[RawTime]) -> NDArray[np.int64] | None:
        """Return (N,) nanoseconds since 1970, or None if any of them needs `parse_one`.

        Each result depends on its own entry alone.
        """
        kinds = set(map(type, raw))
        try:
            if kinds <= {str}:
                times = self._from_text([text for text in raw if isinstance(text, str)])
            elif self._fmt == "rfc3339":
                return None
            elif kinds == {int}:
                times = self._from_integers(np.array(raw, dtype=np.int64))
            elif kinds == {float}:
                times = self._from_floats(np.array(raw, dtype=np.float64))
            else:
                return None
        except (ValueError, OverflowError):
            return None
        if times is None or (times < 0).any() or (times >= END_NS).any():
            return None
        return times

    def parse_one(self, raw: RawTime) -> int:
        """Return nanoseconds since 1970.

        Raises:
            DecodeError: `timestamp_missing`, `timestamp_unparsable` or `timestamp_out_of_range`.
        """
        if raw is None:
            raise DecodeError("timestamp_missing", f"no timestamp; expected {self.expected}")
        times = self.parse([raw])
        if times is not None:
            return int(times[0])
        if isinstance(raw, str):
            return self._parse_unusual(raw)
        is_number = self._fmt != "rfc3339" and not (isinstance(raw, float) and isnan(raw))
        raise self._out_of_range(raw) if is_number else self._unparsable(raw)

    def _unparsable(self, raw: RawTime) -> DecodeError:
        detail = f"timestamp {excerpt(raw)}; expected {self.expected}"
        return DecodeError("timestamp_unparsable", detail)

    def _out_of_range(self, raw: RawTime) -> DecodeError:
        detail = f"timestamp {excerpt(raw)} is not between 1970-01-01 and 2200-01-01"
        return DecodeError("timestamp_out_of_range", detail)

    def _parse_unusual(self, text: str) -> int:
        """Parse what the fast path does not: leap seconds and more digits than nanoseconds."""
        reads_numbers = self._fmt not in ("auto", "rfc3339") or (
            self._lenient and self._fmt == "auto"
        )
        if reads_numbers and _NUMBER_LINES.fullmatch(text + "\n"):
            raise self._out_of_range(text)
        match = _ANY_DATE_TIME.fullmatch(text)
        is_whole = match is not None and match["second"] and match["offset"]
        if match is None or self._fmt not in ("auto", "rfc3339") or not (self._lenient or is_whole):
            raise self._unparsable(text)
        nanoseconds = _unusual_nanoseconds(match)
        if nanoseconds is None:
            raise self._unparsable(text)
        if not 0 <= nanoseconds < END_NS:
            raise self._out_of_range(text)
        return nanoseconds

    def _from_text(self, texts: list[str]) -> NDArray[np.int64] | None:
        lines = "\n".join(texts) + "\n"
        if lines.count("\n") != len(texts):
            return None
        if self._fmt not in ("auto", "rfc3339"):
            return self._from_numeric_text(lines, texts)
        # numpy accepts "now" and "today" too, so it gets only what matches the pattern.
        if self._lines.fullmatch(lines):
            return _from_date_times(lines.upper(), len(texts))
        if self._lenient and self._fmt == "auto":
            return self._from_numeric_text(lines, texts)
        return None

    def _from_numeric_text(self, lines: str, texts: list[str]) -> NDArray[np.int64] | None:
        if _INTEGER_LINES.fullmatch(lines):
            return self._from_integers(np.array(list(map(int, texts)), dtype=np.int64))
        # Integers mixed with fractions would lose digits as floats: `parse_one` reads each alone.
        if _FRACTION_LINES.fullmatch(lines):
            return self._from_floats(np.array(list(map(float, texts)), dtype=np.float64))
        return None

    def _units(self, magnitudes: NDArray[np.float64]) -> NDArray[np.int64]:
        if self._fmt in _UNIT_NS:
            return np.full(magnitudes.shape, _UNIT_NS[self._fmt], dtype=np.int64)
        return _AUTO_UNITS_NS[np.searchsorted(_AUTO_BOUNDS, magnitudes, side="right")]

    def _from_integers(self, numbers: NDArray[np.int64]) -> NDArray[np.int64] | None:
        units = self._units(np.abs(numbers.astype(np.float64)))
        if ((numbers < 0) | (numbers >= END_NS // units)).any():
            return None
        return numbers * units

    def _from_floats(self, numbers: NDArray[np.float64]) -> NDArray[np.int64] | None:
        if not np.isfinite(numbers).all() or (numbers < 0).any():
            return None
        units = self._units(numbers)
        whole = np.floor(numbers)
        if (whole >= END_NS // units).any():
            return None
        # Splitting first keeps float64's precision: the fraction is exact, then rounded once.
        fraction = np.rint((numbers - whole) * units).astype(np.int64)
        return whole.astype(np.int64) * units + fraction


def _from_date_times(lines: str, count: int) -> NDArray[np.int64]:
    """Return (N,) nanoseconds of lines that match the pattern; ValueError for 30 February."""
    if lines.count("Z") == count:
        return _nanoseconds(lines.replace("Z", "").split("\n")[:-1])
    local: list[str] = []
    offsets: list[str] = []
    for text in lines.split("\n")[:-1]:
        if text[-1] == "Z":
            local.append(text[:-1])
            offsets.append("")
        elif len(text) > 16 and text[-6] in "+-":
            local.append(text[:-6])
            offsets.append(text[-6:])
        else:
            local.append(text)
            offsets.append("")
    shift = {offset: _offset_ns(offset) for offset in set(offsets)}
    return _nanoseconds(local) - np.array([shift[offset] for offset in offsets], dtype=np.int64)


def _nanoseconds(texts: list[str]) -> NDArray[np.int64]:
    return np.array(texts, dtype="datetime64[ns]").astype(np.int64)


def _offset_ns(offset: str) -> int:
    if offset in ("", "Z", "z"):
        return 0
    minutes = 60 * int(offset[1:3]) + int(offset[4:6])
    return (-minutes if offset[0] == "-" else minutes) * 60 * 10**9


def _unusual_nanoseconds(match: re.Match[str]) -> int | None:
    """Return nanoseconds since 1970 (any year), or None where there is no such date or time."""
    offset = match["offset"] or "Z"
    is_leap = match["second"] == "60"
    second = "59" if is_leap else match["second"] or "00"
    text = f"{match['date']} {match['minute'] or '00:00'}:{second}"
    try:
        local = datetime.strptime(text, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - as _EPOCH
    except ValueError:
        return None
    if offset not in "Zz" and (offset[1:3] > "23" or offset[4:6] > "59"):
        return None
    seconds = (local - _EPOCH) // timedelta(seconds=1) - _offset_ns(offset) // 10**9
    if is_leap:
        # Read as the last nanosecond before it, so time never runs backwards; RFC 3339 has leap
        # seconds at the end of a UTC day alone.
        return seconds * 10**9 + 999_999_999 if seconds % 86_400 == 86_399 else None
    return seconds * 10**9 + int((match["fraction"] or "0")[:9].ljust(9, "0"))


def format_times(times: NDArray[np.int64]) -> list[str]:
    """Return RFC 3339 UTC text with as many digits (0, 3, 6 or 9) as each time needs.

    Args:
        times: (N,) nanoseconds since 1970.

    >>> format_times(np.array([0, 1_500_000_000]))
    ['1970-01-01T00:00:00Z', '1970-01-01T00:00:01.500Z']
    """
    stamps = times.astype("datetime64[ns]")
    remaining = np.ones(len(times), dtype=bool)
    texts = np.empty(len(times), dtype=object)
    for unit, divisor in (("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1)):
        chosen = remaining & (times % divisor == 0)
        if chosen.any():
            texts[chosen] = np.datetime_as_string(stamps[chosen].astype(f"datetime64[{unit}]"))
            remaining &= ~chosen
    return [f"{text}Z" for text in texts.tolist()]
