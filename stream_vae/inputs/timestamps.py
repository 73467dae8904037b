"""Event times: text and epoch numbers to nanoseconds since 1970, and back."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from math import isnan
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.event_time import END_NS
from stream_vae.core.excerpts import excerpt
from stream_vae.errors import DecodeError
from stream_vae.inputs.date_forms import (
    EXPORT_FORMS,
    DateForm,
    DatePattern,
    WallTimes,
    offset_seconds,
)
from stream_vae.inputs.local_times import LocalZone, ParsedTimes

FixedFormat = Literal["auto", "rfc3339", "s", "ms", "us", "ns"]
FORMATS: tuple[FixedFormat, ...] = ("auto", "rfc3339", "s", "ms", "us", "ns")
Advice = Literal["settings", "options", "none"]
RawTime = str | int | float | None

_UNIT_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
# Seconds stay below 1e11 until the year 5138, milliseconds until then below 1e14, and so on.
_AUTO_BOUNDS = np.array([1e11, 1e14, 1e17])
_AUTO_UNITS_NS = np.array([10**9, 10**6, 10**3, 1], dtype=np.int64)
_END_SECONDS = END_NS // 10**9
_DAY_SECONDS = 86_400

_DATE = r"(?:19[7-9][0-9]|20[0-9]{2}|21[0-9]{2})-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_MINUTE = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_SECOND = r":[0-5][0-9](?:[.,][0-9]{1,9})?"
# Z, +02:00, +0200 (Java, Go), +02 (PostgreSQL), a space before any of them, UTC, +0100 CET (Go).
_SIGNED = r"[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?"
_OFFSET = rf"(?:[Zz]| ?(?:[Zz]|UTC|GMT|{_SIGNED}(?: [A-Z]{{3,5}})?))"
# Possessive, so that a chunk of any size is matched without a backtracking stack.
_WITH_OFFSET = re.compile(rf"(?:{_DATE}[Tt ]{_MINUTE}(?:{_SECOND})?{_OFFSET}\n)*+")
# The usual form, told apart for speed.
_UTC = re.compile(rf"(?:{_DATE}[T ]{_MINUTE}:[0-5][0-9](?:\.[0-9]{{1,9}})?Z\n)*+")
_OF_A_ZONE = re.compile(rf"(?:{_DATE}(?:[Tt ]{_MINUTE}(?:{_SECOND})?(?:{_OFFSET})?)?\n)*+")
_NUMBER_LINES = re.compile(r"(?:[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\n)*+")
_INTEGER_LINES = re.compile(r"(?:[+-]?[0-9]{1,19}\n)*+")
_FRACTION_LINES = re.compile(r"(?:[+-]?[0-9]+(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)\n)*+")
# 20250304, 202503040100 and 20250304010000 are rather dates than seconds of 1970 or so.
_LIKE_A_DATE = re.compile(
    r"(?:19[7-9]|20[0-9]|21[0-9])[0-9](?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:(?:[01][0-9]|2[0-3])[0-5][0-9](?:[0-5][0-9])?)?"
)
# Any shape of ISO 8601: the slow path checks years, leap seconds and digits beyond nanoseconds.
_ANY_DATE_TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})(?:[Tt ](?P<minute>[0-9]{2}:[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]+))?)?"
    r"(?P<offset> ?(?:[Zz]|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?(?: [A-Z]{3,5})?))?"
    r"(?:\[[A-Za-z0-9_/+-]{1,40}\])?)?"
)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the offset is taken off as a number


def check_time_settings(fmt: str, zone: str | None) -> None:
    """Refuse a format or a zone that cannot be used.

    Args:
        fmt: `TimestampParser`'s.
        zone: `TimestampParser`'s.

    Raises:
        ValueError: Says what is expected; names neither setting.
    """
    if zone is not None:
        LocalZone(zone)
    if fmt in FORMATS:
        return
    if "%" not in fmt:
        msg = (
            f"{fmt!r} is no format of times; expected {', '.join(FORMATS)}, or a pattern of "
            "strptime such as %d/%m/%Y %H:%M:%S"
        )
        raise ValueError(msg)
    if not DatePattern(fmt).has_offset and zone is None:
        msg = (
            f"{fmt!r} reads text without an offset, which means an instant only in a zone; "
            "expected timestamp_zone too (UTC, or an IANA name such as Europe/Berlin), or %z in "
            "the pattern"
        )
        raise ValueError(msg)


class TimestampParser:
    """Reads event times of one format.

    Args:
        fmt: `auto` reads text as RFC 3339 or one of `EXPORT_FORMS`, and derives the unit of a
            number, also of one as text, from its magnitude: seconds below 1e11, milliseconds below
            1e14, microseconds below 1e17, else nanoseconds. `rfc3339` is for text alone, and a unit
            for numbers alone. Anything with `%` is a pattern of `strptime`.
        zone: What text without an offset is a time of; None takes no such text. With a zone,
            seconds or the whole time of day may be missing.
        advice: What messages name for a remedy: settings, options of the commands that read files,
            or nothing.

    Raises:
        ValueError: If the pattern or the zone cannot be used.
    """

    def __init__(self, fmt: str, *, zone: str | None = None, advice: Advice = "settings") -> None:
        check_time_settings(fmt, zone)
        self._fmt = fmt
        self._zone = None if zone is None else LocalZone(zone)
        self._lines = _WITH_OFFSET if zone is None else _OF_A_ZONE
        self._forms: tuple[DateForm | DatePattern, ...] = ()
        if fmt == "auto":
            self._forms = EXPORT_FORMS
        elif fmt not in FORMATS:
            self._forms = (DatePattern(fmt),)
        self._advice = advice

    @property
    def expected(self) -> str:
        """The expected timestamp format, for messages."""
        if self._fmt in _UNIT_NS:
            return f"an epoch number in {self._fmt}"
        if isinstance(self._forms[0] if self._forms else None, DatePattern):
            sample = DatePattern(self._fmt).sample
            return f"{self._fmt}, such as {sample}"
        text = (
            "RFC 3339 with an offset such as 2026-04-27T13:00:00Z"
            if self._zone is None
            else "a time such as 2026-04-27 13:00:00, or RFC 3339"
        )
        return text if self._fmt == "rfc3339" else f"{text}, or an epoch number"

    def parse(self, raw: Sequence[RawTime]) -> NDArray[np.int64] | None:
        """Return the times of `read`, or None if any of them needs `parse_one`."""
        read = self.read(raw)
        return None if read is None else read.times

    def parse_one(self, raw: RawTime) -> int:
        """Return the time of `read_one`, nanoseconds since 1970.

        Raises:
            DecodeError: `timestamp_missing`, `timestamp_unparsable` or `timestamp_out_of_range`.
        """
        return int(self.read_one(raw).times[0])

    def read(self, raw: Sequence[RawTime]) -> ParsedTimes | None:
        """Return N times, or None if any of them needs `read_one`.

        Each result depends on its own entry alone.
        """
        kinds = set(map(type, raw))
        try:
            if kinds <= {str}:
                read = self._from_text([text for text in raw if isinstance(text, str)])
            elif self._fmt not in ("auto", *_UNIT_NS):
                return None
            elif kinds == {int}:
                read = self._from_integers(np.array(raw, dtype=np.int64))
            elif kinds == {float}:
                read = self._from_floats(np.array(raw, dtype=np.float64))
            else:
                return None
        except (ValueError, OverflowError):
            return None
        if read is None or (read.times < 0).any() or (read.times >= END_NS).any():
            return None
        return read

    def read_one(self, raw: RawTime) -> ParsedTimes:
        """Return one time.

        Raises:
            DecodeError: `timestamp_missing`, `timestamp_unparsable` or `timestamp_out_of_range`.
        """
        if raw is None:
            raise self._missing()
        read = self.read([raw])
        if read is not None:
            return read
        if isinstance(raw, str):
            return self._read_unusual(raw)
        is_number = self._fmt in ("auto", *_UNIT_NS) and not (isinstance(raw, float) and isnan(raw))
        raise self._out_of_range(raw) if is_number else self._unparsable(raw)

    def _remedy(self, setting: str, text: str) -> str:
        """Return the end of a message: what a setting does."""
        if self._advice == "none":
            return ""
        option = f"--{setting.replace('_', '-')}"
        return f"; {f'input.{setting}' if self._advice == 'settings' else option} {text}"

    def _missing(self) -> DecodeError:
        detail = f"no timestamp; expected {self.expected}"
        if self._advice == "settings":
            detail += self._remedy(
                "timestamp_field", "names its field ($record is Kafka's time of the record)"
            )
        return DecodeError("timestamp_missing", detail)

    def _unparsable(self, raw: RawTime) -> DecodeError:
        remedy = self._remedy("timestamp_format", "tells another form (%d/%m/%Y %H:%M, ms, ...)")
        if isinstance(raw, str) and self._fmt in ("auto", "rfc3339"):
            if self._zone is None and _of_utc(self._fmt).read([raw]) is not None:
                remedy = self._remedy("timestamp_zone", "tells the zone (UTC, Europe/Berlin, ...)")
            elif _LIKE_A_DATE.fullmatch(raw):
                pattern = "%Y%m%d%H%M%S"[: {8: 6, 12: 10, 14: 12}[len(raw)]]
                remedy = self._remedy("timestamp_format", f"tells whether it is {pattern} or s")
        detail = f"timestamp {excerpt(raw)}; expected {self.expected}{remedy}"
        return DecodeError("timestamp_unparsable", detail)

    def _out_of_range(self, raw: RawTime) -> DecodeError:
        detail = f"timestamp {excerpt(raw)} is not between 1970-01-01 and 2200-01-01"
        if not isinstance(raw, str) or _NUMBER_LINES.fullmatch(raw + "\n"):
            detail += self._remedy("timestamp_format", "tells the unit (s, ms, us, ns)")
        return DecodeError("timestamp_out_of_range", detail)

    def _read_unusual(self, text: str) -> ParsedTimes:
        """Read what the fast path does not: leap seconds and more digits than nanoseconds."""
        if self._fmt in ("auto", *_UNIT_NS) and _NUMBER_LINES.fullmatch(text + "\n"):
            is_date = self._fmt == "auto" and _LIKE_A_DATE.fullmatch(text)
            raise self._unparsable(text) if is_date else self._out_of_range(text)
        match = _ANY_DATE_TIME.fullmatch(text)
        if match is not None and self._fmt in ("auto", "rfc3339"):
            wall = _unusual_time(match)
        else:
            wall = None if "\n" in text else self._from_forms([text], text)
        if wall is None or not (self._zone is not None or wall.has_offset.all()):
            raise self._unparsable(text)
        read = self._to_utc(wall)
        if read is None or not 0 <= read.times[0] < END_NS:
            raise self._out_of_range(text)
        return read

    def _from_text(self, texts: list[str]) -> ParsedTimes | None:
        lines = "\n".join(texts) + "\n"
        if lines.count("\n") != len(texts):
            return None
        if self._fmt in _UNIT_NS:
            return self._from_numeric_text(lines, texts)
        if self._fmt in ("auto", "rfc3339") and _UTC.fullmatch(lines):
            return _of_utc_lines(lines)
        # numpy accepts "now" and "today" too, so it gets only what matches the pattern.
        if self._fmt in ("auto", "rfc3339") and self._lines.fullmatch(lines):
            return self._from_date_times(lines.upper(), len(texts))
        if self._fmt == "auto" and texts[0][-1:].isdigit():
            read = self._from_numeric_text(lines, texts)
            if read is not None:
                return read
        wall = self._from_forms(texts, lines)
        is_known = wall is not None and (self._zone is not None or wall.has_offset.all())
        return self._to_utc(wall) if wall is not None and is_known else None

    def _from_forms(self, texts: list[str], lines: str) -> WallTimes | None:
        for form in self._forms:
            wall = form.read(texts, lines)
            if wall is not None:
                return wall
        return None

    def _to_utc(self, wall: WallTimes) -> ParsedTimes | None:
        """Return instants, or None where one is far beyond the years that there are."""
        seconds = wall.seconds - wall.offsets
        if ((seconds < -_DAY_SECONDS) | (seconds >= _END_SECONDS + _DAY_SECONDS)).any():
            return None
        times = seconds * 10**9 + wall.nanoseconds
        return self._of_zone(times, ~wall.has_offset)

    def _of_zone(self, times: NDArray[np.int64], is_local: NDArray[np.bool_]) -> ParsedTimes:
        """Return times of which some are wall-clock times of the zone."""
        if self._zone is None or not is_local.any():
            return ParsedTimes(times=times)
        zoned = self._zone.to_utc(times if is_local.all() else times[is_local])
        if is_local.all():
            return zoned
        times[is_local] = zoned.times
        repeats = None
        if zoned.repeats_ns is not None:
            repeats = np.zeros_like(times)
            repeats[is_local] = zoned.repeats_ns
        return ParsedTimes(times=times, repeats_ns=repeats, n_skipped=zoned.n_skipped)

    def _from_date_times(self, lines: str, count: int) -> ParsedTimes:
        """Return N times of lines that match the pattern; ValueError for 30 February."""
        if "," in lines:
            lines = lines.replace(",", ".")
        if lines.count("Z") == count and " Z" not in lines:
            return _of_utc_lines(lines)
        texts = lines.split("\n")[:-1]
        offset = texts[0][_end_of_time(texts[0]) :]
        if _all_have(offset, lines, count):
            if offset:
                texts = lines.replace(f"{offset}\n", "\n").split("\n")[:-1]
            times = _nanoseconds(texts) - offset_seconds(offset.strip()) * 10**9
            return self._of_zone(times, np.full(count, not offset))
        ends = [_end_of_time(text) for text in texts]
        local = _nanoseconds([text[:end] for text, end in zip(texts, ends, strict=True)])
        offsets = [text[end:] for text, end in zip(texts, ends, strict=True)]
        shift = {offset: offset_seconds(offset.strip()) * 10**9 for offset in set(offsets)}
        times = local - np.array([shift[offset] for offset in offsets], dtype=np.int64)
        return self._of_zone(times, np.array([offset == "" for offset in offsets], dtype=bool))

    def _from_numeric_text(self, lines: str, texts: list[str]) -> ParsedTimes | None:
        if _INTEGER_LINES.fullmatch(lines):
            if self._fmt == "auto" and any(map(_LIKE_A_DATE.fullmatch, texts)):
                return None
            return self._from_integers(np.array(list(map(int, texts)), dtype=np.int64))
        # Integers mixed with fractions would lose digits as floats: `read_one` reads each alone.
        if _FRACTION_LINES.fullmatch(lines):
            return self._from_floats(np.array(list(map(float, texts)), dtype=np.float64))
        return None

    def _units(self, magnitudes: NDArray[np.float64]) -> NDArray[np.int64]:
        if self._fmt in _UNIT_NS:
            return np.full(magnitudes.shape, _UNIT_NS[self._fmt], dtype=np.int64)
        return _AUTO_UNITS_NS[np.searchsorted(_AUTO_BOUNDS, magnitudes, side="right")]

    def _from_integers(self, numbers: NDArray[np.int64]) -> ParsedTimes | None:
        units = self._units(np.abs(numbers.astype(np.float64)))
        if ((numbers < 0) | (numbers >= END_NS // units)).any():
            return None
        return ParsedTimes(times=numbers * units)

    def _from_floats(self, numbers: NDArray[np.float64]) -> ParsedTimes | None:
        if not np.isfinite(numbers).all() or (numbers < 0).any():
            return None
        units = self._units(numbers)
        whole = np.floor(numbers)
        if (whole >= END_NS // units).any():
            return None
        # Splitting first keeps float64's precision: the fraction is exact, then rounded once.
        fraction = np.rint((numbers - whole) * units).astype(np.int64)
        return ParsedTimes(times=whole.astype(np.int64) * units + fraction)


def _of_utc_lines(lines: str) -> ParsedTimes:
    return ParsedTimes(times=_nanoseconds(lines.replace("Z", "").split("\n")[:-1]))


def _nanoseconds(texts: list[str]) -> NDArray[np.int64]:
    return np.array(texts, dtype="datetime64[ns]").astype(np.int64)


def _all_have(offset: str, lines: str, count: int) -> bool:
    """Return whether each of so many lines ends with this offset; "": none has any."""
    if offset:
        return lines.count(f"{offset}\n") == count
    return lines.count("-") == 2 * count and not any(one in lines for one in "+ZCG")


def _end_of_time(text: str) -> int:
    """Return where the offset of a text in upper case begins, its length if it has none."""
    end = len(text)
    if text[-1] in "ZCT":  # Z, UTC, GMT
        end -= 1 if text[-1] == "Z" else 3
        if text[end - 1] == " ":
            end -= 1
    sign = max(text.find("+", 16), text.find("-", 16))
    if sign > 0:
        end = sign - (text[sign - 1] == " ")
    return end


@cache
def _of_utc(fmt: str) -> TimestampParser:
    return TimestampParser(fmt, zone="UTC")


def _unusual_time(match: re.Match[str]) -> WallTimes | None:
    """Return a time of any year, or None where there is no such date or time."""
    offset = (match["offset"] or "").strip().upper()
    is_leap = match["second"] == "60"
    second = "59" if is_leap else match["second"] or "00"
    text = f"{match['date']} {match['minute'] or '00:00'}:{second}"
    try:
        local = datetime.strptime(text, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - as _EPOCH
    except ValueError:
        return None
    digits = offset.replace(":", "")[1:5]
    if digits[:2].isdigit() and (digits[:2] > "23" or digits[2:] > "59"):
        return None
    seconds = (local - _EPOCH) // timedelta(seconds=1)
    nanoseconds = int((match["fraction"] or "0")[:9].ljust(9, "0"))
    if is_leap:
        # Read as the last nanosecond before it, so time never runs backwards; there are leap
        # seconds at the end of a UTC day alone.
        if (seconds - offset_seconds(offset)) % 86_400 != 86_399:
            return None
        nanoseconds = 999_999_999
    return WallTimes(
        seconds=np.array([seconds]),
        nanoseconds=np.array([nanoseconds]),
        offsets=np.array([offset_seconds(offset)]),
        has_offset=np.array([bool(offset)]),
    )


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
