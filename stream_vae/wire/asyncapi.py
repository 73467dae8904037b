"""The AsyncAPI document: every topic of a deployment, what its records are, and who writes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from stream_vae.core.alerts import (
    AlertCourse,
    AlertDetector,
    AlertEvent,
    AlertFeature,
    AlertModel,
    AlertSeries,
    AlertSource,
    AlertStep,
    AlertWindow,
)
from stream_vae.core.records import REDRIVEN_READINGS_HEADER, Rejection
from stream_vae.wire.alerts import EVENT_TYPE, SCHEMA_ID, alert_headers, alert_schema, encode_alert
from stream_vae.wire.dead_letters import REDRIVEN_HEADER
from stream_vae.wire.rejections import FORWARD_REASONS, REASONS, rejection_headers
from stream_vae.wire.scores import ScoredFeature, ScoredReading, encode_score, score_schema
from stream_vae.wire.snapshots import OFFSET_HEADER

VERSION = "3.0.0"
BINDING = "0.5.0"
"""Of AsyncAPI's Kafka bindings."""

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRecords:
    """The value of an input record, as far as the settings of its format say it."""

    content_type: str
    meaning: str
    payload: Mapping[str, Any]
    """JSON Schema; anything (`{}`) where the producer's own format says what is in it."""
    example: Any
    """A payload; None where the settings alone give none."""
    is_named_by_key: bool
    """Whether the Kafka key names the series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What the document is of."""

    detector: str
    version: str
    servers: Sequence[str]
    """host:port of brokers."""
    is_encrypted: bool
    security: Mapping[str, Any] | None
    """AsyncAPI's security scheme by which clients are let in; None: brokers ask for nothing."""
    group: str
    input_topic: str
    alerts_topic: str
    dead_letter_topic: str
    late_topic: str
    state_topic: str | None
    """None: no state is kept."""
    scores_topic: str | None
    """None: no scores are published."""
    input: InputRecords


@dataclass(frozen=True, slots=True, kw_only=True)
class _Topic:
    """One channel with its one message."""

    id: str
    name: str
    title: str
    meaning: str
    message: Json
    actions: Mapping[str, str]
    """receive, send -> what the daemon does."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the topic, by AsyncAPI's names."""


def asyncapi_document(deployment: Deployment) -> Json:
    """Return the document, AsyncAPI 3.0; what a daemon receives and sends is said from its side."""
    topics = [
        _input(deployment),
        _alerts(deployment),
        _aside(
            deployment.dead_letter_topic,
            "deadLetters",
            "Records that cannot be decoded, unchanged, with the reason in their headers.",
            "not_json",
        ),
        _aside(
            deployment.late_topic,
            "late",
            "Readings older than the open steps of their series, unchanged.",
            "late",
        ),
    ]
    if deployment.scores_topic is not None:
        topics.append(_scores(deployment.scores_topic))
    if deployment.state_topic is not None:
        topics.append(_state(deployment.state_topic))
    security = {} if deployment.security is None else {"kafka": dict(deployment.security)}
    asked = [{"$ref": f"#/components/securitySchemes/{name}"} for name in security]
    return {
        "asyncapi": VERSION,
        "info": {
            "title": f"stream-vae: {deployment.detector}",
            "version": deployment.version,
            "description": "Readings in, alert events out. Read what is sent here with "
            "isolation.level=read_committed.",
        },
        "defaultContentType": "application/json",
        "servers": {
            f"kafka{i}": {
                "host": host,
                "protocol": "kafka-secure" if deployment.is_encrypted else "kafka",
                **({"security": asked} if asked else {}),
            }
            for i, host in enumerate(deployment.servers)
        },
        "channels": {topic.id: _channel(topic) for topic in topics},
        "operations": {
            f"{action}_{topic.id}": _operation(topic, action, summary, deployment.group)
            for topic in topics
            for action, summary in topic.actions.items()
        },
        "components": {
            "messages": {topic.id: topic.message for topic in topics},
            **({"securitySchemes": security} if security else {}),
        },
    }


def dead_letter_headers_schema() -> Json:
    """Return the JSON Schema of the headers that dead letters and late readings carry.

    They follow the record's own headers, which are kept untouched. Values are UTF-8.
    """
    number = {**_TEXT, "pattern": "^[0-9]+$"}
    return {
        "type": "object",
        "additionalProperties": True,
        "required": [
            *("dlq.reason", "dlq.detail", "dlq.source.topic", "dlq.source.partition"),
            *("dlq.source.offset", "dlq.detector"),
        ],
        "properties": {
            "dlq.reason": {
                "enum": sorted({**REASONS, **FORWARD_REASONS}),
                "description": "\n".join(
                    f"{code}: {text}" for code, text in {**REASONS, **FORWARD_REASONS}.items()
                ),
            },
            "dlq.detail": {**_TEXT, "description": "What was found, and what is expected."},
            "dlq.source.topic": {**_TEXT, "description": "Topic that the record was read from."},
            "dlq.source.partition": {**number, "description": "Its partition there."},
            "dlq.source.offset": {**number, "description": "Its offset there."},
            "dlq.detector": {**_TEXT, "description": "Name of the detector that rejected it."},
            "dlq.readings": {
                **_TEXT,
                "description": "Numbers of the record's readings that were rejected, from 0, such "
                "as 0,3-5: the others counted. Absent: all.",
            },
            "dlq.omitted": {
                **_TEXT,
                "description": "Size of a record that is too large to be kept: only these headers "
                "are.",
            },
            "dlq.headers": {
                **_TEXT,
                "description": "`unreadable`: the record's own headers could not be read.",
            },
        },
    }


