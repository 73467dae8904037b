"""Alert events as Alertmanager takes them.

References:
    Alertmanager, API version 2: `POST /api/v2/alerts`.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from stream_vae.core.alerts import AlertEvent
from stream_vae.wire.alert_text import format_alert
from stream_vae.wire.alerts import rfc3339
from stream_vae.wire.receivers.words import is_web, stable_name, web_link

ALERT_NAMES = {
    "anomaly": "StreamVaeAnomaly",
    "silence": "StreamVaeSilence",
    "drift": "StreamVaeDrift",
}
_LABEL_CHARACTERS = 200
_NO_NAME = re.compile(r"[^a-zA-Z0-9_]")


def alertmanager_alert(
    event: AlertEvent, *, now: datetime, fires_until: datetime, labels: Mapping[str, str]
) -> dict[str, Any]:
    """Return an event as one alert of the request's array.

    The labels are the alert's identity, so they name what lasts: kind, detector, series and
    severity. A drift, which is over when it is told, fires until `fires_until`.

    Args:
        event: The incident's newest.
        now: Wall clock; times ahead of it are cut to it: to Alertmanager an end ahead is none.
        fires_until: When it ends by itself, unless it is sent again.
        labels: Of the receiver.
    """
    starts_at = min(event.starts_at, now)
    is_over = event.status == "resolved" and event.kind != "drift"
    ends_at = max(min(event.ends_at or now, now), starts_at) if is_over else fires_until
    alert: dict[str, Any] = {
        "labels": _labels(event, labels),
        "annotations": _annotations(event),
        "startsAt": rfc3339(starts_at),
        "endsAt": rfc3339(ends_at),
    }
    link = web_link(event.links)
    return alert if link is None else {**alert, "generatorURL": link}


def _labels(event: AlertEvent, labels: Mapping[str, str]) -> dict[str, str]:
    named = {**event.series.labels, **labels}
    return {
        **{
            label_name(name): stable_name(value, _LABEL_CHARACTERS) for name, value in named.items()
        },
        "alertname": ALERT_NAMES.get(event.kind, "StreamVaeAnomaly"),
        "detector": stable_name(event.detector.name, _LABEL_CHARACTERS),
        "series": stable_name(event.series.key, _LABEL_CHARACTERS),
        "severity": event.severity,
    }


def _annotations(event: AlertEvent) -> dict[str, str]:
    links = {f"{label_name(n)}_url": url for n, url in event.links.items() if is_web(url)}
    return {
        **links,
        "summary": event.summary,
        "description": format_alert(event),
        "incident_id": event.incident_id,
    }


def label_name(name: str) -> str:
    """Return the name of a label as every release of Alertmanager takes it.

    >>> label_name("site"), label_name("cost centre"), label_name("7")
    ('site', 'cost_centre', '_7')
    """
    plain = _NO_NAME.sub("_", name)
    return f"_{plain}" if not plain or plain[0].isdigit() else plain
