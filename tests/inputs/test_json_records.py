import dataclasses
import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.core.model_spec import numeric_features
from stream_vae.core.records import RecordBatch
from stream_vae.inputs.decoder import Decoded
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.json_records import MAX_UNKNOWN_FIELDS
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.wire.rejections import REASONS
from tests.inputs.test_kinds_of_values import WRONG

# 2026-04-27T13:00:00Z; the clock of every test stands here.
NOW_NS = (20_570 * 86_400 + 13 * 3600) * 10**9
TIME = b'"timestamp":"2026-04-27T13:00:00Z"'
FEATURES = ("flow", "pressure", "speed")
NAN = float("nan")


def make_batch(
    values: Sequence[bytes | None], keys: Sequence[bytes | None] | None = None
) -> RecordBatch:
    n = len(values)
    return RecordBatch(
        topic="readings",
        partitions=np.full(n, 3, dtype=np.int32),
        offsets=np.arange(100, 100 + n, dtype=np.int64),
        timestamps=np.zeros(n, np.int64),
        timed_by_broker=False,
        keys=[b"pump-7"] * n if keys is None else list(keys),
        values=list(values),
        headers=lambda _: [],
    )


def decode(
    *values: bytes | None,
    keys: Sequence[bytes | None] | None = None,
    fmt: ReadingFormat | None = None,
    features: Sequence[str] = FEATURES,
) -> Decoded:
    decoder = build_decoder(numeric_features(features), fmt or ReadingFormat())
    return decoder.decode(make_batch(values, keys), NOW_NS)


def reading(fields: bytes) -> bytes:
    return b"{" + TIME + b"," + fields + b"}"


def only_values(decoded: Decoded) -> list[float]:
    assert decoded.rejections == []
    [row] = decoded.readings.values.tolist()
    return list(row)


def only_reason(decoded: Decoded) -> str:
    assert len(decoded.readings) == 0
    [rejection] = decoded.rejections
    return rejection.reason


def test_readings_keep_order_time_key_and_origin() -> None:
    later = b'{"timestamp":"2026-04-27T13:00:01Z","speed":4,"flow":-0.5}'
    decoded = decode(reading(b'"flow":1,"pressure":2.5,"speed":3e2'), later, keys=[b"a", b"b"])
    readings = decoded.readings
    assert readings.topic == "readings"
    assert readings.series == ["a", "b"]
    assert readings.partitions.tolist() == [3, 3]
    assert readings.offsets.tolist() == [100, 101]
    assert readings.times.tolist() == [NOW_NS, NOW_NS + 10**9]
    np.testing.assert_array_equal(readings.values, [[1, 2.5, 300], [-0.5, NAN, 4]])
    assert decoded.index.tolist() == [0, 1]


def test_no_records_are_no_readings() -> None:
    decoded = decode()
    assert len(decoded.readings) == 0
    assert decoded.readings.values.shape == (0, 3)
    assert decoded.rejections == []


VECTOR = ReadingFormat(format="vector")
EXACT_VECTOR = ReadingFormat(format="vector", vector="exact")
BY_FIELD = ReadingFormat(series_field="device.id")
NESTED_VECTOR = ReadingFormat(format="vector", values_field="v.x")
SHORT = ReadingFormat(max_record_bytes=40)
DEEP = b'"x":' + b"[" * 100_000 + b"]" * 100_000

