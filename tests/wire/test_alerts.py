import json
import math
import string
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, get_args

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.core.alerts import (
    AlertCourse,
    AlertDetector,
    AlertDeviation,
    AlertEvent,
    AlertFeature,
    AlertLevel,
    AlertModel,
    AlertSeries,
    AlertSession,
    AlertSource,
    AlertStep,
    AlertWindow,
    Kind,
    Reason,
    Severity,
    UpdateReason,
)
from stream_vae.core.model_spec import FeatureKind
from stream_vae.errors import AlertDecodeError
from stream_vae.wire.alerts import alert_headers, alert_schema, decode_alert, encode_alert

GOLDEN = Path(__file__).parents[1] / "golden"
GOLDEN_V1 = (GOLDEN / "alert_v1.json").read_bytes()
EVENT = decode_alert(GOLDEN_V1)

validator = jsonschema.Draft202012Validator(
    alert_schema(), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
)


def test_the_golden_event_is_read_for_ever() -> None:
    event = decode_alert(GOLDEN_V1)
    assert event == AlertEvent(
        incident_id="9f2c51d07e6b4a38",
        sequence=1,
        status="firing",
        severity="critical",
        series=AlertSeries(key="pump-7", labels={"site": "north"}),
        starts_at=datetime(2026, 4, 27, 12, tzinfo=UTC),
        ends_at=None,
        detected_at=datetime(2026, 4, 27, 13, 0, 1, 250_000, tzinfo=UTC),
        window=AlertWindow(
            start=datetime(2026, 4, 25, 14, tzinfo=UTC),
            end=datetime(2026, 4, 27, 13, tzinfo=UTC),
            length=48,
            step_seconds=3600.0,
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
            ),
            AlertFeature(
                name="pressure",
                unit="",
                actual=None,
                expected=4.5,
                expected_std=0.25,
                contribution=0.125,
            ),
        ),
        detector=AlertDetector(name="water works", version="0.1.0", instance="stream-vae-0"),
        model=AlertModel(
            id="water", version="sha256:5f1d", trained_at=datetime(2026, 4, 1, tzinfo=UTC)
        ),
        source=AlertSource(topic="readings", partition=3, offset_start=1200, offset_end=1201),
        summary="pump-7: flow 24.3 L/s, expected 102.4 +- 1.1",
        links={"dashboard": "https://example.org/d/water?series=pump-7"},
    )


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("alert_v1*.json")), ids=lambda p: p.stem)
def test_golden_events_are_written_as_they_were_read_and_keep_to_the_schema(path: Path) -> None:
    """Those of the first release, of one whose features name a worst step, and of a drift."""
    golden = path.read_bytes()
    written = encode_alert(decode_alert(golden))
    assert json.loads(written) == json.loads(golden)
    assert written.startswith(b'{"schema_version":1,')
    validator.validate(json.loads(golden))


