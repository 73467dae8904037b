"""Metrics of OpenTelemetry become readings, the same ones from protobuf and JSON."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from stream_vae.core.model_spec import Feature, numeric_features
from stream_vae.errors import ConfigError
from stream_vae.inputs.decoder import Decoded, Decoder
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.reading_format import ReadingFormat
from tests.inputs.otlp_messages import (
    CUMULATIVE,
    DELTA,
    Point,
    as_json,
    as_protobuf,
    fixed64,
    message,
)
from tests.inputs.polls import poll_of

NOW_NS = 1_767_225_600 * 10**9
GOLDEN = Path(__file__).parents[1] / "golden"
HOST = "resource.host.name"
Form = Literal["otlp_proto", "otlp_json"]
Resource = tuple[Mapping[str, str], Sequence[Point]]
WRITE: Mapping[Form, Callable[..., bytes]] = {"otlp_proto": as_protobuf, "otlp_json": as_json}
both = pytest.mark.parametrize("form", ["otlp_proto", "otlp_json"])


def make(form: Form, *names: str, **settings: Any) -> Decoder:
    return build_decoder(numeric_features(names), ReadingFormat(format=form, **settings))


def decode(form: Form, resources: Sequence[Resource], *names: str, **settings: Any) -> Decoded:
    """Decode one record."""
    record = WRITE[form](*resources)
    return make(form, *names, **settings).decode(poll_of([record]), NOW_NS)


def at(step: int) -> int:
    return NOW_NS + step * 10**9


@both
def test_points_of_a_resource_and_time_are_one_reading(form: Form) -> None:
    points = [
        Point(metric="flow", value=1.5, time_ns=at(0)),
        Point(metric="state", value=3, time_ns=at(0)),
        Point(metric="flow", value=2.5, time_ns=at(1)),
        Point(metric="other", value=9.0, time_ns=at(1)),
        Point(metric="state", value=-4, time_ns=at(0)),
    ]
    resources = [({"host.name": "a"}, points), ({"host.name": "b"}, points[:1])]
    decoded = decode(form, resources, "flow", "state", series_field=HOST)
    assert decoded.rejections == []
    assert decoded.readings.series == ["a", "a", "b"]
    assert decoded.readings.times.tolist() == [at(0), at(1), at(0)]
    np.testing.assert_array_equal(
        decoded.readings.values, [[1.5, -4.0], [2.5, np.nan], [1.5, np.nan]]
    )
    assert decoded.index.tolist() == [0, 0, 0]


@both
def test_a_template_names_features_and_series(form: Form) -> None:
    points = [
        Point(metric="mem", value=1.0, time_ns=at(0), attributes={"state": state, "bank": "x"})
        for state in ("used", "free")
    ]
    decoded = decode(
        form,
        [({"host.name": "a"}, points)],
        "mem.used",
        "free",
        feature_name="{name}.{attributes.state}",
        series_field="{resource.host.name}/{attributes.bank}",
        feature_fields={"free": "mem.free"},
    )
    assert decoded.readings.series == ["a/x"]
    assert decoded.readings.values.tolist() == [[1.0, 1.0]]


@both
def test_what_cannot_be_told_apart_is_unreadable_rather_than_either(form: Form) -> None:
    points = [
        Point(metric="mem", value=value, time_ns=at(0), attributes={"state": state})
        for value, state in ((1.0, "used"), (2.0, "free"))
    ]
    others = [Point(metric="flow", value=5.0, time_ns=at(0))]
    decoded = decode(form, [({}, [*points, *others])], "mem", "flow")
    np.testing.assert_array_equal(decoded.readings.values, [[np.nan, 5.0]])
    found = decoded.unreadable["mem", "value_ambiguous"]
    assert found.count == 2
    assert "attributes.state" in found.detail
    two_hosts = [
        ({"host.name": host}, [Point(value=v, time_ns=at(0))])
        for host, v in (("a", 1.0), ("b", 2.0))
    ]
    decoded = decode(form, two_hosts, "flow")
    assert {rejection.reason for rejection in decoded.rejections} == {"value_ambiguous"}
    told_apart = decode(form, two_hosts, "flow", series_field=HOST)
    assert told_apart.readings.series == ["a", "b"], "control"


@both
def test_what_is_counted_over_an_interval_becomes_a_rate_per_second(form: Form) -> None:
    def sums(temporality: int, start_ns: int) -> Decoded:
        point = Point(value=30, time_ns=at(60), start_ns=start_ns, temporality=temporality)
        other = Point(metric="other", value=1.0, time_ns=at(60))
        return decode(form, [({}, [point, other])], "flow", "other")

    assert sums(DELTA, at(0)).readings.values[0, 0] == 0.5
    assert sums(CUMULATIVE, at(0)).readings.values[0, 0] == 30.0
    without = sums(DELTA, 0)
    assert np.isnan(without.readings.values[0, 0])
    assert without.unreadable["flow", "interval_missing"].count == 1


@both
def test_histograms_are_counts_sums_and_the_quantiles_that_the_model_has(form: Form) -> None:
    point = Point(
        metric="wait",
        value=120.0,
        time_ns=at(0),
        temporality=CUMULATIVE,
        counts=[2, 4, 4, 0],
        bounds=[5.0, 10.0, 50.0],
    )
    decoded = decode(
        form, [({}, [point])], "wait.count", "wait.sum", "wait.p50", "wait.p99.9", "wait.p0"
    )
    np.testing.assert_allclose(decoded.readings.values, [[10.0, 120.0, 8.75, 49.9, 0.0]])


@both
def test_a_point_without_a_value_is_missing(form: Form) -> None:
    points = [
        Point(metric="flow", value=7.0, time_ns=at(0), flags=1),
        Point(metric="state", value=1.0, time_ns=at(0)),
    ]
    decoded = decode(form, [({}, points)], "flow", "state")
    np.testing.assert_array_equal(decoded.readings.values, [[np.nan, 1.0]])


@both
def test_a_record_of_other_metrics_is_ignored_and_says_which(form: Form) -> None:
    decoded = decode(form, [({}, [Point(metric="other", time_ns=at(0))])], "flow")
    assert (decoded.rejections, len(decoded.readings)) == ([], 0)
    assert decoded.ignored == [0]
    assert decoded.ignored_fields == ("other",)


@both
@pytest.mark.parametrize(
    ("point", "reason"),
    [
        (Point(value=1.0), "timestamp_missing"),
        (Point(value=1.0, time_ns=at(10**6)), "timestamp_in_future"),
        (Point(value=float("inf"), time_ns=at(0)), "value_out_of_range"),
    ],
)
def test_a_reading_that_cannot_be_used_is_rejected_with_its_reason(
    form: Form, point: Point, reason: str
) -> None:
    if form == "otlp_json" and np.isinf(point.value):
        record = as_json(({}, [point])).replace(b"Infinity", b'"Infinity"')
    else:
        record = WRITE[form](({}, [point]))
    decoded = make(form, "flow").decode(poll_of([record]), NOW_NS)
    assert [rejection.reason for rejection in decoded.rejections] == [reason]
    assert len(decoded.readings) == 0


@both
def test_a_resource_twice_in_a_record_is_one_series(form: Form) -> None:
    """Also where a record's key names it: the times tell its points apart."""
    resource = {"host.name": "a"}
    twice = [(resource, [Point(value=float(i), time_ns=at(i))]) for i in range(2)]
    decoded = decode(form, twice, "flow")
    assert decoded.unreadable == {}
    assert decoded.readings.values.tolist() == [[0.0], [1.0]]