BAD_RECORDS: list[tuple[str, bytes | None, ReadingFormat]] = [
    ("null_value", None, ReadingFormat()),
    ("too_large", reading(b'"flow":1'), SHORT),
    ("not_utf8", reading(b'"flow":1,"site":"K\xf6ln"'), ReadingFormat()),
    ("not_utf8", reading(b'"K\xf6ln":1'), ReadingFormat()),
    ("not_utf8", b"\xff\xfe", ReadingFormat()),
    ("not_json", b"", ReadingFormat()),
    ("not_json", b"flow=1", ReadingFormat()),
    ("not_json", b"{" + TIME, ReadingFormat()),
    ("not_json", reading(b'"flow":1') + b"{}", ReadingFormat()),
    ("not_json", reading(b'"flow":01'), ReadingFormat()),
    ("not_json", b"\xef\xbb\xbf" + reading(b'"flow":1'), ReadingFormat()),
    ("not_an_object", b"[1,2,3]", ReadingFormat()),
    ("not_an_object", b"null", ReadingFormat()),
    ("not_an_object", b"NaN", ReadingFormat()),
    ("not_an_object", reading(b'"flow":1,"device":3'), BY_FIELD),
    ("too_deep", reading(DEEP), ReadingFormat()),
    ("timestamp_missing", b'{"flow":1}', ReadingFormat()),
    ("timestamp_missing", b'{"timestamp":null,"flow":1}', ReadingFormat()),
    ("timestamp_unparsable", b'{"timestamp":"noon","flow":1}', ReadingFormat()),
    ("timestamp_unparsable", b'{"timestamp":true,"flow":1}', ReadingFormat()),
    ("timestamp_unparsable", b'{"timestamp":[1],"flow":1}', ReadingFormat()),
    ("timestamp_unparsable", b'{"timestamp":NaN,"flow":1}', ReadingFormat()),
    ("timestamp_out_of_range", b'{"timestamp":-5,"flow":1}', ReadingFormat()),
    ("timestamp_out_of_range", b'{"timestamp":1e400,"flow":1}', ReadingFormat()),
    ("timestamp_out_of_range", b'{"flow":1,"timestamp":' + b"9" * 350 + b"}", ReadingFormat()),
    ("timestamp_out_of_range", b'{"flow":1,"timestamp":' + b"9" * 9000 + b"}", ReadingFormat()),
    ("timestamp_in_future", b'{"timestamp":"2026-04-27T14:00:01Z","flow":1}', ReadingFormat()),
    ("value_not_a_number", reading(b'"flow":"fast"'), ReadingFormat()),
    ("value_not_a_number", reading(b'"flow":[1]'), ReadingFormat()),
    ("value_not_a_number", reading(b'"flow":{}'), ReadingFormat()),
    ("value_not_a_number", b'{"timestamp":1,"values":[null,NaN,"x"]}', VECTOR),
    ("value_out_of_range", reading(b'"flow":1e400'), ReadingFormat()),
    ("value_out_of_range", reading(b'"flow":-1e999'), ReadingFormat()),
    ("value_out_of_range", reading(b'"flow":' + b"9" * 350), ReadingFormat()),
    ("value_out_of_range", reading(b'"flow":' + b"9" * 9000), ReadingFormat()),
    ("value_out_of_range", b'{"timestamp":1,"values":[null,null,1e999]}', VECTOR),
    ("values_missing", b'{"timestamp":1}', VECTOR),
    ("values_missing", b'{"timestamp":1,"values":null}', VECTOR),
    ("values_missing", b'{"timestamp":1}', NESTED_VECTOR),
    ("values_missing", b'{"timestamp":1,"v":{}}', NESTED_VECTOR),
    ("values_not_an_array", b'{"timestamp":1,"values":{}}', VECTOR),
    ("wrong_length", b'{"timestamp":1,"values":[1,2]}', VECTOR),
    ("wrong_length", b'{"timestamp":1,"values":[1,2,3,4]}', EXACT_VECTOR),
    ("key_missing", reading(b'"flow":1'), BY_FIELD),
    ("key_missing", reading(b'"flow":1,"device":{"id":""}'), BY_FIELD),
    ("key_not_utf8", reading(b'"flow":1,"device":{"id":"\\ud800"}'), BY_FIELD),
    ("key_not_text", reading(b'"flow":1,"device":{"id":1.5}'), BY_FIELD),
    ("key_not_text", reading(b'"flow":1,"device":{"id":true}'), BY_FIELD),
    ("key_too_long", reading(b'"flow":1,"device":{"id":"' + b"x" * 1025 + b'"}'), BY_FIELD),
]


