"""How large the records that the daemon writes can be, of each kind."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from stream_vae.core.alerts import (
    MAX_SUMMARY_CHARACTERS,
    AlertCourse,
    AlertDeviation,
    AlertEvent,
    AlertFeature,
    AlertModel,
    AlertSeries,
    AlertSession,
    AlertSource,
    AlertStep,
    AlertWindow,
)
from stream_vae.core.incidents import (
    Incident,
    IncidentState,
    JudgedReading,
    SeriesIncidents,
    Silence,
)
from stream_vae.core.log_templates import UNSEEN, LogSpec
from stream_vae.core.model_spec import Feature, ModelSpec
from stream_vae.core.records import OutputRecord
from stream_vae.core.sessions import LONGEST_KEY, SessionAssembler, SessionConfig, largest_saved
from stream_vae.detect.config import DetectConfig
from stream_vae.detect.incidents import MOST_CAUSES
from stream_vae.inputs.series_keys import MAX_KEY_CHARACTERS
from stream_vae.pipeline.incident_ids import Origin
from stream_vae.pipeline.pipeline import store_of_one
from stream_vae.pipeline.unseen_examples import EXAMPLE_CHARACTERS
from stream_vae.state.changelog import ChangelogWriter
from stream_vae.wire.alerts import alert_headers, encode_alert
from stream_vae.wire.snapshots import MODEL_BYTES, Checkpoint, encode_value

_FRAMING_BYTES = 256
"""Kafka's own for a batch of one record, and its lengths."""
_WIDEST_KEY = "\U0010ffff" * MAX_KEY_CHARACTERS
# As shown, a character that cannot be printed takes ten.
_WIDEST_EXAMPLE = r"\U0010ffff" * EXAMPLE_CHARACTERS
_LONGEST_METHOD = "x" * 200
_NUMBER = -1.7976931348623157e308
_INTEGER = -(2**63)
_LONGEST_OPENER = "\U0001f600" * 200
"""Of characters that are printable."""
_TIME = datetime(2200, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
_WIDEST_SESSION = AlertSession(
    key="\x00" * LONGEST_KEY,
    lines=_INTEGER,
    starts_at=_TIME,
    ends_at=_TIME,
    offset_start=_INTEGER,
    offset_end=_INTEGER,
    closed="ended",
)
_USUAL_KEY_BYTES = 100
"""Of a series' key, counted in the record of open sessions."""


def largest_alert(spec: ModelSpec, origin: Origin, max_features: int, topic: str) -> int:
    """Return the bytes of the largest record of an alert event.

    Args:
        spec: Names and units of the features.
        origin: Copied into every event.
        max_features: Features listed.
        topic: The input topic.
    """
    event = AlertEvent(
        incident_id="f" * 32,
        sequence=2**63,
        status="resolved",
        severity="critical",
        # In JSON a control character takes six bytes, the most of all.
        series=AlertSeries(key="\x00" * MAX_KEY_CHARACTERS, labels=origin.labels),
        starts_at=_TIME,
        ends_at=_TIME,
        detected_at=_TIME,
        window=AlertWindow(
            start=_TIME, end=_TIME, length=spec.window_length, step_seconds=spec.step_seconds
        ),
        score=_NUMBER,
        score_peak=_NUMBER,
        threshold=_NUMBER,
        threshold_method=_LONGEST_METHOD,
        grade=0.12345678901234567,
        p_value=0.12345678901234567,
        features=_widest_features(spec, max_features),
        detector=origin.detector,
        model=AlertModel(id=spec.id, version=spec.version, trained_at=_TIME),
        source=AlertSource(
            topic=topic, partition=2**31 - 1, offset_start=_INTEGER, offset_end=_INTEGER
        ),
        summary="\U0010ffff" * MAX_SUMMARY_CHARACTERS,
        kind="silence",
        deviation=AlertDeviation(newest=_NUMBER, window=_NUMBER, peak=_NUMBER),
        reason="cannot_be_judged",
        duration_s=_NUMBER,
        opened_by=_widest_name(spec),
        links=origin.links,
        session=_WIDEST_SESSION if spec.has_sessions else None,
        course=AlertCourse(
            anomalous=_INTEGER,
            starts_at=_TIME,
            ends_at=_TIME,
            opened_by=_LONGEST_OPENER,
            opened_by_lines=_INTEGER,
            unseen_lines=_INTEGER,
        ),
        updated_because="clearly_worse",
        cause=_widest_name(spec),
    )
    # The key is the record's own, and a header's too.
    keys = 2 * len(_WIDEST_KEY.encode())
    headers = sum(len(name) + len(value) for name, value in alert_headers(event))
    return len(encode_alert(event)) + keys + headers + _FRAMING_BYTES


def largest_state(spec: ModelSpec, config: DetectConfig) -> int:
    """Return the bytes of the largest record of the changelog.

    Args:
        spec: The model.
        config: Determines the number of scores in a threshold's window.
    """
    store = store_of_one(spec, config)
    writer = ChangelogWriter("", spec, "0" * 2 * MODEL_BYTES, store.layout)
    name = (0, _WIDEST_KEY)
    series = store.complete(store.capture(store.rows([name])))
    incidents = _widest_incidents(spec, config.incident.open_within)
    saved = replace(series, incidents={name: incidents})
    records = [*writer.saved(saved, {0: 2**62}), *writer.forgotten(name, 2**62), writer.model(0)]
    return max(map(_size, records)) + _FRAMING_BYTES


def largest_checkpoint(spec: ModelSpec, sessions: SessionConfig | None) -> int:
    """Return the bytes of a partition's checkpoint with as many open sessions as there may be.

    Counted are keys as long as they may be and series of 100 bytes, which is far above what
    compression leaves of usual ones.

    Args:
        spec: The model.
        sessions: When they are closed; None: there are none.
    """
    if sessions is None:
        return 0
    saved = largest_saved(sessions, len(spec.features), _USUAL_KEY_BYTES)
    checkpoint = Checkpoint(
        offset=_INTEGER, clock_ns=_INTEGER, parts={SessionAssembler.name: bytes(saved)}
    )
    return len(encode_value(checkpoint)) + _FRAMING_BYTES


def _size(record: OutputRecord) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


def _widest_name(spec: ModelSpec) -> str:
    return max((one.name for one in spec.features), key=lambda name: len(msgspec.json.encode(name)))


def _widest_features(spec: ModelSpec, n: int) -> tuple[AlertFeature, ...]:
    lines = {} if spec.logs is None else _widest_lines(spec.logs)

    def width(feature: Feature) -> int:
        of_lines = lines.get(feature.name, {})
        return len(msgspec.json.encode([_texts_of(feature), of_lines]))

    return tuple(
        AlertFeature(
            name=one.name,
            unit=one.unit,
            actual=_NUMBER,
            expected=_NUMBER,
            expected_std=_NUMBER,
            contribution=_NUMBER,
            kind=one.kind,
            deviation=_NUMBER,
            worst=AlertStep(
                at=_TIME,
                actual=_NUMBER,
                expected=_NUMBER,
                expected_std=_NUMBER,
                deviation=_NUMBER,
                starts_at=_TIME,
                ends_at=_TIME,
                offset_start=_INTEGER,
                offset_end=_INTEGER,
                direction=None if spec.logs is None else "too_many",
                **_widest_of_kind(one),
            ),
            direction=None if spec.logs is None else "too_many",
            example_from=None if spec.logs is None else "worst_step",
            total=None if spec.logs is None else _INTEGER,
            **_widest_of_kind(one),
            **lines.get(one.name, {}),
        )
        for one in sorted(spec.features, key=lambda one: -width(one))[:n]
    )


def _widest_lines(logs: LogSpec) -> dict[str, dict[str, Any]]:
    """Return what an alert tells of the lines that a feature counts, by its name."""
    counted: dict[str, dict[str, Any]] = {}
    for one in logs.templates:
        of_feature = {"template": one.text, "example": one.example}
        known = counted.setdefault(one.feature, of_feature)
        counted[one.feature] = max(known, of_feature, key=lambda of: len(msgspec.json.encode(of)))
    return {**counted, UNSEEN: {"example": _WIDEST_EXAMPLE}}


def _texts_of(feature: Feature) -> list[str]:
    """Return the texts of a feature in an alert."""
    category = max(feature.categories, key=lambda text: len(msgspec.json.encode(text)), default="")
    return [feature.name, feature.unit, category, category]


def _widest_of_kind(feature: Feature) -> dict[str, Any]:
    probabilities = {"actual_probability": _NUMBER, "expected_probability": _NUMBER}
    match feature.kind:
        case "count":
            return {"expected_low": _NUMBER, "expected_high": _NUMBER}
        case "binary":
            return probabilities
        case "categorical":
            category = _texts_of(feature)[-1]
            texts = {"actual_category": category, "expected_category": category}
            return {**probabilities, **texts}
        case _:
            return {}


def _widest_incidents(spec: ModelSpec, open_within: int) -> SeriesIncidents:
    name, n_features = _widest_name(spec), len(spec.features)
    lines = dict.fromkeys((one.name for one in spec.features), _INTEGER) if spec.adds_up else {}
    reading = JudgedReading(
        step=_INTEGER,
        time=_INTEGER,
        offset=_INTEGER,
        anomalous=False,
        score=_NUMBER,
        grade=_NUMBER,
        nth=_INTEGER,
        deviation=_NUMBER,
        threshold=_NUMBER,
        size=_NUMBER,
        cause=f"+{name}",
    )
    incident = Incident(
        started_at=_INTEGER,
        last_anomalous_at=_INTEGER,
        offset_start=_INTEGER,
        offset_end=_INTEGER,
        sequence=_INTEGER,
        peak_score=_NUMBER,
        peak_grade=_NUMBER,
        severity="critical",
        id="f" * 32,
        peak_deviation=_NUMBER,
        n_anomalous=_INTEGER,
        threshold=_NUMBER,
        opened_by=name,
        bias=_NUMBER,
        leaps=(_NUMBER,) * n_features,
        peak_size=_NUMBER,
        told_size=_NUMBER,
        causes=(f"+{name}",) * min(2 * n_features + 1, MOST_CAUSES),
        updated_because="clearly_worse",
        lines=lines,
        lines_after=lines,
        lines_to=_INTEGER,
    )
    return SeriesIncidents(
        anomaly=IncidentState(
            recent=(reading,) * open_within,
            incident=incident,
            normal_run=_INTEGER,
            adapted_run=_INTEGER,
            unjudged_run=_INTEGER,
            unjudged_step=_INTEGER,
            resolved=reading,
        ),
        silence=Silence(
            since=_INTEGER, offset=_INTEGER, arrived=_INTEGER, allowed_s=_NUMBER, id="f" * 32
        ),
    )