def alert_headers_schema() -> Json:
    """Return the JSON Schema of an alert event's headers: CloudEvents 1.0, binary mode."""
    texts = {
        "ce_source": "Deployment that raised it.",
        "ce_id": "incident_id and sequence, joined by a dot: unique.",
        "ce_subject": "The series.",
        "ce_time": "When it was detected, RFC 3339 UTC.",
    }
    constants = {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_type": EVENT_TYPE,
        "ce_dataschema": SCHEMA_ID,
    }
    return {
        "type": "object",
        "required": [*constants, *texts],
        "properties": {
            **{name: {"const": value} for name, value in constants.items()},
            **{name: {**_TEXT, "description": meaning} for name, meaning in texts.items()},
        },
    }


def _channel(topic: _Topic) -> Json:
    return {
        "address": topic.name,
        "title": topic.title,
        "description": topic.meaning,
        "messages": {topic.id: {"$ref": f"#/components/messages/{topic.id}"}},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "bindingVersion": BINDING,
                **({"topicConfiguration": dict(topic.settings)} if topic.settings else {}),
            }
        },
    }


def _operation(topic: _Topic, action: str, summary: str, group: str) -> Json:
    read_by_group = action == "receive" and topic.id == "readings"
    group_id = {"groupId": {"type": "string", "const": group}} if read_by_group else {}
    return {
        "action": action,
        "summary": summary,
        "channel": {"$ref": f"#/channels/{topic.id}"},
        "messages": [{"$ref": f"#/channels/{topic.id}/messages/{topic.id}"}],
        "bindings": {"kafka": {**group_id, "bindingVersion": BINDING}},
    }


def _input(deployment: Deployment) -> _Topic:
    found = deployment.input
    key = "The series." if found.is_named_by_key else "Any; records of one series share one."
    example: Json = {"name": "reading", "payload": found.example}
    return _Topic(
        id="readings",
        name=deployment.input_topic,
        title="Input",
        meaning=found.meaning,
        message={
            "name": "reading",
            "title": "Readings",
            "contentType": found.content_type,
            "headers": {
                "type": "object",
                "properties": {
                    REDRIVEN_HEADER: {
                        **_TEXT,
                        "description": "How often `stream-vae redrive` moved the record back.",
                    },
                    REDRIVEN_READINGS_HEADER: {
                        **_TEXT,
                        "description": "Numbers of its readings that count now.",
                    },
                },
            },
            "payload": dict(found.payload),
            "bindings": _key_binding(key),
            **({} if found.example is None else {"examples": [example]}),
        },
        actions={"receive": "Readings are judged."},
    )


def _alerts(deployment: Deployment) -> _Topic:
    event = _example_event(deployment)
    return _Topic(
        id="alerts",
        name=deployment.alerts_topic,
        title="Alert events",
        meaning="One change of one incident each; (incident_id, sequence) is unique.",
        message={
            "name": "alert",
            "title": "Alert event",
            "contentType": "application/json",
            "headers": alert_headers_schema(),
            "payload": _alone(alert_schema()),
            "bindings": _key_binding("The series."),
            "examples": [
                {
                    "name": "firing",
                    "headers": _texts(alert_headers(event)),
                    "payload": msgspec.json.decode(encode_alert(event)),
                }
            ],
        },
        actions={"send": "Incidents open, become more severe, and resolve."},
        settings={"cleanup.policy": ["delete"]},
    )


def _aside(topic: str, channel: str, meaning: str, reason: str) -> _Topic:
    rejection = Rejection(index=0, reason=reason, detail="found '20;4.5', expected an object")
    headers = rejection_headers(
        [], rejection, topic="readings", partition=3, offset=1200, detector="stream-vae"
    )
    return _Topic(
        id=channel,
        name=topic,
        title="Dead letters" if channel == "deadLetters" else "Late readings",
        meaning=meaning,
        message={
            "name": channel,
            "title": meaning,
            "contentType": "application/octet-stream",
            "headers": dead_letter_headers_schema(),
            "payload": {"description": "The value of the input record, byte by byte."},
            "bindings": _key_binding("That of the input record."),
            "examples": [{"name": reason, "headers": _texts(headers), "payload": "20;4.5"}],
        },
        actions={"send": meaning},
        settings={"cleanup.policy": ["delete"]},
    )