@pytest.mark.parametrize(
    ("reason", "raw", "fmt"),
    BAD_RECORDS,
    ids=[f"{n}-{row[0]}" for n, row in enumerate(BAD_RECORDS)],
)
def test_bad_records_get_their_reason_and_leave_their_neighbours_alone(
    reason: str, raw: bytes | None, fmt: ReadingFormat
) -> None:
    assert only_reason(decode(raw, fmt=fmt)) == reason
    good = b'{"timestamp":1,"flow":1,"values":[1,2,3],"v":{"x":[1,2,3]},"device":{"id":"a"}}'
    fmt = ReadingFormat() if reason == "too_large" else fmt
    raw = b"x" * 2**20 + b"x" if reason == "too_large" else raw
    decoded = decode(good, raw, good, fmt=fmt)
    assert decoded.index.tolist() == [0, 2]
    assert decoded.readings.offsets.tolist() == [100, 102]
    assert decoded.readings.times.tolist() == [10**9, 10**9]
    [rejection] = decoded.rejections
    assert (rejection.index, rejection.reason) == (1, reason)


def test_every_reason_is_proven_here() -> None:
    """`late` and leaps are the pipeline's; keys have tests of their own but appear above too."""
    of_kinds = {reason for _, _, reason in WRONG}
    of_others = {"not_protobuf", "not_otlp", "value_ambiguous", "interval_missing"}
    of_others |= {"schema_id_missing", "schema_unknown", "schema_unusable", "not_avro"}
    of_others |= {"not_line_protocol", "line_missing", "line_unmatched"}
    assert {row[0] for row in BAD_RECORDS} | of_kinds == set(REASONS) - {
        "late",
        "timestamp_leap",
    } - of_others


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (None, "key_missing"),
        (b"", "key_missing"),
        (b"pump-\xff", "key_not_utf8"),
        (b"x" * 1025, "key_too_long"),
    ],
)
def test_bad_keys_get_their_reason(key: bytes | None, reason: str) -> None:
    good = reading(b'"flow":1')
    decoded = decode(good, good, keys=[key, "pümp".encode()])
    assert decoded.readings.series == ["pümp"]
    assert [rejection.reason for rejection in decoded.rejections] == [reason]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (b'"flow":null', [NAN, NAN, NAN]),
        (b'"flow":NaN,"speed":2', [NAN, NAN, 2]),
        (b'"flow":Infinity,"speed":2', [NAN, NAN, 2]),
        (b'"flow":"1.5","pressure":" -2e3 ","speed":true', [1.5, -2000, 1]),
        (b'"flow":"n/a","pressure":"","speed":3', [NAN, NAN, 3]),
        (b'"flow":1e12,"pressure":-1e300', [1e12, -1e300, NAN]),
        (b'"flow":1e-400', [0, NAN, NAN]),
        (b'"flow":12345678901234567890', [12345678901234567890, NAN, NAN]),
        (b'"flow":1,"flow":2', [2, NAN, NAN]),
        (b'"\\u0066low":5', [5, NAN, NAN]),
        # What is not asked for may be anything JSON (or Python) can say.
        (b'"flow":1,"other":1e400', [1, NAN, NAN]),
        (b'"flow":1,"other":Infinity', [1, NAN, NAN]),
        (b'"flow":1,"other":"\\ud800"', [1, NAN, NAN]),
        (b'"flow":1,"other":' + b"9" * 9000, [1, NAN, NAN]),
        ('"flow":1,"ort":"Köln"'.encode(), [1, NAN, NAN]),
    ],
)
def test_what_was_not_observed_is_nan_and_the_rest_is_kept(
    fields: bytes, expected: list[float]
) -> None:
    np.testing.assert_array_equal(only_values(decode(reading(fields))), expected)


