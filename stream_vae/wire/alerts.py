"""Alert events to bytes and back, with their CloudEvents headers and their JSON Schema.

Version 1 changes by additions only: new fields may appear, none disappears or changes its meaning,
so readers ignore unknown fields. Any other change needs a new `schema_version`.
"""

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from math import isfinite
from typing import Any, TypeVar, cast
from urllib.parse import quote

import msgspec

from stream_vae.core.alerts import MAX_SUMMARY_CHARACTERS, SCHEMA_VERSION, AlertEvent, Status
from stream_vae.core.excerpts import excerpt, printable
from stream_vae.errors import AlertDecodeError

EVENT_TYPE = "io.streamvae.anomaly.v1"
SCHEMA_ID = "urn:streamvae:alert:v1"
"""`$id` of the JSON Schema and `ce_dataschema` of every event."""


_ALWAYS_TOLD = frozenset({"kind", "schema_version"})
"""Fields of an event that have a default and are told all the same."""

_Decodable = TypeVar("_Decodable")


class _Envelope(msgspec.Struct):
    """The one field every version has."""

    schema_version: int


class _Named(msgspec.Struct, frozen=True):
    name: str


class AlertPlace(msgspec.Struct, frozen=True):
    """Where an event stands in its incident, and whose it is."""

    schema_version: int
    incident_id: str
    sequence: int
    status: Status
    detector: _Named


def encode_alert(event: AlertEvent) -> bytes:
    """Return the JSON object of an event, times as RFC 3339 UTC.

    Raises:
        ValueError: If the event would not decode to itself: a number that is not finite (JSON has
            none) or out of its range, a time not in UTC, `ends_at` that contradicts the status, or
            a summary longer than 500 characters.
    """
    fault = next(_faults(event), None)
    if fault is not None:
        raise ValueError(f"alert event {event.incident_id}.{event.sequence}: {fault}")
    content = _plain(event)
    # The version comes first, for people who read the topic directly.
    ordered = {"schema_version": content.pop("schema_version"), **content}
    return msgspec.json.encode(ordered)


def alert_headers(event: AlertEvent, deployment: str | None = None) -> list[tuple[str, bytes]]:
    """Return the Kafka headers of an event: CloudEvents 1.0, binary content mode.

    Args:
        event: The event the record's value holds.
        deployment: Last part of `ce_source`; the detector's name where it is not given.

    References:
        CloudEvents 1.0, Kafka protocol binding, section 3.2.
    """
    source = quote(deployment or event.detector.name, safe="")
    attributes = {
        "specversion": "1.0",
        "type": EVENT_TYPE,
        "source": f"/stream-vae/{source}",
        "id": f"{event.incident_id}.{event.sequence}",
        "subject": event.series.key,
        "time": rfc3339(event.detected_at),
        "dataschema": SCHEMA_ID,
    }
    headers = [("content-type", b"application/json")]
    headers += [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
    return headers


def decode_alert(data: bytes) -> AlertEvent:
    """Return the event in a record's value; fields this release does not know are ignored.

    Raises:
        AlertDecodeError: If it is no alert event, or one of a version this release does not know.
    """
    version = _decode(data, _Envelope).schema_version
    if version != SCHEMA_VERSION:
        advice = "; upgrade stream-vae to read it" if version > SCHEMA_VERSION else ""
        raise AlertDecodeError(
            f"alert event of schema_version {version}; this release reads {SCHEMA_VERSION}{advice}"
        )
    event = _decode(data, AlertEvent)
    fault = next(_faults(event), None)
    if fault is not None:
        raise AlertDecodeError(f"alert event {printable(event.incident_id)}: {fault}")
    return event


def alert_place(data: bytes) -> AlertPlace | None:
    """Return which event of which incident stands in a record's value, at a fraction of the cost.

    Nothing else of it is validated. None if it is no event of this schema version.
    """
    try:
        place = msgspec.json.decode(data, type=AlertPlace)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return place if place.schema_version == SCHEMA_VERSION else None


def alert_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of alert events, as it is shipped with the package."""
    text = files("stream_vae.wire").joinpath("alert.schema.json").read_text(encoding="utf-8")
    return cast("dict[str, Any]", json.loads(text))


def rfc3339(time: datetime) -> str:
    """Return a time as RFC 3339 UTC text.

    >>> rfc3339(datetime(2026, 4, 27, 13, tzinfo=UTC))
    '2026-04-27T13:00:00Z'
    """
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _decode(data: bytes, kind: type[_Decodable]) -> _Decodable:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise AlertDecodeError(
            f"no alert event: {printable(str(exc), 200)} in {excerpt(data)!r}; expected a JSON "
            f"object as in {SCHEMA_ID}"
        ) from exc


def _faults(event: AlertEvent) -> Iterator[str]:
    """Yield violations that the types alone do not exclude."""
    for path, value in _leaves(event, ""):
        if isinstance(value, float) and not isfinite(value):
            yield f"{path} is {value}; expected a finite number"
        if isinstance(value, datetime) and value.utcoffset() != timedelta(0):
            yield f"{path} is {value.isoformat()}; expected a time in UTC"
    for name in ("grade", "p_value"):
        share = getattr(event, name)
        if share is not None and not 0 <= share <= 1:
            yield f"{name} is {share}; expected 0 to 1"
    if event.sequence < 0:
        yield f"sequence is {event.sequence}; expected 0 or more"
    if (event.ends_at is None) != (event.status == "firing"):
        yield f"status is {event.status}, ends_at {event.ends_at}; expected an end if resolved only"
    if len(event.summary) > MAX_SUMMARY_CHARACTERS:
        yield f"summary has {len(event.summary)} characters; expected at most 500"


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield every scalar of an event with its path."""
    if is_dataclass(value):
        for field in fields(value):
            yield from _leaves(getattr(value, field.name), f"{path}.{field.name}".lstrip("."))
    elif isinstance(value, tuple):
        for position, item in enumerate(value):
            yield from _leaves(item, f"{path}[{position}]")
    else:
        yield path, value


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        told = ((field.name, getattr(value, field.name), field.default) for field in fields(value))
        # What was added within version 1 is left out where there is nothing to tell: readers know
        # none of it as required.
        return {
            name: _plain(one)
            for name, one, default in told
            if one != default or (isinstance(value, AlertEvent) and name in _ALWAYS_TOLD)
        }
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return rfc3339(value)
    # numpy's float64 is a float subclass that the encoder does not accept.
    return float(value) if isinstance(value, float) else value
