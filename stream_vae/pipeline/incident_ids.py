"""Identities of incidents: a function of deployment, series and start alone."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from stream_vae.core.alerts import AlertDetector
from stream_vae.core.series_index import SeriesName


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
    """Where an event stands in its partition: several can have one time, none shares its place."""

    offset: int
    nth: int
    """Among those of its series in one record, from 0."""


def incident_id(
    origin: Origin,
    series: SeriesName,
    started_at: int,
    *,
    silent_at: int | None = None,
    event: EventPlace | None = None,
) -> str:
    """Return the id of an incident: a function of deployment, series and start alone.

    A replay, or a second daemon that does the same work, gives the same id. Another deployment,
    which reads another topic or as another group, gives another one, so that consumers of one
    alerts topic keep the events of both. So does the same key in another partition, which is a
    series of its own: one that a producer spreads over partitions deviates in all at one step.

    Incidents keep the id under which they were opened. Those of earlier releases contained no
    partition (`incident_ids_by_key`), or neither topic nor group (`incident_id_by_name`).

    Args:
        origin: Names the detector, the input topic and the consumer group.
        series: Input partition and key of the series.
        started_at: Event time of the first anomalous reading, or of the last step of a series that
            fell silent, nanoseconds since 1970.
        silent_at: Offset of the last reading of a series that fell silent.
        event: Place of the first anomalous event, where readings are events.

    >>> plant = AlertDetector(name="plant", version="0.1.0", instance="a")
    >>> origin = Origin(detector=plant, topic="readings", group="stream-vae")
    >>> incident_id(origin, (0, "pump-7"), 1_700_000_000_000_000_000)
    'eb398a1a6a91ac96b671c247d6ed532a'
    """
    return incident_ids(origin, series, silent_at=silent_at, event=event)(started_at)


def incident_ids(
    origin: Origin,
    series: SeriesName,
    *,
    silent_at: int | None = None,
    event: EventPlace | None = None,
) -> Callable[[int], str]:
    """Return what makes `incident_id` of a start: quick, where many are tried."""
    partition, key = series
    kind = f"anomaly:{partition}" if silent_at is None else f"silence:{partition}:{silent_at}"
    if event is not None:
        kind = f"event:{partition}:{event.offset}:{event.nth}"
    return _ids_of_deployment(origin, kind, key)


def incident_ids_by_key(
    origin: Origin, key: str, *, silent_at: int | None = None
) -> Callable[[int], str]:
    """Return what made ids of a start before they contained the partition; not those of events."""
    kind = "anomaly" if silent_at is None else f"silence:{silent_at}"
    return _ids_of_deployment(origin, kind, key)


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


def _ids_of_deployment(origin: Origin, kind: str, key: str) -> Callable[[int], str]:
    return _ids_of(origin.detector.name, origin.topic, origin.group, kind, key)


def _ids_of(*parts: str) -> Callable[[int], str]:
    begun = "".join(f"{len(part)}:{part}" for part in parts)
    return lambda started_at: digest(begun + str(started_at))


def digest(identity: str) -> str:
    """Return an identity's digest: 32 hexadecimal digits."""
    return hashlib.sha256(identity.encode()).hexdigest()[:32]
