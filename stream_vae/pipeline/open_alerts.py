"""Incidents that are still open for whoever reads the alerts topic, where their state was lost."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.incidents import Incident, IncidentState, SeriesIncidents, Silence
from stream_vae.core.series_index import SeriesName
from stream_vae.pipeline.alert_builder import (
    EventPlace,
    Origin,
    incident_id,
    incident_id_by_name,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def open_incidents(
    events: Iterable[AlertEvent], origin: Origin
) -> dict[SeriesName, SeriesIncidents]:
    """Return the incidents of a deployment whose last event is firing, as far as events tell.

    Events name no group, so an incident is known as this deployment's by its id, which can be
    computed again where its start is told exactly: event times finer than a microsecond are not,
    nor is the place of an event that is not the first of its series in its record.

    Args:
        events: Of the alerts topic; those of one series in order.
        origin: Of the deployment.
    """
    last: dict[str, AlertEvent] = {}
    for event in events:
        if event.detector.name != origin.detector.name or event.source.topic != origin.topic:
            continue
        if event.status == "firing":
            last[event.incident_id] = event
        else:
            last.pop(event.incident_id, None)
    found: dict[SeriesName, SeriesIncidents] = {}
    for event in last.values():
        if event.incident_id in _ids(event, origin):
            name = (event.source.partition, event.series.key)
            before = found.get(name, SeriesIncidents(anomaly=None, silence=None))
            found[name] = _with(before, event)
    return found


def _ids(event: AlertEvent, origin: Origin) -> set[str]:
    """Return the ids that this deployment, or an earlier release of it, gives such an incident."""
    name, started_at = origin.detector.name, _ns(event.starts_at)
    if event.kind == "silence":
        offset = event.source.offset_start
        return {
            incident_id(origin, event.series.key, started_at, silent_at=offset),
            incident_id_by_name(f"{name}:silence:{offset}", event.series.key, started_at),
        }
    source = event.source
    place = EventPlace(partition=source.partition, offset=source.offset_start, nth=0)
    return {
        incident_id(origin, event.series.key, started_at),
        incident_id(origin, event.series.key, started_at, event=place),
        incident_id_by_name(name, event.series.key, started_at),
    }


def _with(before: SeriesIncidents, event: AlertEvent) -> SeriesIncidents:
    if event.kind == "silence":
        silence = Silence(
            since=_ns(event.starts_at),
            offset=event.source.offset_start,
            arrived=_ns(event.detected_at) - round(event.score * 1e9),
            allowed_s=event.threshold,
            id=event.incident_id,
        )
        return SeriesIncidents(anomaly=before.anomaly, silence=silence)
    incident = Incident(
        started_at=_ns(event.starts_at),
        last_anomalous_at=max(_ns(event.starts_at), _ns(event.window.end)),
        offset_start=event.source.offset_start,
        offset_end=event.source.offset_end,
        sequence=event.sequence,
        peak_score=event.score_peak,
        peak_grade=event.grade,
        severity=event.severity,
        id=event.incident_id,
        peak_deviation=0.0 if event.deviation is None else event.deviation.peak,
        threshold=event.threshold,
        opened_by=event.opened_by or "",
    )
    state = IncidentState(recent=(), incident=incident, normal_run=0, resolved=None)
    return SeriesIncidents(anomaly=state, silence=before.silence)


def _ns(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND * 1000
