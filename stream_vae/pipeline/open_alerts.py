"""Incidents that are still open for whoever reads the alerts topic, where their state was lost."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.incidents import Incident, IncidentState, SeriesIncidents, Silence
from stream_vae.core.series_index import SeriesName
from stream_vae.pipeline.incident_ids import (
    EventPlace,
    Origin,
    incident_ids,
    incident_ids_by_key,
    incident_ids_by_name,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECOND_NS = 1000
_READINGS_TRIED = 100
"""Of one series in one record, as the first event of an incident."""


def open_incidents(
    events: Iterable[AlertEvent],
    origin: Origin,
    *,
    stopping: Callable[[], bool] = lambda: False,
) -> dict[SeriesName, SeriesIncidents]:
    """Return the incidents of a deployment whose last event is firing, as far as events tell.

    Events name no group, so an incident is known as this deployment's by its id, which holds input
    topic and group, and is computed again here. Events tell their start in microseconds only, and
    not which reading of a record it was, so that candidates for both are tried. The detector may
    have been renamed since: the names that the incident's own events give count.

    Args:
        events: Of the alerts topic; those of one series in order.
        origin: Of the deployment.
        stopping: Asked for each incident whether to give up; thousands of others' take seconds.
    """
    last: dict[str, AlertEvent] = {}
    names: dict[str, set[str]] = {}
    for event in events:
        if event.source.topic != origin.topic:
            continue
        if event.status == "firing":
            last[event.incident_id] = event
            names.setdefault(event.incident_id, set()).add(event.detector.name)
        else:
            last.pop(event.incident_id, None)
            names.pop(event.incident_id, None)
    found: dict[SeriesName, SeriesIncidents] = {}
    for identity, event in last.items():
        if stopping():
            break
        started_at = _exact_start(event, origin, names[identity])
        if started_at is not None:
            name = _name(event)
            before = found.get(name, SeriesIncidents(anomaly=None, silence=None))
            found[name] = _with(before, event, started_at)
    return found


def _exact_start(event: AlertEvent, origin: Origin, names: Iterable[str]) -> int | None:
    """Return when an incident began, nanoseconds since 1970; None if it is not this deployment's.

    Args:
        event: Its newest.
        origin: Of the deployment.
        names: Of the detector, as its events give them.
    """
    begin, wanted = _ns(event.starts_at), event.incident_id
    origins = [replace(origin, detector=replace(origin.detector, name=name)) for name in names]
    likely = list(_ids(event, origins, origin.detector.name))
    if any(id_of(begin) == wanted for id_of in (*likely, *_ids_by_place(event, origins))):
        return begin
    for started_at in range(begin + 1, begin + _MICROSECOND_NS):
        for id_of in likely:
            if id_of(started_at) == wanted:
                return started_at
    return None


def _ids(event: AlertEvent, origins: Sequence[Origin], name: str) -> Iterator[Callable[[int], str]]:
    """Yield what makes ids of starts, for such an incident; those of earlier releases last."""
    silent_at = event.source.offset_start if event.kind == "silence" else None
    for one in origins:
        yield incident_ids(one, _name(event), silent_at=silent_at)
    yield from _ids_by_place(event, origins, 1)
    for one in origins:
        yield incident_ids_by_key(one, event.series.key, silent_at=silent_at)
    silent = "" if silent_at is None else f":silence:{silent_at}"
    yield incident_ids_by_name(name + silent, event.series.key)


def _ids_by_place(
    event: AlertEvent, origins: Sequence[Origin], most: int = _READINGS_TRIED
) -> Iterator[Callable[[int], str]]:
    """Yield the same where readings are events: for each of the readings that its record holds."""
    if event.kind == "silence":
        return
    for nth, one in itertools.product(range(most), origins):
        place = EventPlace(offset=event.source.offset_start, nth=nth)
        yield incident_ids(one, _name(event), event=place)


def _name(event: AlertEvent) -> SeriesName:
    return event.source.partition, event.series.key


def _with(before: SeriesIncidents, event: AlertEvent, started_at: int) -> SeriesIncidents:
    if event.kind == "silence":
        silence = Silence(
            since=started_at,
            offset=event.source.offset_start,
            arrived=_ns(event.detected_at) - round(event.score * 1e9),
            allowed_s=event.threshold,
            id=event.incident_id,
        )
        return SeriesIncidents(anomaly=before.anomaly, silence=silence)
    incident = Incident(
        started_at=started_at,
        last_anomalous_at=max(started_at, _ns(event.window.end)),
        offset_start=event.source.offset_start,
        offset_end=event.source.offset_end,
        sequence=event.sequence,
        peak_score=event.score_peak,
        peak_grade=event.grade,
        severity=event.severity,
        id=event.incident_id,
        peak_deviation=0.0 if event.deviation is None else event.deviation.peak,
        n_anomalous=1 if event.course is None else event.course.anomalous,
        threshold=event.threshold,
        opened_by=event.opened_by or "",
    )
    state = IncidentState(recent=(), incident=incident, normal_run=0, resolved=None)
    return SeriesIncidents(anomaly=state, silence=before.silence)


def _ns(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND * _MICROSECOND_NS
