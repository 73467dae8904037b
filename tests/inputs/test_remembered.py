"""Decoders remember what records repeat, and no more than that."""

import gc
import tracemalloc
import weakref
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stream_vae.core.model_spec import numeric_features
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.registry.schemas import SchemaId, UnknownSchema
from stream_vae.inputs.remembered import Remembered
from tests.inputs.otlp_messages import Point, as_protobuf
from tests.inputs.polls import poll_of

NOW_NS = 10**18
LONG = 200_000

LINES: Mapping[str, Any] = {"format": "influx", "series_field": "tags.host"}
OBJECTS: Mapping[str, Any] = {
    "value_field": "fields",
    "name_field": "name",
    "feature_name": "{name}.{field}",
}
TAGS: Mapping[str, Any] = {"series_field": "{a}/{b}"}


def _line(text: bytes) -> bytes:
    return b"cpu,host=a,x=%s idle=1 17672256000%s" % (text, b"0" * 8)


def _many_fields(text: bytes) -> bytes:
    return b"cpu,host=a %s=1 17672256000%s" % (text, b"0" * 8)


def _object(text: bytes) -> bytes:
    return b'{"name":"%s","timestamp":1,"fields":{"idle":1}}' % text


def _tags(text: bytes) -> bytes:
    return b'{"a":"%s","b":"x","timestamp":1,"cpu.idle":1}' % text


@pytest.mark.parametrize(
    ("settings", "record"),
    [
        (LINES, _line),
        (LINES, _many_fields),
        (OBJECTS, _object),
        (TAGS, _tags),
    ],
)
def test_long_texts_of_records_are_not_kept(
    settings: Mapping[str, Any], record: Callable[[bytes], bytes]
) -> None:
    decoder = build_decoder(numeric_features(["cpu.idle"]), ReadingFormat(**settings))
    decoder.decode(poll_of([record(b"x")]), NOW_NS)
    tracemalloc.start()
    for n in range(8):
        decoder.decode(poll_of([record(b"%d" % n + b"x" * LONG)]), NOW_NS)
    gc.collect()  # exceptions in circles
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 5 * LONG


class _Unknown:
    """A registry that knows no schema."""

    def find(self, ids: Collection[SchemaId]) -> Mapping[SchemaId, UnknownSchema]:
        return {one: UnknownSchema(detail="none") for one in ids}

    def waiting_for(self, schema_id: SchemaId) -> str:
        return str(schema_id)


class _Values(list[bytes | None]):
    """Values that can be seen to go."""


@pytest.mark.parametrize(
    ("settings", "record", "reason"),
    [
        (LINES, b"cpu idle=1 1", "key_missing"),
        (
            {"format": "otlp_proto", "series_field": "resource.id"},
            as_protobuf(({"host": "a"}, [Point(metric="cpu.idle", time_ns=1)])),
            "key_missing",
        ),
        ({"format": "registry"}, b"\0\0\0\0\1x", "schema_unknown"),
    ],
    ids=["lines", "OTLP", "registry"],
)
def test_errors_that_records_repeat_keep_no_poll(
    settings: Mapping[str, Any], record: bytes, reason: str
) -> None:
    decoder = build_decoder(
        numeric_features(["cpu.idle"]), ReadingFormat(**settings), schemas=_Unknown()
    )
    polls = []
    for _ in range(3):
        values = _Values([record])
        polls.append(weakref.ref(values))
        decoded = decoder.decode(replace(poll_of(values), values=values), NOW_NS)
        assert [rejection.reason for rejection in decoded.rejections] == [reason], "control"
        del values, decoded
    gc.collect()
    assert [poll() for poll in polls] == [None] * 3


def test_the_table_begins_anew_when_it_is_full() -> None:
    table = Remembered[int, str]()
    for n in range(2000):
        table.keep(n, "", n_characters=10_000)
    assert 0 < len(table) < 1000
    assert 1999 in table, "control"


@pytest.mark.parametrize("field", ["v", "{field}"])
def test_a_number_and_a_truth_value_name_two_features_whichever_comes_first(field: str) -> None:
    names = ["1.v", "true.v", "1.0.v"]
    fmt = ReadingFormat(
        value_field="x", feature_name=f"{{slot}}.{field}", feature_fields={"a": "1.v"}
    )
    value = b'{"v":7}' if field == "{field}" else b"7"
    decoder = build_decoder(numeric_features(["a", *names[1:]]), fmt)
    record = b'{"slot":%s,"x":%s,"timestamp":1}'
    values = [record % (slot, value) for slot in (b"1", b"true", b"1.0")]
    for poll, order in ((values, [0, 1, 2]), (values[::-1], [2, 1, 0])):
        readings = decoder.decode(poll_of(poll), NOW_NS).readings
        assert np.isfinite(readings.values).argmax(axis=1).tolist() == order