def test_numbers_are_what_python_reads() -> None:
    numbers = ["0.1", "1.7976931348623157e308", "5e-324", "-0.0", "123456789.123456789"]
    for number in numbers:
        [value, *_] = only_values(decode(reading(b'"flow":' + number.encode())))
        assert str(value) == str(float(number))


def test_one_feature_is_a_column_too() -> None:
    decoded = decode(reading(b'"flow":1'), reading(b'"flow":2'), features=["flow"])
    assert decoded.readings.values.tolist() == [[1], [2]]


def test_vectors_are_read_in_the_models_order() -> None:
    raw = b'{"timestamp":1700000000,"values":[1,null,2.5]}'
    np.testing.assert_array_equal(only_values(decode(raw, fmt=VECTOR)), [1, NAN, 2.5])
    raw = b'{"timestamp":1700000000,"values":[1,NaN,2.5]}'
    np.testing.assert_array_equal(only_values(decode(raw, fmt=VECTOR)), [1, NAN, 2.5])


def test_dotted_paths_lead_into_objects() -> None:
    fmt = ReadingFormat(
        timestamp_field="meta.at",
        series_field="meta.id",
        feature_fields={"flow": "sensors.flow.value", "speed": r"sensors.rpm\.avg"},
    )
    raw = (
        b'{"meta":{"at":1700000000,"id":17},'
        b'"sensors":{"flow":{"value":1},"rpm.avg":3},"pressure":2}'
    )
    decoded = decode(raw, fmt=fmt, keys=[None])
    assert decoded.readings.series == ["17"]
    assert only_values(decoded) == [1, 2, 3]


@pytest.mark.parametrize("fields", [b'"sensors":null', b'"sensors":{}', b'"other":1'])
def test_a_missing_object_holds_no_observed_value(fields: bytes) -> None:
    fmt = ReadingFormat(feature_fields={"flow": "sensors.flow"})
    raw = reading(b'"speed":1,' + fields)
    np.testing.assert_array_equal(only_values(decode(raw, fmt=fmt)), [NAN, NAN, 1])


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (b'"flow":"fast"', "value_not_a_number"),
        (b'"flow":[]', "value_not_a_number"),
        (b'"flow":1e999', "value_out_of_range"),
        (b'"sensors":3', "not_an_object"),
    ],
)
def test_what_cannot_be_read_costs_its_feature_and_is_counted(fields: bytes, reason: str) -> None:
    """Control: where nothing is left, the record is rejected for the same reason."""
    feature = "pressure" if reason == "not_an_object" else "flow"
    fmt = ReadingFormat(feature_fields={"pressure": "sensors.pressure"})
    good, spoilt = reading(b'"speed":1'), reading(b'"speed":1,' + fields)
    decoded = decode(good, spoilt, spoilt, good, fmt=fmt)
    assert decoded.rejections == []
    np.testing.assert_array_equal(decoded.readings.values, [[NAN, NAN, 1]] * 4)
    [(key, found)] = decoded.unreadable.items()
    assert key == (feature, reason)
    assert (found.count, found.index) == (2, 1)
    assert "expected" in found.detail
    rejected = decode(good, reading(b'"speed":null,' + fields), fmt=fmt)
    assert [(r.index, r.reason) for r in rejected.rejections] == [(1, reason)]
    assert rejected.unreadable == {}


@pytest.mark.parametrize("other", [b"{}", b'{"status":"up"}', b'{"timestamp":true,"Flow":{"x":1}}'])
def test_a_record_without_any_feature_is_neither_reading_nor_rejection(other: bytes) -> None:
    """Control: null says that the feature was not observed."""
    good = reading(b'"flow":1')
    decoded = decode(good, other, good, reading(b'"flow":null'))
    assert decoded.rejections == []
    assert decoded.index.tolist() == [0, 2, 3]
    assert decoded.ignored == [1]
    assert set(decoded.ignored_fields) <= {"status", "timestamp", "Flow.x"}


