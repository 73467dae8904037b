"""Which field is the time, and how it is written."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import excerpt
from stream_vae.errors import DecodeError
from stream_vae.inputs.timestamps import TimestampParser
from stream_vae.inspect.leaves import Leaf

_NAMES = ("timestamp", "@timestamp", "time", "ts", "datetime", "event_time", "eventtime")
_LIKE_TIME = re.compile(
    r"@?(?:t|at|when|(?:.*[^a-z])?(?:time|ts|date|at|datum|zeit)|.*(?:timestamp|datetime|Time|At))",
)
_PATTERNS = (
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %I:%M %p",
    "%d-%m-%Y %H:%M:%S",
    "%Y%m%d%H%M%S",
    "%y%m%d%H%M%S",
    "%Y-%m-%d %H.%M.%S",
)
_LOOKED_AT = 200
_NEEDED = 0.9
_FIRST_NS, _END_NS = (
    int(np.datetime64(f"{year}-01-01", "ns").astype(np.int64)) for year in (2000, 2100)
)
_QUARTER_NS = 900 * 10**9
_MOST_HOURS = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeField:
    """Where and how a sample keeps its times."""

    name: str
    settings: Mapping[str, Any]
    why: Mapping[str, str]
    told: str
    """How it is written, in words."""


def is_like_time(name: str) -> bool:
    """Return whether a field is called like a time."""
    return name.lower() in _NAMES or _LIKE_TIME.fullmatch(name) is not None


def find_time(
    leaves: Iterable[Leaf], n_documents: int, stamps: NDArray[np.int64], preferred: str | None
) -> TimeField | None:
    """Return the field that is most likely the time; None if none is.

    Args:
        leaves: Fields of the sample.
        n_documents: How many documents they are of.
        stamps: (M,) Kafka's times of the records, nanoseconds since 1970; 0 where there is none.
        preferred: The one that comes first if it can be read.
    """
    found: list[tuple[tuple[float, ...], TimeField]] = []
    for leaf in leaves:
        if not (leaf.kinds["number"] or leaf.kinds["text"]):
            continue
        # A number is a time only if its name says so.
        is_one_by_name = is_like_time(leaf.last_name)
        if not is_one_by_name and (leaf.kinds["number"] or leaf.n_distinct < 2):
            continue
        field = _read(leaf, stamps)
        if field is not None:
            found.append((_rank(leaf, n_documents, preferred), field))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _rank(leaf: Leaf, n_documents: int, preferred: str | None) -> tuple[float, ...]:
    lower = leaf.last_name.lower()
    return (
        leaf.n < _NEEDED * n_documents,
        leaf.name != preferred,
        _NAMES.index(lower) if lower in _NAMES else len(_NAMES) + (not is_like_time(lower)),
        leaf.name.count("."),
    )


def _read(leaf: Leaf, stamps: NDArray[np.int64]) -> TimeField | None:
    values = leaf.values[:_LOOKED_AT]
    sample = excerpt(values[0]) if values else ""
    for fmt in ("auto", *_PATTERNS):
        for assumed in (None, "UTC") if fmt == "auto" else ("UTC",):
            times = _times(values, fmt, assumed)
            if times is None:
                continue
            settings: dict[str, Any] = {} if fmt == "auto" else {"timestamp_format": fmt}
            why = {} if fmt == "auto" else {"timestamp_format": f"such as {sample}"}
            told = f"{_unit(leaf, times) if fmt == 'auto' else fmt}, such as {sample}"
            if assumed is not None:
                zone, reason = _zone(times, stamps[leaf.rows[: len(times)]])
                settings["timestamp_zone"] = zone
                why["timestamp_zone"] = reason
                told += "; without an offset"
            return TimeField(name=leaf.name, settings=settings, why=why, told=told)
    return None


def _times(values: list[Any], fmt: str, zone: str | None) -> NDArray[np.int64] | None:
    """Return the times of values, -1 where one cannot be read; None if too many cannot."""
    parser = TimestampParser(fmt, zone=zone)
    times = np.full(len(values), -1, dtype=np.int64)
    for at, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            continue
        try:
            times[at] = parser.parse_one(value)
        except DecodeError:
            continue
    is_sound = (times >= _FIRST_NS) & (times < _END_NS)
    return np.where(is_sound, times, -1) if is_sound.mean() >= _NEEDED else None


def _unit(leaf: Leaf, times: NDArray[np.int64]) -> str:
    at = int(np.argmax(times > 0))
    value = leaf.values[at]
    as_text = " as text" if isinstance(value, str) else ""
    try:
        number = float(value)
    except ValueError:
        return "date and time"
    ratio = times[at] / number if number else 1.0
    unit = min((1, 10**3, 10**6, 10**9), key=lambda unit: abs(np.log(ratio / unit)))
    names = {1: "nanoseconds", 10**3: "microseconds", 10**6: "milliseconds", 10**9: "seconds"}
    return f"{names[unit]} since 1970{as_text}"


def _zone(times: NDArray[np.int64], stamps: NDArray[np.int64]) -> tuple[str, str]:
    """Return a zone for times without one, by Kafka's times of their records."""
    known = (stamps > 0) & (times > 0)
    advice = "put the zone of its producers (Europe/Berlin): UTC if they write UTC"
    if not known.any():
        return "UTC", f"the times have no offset; {advice}"
    ahead = float(np.median(times[known] - stamps[known]))
    quarters = round(ahead / _QUARTER_NS)
    hours = quarters / 4
    if quarters == 0:
        return "UTC", "the times have no offset; taken as UTC they agree with Kafka's"
    if not hours.is_integer() or not 0 < abs(hours) <= _MOST_HOURS:
        return "UTC", f"the times have no offset and do not agree with Kafka's; {advice}"
    name = f"Etc/GMT{-int(hours):+d}"
    told = f"{abs(int(hours))} h {'ahead of' if hours > 0 else 'behind'} UTC by Kafka's times"
    return name, f"the times have no offset; {told}: put the zone's name, which knows summer time"
