"""Names of incidents that are the same in two deployments."""

from typing import Any


def rename_incident(event: dict[str, Any]) -> None:
    """Name an event's incident by what happened; its id also tells topics and groups apart."""
    source = event["source"]
    where = f"{source['partition']}/{event['series']['key']}"
    event["incident_id"] = f"{event['kind']} {where} {event['starts_at']} {source['offset_start']}"