def test_names_with_dots_are_top_level_fields_unless_mapped() -> None:
    decoded = decode(reading(b'"cpu.load":1,"cpu":{"load":2}'), features=["cpu.load"])
    assert only_values(decoded) == [1]


def test_a_record_at_the_size_limit_is_read() -> None:
    """Control: one byte more is too large."""
    raw = reading(b'"flow":1')
    assert only_values(decode(raw, fmt=ReadingFormat(max_record_bytes=len(raw))))[0] == 1
    beside_null = decode(raw, None, fmt=ReadingFormat(max_record_bytes=len(raw)))
    assert beside_null.index.tolist() == [0]
    fmt = ReadingFormat(max_record_bytes=len(raw) - 1)
    assert only_reason(decode(raw, fmt=fmt)) == "too_large"


def test_a_timestamp_at_the_future_limit_is_read() -> None:
    """Control for timestamp_in_future: the limit itself is allowed."""
    decoded = decode(b'{"timestamp":"2026-04-27T14:00:00Z","flow":1}')
    assert len(decoded.readings) == 1


@pytest.mark.parametrize("max_future_s", [8e9, 1e11, 1e300])
def test_a_limit_beyond_all_time_lets_every_time_pass(max_future_s: float) -> None:
    """Nanoseconds of such limits are beyond int64, alone or added to the clock."""
    far = b'{"timestamp":"2199-12-31T23:59:59Z","flow":1}'
    decoded = decode(far, fmt=ReadingFormat(max_future_s=max_future_s))
    assert len(decoded.readings) == 1
    assert only_reason(decode(far)) == "timestamp_in_future", "control"


def test_what_was_found_is_told_in_bounded_printable_text() -> None:
    hostile = b'"flow":"' + b"\\u001b[2J" + b"x" * 5000 + b'"'
    [rejection] = decode(reading(hostile)).rejections
    assert "flow" in rejection.detail
    assert "expected a number" in rejection.detail
    assert len(rejection.detail) < 300
    assert rejection.detail.isprintable()


def test_unknown_fields_are_told_once() -> None:
    fmt = ReadingFormat(feature_fields={"flow": "sensors.flow"})
    decoder = build_decoder(numeric_features(FEATURES), fmt)
    raw = reading(b'"site":"north","sensors":{"flow":1,"unit":"L/s"},"a\\nb":1')
    batch = make_batch([raw, reading(b'"second":1')])
    assert decoder.decode(batch, NOW_NS).unknown_fields == ("site", "sensors.unit", "a\\nb")
    assert decoder.decode(batch, NOW_NS).unknown_fields == ()
    batch = make_batch([reading(b'"site":1,"new":2')])
    assert decoder.decode(batch, NOW_NS).unknown_fields == ("new",)


def test_unknown_fields_are_bounded_in_number_and_length() -> None:
    decoder = build_decoder(numeric_features(FEATURES), ReadingFormat())
    many = ",".join(f'"{"x" * 200}{n}":1,"y{n}":1' for n in range(5 * MAX_UNKNOWN_FIELDS))
    told = decoder.decode(make_batch([reading(many.encode())]), NOW_NS).unknown_fields
    assert len(told) == MAX_UNKNOWN_FIELDS
    assert max(map(len, told)) == 100
    again = decoder.decode(make_batch([reading(b'"z":1')]), NOW_NS).unknown_fields
    assert again == ()