@both
@pytest.mark.parametrize("feature", ["load", "load."], ids=["now", "of an older bundle"])
def test_a_name_does_not_end_in_the_point_before_an_attribute_that_is_lacking(
    form: Form, feature: str
) -> None:
    points = [Point(metric="load", value=2.0, time_ns=at(0))]
    template = "{name}.{attributes.state}"
    decoded = decode(form, [({}, points)], feature, feature_name=template)
    assert decoded.readings.values.tolist() == [[2.0]]


@both
def test_a_series_without_its_label_has_no_key(form: Form) -> None:
    decoded = decode(form, [({}, [Point(time_ns=at(0))])], "flow", series_field=HOST)
    assert [rejection.reason for rejection in decoded.rejections] == ["key_missing"]
    by_key = decode(form, [({}, [Point(time_ns=at(0))])], "flow")
    assert by_key.readings.series == ["key"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (None, "null_value"),
        (b"\x0a\x05abc", "not_protobuf"),
        (b"\x0a\x02\x08\x80", "not_protobuf"),
        (message((1, message((1, message((1, message((1, b"\xff"), (2, b"")))))))), "not_protobuf"),
        (b"\x0b", "not_protobuf"),
        (b"x" * 100, "too_large"),
    ],
)
def test_what_is_no_message_is_rejected(record: bytes | None, reason: str) -> None:
    decoder = make("otlp_proto", "flow", max_record_bytes=99)
    good = as_protobuf(({}, [Point(time_ns=at(0))]))
    decoded = decoder.decode(poll_of([record, good]), NOW_NS)
    assert [(r.index, r.reason) for r in decoded.rejections] == [(0, reason)]
    assert decoded.index.tolist() == [1]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (None, "null_value"),
        (b"{", "not_json"),
        (b"[]", "not_otlp"),
        (b'{"resourceMetrics": [{"scopeMetrics": 1}]}', "not_otlp"),
        (as_json(({}, [Point(time_ns=at(0))])).replace(b'"0"', b'"x"'), "not_otlp"),
        (b"\xff", "not_utf8"),
        (b"x" * 1000, "too_large"),
    ],
)
def test_what_is_no_document_is_rejected(record: bytes | None, reason: str) -> None:
    decoded = make("otlp_json", "flow", max_record_bytes=999).decode(poll_of([record]), NOW_NS)
    assert [rejection.reason for rejection in decoded.rejections] == [reason]


