"""Alert events as PagerDuty takes them.

References:
    PagerDuty, Events API version 2: `POST /v2/enqueue`.
"""

from typing import Any

import msgspec

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.excerpts import printable
from stream_vae.wire.alert_text import format_alert
from stream_vae.wire.alerts import rfc3339
from stream_vae.wire.receivers.words import is_web, stable_name

_SUMMARY_CHARACTERS = 1024
_KEY_CHARACTERS = 255


def pagerduty_event(
    event: AlertEvent, *, routing_key: str, labels: dict[str, str]
) -> dict[str, Any]:
    """Return the request that opens, updates or resolves an incident; its id is `dedup_key`.

    Args:
        event: No drift, which nobody would resolve.
        routing_key: Of the integration.
        labels: Of the receiver, for the details.
    """
    request: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": "trigger" if event.status == "firing" else "resolve",
        "dedup_key": stable_name(event.incident_id, _KEY_CHARACTERS),
    }
    if event.status == "resolved":
        return request
    links = [
        {"href": url, "text": printable(name, _KEY_CHARACTERS)}
        for name, url in event.links.items()
        if is_web(url)
    ]
    return {
        **request,
        "payload": {
            "summary": printable(event.summary, _SUMMARY_CHARACTERS),
            "source": stable_name(event.series.key, _SUMMARY_CHARACTERS),
            "severity": event.severity,
            "timestamp": rfc3339(event.starts_at),
            "component": stable_name(event.detector.name, _KEY_CHARACTERS),
            "class": event.kind,
            "custom_details": {
                **event.series.labels,
                **labels,
                "line": format_alert(event),
                "score": event.score,
                "threshold": event.threshold,
                "features": msgspec.to_builtins(event.features),
                "source": msgspec.to_builtins(event.source),
                "model": event.model.version,
            },
        },
        "client": "stream-vae",
        **({"links": links} if links else {}),
    }