numbers = st.one_of(st.none(), st.floats(), st.integers(), st.booleans(), st.text(max_size=3))
documents = st.dictionaries(
    st.sampled_from(["timestamp", "flow", "pressure", "speed", "values", "device", "id", "x"]),
    st.one_of(
        numbers,
        st.lists(numbers, max_size=4),
        st.dictionaries(st.sampled_from(["id", "flow"]), numbers, max_size=2),
        st.just("2026-04-27T13:00:00Z"),
        st.integers(min_value=0, max_value=NOW_NS),
    ),
    max_size=6,
)
raw_records = st.one_of(
    st.none(),
    st.binary(max_size=30),
    documents.map(lambda document: json.dumps(document).encode()),
    documents.map(lambda document: json.dumps(document)[:-1].encode()),
    st.just(reading(b'"flow":1,"values":[1,2,3],"device":{"id":"a"}')),
    st.just(reading(b'"flow":NaN,"values":[1,2,NaN],"device":{"id":3}')),
)
formats = st.sampled_from(
    [
        ReadingFormat(),
        VECTOR,
        BY_FIELD,
        ReadingFormat(feature_fields={"flow": "device.flow"}, timestamp_format="ns"),
    ]
)


@given(
    st.lists(st.tuples(raw_records, st.sampled_from([b"a", b"", None, b"\xff"])), max_size=5),
    formats,
)
def test_any_bytes_are_a_reading_a_rejection_or_ignored_whatever_stands_beside_them(
    records: list[tuple[bytes | None, bytes | None]], fmt: ReadingFormat
) -> None:
    values = [value for value, _ in records]
    keys = [key for _, key in records]
    together = decode(*values, keys=keys, fmt=fmt)
    rejected = {rejection.index: rejection for rejection in together.rejections}
    outcomes = [*together.index.tolist(), *rejected, *together.ignored]
    assert sorted(outcomes) == list(range(len(records)))
    assert not np.isinf(together.readings.values).any()
    position = 0
    for row, (value, key) in enumerate(records):
        alone = decode(value, keys=[key], fmt=fmt)
        if row in rejected:
            [rejection] = alone.rejections
            assert (rejection.reason, rejection.detail) == (
                rejected[row].reason,
                rejected[row].detail,
            )
            assert rejection.reason in REASONS
        elif row in together.ignored:
            assert alone.ignored == [0]
        else:
            assert alone.readings.series == [together.readings.series[position]]
            assert alone.readings.times[0] == together.readings.times[position]
            np.testing.assert_array_equal(
                alone.readings.values[0], together.readings.values[position]
            )
            position += 1


@given(documents)
def test_the_second_look_agrees_with_the_fast_way(document: dict[str, object]) -> None:
    """A token only the second look reads, in a field nobody asks for, changes nothing."""
    plain = json.dumps({**document, "x": 0}).encode()
    forced = json.dumps({**document, "x": float("inf")}).encode()
    first, second = decode(plain), decode(forced)
    np.testing.assert_array_equal(first.readings.values, second.readings.values)
    assert first.readings.times.tolist() == second.readings.times.tolist()
    assert [r.reason for r in first.rejections] == [r.reason for r in second.rejections]


MINUTE = 60 * 10**9


