"""InfluxDB's line protocol becomes readings."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from stream_vae.core.model_spec import Feature, numeric_features
from stream_vae.core.records import RecordBatch
from stream_vae.errors import ConfigError
from stream_vae.inputs.decoder import Decoded
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.reading_format import ReadingFormat

S = 1_767_225_600
NOW_NS = S * 10**9


def decode(
    *values: bytes | None,
    names: Sequence[str] = ("cpu.idle", "cpu.users"),
    kafka_ns: int = 0,
    features: Sequence[Feature] | None = None,
    **settings: Any,
) -> Decoded:
    n = len(values)
    fmt = ReadingFormat(format="influx", **settings)
    decoder = build_decoder(features or numeric_features(names), fmt)
    records = RecordBatch(
        topic="t",
        partitions=np.zeros(n, np.int32),
        offsets=np.arange(n),
        timestamps=np.full(n, kafka_ns),
        timed_by_broker=False,
        keys=[b"key"] * n,
        values=list(values),
        headers=lambda _: (),
    )
    return decoder.decode(records, NOW_NS)


def test_lines_of_a_series_and_time_are_one_reading() -> None:
    decoded = decode(
        b"cpu,host=a,os=x idle=93.5,users=3i %d\n# a comment\n\ncpu,host=b idle=1 %d\r\n"
        b"cpu,host=a users=4u %d\nmem,host=a free=1 %d" % ((NOW_NS,) * 4),
        b"cpu,host=a idle=-2.5e1 %d" % (NOW_NS + 1),
        series_field="tags.host",
    )
    assert decoded.rejections == []
    assert decoded.readings.series == ["a", "b", "a"]
    assert decoded.readings.times.tolist() == [NOW_NS, NOW_NS, NOW_NS + 1]
    np.testing.assert_array_equal(decoded.readings.values, [[93.5, 4], [1, np.nan], [-25, np.nan]])


def test_values_of_every_kind_are_read() -> None:
    features = [
        Feature(name="m.a", kind="binary"),
        Feature(name="m.b", kind="count"),
        Feature(name="m.c", kind="categorical", categories=("two, three", 'a"b')),
        Feature(name="m.d"),
    ]
    lines = [
        b'm a=T,b=7i,c="two, three",d="1.5" %d' % NOW_NS,
        rb'm c="a\"b",a=false,b=8u,d=1e-3 %d' % (NOW_NS + 1),
    ]
    decoded = decode(b"\n".join(lines), features=features)
    assert decoded.unreadable == {}
    codes = decoded.readings.values[:, 2]
    assert len(set(codes.tolist())) == 2
    np.testing.assert_array_equal(
        decoded.readings.values[:, [0, 1, 3]], [[1, 7, 1.5], [0, 8, 0.001]]
    )


def test_escapes_are_undone_in_names_and_tags() -> None:
    line = rb"my\ cpu\,x,ho\=st=a\ b\,c,d=e i\ d\=le=1.5 %d" % NOW_NS
    decoded = decode(
        line,
        names=["1.5"],
        feature_name="{name}|{field}|{tags.d}",
        series_field="{tags.ho=st}/{name}",
        feature_fields={"1.5": "my cpu,x|i d=le|e"},
    )
    assert decoded.readings.series == ["a b,c/my cpu,x"]
    assert decoded.readings.values.tolist() == [[1.5]]


def test_a_line_without_a_time_has_kafkas_and_precision_can_be_told() -> None:
    assert decode(b"cpu idle=1", kafka_ns=NOW_NS).readings.times.tolist() == [NOW_NS]
    without = decode(b"cpu idle=1")
    assert [r.reason for r in without.rejections] == ["timestamp_missing"]
    for unit, factor in (("s", 1), ("ms", 1000), ("us", 10**6), ("ns", 10**9), ("auto", 1000)):
        line = b"cpu idle=1 %d" % (S * factor)
        assert decode(line, timestamp_format=unit).readings.times.tolist() == [NOW_NS]
    in_seconds = decode(b"cpu idle=1", kafka_ns=NOW_NS, timestamp_format="s")
    assert in_seconds.readings.times.tolist() == [NOW_NS]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (None, "null_value"),
        (b"\xff", "not_utf8"),
        (b"x" * 100, "too_large"),
        (b"cpu", "not_line_protocol"),
        (b"cpu idle", "not_line_protocol"),
        (b"cpu idle=", "not_line_protocol"),
        (b"cpu =1", "not_line_protocol"),
        (b"cpu,host idle=1", "not_line_protocol"),
        (b"cpu,host= idle=1", "not_line_protocol"),
        (b"cpu idle=1,", "not_line_protocol"),
        (b"cpu idle=word", "not_line_protocol"),
        (b"cpu idle=1_0", "not_line_protocol"),
        (b"cpu idle=nan", "not_line_protocol"),
        (b'cpu idle="open', "not_line_protocol"),
        (b"cpu idle=1 12x", "not_line_protocol"),
        (b"cpu idle=1 " + b"9" * 21, "not_line_protocol"),
        (b"cpu idle=1 2 3", "not_line_protocol"),
        (b"cpu users=1,idle=x", "not_line_protocol"),
        (b"cpu idle=1e999 %d" % NOW_NS, "value_out_of_range"),
        (b"cpu idle=1 -5", "timestamp_out_of_range"),
    ],
)
def test_a_line_that_cannot_be_read_costs_itself_alone(line: bytes | None, reason: str) -> None:
    good = b"cpu idle=2 %d" % NOW_NS
    alone = decode(good, line, good, max_record_bytes=90)
    assert [(r.index, r.reason) for r in alone.rejections] == [(1, reason)]
    assert alone.index.tolist() == [0, 2]
    if reason in ("null_value", "not_utf8", "too_large", "value_out_of_range"):
        return
    among = decode(good + b"\n" + (line or b"") + b"\n" + good)
    [rejection] = among.rejections
    assert (rejection.reason, rejection.elements) == (reason, (2,))
    assert among.readings.values[0, 0] == 2.0


def test_records_without_a_feature_are_ignored_and_say_what_they_hold() -> None:
    decoded = decode(b"mem free=1 1", b"# nothing")
    assert (decoded.rejections, list(decoded.ignored)) == ([], [0, 1])
    assert decoded.ignored_fields == ("mem.free",)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"input\.feature_name.*host"):
        decode(feature_name="{host}.{field}")
    with pytest.raises(ConfigError, match=r"input\.series_field.*host"):
        decode(series_field="host")
    with pytest.raises(ConfigError, match="precision"):
        decode(timestamp_format="rfc3339")
