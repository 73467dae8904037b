"""Identities of incidents: a function of deployment, series and start alone."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from stream_vae.core.alerts import AlertDetector


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The source of alert events."""

    detector: AlertDetector
    topic: str
    """The input topic."""
    group: str
    """The consumer group: two of them over one topic are two deployments."""
    labels: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPlace:
    """Where an event stands in the input: several can have one time, none shares its place."""

    partition: int
    offset: int
    nth: int
    """Among those of its series in one record, from 0."""


def incident_id(
    origin: Origin,
    series: str,
    started_at: int,
    *,
    silent_at: int | None = None,
    event: EventPlace | None = None,
) -> str:
    """Return the id of an incident: a function of deployment, series and start alone.

    A replay, or a second daemon that does the same work, gives the same id. Another deployment,
    which reads another topic or as another group, gives another one, so that consumers of one
    alerts topic keep the events of both. Ids of earlier releases contained no topic and no group:
    incidents opened by them keep their id, see `incident_id_by_name`.

    Args:
        origin: Names the detector, the input topic and the consumer group.
        series: The series key.
        started_at: Event time of the first anomalous reading, or of the last step of a series that
            fell silent, nanoseconds since 1970.
        silent_at: Offset of the last reading of a series that fell silent.
        event: Place of the first anomalous event, where readings are events.

    >>> plant = AlertDetector(name="plant", version="0.1.0", instance="a")
    >>> origin = Origin(detector=plant, topic="readings", group="stream-vae")
    >>> incident_id(origin, "pump-7", 1_700_000_000_000_000_000)
    'de83294c8188f81d0859a0804736e234'
    """
    return incident_ids(origin, series, silent_at=silent_at, event=event)(started_at)


def incident_ids(
    origin: Origin,
    series: str,
    *,
    silent_at: int | None = None,
    event: EventPlace | None = None,
) -> Callable[[int], str]:
    """Return what makes `incident_id` of a start: quick, where many are tried."""
    kind = "anomaly" if silent_at is None else f"silence:{silent_at}"
    if event is not None:
        kind = f"event:{event.partition}:{event.offset}:{event.nth}"
    return _ids_of(origin.detector.name, origin.topic, origin.group, kind, series)


def incident_ids_by_name(detector: str, series: str) -> Callable[[int], str]:
    """Return what makes `incident_id_by_name` of a start."""
    return _ids_of(detector, series)


def incident_id_by_name(detector: str, series: str, started_at: int) -> str:
    """Return the id that the first release gave an incident, of which none was saved.

    Args:
        detector: The detector's name; of a silence, with `:silence:` and its last offset.
        series: The series key.
        started_at: As for `incident_id`.

    >>> incident_id_by_name("plant", "pump-7", 1_700_000_000_000_000_000)
    '1c1531a0c4e6e32ee626debb5ff14ba7'
    """
    return incident_ids_by_name(detector, series)(started_at)


def _ids_of(*parts: str) -> Callable[[int], str]:
    begun = "".join(f"{len(part)}:{part}" for part in parts)
    return lambda started_at: digest(begun + str(started_at))


def digest(identity: str) -> str:
    """Return an identity's digest: 32 hexadecimal digits."""
    return hashlib.sha256(identity.encode()).hexdigest()[:32]