finite = st.floats(allow_nan=False, allow_infinity=False)
shares = st.floats(min_value=0, max_value=1)
names = st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=10)
times = st.datetimes(timezones=st.just(UTC))
offsets = st.integers(min_value=0, max_value=2**63 - 1)
text_maps = st.dictionaries(names, names, max_size=2)
distances = st.floats(min_value=0, allow_infinity=False)
alert_steps = st.builds(
    AlertStep,
    at=times,
    actual=finite,
    expected=finite,
    expected_std=distances,
    deviation=distances,
    expected_category=st.none() | names,
    starts_at=st.none() | times,
    ends_at=st.none() | times,
    offset_start=st.none() | offsets,
    offset_end=st.none() | offsets,
)
alert_features = st.builds(
    AlertFeature,
    name=names,
    unit=names,
    actual=st.none() | finite,
    expected=finite,
    expected_std=st.floats(min_value=0, allow_infinity=False),
    contribution=shares,
    kind=st.sampled_from(get_args(FeatureKind)),
    expected_low=st.none() | st.floats(min_value=0, allow_infinity=False),
    actual_category=st.none() | names,
    actual_probability=st.none() | shares,
    deviation=st.none() | distances,
    worst=st.none() | alert_steps,
    example=st.none() | names,
    example_from=st.none() | st.sampled_from(["training", "worst_step"]),
    total=st.none() | offsets,
)
firing_events = st.builds(
    AlertEvent,
    incident_id=names,
    sequence=offsets,
    status=st.just("firing"),
    severity=st.sampled_from(get_args(Severity)),
    series=st.builds(AlertSeries, key=names, labels=text_maps),
    starts_at=times,
    ends_at=st.none(),
    detected_at=times,
    window=st.builds(
        AlertWindow,
        start=times,
        end=times,
        length=st.integers(min_value=1, max_value=10**6),
        step_seconds=st.floats(min_value=1e-9, max_value=1e9),
    ),
    score=finite,
    score_peak=finite,
    threshold=finite,
    threshold_method=names,
    grade=shares,
    p_value=shares,
    features=st.lists(alert_features, max_size=3).map(tuple),
    detector=st.builds(AlertDetector, name=names, version=names, instance=names),
    model=st.builds(AlertModel, id=names, version=names, trained_at=times),
    source=st.builds(
        AlertSource, topic=names, partition=offsets, offset_start=offsets, offset_end=offsets
    ),
    summary=st.text(alphabet=string.printable, max_size=500),
    kind=st.sampled_from(get_args(Kind)),
    deviation=st.none()
    | st.builds(AlertDeviation, newest=distances, window=distances, peak=distances),
    reason=st.none() | st.sampled_from(get_args(Reason)),
    duration_s=st.none() | finite,
    opened_by=st.none() | names,
    levels=st.lists(
        st.builds(
            AlertLevel, name=names, unit=names, before=finite, after=finite, deviation=distances
        ),
        max_size=2,
    ).map(tuple),
    links=text_maps,
    course=st.none()
    | st.builds(
        AlertCourse,
        anomalous=st.integers(1, 10**9),
        starts_at=times,
        ends_at=times,
        opened_by=st.none() | names,
        opened_by_lines=st.none() | offsets,
        unseen_lines=st.none() | offsets,
    ),
    updated_because=st.none() | st.sampled_from(get_args(UpdateReason)),
    cause=st.none() | names,
)
events = st.one_of(
    firing_events,
    st.builds(
        lambda event, end: replace(event, status="resolved", ends_at=end), firing_events, times
    ),
)


@given(events)
def test_encoded_events_are_decoded_as_they_were_and_keep_to_the_schema(event: AlertEvent) -> None:
    data = encode_alert(event)
    assert decode_alert(data) == event
    validator.validate(json.loads(data))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda e: replace(e, score=math.nan), "score is nan"),
        (lambda e: replace(e, p_value=math.inf), "p_value is inf"),
        (
            lambda e: replace(e, features=(replace(e.features[0], actual=math.nan),)),
            r"features\[0\].actual is nan",
        ),
        (lambda e: replace(e, starts_at=datetime(2026, 4, 27)), "expected a time in UTC"),  # noqa: DTZ001 - the fault itself
        (
            lambda e: replace(
                e, starts_at=e.starts_at.astimezone(timezone(timedelta(hours=2), "CEST"))
            ),
            "expected a time in UTC",
        ),
        (lambda e: replace(e, sequence=-1), "sequence is -1"),
        (lambda e: replace(e, grade=1.5), "grade is 1.5"),
        (lambda e: replace(e, p_value=-1e-9), "p_value is -1e-09"),
        (lambda e: replace(e, ends_at=e.starts_at), "status is firing"),
        (lambda e: replace(e, status="resolved"), "status is resolved"),
        (lambda e: replace(e, summary="x" * 501), "501 characters"),
    ],
)
def test_an_event_that_could_not_be_read_back_is_never_written(
    change: Callable[[AlertEvent], AlertEvent], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        encode_alert(change(EVENT))


def test_numpy_floats_are_written_as_numbers() -> None:
    event = replace(EVENT, score=np.float64(2.5))
    assert decode_alert(encode_alert(event)).score == 2.5


def changed(**fields: object) -> bytes:
    return json.dumps({**json.loads(GOLDEN_V1), **fields}).encode()


def without(name: str) -> bytes:
    content = json.loads(GOLDEN_V1)
    del content[name]
    return json.dumps(content).encode()


def test_fields_added_later_are_ignored() -> None:
    window = {**json.loads(GOLDEN_V1)["window"], "overlap": 3}
    assert decode_alert(changed(window=window, region="eu")) == EVENT


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (changed(schema_version=2), "schema_version 2; this release reads 1; upgrade"),
        (changed(schema_version=0), "schema_version 0; this release reads 1"),
        (changed(schema_version="1"), "schema_version"),
        (without("schema_version"), "schema_version"),
        (without("incident_id"), "incident_id"),
        (changed(status="open"), "status"),
        (changed(score=None), "score"),
        (changed(score="9"), "score"),
        (changed(starts_at="yesterday"), "starts_at"),
        (changed(starts_at="2026-04-27T12:00:00"), "starts_at"),
        (changed(starts_at="2026-04-27T12:00:00+02:00"), "starts_at"),
        (changed(ends_at="2026-04-27T12:00:00Z"), "ends_at"),
        (changed(score=1).replace(b'"score": 1', b'"score": 1e400'), "score"),
        (b"", "no alert event"),
        (b"[]", "no alert event"),
        (b"\xff", "no alert event"),
        (b'{"schema_version":1,"x":' + b"[" * 100_000, "no alert event"),
    ],
)
def test_what_is_no_event_of_a_known_version_is_refused(data: bytes, told: str) -> None:
    with pytest.raises(AlertDecodeError) as caught:
        decode_alert(data)
    assert told in str(caught.value)
    assert len(str(caught.value)) < 600