def arrivals(stamps: list[int], *, by_broker: bool, since_ns: int | None = None) -> list[int]:
    """Return when readings came, in minutes before now."""
    batch = dataclasses.replace(
        make_batch([reading(b'"flow":1')] * len(stamps)),
        timestamps=np.array(stamps),
        timed_by_broker=by_broker,
    )
    decoder = build_decoder(numeric_features(FEATURES), ReadingFormat())
    came = decoder.decode(batch, NOW_NS, since_ns).readings.arrivals
    return [(NOW_NS - at) // MINUTE for at in came.tolist()]


def test_readings_came_when_the_broker_says_or_else_now() -> None:
    """A producer's clock may stand in 1970 or far ahead."""
    stamps = [NOW_NS - 5 * MINUTE, 0, NOW_NS + 5 * MINUTE]
    assert arrivals(stamps, by_broker=True) == [5, 0, 0]
    assert arrivals(stamps, by_broker=False) == [0, 0, 0]


@pytest.mark.parametrize("by_broker", [True, False])
def test_readings_read_again_came_within_the_time_they_were_read_first(by_broker: bool) -> None:
    stamps = [NOW_NS - 5 * MINUTE, 0, NOW_NS - 30 * MINUTE, NOW_NS + MINUTE]
    since = NOW_NS - 20 * MINUTE
    assert arrivals(stamps, by_broker=by_broker, since_ns=since) == [5, 20, 20, 0]


def test_what_was_in_the_future_once_still_is_when_it_is_read_again() -> None:
    """The clock has passed it meanwhile; the record's own time tells when it was judged."""
    ahead = NOW_NS - 10 * MINUTE + 61 * MINUTE  # an hour and a minute after its record was made
    value = b'{"timestamp":%d,"flow":1}' % ahead
    batch = dataclasses.replace(make_batch([value]), timestamps=np.array([NOW_NS - 10 * MINUTE]))
    decoder = build_decoder(numeric_features(FEATURES), ReadingFormat(timestamp_format="ns"))
    first = decoder.decode(batch, NOW_NS - 10 * MINUTE)
    again = decoder.decode(batch, NOW_NS, NOW_NS - 15 * MINUTE)
    assert only_reason(first) == only_reason(again) == "timestamp_in_future"
    assert len(decoder.decode(batch, NOW_NS).readings) == 1, "control: by today's clock it is none"


def times_of(fmt: ReadingFormat, values: Sequence[bytes], stamps: Sequence[int]) -> Decoded:
    batch = dataclasses.replace(make_batch(values), timestamps=np.array(stamps, dtype=np.int64))
    return build_decoder(numeric_features(FEATURES), fmt).decode(batch, NOW_NS)


def test_records_without_a_time_have_kafkas() -> None:
    fmt = ReadingFormat(timestamp_field="$record")
    stamp = NOW_NS - 5 * MINUTE
    decoded = times_of(fmt, [b'{"flow":1}', b'{"flow":2,"timestamp":"noon"}'], [stamp, stamp + 1])
    assert decoded.readings.times.tolist() == [stamp, stamp + 1]
    assert only_reason(times_of(fmt, [b'{"flow":1}'], [0])) == "timestamp_missing"
    assert only_reason(times_of(fmt, [b'{"flow":1}'], [NOW_NS * 2])) == "timestamp_in_future"


def test_of_an_hour_that_stands_there_twice_the_one_the_record_was_sent_in_is_taken() -> None:
    fmt = ReadingFormat(timestamp_zone="Europe/Berlin")
    value = b'{"timestamp":"2025-10-26T02:30:00","flow":1}'
    first = 1_761_438_600 * 10**9  # 00:30 in Greenwich
    sent = [first + 10**9, first + 61 * MINUTE, 0]
    decoded = times_of(fmt, [value] * 3, sent)
    assert (decoded.readings.times - first).tolist() == [0, 60 * MINUTE, 0]
    assert (decoded.n_repeated_hour, decoded.n_skipped_hour) == (3, 0)
    never = b'{"timestamp":"2025-03-30T02:30:00","flow":1}'
    assert times_of(fmt, [never, value], [first] * 2).n_skipped_hour == 1
    [detail] = [one.detail for one in times_of(ReadingFormat(), [value], [first]).rejections]
    assert "input.timestamp_zone" in detail


@pytest.mark.parametrize(
    "wrong",
    [
        {"timestamp_format": "iso"},
        {"timestamp_format": "%H:%M", "timestamp_zone": "UTC"},
        {"timestamp_format": "%d/%m/%Y"},
        {"timestamp_zone": "Mars/Olympus"},
    ],
)
def test_settings_that_read_no_time_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="timestamp_format, timestamp_zone: "):
        ReadingFormat(**wrong)  # type: ignore[arg-type]  # names and text
