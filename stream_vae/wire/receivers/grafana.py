"""Alert events as annotations of Grafana.

References:
    Grafana, HTTP API, "Annotations": `POST /api/annotations`, `PATCH /api/annotations/:id`.
"""

from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

from stream_vae.core.alerts import AlertEvent
from stream_vae.wire.alert_text import format_alert
from stream_vae.wire.receivers.words import stable_name

_TAG_CHARACTERS = 80
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def grafana_tag(event: AlertEvent) -> str:
    """Return the tag by which an incident's annotation is found again."""
    return f"incident:{stable_name(event.incident_id, _TAG_CHARACTERS)}"


def grafana_annotation(event: AlertEvent, labels: dict[str, str]) -> dict[str, Any]:
    """Return an incident as an annotation: a point while it fires, a region once it is over.

    Args:
        event: The incident's newest.
        labels: Of the receiver: further tags.
    """
    tags = {
        "detector": event.detector.name,
        "series": event.series.key,
        "severity": event.severity,
        "kind": event.kind,
        **labels,
    }
    text = f"{event.summary}\n{format_alert(event)}"
    annotation: dict[str, Any] = {
        "time": _ms(event.starts_at),
        # Grafana shows a text as HTML.
        "text": escape(text, quote=False),
        "tags": [
            "stream-vae",
            grafana_tag(event),
            *(stable_name(f"{name}:{value}", _TAG_CHARACTERS) for name, value in tags.items()),
        ],
    }
    if event.ends_at is None:
        return annotation
    return {**annotation, "timeEnd": max(_ms(event.ends_at), annotation["time"])}


def _ms(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(milliseconds=1)
