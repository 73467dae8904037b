"""One content in the shapes that producers send: fields by path, several readings a record."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.core.model_spec import numeric_features
from stream_vae.core.records import Headers, RecordBatch
from stream_vae.errors import ConfigError
from stream_vae.inputs.decoder import Decoded
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.settings import load_settings
from tests.inputs.otlp_messages import Point, as_protobuf
from tests.inputs.polls import poll_of

NOW_S = 1_767_225_600
NAN = float("nan")


def decode(
    *records: object,
    features: Sequence[str] = ("flow", "pressure"),
    key: bytes | None = b"pump-7",
    headers: Mapping[int, Headers] | None = None,
    **settings: Any,
) -> Decoded:
    n = len(records)
    batch = RecordBatch(
        topic="readings",
        partitions=np.zeros(n, np.int32),
        offsets=np.arange(n, dtype=np.int64),
        timestamps=np.zeros(n, np.int64),
        timed_by_broker=False,
        keys=[key] * n,
        values=[r if isinstance(r, bytes) else json.dumps(r).encode() for r in records],
        headers=lambda row: (headers or {}).get(row, []),
    )
    decoder = build_decoder(numeric_features(features), LogFormat(**settings))
    return decoder.decode(batch, NOW_S * 10**9)


def content(decoded: Decoded) -> list[tuple[str, int, list[float]]]:
    """Return series, seconds and values of the readings, where nothing was rejected."""
    assert decoded.rejections == []
    readings = decoded.readings
    seconds = (readings.times // 10**9).tolist()
    return list(zip(readings.series, seconds, readings.values.tolist(), strict=True))


# Names


def test_a_series_is_put_together_from_several_fields() -> None:
    template = "{tags.host}/{tags.unit}"
    tags = [{"host": "gw", "unit": 7}, {"host": "gw"}, {"host": "", "unit": 7}]
    records = [{"timestamp": 1, "flow": 2.0, "tags": of} for of in tags]
    decoded = decode(*records, series_field=template, key=None)
    assert decoded.readings.series == ["gw/7"]
    assert [(r.index, r.reason) for r in decoded.rejections] == [
        (1, "key_missing"),
        (2, "key_missing"),
    ]


@pytest.mark.parametrize("template", ["{host", "host}", "{}", "{a{b}}"])
def test_a_template_that_is_none_is_refused_with_its_setting(template: str) -> None:
    with pytest.raises(ConfigError, match=r"input\.series_field"):
        decode({}, series_field=template + "{x}" * ("{" not in template))


@pytest.mark.parametrize(
    ("record", "value"),
    [
        ({"cpu": {"load": 1.0}}, 1.0),
        ({"cpu.load": 2.0}, 2.0),
        ({"cpu": {"load": 1.0}, "cpu.load": 2.0}, 1.0),
        ({"cpu": {}, "cpu.load": "2"}, 2.0),
        ({"cpu": 3, "cpu.load": 2.0}, 2.0),
        ({"cpu": None, "cpu.load": 2.0}, 2.0),
    ],
)
def test_a_dotted_name_is_tried_where_the_path_finds_nothing(
    record: dict[str, object], value: float
) -> None:
    record |= {"timestamp": 1, "pressure": 4.0}
    decoded = decode(record, feature_fields={"flow": "cpu.load"})
    assert content(decoded) == [("pump-7", 1, [value, 4.0])]


def test_a_path_is_tried_where_a_dotted_name_finds_nothing() -> None:
    """Control: the field of exactly that name comes first."""
    nested, literal = {"cpu": {"load": 1.0}}, {"cpu.load": 2.0}
    records = [{"timestamp": 1, **nested}, {"timestamp": 1, **nested, **literal}]
    decoded = decode(*records, features=["cpu.load"])
    assert [row for _, _, row in content(decoded)] == [[1.0], [2.0]]


def test_time_and_series_are_looked_for_by_their_dotted_names_too() -> None:
    names: dict[str, Any] = {"timestamp_field": "meta.at", "series_field": "meta.id"}
    nested = {"meta": {"at": 1, "id": "a"}, "flow": 1.0, "pressure": 2.0}
    flat = {"meta.at": 1, "meta.id": "a", "flow": 1.0, "pressure": 2.0}
    for spoilt in ({}, {"site": NAN}):
        found = content(decode(nested | spoilt, flat | spoilt, key=None, **names))
        assert found == [("a", 1, [1.0, 2.0])] * 2


# Several readings a record

ELEMENTS = [
    {"timestamp": 1, "id": "a", "flow": 1.0, "pressure": 2.0},
    {"timestamp": 1, "id": "b", "flow": "3", "pressure": None},
    {"timestamp": 2, "id": "a", "flow": 5.0, "pressure": 6.0},
]
READ = [("a", 1, [1.0, 2.0]), ("b", 1, [3.0, NAN]), ("a", 2, [5.0, 6.0])]


@pytest.mark.parametrize(
    ("path", "record"),
    [
        ("metrics", {"metrics": ELEMENTS}),
        ("body.metrics", {"body": {"metrics": ELEMENTS, "n": 3}, "id": 4}),
        ("$", ELEMENTS),
    ],
)
def test_elements_of_an_array_are_readings(path: str, record: object) -> None:
    """Also where only the slow path reads the record; one that is no array is a reading itself."""
    spoilt = json.dumps(record).encode().replace(b"null", b"NaN")
    alone = {"timestamp": 3, "id": "c", "flow": 7.0, "pressure": 8.0}
    for first in (record, spoilt):
        decoded = decode(first, alone, records_path=path, series_field="id", key=None)
        np.testing.assert_equal(content(decoded), [*READ, ("c", 3, [7.0, 8.0])])
        assert decoded.index.tolist() == [0, 0, 0, 1]


def test_what_stands_beside_the_array_belongs_to_all_its_elements() -> None:
    record = {
        "device": {"id": "a"},
        "at": 9,
        "data": [{"flow": 1.0, "n": 1}, {"flow": 2.0, "n": 2}],
    }
    settings: dict[str, Any] = {
        "records_path": "data",
        "series_field": "{$.device.id}/{n}",
        "timestamp_field": "$.at",
    }
    for first in (record, json.dumps({**record, "x": NAN}).encode()):
        decoded = decode(first, **settings, key=None)
        np.testing.assert_equal(content(decoded), [("a/1", 9, [1.0, NAN]), ("a/2", 9, [2.0, NAN])])


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (3, "not_an_object"),
        ({"timestamp": "noon", "id": "b", "flow": 1.0}, "timestamp_unparsable"),
        ({"timestamp": [], "id": "b", "flow": 1.0}, "timestamp_unparsable"),
        ({"timestamp": 1, "flow": 1.0}, "key_missing"),
        ({"timestamp": 1, "id": "b", "flow": "fast"}, "value_not_a_number"),
    ],
)
def test_a_bad_element_is_rejected_and_the_others_count_also_when_it_is_sent_again(
    bad: object, reason: str
) -> None:
    record = {"metrics": [ELEMENTS[0], bad, ELEMENTS[2]]}
    settings: dict[str, Any] = {"records_path": "metrics", "series_field": "id"}
    decoded = decode(record, **settings, key=None)
    [rejection] = decoded.rejections
    assert (rejection.reason, rejection.elements) == (reason, (2,))
    assert rejection.detail.startswith("reading 2 of 3: ")
    assert decoded.readings.times.tolist() == [10**9, 2 * 10**9]
    for chosen, times in ((b"2", []), (b"2-3", [2 * 10**9])):
        sent = {0: [("dlq.redriven.readings", chosen)]}
        again = decode(record, headers=sent, **settings, key=None)
        assert again.readings.times.tolist() == times
        assert [r.elements for r in again.rejections] == [(2,)]


def test_elements_without_features_are_left_out_and_records_of_no_other_are_ignored() -> None:
    heartbeat = {"timestamp": 1, "status": "up"}
    decoded = decode([heartbeat, ELEMENTS[0]], [heartbeat], [], {"other": 1}, records_path="$")
    assert decoded.rejections == []
    assert decoded.index.tolist() == [0]
    assert decoded.ignored == [1, 2, 3]


def test_an_array_that_is_not_expected_names_the_setting() -> None:
    [rejection] = decode(ELEMENTS).rejections
    assert rejection.reason == "not_an_object"
    assert "input.records_path" in rejection.detail
    assert "metrics[0].flow" in decode({"metrics": ELEMENTS}).ignored_fields


def test_vectors_in_an_array_are_readings() -> None:
    """Control: one that is missing is named."""
    record = {"rows": [{"timestamp": 1, "values": [1, 2]}, {"timestamp": 2}]}
    decoded = decode(record, format="vector", records_path="rows")
    assert decoded.readings.values.tolist() == [[1, 2]]
    [rejection] = decoded.rejections
    assert (rejection.reason, rejection.elements) == ("values_missing", (2,))


def test_a_path_out_of_an_array_needs_the_name_of_the_array() -> None:
    for path in ("", "$"):
        with pytest.raises(ConfigError, match=r"input\.records_path"):
            decode([], records_path=path, series_field="$.device")


# Long form

LONG: dict[str, Any] = {
    "name_field": "name",
    "value_field": "value",
    "series_field": "labels.unit",
    "key": None,
}


def point(name: str, value: object, unit: str = "a", at: int = 1, **labels: str) -> dict[str, Any]:
    labels = {"unit": unit, **labels}
    return {"timestamp": at, "name": name, "value": value, "labels": labels}


def test_named_values_are_those_of_their_features() -> None:
    """Control: a feature of another name in the stream, by `feature_fields`."""
    records = [point("flow", 1.5), point("pressure", "2"), point("other", "x"), point("flow", None)]
    decoded = decode(*records, **LONG)
    rows = [("a", 1, [1.5, NAN]), ("a", 1, [NAN, 2.0]), ("a", 1, [NAN, NAN])]
    np.testing.assert_equal(content(decoded), rows)
    assert decoded.index.tolist() == [0, 1, 3]
    assert (decoded.ignored, decoded.ignored_fields) == ([2], ("other",))
    renamed = decode(*records, **LONG, feature_fields={"flow": "other", "pressure": "flow"})
    assert [(r.index, r.reason) for r in renamed.rejections] == [(2, "value_not_a_number")]
    np.testing.assert_equal(renamed.readings.values, [[NAN, 1.5], [NAN, NAN]])


def test_values_of_one_series_and_time_in_a_record_are_one_reading() -> None:
    points = [
        point("flow", 1.0),
        point("flow", 3.0, "b"),
        point("pressure", 2.0),
        point("flow", 4.0, at=2),
        point("flow", 5.0, at=2),
        point("other", 5.0, "c"),
    ]
    expected = [("a", 1, [1.0, 2.0]), ("b", 1, [3.0, NAN]), ("a", 2, [5.0, NAN])]
    for record in (points, json.dumps([*points, point("other", NAN)]).encode()):
        decoded = decode(record, **LONG, records_path="$")
        np.testing.assert_equal(content(decoded), expected)


def test_a_bad_point_is_rejected_and_the_others_count() -> None:
    points = [
        point("flow", 1.0),
        point("flow", 1.0, at="noon"),  # type: ignore[arg-type]
        point("flow", "fast", "b"),
        point("pressure", 1.0, at="noon"),  # type: ignore[arg-type]
        point("other", 1.0, at="noon"),  # type: ignore[arg-type]
        7,
    ]
    decoded = decode(points, **LONG, records_path="$")
    [rejection] = decoded.rejections
    assert rejection.elements == (2, 3, 4, 6)
    assert decoded.ignored == []
    np.testing.assert_equal(decoded.readings.values, [[1.0, NAN]])


@pytest.mark.parametrize(
    ("template", "features"),
    [
        ("{name}_{labels.core}", ["load_0", "load_1"]),
        ("{labels.core}", ["0", "1"]),
        ("cpu.{labels.core}.{name}", ["cpu.0.load", "cpu.1.load"]),
    ],
)
def test_a_feature_is_named_by_labels_too(template: str, features: Sequence[str]) -> None:
    records = [point("load", 1.0, core="0"), point("load", 2.0, core="1"), point("load", 3.0)]
    decoded = decode(*records, **LONG, features=features, feature_name=template)
    np.testing.assert_equal(decoded.readings.values, [[1.0, NAN], [NAN, 2.0]])
    assert decoded.ignored == [2]


@pytest.mark.parametrize(
    ("template", "features"),
    [("{field}", ["flow", "pressure"]), ("{name}.{field}", ["pump.flow", "pump.pressure"])],
)
def test_an_object_of_values_is_a_reading(template: str, features: Sequence[str]) -> None:
    def record(fields: object, name: str = "pump") -> dict[str, Any]:
        return {"timestamp": 1, "name": name, "fields": fields, "tags": {"unit": "a"}}

    records = [
        record({"flow": 1.0, "pressure": "2", "other": "x"}),
        record({"flow": "fast", "pressure": 3}),
        record({"other": 1}),
        record(4),
        record({"flow": {}}),
        record({"flow": NAN, "pressure": 5}),
    ]
    huge = json.dumps(record({"flow": 7.5, "pressure": 3.5})).encode().replace(b"7.5", b"1e999")
    decoded = decode(
        *records,
        value_field="fields",
        name_field="name",
        series_field="tags.unit",
        feature_name=template,
        features=features,
    )
    assert decoded.index.tolist() == [0, 1, 5]
    np.testing.assert_equal(decoded.readings.values, [[1.0, 2.0], [NAN, 3.0], [NAN, 5.0]])
    assert [(r.index, r.reason) for r in decoded.rejections] == [
        (3, "not_an_object"),
        (4, "value_not_a_number"),
    ]
    assert decoded.ignored == [2]
    assert list(decoded.unreadable) == [(features[0], "value_not_a_number")]
    decoded = decode(
        huge,
        value_field="fields",
        name_field="name",
        series_field="tags.unit",
        feature_name=template,
        features=features,
    )
    np.testing.assert_equal(decoded.readings.values, [[NAN, 3.5]])
    assert list(decoded.unreadable) == [(features[0], "value_out_of_range")]


@pytest.mark.parametrize(
    ("settings", "setting"),
    [
        ({"value_field": "value"}, "input.name_field"),
        ({"name_field": "name"}, "input.value_field"),
        ({"value_field": "value", "feature_name": "flow"}, "input.feature_name"),
        ({"value_field": "value", "name_field": "name", "format": "vector"}, "input.value_field"),
    ],
)
def test_a_long_form_that_lacks_a_setting_is_refused_with_its_name(
    settings: dict[str, Any], setting: str
) -> None:
    with pytest.raises(ConfigError, match=setting):
        decode({}, **settings)


# One content, several shapes

CELLS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.integers(1, 2),
        st.dictionaries(
            st.sampled_from(["flow", "pressure", "other"]),
            st.sampled_from([1.5, 2, "3.5", "-2e3", None, "n/a", "fast", True, NAN, [1]]),
            min_size=1,
        ),
    ),
    min_size=1,
    max_size=5,
)


def cells_of(decoded: Decoded) -> dict[tuple[str, int, int], float]:
    """Return (series, time, feature) -> the value that came last."""
    readings = decoded.readings
    return {
        (series, time, feature): value
        for series, time, row in zip(
            readings.series, readings.times.tolist(), readings.values.tolist(), strict=True
        )
        for feature, value in enumerate(row)
        if not np.isnan(value)
    }


@given(CELLS)
def test_the_same_content_gives_the_same_cells_in_every_shape(
    found: list[tuple[str, int, dict[str, object]]],
) -> None:
    wide = [{"timestamp": at, "labels": {"unit": unit}, **row} for unit, at, row in found]
    one_each = [
        {"timestamp": at, "labels": {"unit": unit}, name: value}
        for unit, at, row in found
        for name, value in row.items()
    ]
    long = [point(name, value, unit, at) for unit, at, row in found for name, value in row.items()]
    objects = [point("pump", row, unit, at) for unit, at, row in found]
    by_unit: dict[str, Any] = {"series_field": "labels.unit", "key": None}
    by_field = {"value_field": "value", "feature_name": "{field}", **by_unit}
    expected = cells_of(decode(*wide, **by_unit))
    for records, settings in (
        ([wide], {"records_path": "$", **by_unit}),
        ([{"data": wide}], {"records_path": "data", **by_unit}),
        (one_each, by_unit),
        (long, LONG),
        ([long], {"records_path": "$", **LONG}),
        (objects, by_field),
        ([objects], {"records_path": "$", **by_field}),
    ):
        assert cells_of(decode(*records, **settings)) == expected


# Keys, frames and vectors that grow


@pytest.mark.parametrize("number", [3, 127, 128, 200, 300, 2**31 - 1, -1])
@pytest.mark.parametrize("key_format", ["int32", "int64"])
def test_a_binary_key_is_refused_whatever_its_bytes_and_read_by_its_format(
    number: int, key_format: str
) -> None:
    key = number.to_bytes(int(key_format[3:]) // 8, "big", signed=True)
    record = {"timestamp": 1, "flow": 1.0}
    [rejection] = decode(record, key=key).rejections
    assert rejection.reason == "key_not_utf8"
    assert "input.key_format" in rejection.detail
    assert decode(record, key=key, key_format=key_format).readings.series == [str(number)]
    assert decode(record, key=key, key_format="hex").readings.series == [key.hex()]
    [rejection] = decode(record, key=key + b"x", key_format=key_format).rejections
    assert (rejection.reason, "input.key_format" in rejection.detail) == ("key_not_text", True)


def test_keys_of_any_script_are_text() -> None:
    for key in ("pump-7", "pümp 7", "泵/7", "a\tb", "a\u2028b"):
        assert decode({"timestamp": 1, "flow": 1.0}, key=key.encode()).readings.series == [key]


@pytest.mark.parametrize("schema", [7, 133, 0x7B7B7B7B])
def test_json_behind_the_number_of_a_schema_is_read(schema: int) -> None:
    """Control: what is no JSON names the framing."""
    frame = b"\0" + schema.to_bytes(4, "big")
    plain = json.dumps({"timestamp": 1, "flow": 1.0, "pressure": 2.0}).encode()
    spoilt = plain.replace(b"2.0", b"NaN")
    for value, expected in ((plain, 2.0), (spoilt, NAN)):
        decoded = decode(plain, frame + value)
        np.testing.assert_equal(decoded.readings.values, [[1.0, 2.0], [1.0, expected]])
    [rejection] = decode(plain, frame + b"\x0cpump-7").rejections
    assert (rejection.index, rejection.reason) == (1, "not_json")
    assert f"schema {schema}" in rejection.detail


@pytest.mark.parametrize(
    ("vector", "lengths"), [("exact", [2]), ("growing", [2, 3]), ("padded", [1, 2, 3])]
)
def test_a_vector_may_be_longer_or_shorter_where_that_is_allowed(
    vector: str, lengths: Sequence[int]
) -> None:
    records = [{"timestamp": n, "values": [1.0, 2.0, 3.0][:n]} for n in (1, 2, 3)]
    decoded = decode(*records, format="vector", vector=vector)
    assert (decoded.readings.times // 10**9).tolist() == lengths
    values = {1: [1.0, NAN], 2: [1.0, 2.0], 3: [1.0, 2.0]}
    np.testing.assert_equal(decoded.readings.values, [values[n] for n in lengths])
    assert {r.reason for r in decoded.rejections} <= {"wrong_length"}
    assert len(decoded.rejections) == 3 - len(lengths)


def test_the_surplus_of_a_vector_is_told() -> None:
    records = [{"timestamp": 1, "values": list(range(n))} for n in (2, 4, 3)]
    decoded = decode(*records, format="vector")
    assert decoded.unknown_fields == ("values[2]", "values[3]")


# One series for all, and none


def as_lines(**labels: str) -> bytes:
    tags = "".join(f",{name}={value}" for name, value in labels.items())
    return f"pump{tags} flow=2 1000000000".encode()


@pytest.mark.parametrize("settings", [{}, {"preset": "telegraf"}], ids=str)
def test_a_series_of_the_settings_holds_all_readings_of_a_topic(settings: dict[str, str]) -> None:
    """Control: a preset names a field of the series, which the one of the settings displaces."""
    loaded = load_settings(
        overrides={f"input.{name}": value for name, value in settings.items()}
        | {"input.series": "plant"},
        environ={},
    )
    assert loaded.settings.input.series_field is None
    decoded = decode(
        {"timestamp": 1, "flow": 2.0},
        {"timestamp": 2, "flow": 3.0},
        features=["flow"],
        key=b"\0",
        series="plant",
    )
    assert content(decoded) == [("plant", 1, [2.0]), ("plant", 2, [3.0])]


@pytest.mark.parametrize(
    "settings", [{"series": "a", "series_field": "b"}, {"series": ""}, {"series": "a\0"}], ids=str
)
def test_a_series_that_cannot_be_meant_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"series"):
        load_settings(overrides={f"input.{name}": it for name, it in settings.items()}, environ={})


@pytest.mark.parametrize(
    ("settings", "record", "there"),
    [
        ({}, b'{"timestamp": 1, "flow": 2.0, "unit": {"id": "a"}}', "unit.id, timestamp"),
        (
            {"records_path": "all"},
            b'{"plant": "p", "all": [{"timestamp": 1, "flow": 2.0, "unit": "a"}]}',
            "unit, $.plant, timestamp",
        ),
        ({"format": "influx", "series_field": "tags.host"}, as_lines(unit="a"), "name, tags.unit"),
        (
            {"format": "otlp_proto", "series_field": "resource.host.name"},
            as_protobuf(({"service.name": "s"}, [Point(attributes={"cpu": "0"}, time_ns=10**9)])),
            "resource.service.name, attributes.cpu",
        ),
        (
            {"format": "otlp_proto", "series_field": "resource.host.name"},
            as_protobuf(({}, [Point(time_ns=10**9)])),
            "no fields that could name a series; input.series names one for all",
        ),
    ],
    ids=lambda it: it.get("format", "json") if isinstance(it, dict) else "",
)
def test_a_series_field_that_finds_nothing_is_named_with_what_is_there(
    settings: dict[str, Any], record: bytes, there: str
) -> None:
    told = {"series_field": "host", **settings}
    name = {"influx": "pump.flow"}.get(told.get("format", ""), "flow")
    decoder = build_decoder(numeric_features([name]), LogFormat(**told))
    (rejection,) = decoder.decode(poll_of([record]), NOW_S * 10**9).rejections
    assert rejection.reason == "key_missing"
    assert f"input.series_field {told['series_field']} finds nothing" in rejection.detail
    assert rejection.detail.endswith(there)