def _scores(topic: str) -> _Topic:
    reading = ScoredReading(
        series="pump-7",
        time="2026-04-27T13:00:00Z",
        score=9.125,
        threshold=3.25,
        p_value=1e-12,
        verdict="anomalous",
        features=[
            ScoredFeature(
                name="flow",
                unit="L/s",
                actual=24.3,
                expected=102.4,
                lower=100.2,
                upper=104.6,
                anomalous=True,
            )
        ],
    )
    return _Topic(
        id="scores",
        name=topic,
        title="Scores",
        meaning="The score of each judged reading of chosen series.",
        message={
            "name": "score",
            "title": "Score of a reading",
            "contentType": "application/json",
            "headers": {
                "type": "object",
                "properties": {"content-type": {"const": "application/json"}},
            },
            "payload": _alone(score_schema()),
            "bindings": _key_binding("The series."),
            "examples": [
                {
                    "name": "anomalous",
                    "headers": {"content-type": "application/json"},
                    "payload": msgspec.json.decode(encode_score(reading)),
                }
            ],
        },
        actions={"send": "Readings were judged."},
        settings={"cleanup.policy": ["delete"]},
    )


def _state(topic: str) -> _Topic:
    return _Topic(
        id="state",
        name=topic,
        title="State (internal)",
        meaning="State of series, incidents and partitions. Internal: its format changes with "
        "releases, and nobody else may write to it.",
        message={
            "name": "state",
            "title": "Saved state",
            "contentType": "application/octet-stream",
            "headers": {
                "type": "object",
                "properties": {
                    OFFSET_HEADER: {
                        **_TEXT,
                        "description": "Of a tombstone: the input offset it was written at.",
                    }
                },
            },
            "payload": {"description": "Binary; none: the series was evicted."},
            "bindings": _key_binding("Kind of the record (a letter), then the series."),
        },
        actions={
            "send": "Changed state is saved, in the transaction of what came of it.",
            "receive": "State is restored where a partition is assigned.",
        },
        settings={"cleanup.policy": ["compact"]},
    )


def _key_binding(meaning: str) -> Json:
    return {"kafka": {"key": {**_TEXT, "description": meaning}, "bindingVersion": BINDING}}


def _texts(headers: Sequence[tuple[str, bytes | None]]) -> dict[str, str]:
    return {name: (value or b"").decode() for name, value in headers}


def _alone(schema: Json) -> Json:
    """Return a schema that refers to nothing: references would be looked for in the document."""
    definitions = schema.get("$defs", {})

    def put_in(node: Any) -> Any:
        if isinstance(node, list):
            return [put_in(one) for one in node]
        if not isinstance(node, dict):
            return node
        name = str(node.get("$ref", "")).rpartition("/")[2]
        own = {key: put_in(one) for key, one in node.items() if key != "$ref"}
        return {**put_in(definitions[name]), **own} if "$ref" in node else own

    kept = {key: one for key, one in schema.items() if key not in {"$schema", "$id", "$defs"}}
    return {**put_in(kept), "x-schema-id": schema["$id"]}


def _example_event(deployment: Deployment) -> AlertEvent:
    start = datetime(2026, 4, 27, 12, tzinfo=UTC)
    return AlertEvent(
        incident_id="9f2c51d07e6b4a38",
        sequence=0,
        status="firing",
        severity="critical",
        series=AlertSeries(key="pump-7", labels={"site": "north"}),
        starts_at=start,
        ends_at=None,
        detected_at=start + timedelta(seconds=61.25),
        window=AlertWindow(
            start=start - timedelta(minutes=47),
            end=start + timedelta(minutes=1),
            length=48,
            step_seconds=60.0,
        ),
        score=9.125,
        score_peak=11.5,
        threshold=3.25,
        threshold_method="percentile",
        grade=0.75,
        p_value=1e-12,
        features=(
            AlertFeature(
                name="flow",
                unit="L/s",
                actual=24.3,
                expected=102.4,
                expected_std=1.1,
                contribution=0.875,
                deviation=71.0,
                worst=AlertStep(
                    at=start + timedelta(minutes=1),
                    actual=24.3,
                    expected=102.4,
                    expected_std=1.1,
                    deviation=71.0,
                    starts_at=start + timedelta(seconds=30),
                    ends_at=start + timedelta(seconds=90),
                    offset_start=1201,
                    offset_end=1201,
                ),
            ),
        ),
        detector=AlertDetector(
            name=deployment.detector, version=deployment.version, instance="stream-vae-0"
        ),
        model=AlertModel(id="water", version="sha256:5f1d", trained_at=start - timedelta(days=26)),
        source=AlertSource(
            topic=deployment.input_topic, partition=3, offset_start=1200, offset_end=1201
        ),
        summary="pump-7: flow 24.3 L/s, expected 102.4 +- 1.1",
        course=AlertCourse(
            anomalous=2,
            starts_at=start - timedelta(seconds=30),
            ends_at=start + timedelta(seconds=90),
            opened_by="flow",
        ),
    )