@given(st.binary(max_size=50) | st.integers(0, len(GOLDEN_V1)).map(lambda end: GOLDEN_V1[:end]))
def test_any_bytes_are_an_event_or_refused(data: bytes) -> None:
    try:
        decode_alert(data)
    except AlertDecodeError:
        assert data.strip() != GOLDEN_V1.strip()
    else:
        assert data.strip() == GOLDEN_V1.strip()


def test_headers_are_cloudevents_in_binary_mode() -> None:
    assert alert_headers(EVENT) == [
        ("content-type", b"application/json"),
        ("ce_specversion", b"1.0"),
        ("ce_type", b"io.streamvae.anomaly.v1"),
        ("ce_source", b"/stream-vae/water%20works"),
        ("ce_id", b"9f2c51d07e6b4a38.1"),
        ("ce_subject", b"pump-7"),
        ("ce_time", b"2026-04-27T13:00:01.250000Z"),
        ("ce_dataschema", b"urn:streamvae:alert:v1"),
    ]
    assert dict(alert_headers(EVENT, "plant/2"))["ce_source"] == b"/stream-vae/plant%2F2"


_OF_KINDS = {
    f"{side}_{what}"
    for side in ("actual", "expected")
    for what in ("low", "high", "category", "probability")
}
# Added within version 1, so that no reader knows them as required.
_ADDED: dict[type, set[str]] = {
    AlertEvent: {
        *("deviation", "reason", "duration_s", "opened_by", "levels", "session"),
        *("course", "updated_because", "cause"),
    },
    AlertFeature: {
        *(*_OF_KINDS, "kind", "deviation", "worst"),
        *("direction", "template", "example", "example_from", "total"),
    },
    AlertStep: {
        *(*_OF_KINDS, "direction"),
        *("starts_at", "ends_at", "offset_start", "offset_end"),
    },
    AlertCourse: {"opened_by", "opened_by_lines", "unseen_lines"},
}


def schema_of(name: str) -> dict[str, Any]:
    properties: dict[str, Any] = alert_schema()["properties"]
    found: dict[str, Any] = properties[name]
    return found


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (AlertEvent, alert_schema()),
        (AlertSeries, schema_of("series")),
        (AlertWindow, schema_of("window")),
        (AlertFeature, schema_of("features")["items"]),
        (AlertStep, schema_of("features")["items"]["properties"]["worst"]),
        (AlertCourse, schema_of("course")),
        (AlertDeviation, schema_of("deviation")),
        (AlertLevel, schema_of("levels")["items"]),
        (AlertDetector, schema_of("detector")),
        (AlertModel, schema_of("model")),
        (AlertSource, schema_of("source")),
        (AlertSession, schema_of("session")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_schema_and_events_name_the_same_fields_and_describe_each(
    kind: type, schema: dict[str, Any]
) -> None:
    fields = set(kind.__dataclass_fields__)  # type: ignore[attr-defined]  # each is a dataclass
    assert set(schema["properties"]) == fields
    assert set(schema["required"]) == fields - _ADDED.get(kind, set())
    assert schema["additionalProperties"] is True
    for field in schema["properties"].values():
        assert field["description"].endswith(".")


def test_the_schema_itself_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(alert_schema())


@pytest.mark.parametrize(
    "fields",
    [
        {"schema_version": 2},
        {"sequence": -1},
        {"ends_at": "2026-04-27T12:00:00Z"},
        {"status": "resolved"},
        {"starts_at": "2026-04-27T12:00:00+02:00"},
        {"starts_at": "yesterday, Z"},
        {"grade": 1.5},
        {"score": None},
    ],
)
def test_the_schema_refuses_what_decoding_refuses(fields: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(json.loads(changed(**fields)))
    with pytest.raises(AlertDecodeError):
        decode_alert(changed(**fields))