def test_known_records_are_read_as_unknown_ones() -> None:
    """Bytes that differ in numbers, names, labels or cuts, in one decoder or in one each."""
    rng = np.random.default_rng(0)
    records = [
        as_protobuf(
            *(
                (
                    {"host.name": f"h{rng.integers(3)}"},
                    [
                        Point(
                            metric=str(rng.choice(["flow", "stat", "none"])),
                            value=float(rng.normal())
                            if rng.random() < 0.7
                            else int(rng.integers(9)),
                            time_ns=at(int(rng.integers(3))),
                            start_ns=at(-int(rng.integers(2))),
                            temporality=int(rng.integers(3)),
                        )
                        for _ in range(rng.integers(3))
                    ],
                )
                for _ in range(rng.integers(1, 3))
            )
        )
        for _ in range(200)
    ]
    for row in range(0, 200, 4):
        broken = bytearray(records[row])
        broken[rng.integers(len(broken))] ^= 1 << int(rng.integers(8))
        records[row] = bytes(broken)
    decoder = make("otlp_proto", "flow", "stat", series_field=HOST)
    for _ in range(2):
        whole = decoder.decode(poll_of(records), NOW_NS)
    reasons = {r.index: (r.reason, r.detail) for r in whole.rejections}
    assert reasons, "control"
    for row, record in enumerate(records):
        alone = make("otlp_proto", "flow", "stat", series_field=HOST).decode(
            poll_of([record]), NOW_NS
        )
        mine = np.flatnonzero(whole.index == row)
        assert [(r.reason, r.detail) for r in alone.rejections] == [
            reason for at, reason in reasons.items() if at == row
        ]
        assert alone.readings.series == [whole.readings.series[i] for i in mine]
        np.testing.assert_array_equal(alone.readings.times, whole.readings.times[mine])
        np.testing.assert_array_equal(alone.readings.values, whole.readings.values[mine])


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"input\.feature_name.*host"):
        make("otlp_proto", "flow", feature_name="{host}")
    with pytest.raises(ConfigError, match=r"input\.series_field"):
        make("otlp_json", "flow", series_field="{resource.host.name")
    colour = [Feature(name="colour", kind="categorical", categories=("red",))]
    with pytest.raises(ConfigError, match="colour"):
        build_decoder(colour, ReadingFormat(format="otlp_proto"))


def test_unknown_fields_of_newer_messages_are_passed_over() -> None:
    point = message((9, fixed64(3, at(0)) + fixed64(4, 1.5) + message((99, b"new"), (98, 7))))[2:]
    gauge = message((5, message((1, point), (77, 1))), (1, "flow"), (500, b"x"))
    inner = message((2, message((2, gauge), (9, "x"))), (8, 1))
    record = message((1, inner), (1, b""), (2, b""))
    decoded = make("otlp_proto", "flow").decode(poll_of([record]), NOW_NS)
    assert decoded.readings.values.tolist() == [[1.5]]


PUMP: Mapping[str, Sequence[float]] = {
    "pump.flow": [18.5, 19.5, 20.5],
    "pump.state": [0, 1, 0],
    "pump.strokes": [1000, 1060, 1120],
    "pump.errors": [0.0, 0.1, 0.2],  # 6 more a minute
    "pump.wait.count": [10, 11, 12],
    "pump.wait.sum": [123.5, 124.5, 125.5],
    "pump.wait.p50": [8.75, 9.375, 10.0],
    "pump.pause.count": [8] * 3,
    "pump.pause.p0": [0.0] * 3,
    "pump.lag.p99": [20.25, 21.25, 22.25],
}


@both
def test_records_of_the_opentelemetry_collector_are_read(form: Form) -> None:
    """See `made_by` in the file."""
    golden = json.loads((GOLDEN / "otel_collector.json").read_text())
    records = [bytes.fromhex(r) if form == "otlp_proto" else r.encode() for r in golden[form]]
    decoder = make(form, *PUMP, series_field="{resource.host.name}/{resource.rack}")
    for _ in range(2):  # as unknown records, then as known ones
        decoded = decoder.decode(poll_of(records), NOW_NS)
        assert decoded.rejections == []
        assert decoded.readings.series == ["pump-7/3"] * 3
        assert decoded.readings.times.tolist() == [NOW_NS + i * 60 * 10**9 for i in range(3)]
        np.testing.assert_allclose(decoded.readings.values.T, np.array([*PUMP.values()]))
        assert list(decoded.ignored) == [3, 4]
    states = make(
        form,
        "system.memory.usage.used",
        "system.cpu.load_average.1m.",
        feature_name="{name}.{attributes.state}",
    ).decode(poll_of(records[3:]), 2 * NOW_NS)
    assert states.unreadable == {}
    assert (np.nan_to_num(states.readings.values).sum(axis=0) > 0).all()
