"""Avro and JSON of a schema registry become readings as JSON does."""

import io
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import fastavro
import numpy as np
import pytest

from stream_vae.core.model_spec import numeric_features
from stream_vae.errors import ConfigError, DecodeError
from stream_vae.inputs.decoder import Decoded, Decoder
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.registry.avro_reader import avro_reader
from stream_vae.inputs.registry.framing import VALUE_HEADER
from stream_vae.inputs.registry.schemas import RegisteredSchema, SchemaId, UnknownSchema
from tests.inputs.polls import poll_of

NOW_NS = 1_767_225_600 * 10**9
GOLDEN = json.loads((Path(__file__).parents[1] / "golden/registry_confluent.json").read_text())
OPTIONAL = ["null", "double"]


@dataclass
class Schemas:
    """Answers for what it holds; what it does not hold has not arrived yet."""

    found: dict[SchemaId, RegisteredSchema | UnknownSchema] = field(default_factory=dict)

    def find(
        self, ids: Collection[SchemaId]
    ) -> Mapping[SchemaId, RegisteredSchema | UnknownSchema]:
        return {one: self.found[one] for one in ids if one in self.found}

    def waiting_for(self, schema_id: SchemaId) -> str:
        return f"schema {schema_id}"


def make(schemas: Schemas, *names: str, **settings: Any) -> Decoder:
    fmt = ReadingFormat(format="registry", **settings)
    return build_decoder(numeric_features(names), fmt, schemas=schemas)


def record_of(*fields: tuple[str, Any]) -> str:
    return json.dumps(
        {"type": "record", "name": "R", "fields": [{"name": n, "type": t} for n, t in fields]}
    )


FLAT = record_of(("timestamp", "long"), ("flow", OPTIONAL), ("speed", OPTIONAL))


def avro(text: str, value: object, schema_id: int = 7) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(text)), value)
    return b"\0" + schema_id.to_bytes(4, "big") + out.getvalue()


def flat(step: int, flow: float | None = 1.5, speed: float | None = 2.5) -> bytes:
    return avro(FLAT, {"timestamp": NOW_NS // 10**9 + step, "flow": flow, "speed": speed})


def reasons(decoded: Decoded) -> list[tuple[int, str]]:
    return [(rejection.index, rejection.reason) for rejection in decoded.rejections]


@pytest.mark.parametrize("record", GOLDEN["records"], ids=lambda each: each["schema"])
def test_records_of_confluents_serializers_are_read(record: dict[str, Any]) -> None:
    """Prefix and header; see `made_by` in the file."""
    value, headers = bytes.fromhex(record["value"]), record["headers"]
    found = {name: bytes.fromhex(text) for name, text in headers}
    schema = GOLDEN["schemas"][record["schema"]]
    schema_id: SchemaId = int.from_bytes(value[1:5], "big")
    if headers:
        schema_id = str(UUID(bytes=found[VALUE_HEADER][1:]))
    schemas = Schemas({schema_id: RegisteredSchema(kind=schema["kind"], text=schema["text"])})
    is_nested = record["schema"] == "nested"
    decoder = make(
        schemas,
        "flow",
        "cost",
        timestamp_field="at" if is_nested else "timestamp",
        series_field="device.id" if is_nested else None,
    )
    decoded = decoder.decode(poll_of([value], [list(found.items())]), NOW_NS)
    assert decoded.rejections == []
    assert decoded.readings.times.tolist() == [NOW_NS]
    assert decoded.readings.series == ["pump-7" if is_nested else "key"]
    cost = float(record["meant"].get("cost", "nan"))
    np.testing.assert_array_equal(decoded.readings.values, [[record["meant"]["flow"], cost]])


def test_records_wait_for_their_schemas_and_are_never_rejected_for_want_of_one() -> None:
    schemas = Schemas()
    decoder = make(schemas, "flow")
    records = poll_of([flat(0), avro(FLAT, {"timestamp": 1, "flow": 1.0, "speed": 1.0}, 8), None])
    assert decoder.lacks(records) == "schema 7; schema 8"
    schemas.found[7] = RegisteredSchema(kind="AVRO", text=FLAT)
    assert decoder.lacks(records) == "schema 8"
    schemas.found[8] = UnknownSchema(detail="HTTP 404 Schema not found")
    assert decoder.lacks(records) == ""
    schemas.found.clear()  # what was found is used, whatever the registry says meanwhile
    decoded = decoder.decode(records, NOW_NS)
    assert reasons(decoded) == [(1, "schema_unknown"), (2, "null_value")]
    assert "404" in decoded.rejections[0].detail
    assert decoded.index.tolist() == [0]
    assert decoded.readings.values.tolist() == [[1.5]]


@pytest.mark.parametrize(
    ("record", "schema", "reason"),
    [
        (b"", FLAT, "schema_id_missing"),
        (b"{}", FLAT, "schema_id_missing"),
        (b"\x01\0\0\0\7", FLAT, "schema_id_missing"),
        (flat(0)[:-1], FLAT, "not_avro"),
        (flat(0) + b"\0", FLAT, "not_avro"),
        (flat(0)[:-9] + b"\x04" + bytes(8), FLAT, "not_avro"),
        (flat(0)[:5] + b"\xff" * 30, FLAT, "not_avro"),
        (flat(0), "{", "schema_unusable"),
        (flat(0), '{"type": "recd"}', "schema_unusable"),
        (avro('"double"', 2.5), '"double"', "not_an_object"),
        (b"x" * 300, FLAT, "too_large"),
    ],
)
def test_what_cannot_be_read_has_its_reason_and_spoils_no_other(
    record: bytes, schema: str, reason: str
) -> None:
    schemas = Schemas({7: RegisteredSchema(kind="AVRO", text=schema)})
    schemas.found[8] = RegisteredSchema(kind="AVRO", text=FLAT)
    good = b"\0\0\0\0\x08" + flat(0)[5:]
    decoder = make(schemas, "flow", max_record_bytes=200)
    decoded = decoder.decode(poll_of([good, record, good]), NOW_NS)
    assert reasons(decoded) == [(1, reason)]
    assert decoded.index.tolist() == [0, 2]
    assert decoded.readings.offsets.tolist() == [0, 2]


def test_what_is_of_neither_kind_is_unusable() -> None:
    schemas = Schemas({7: RegisteredSchema(kind="PROTOBUF", text="message R {}")})
    decoded = make(schemas, "flow").decode(poll_of([flat(0)]), NOW_NS)
    assert reasons(decoded) == [(0, "schema_unusable")]


def test_places_of_records_hold_when_others_are_left_out() -> None:
    """Unreadable values, ignored and rejected records keep their numbers in the poll."""
    text = record_of(("timestamp", "long"), ("flow", ["string", "double"]), ("speed", "double"))
    other = record_of(("timestamp", "long"), ("else", "double"))
    schemas = Schemas({7: RegisteredSchema(kind="AVRO", text=text)})
    schemas.found[8] = RegisteredSchema(kind="AVRO", text=other)

    def value(at: int, flow: object) -> bytes:
        return avro(text, {"timestamp": at, "flow": flow, "speed": 1.0})

    records = [
        b"",
        value(NOW_NS, "broken"),
        avro(other, {"timestamp": NOW_NS, "else": 1.0}, 8),
        value(-1, 1.0),
        value(NOW_NS, 1.0),
    ]
    decoded = make(schemas, "flow", "speed").decode(poll_of(records), NOW_NS)
    assert reasons(decoded) == [(0, "schema_id_missing"), (3, "timestamp_out_of_range")]
    assert decoded.index.tolist() == [1, 4]
    assert decoded.unreadable["flow", "value_not_a_number"].index == 1
    assert list(decoded.ignored) == [2]


def test_schemas_that_refer_to_others_are_read() -> None:
    inner = json.dumps(
        {"type": "record", "name": "In", "fields": [{"name": "flow", "type": "double"}]}
    )
    outer = record_of(
        ("timestamp", "long"), ("body", "In"), ("more", {"type": "array", "items": "In"})
    )
    whole = record_of(
        ("timestamp", "long"),
        ("body", json.loads(inner)),
        ("more", {"type": "array", "items": "In"}),
    )
    value = avro(whole, {"timestamp": NOW_NS, "body": {"flow": 3.5}, "more": [{"flow": 1.0}]})
    schemas = Schemas({7: RegisteredSchema(kind="AVRO", text=outer, references={"In": inner})})
    decoder = make(schemas, "flow", feature_fields={"flow": "body.flow"})
    decoded = decoder.decode(poll_of([value]), NOW_NS)
    assert decoded.readings.values.tolist() == [[3.5]]


def test_the_quick_way_reads_what_the_library_reads() -> None:
    rng = np.random.default_rng(0)
    kinds: list[Any] = ["double", "float", "long", "int", "string", "boolean"]
    kinds += [["null", kind] for kind in kinds] + [[kind, "null"] for kind in kinds]
    samples = {
        "double": -1.5,
        "float": 0.25,
        "long": -(2**63),
        "int": 2**31 - 1,
        "string": "tür",
        "boolean": True,
    }
    for _ in range(60):
        chosen = [(f"f{i}", kinds[rng.integers(len(kinds))]) for i in range(rng.integers(1, 9))]
        text = record_of(*chosen)
        value = {
            name: None
            if isinstance(kind, list) and rng.random() < 0.4
            else samples[kind if isinstance(kind, str) else next(k for k in kind if k != "null")]
            for name, kind in chosen
        }
        raw = avro(text, value)
        assert avro_reader(text, {})(raw, 5) == value
        assert _library_reads(text, raw[5:]) == value, "control"


def _library_reads(text: str, content: bytes) -> object:
    schema = fastavro.parse_schema(json.loads(text))
    return fastavro.schemaless_reader(io.BytesIO(content), schema, None)


def test_keys_of_the_registry_name_series() -> None:
    ids = record_of(("site", "string"), ("unit", "int"))
    schemas = Schemas({7: RegisteredSchema(kind="AVRO", text=FLAT)})
    decoder = make(schemas, "flow", key_format="registry")
    keys = [
        avro('"string"', "pump-7", 8),
        avro(ids, {"site": "north", "unit": 7}, 9),
        avro('"double"', 1.5, 10),
        b"plain",
        None,
    ]
    records = replace(poll_of([flat(0)] * 5), keys=keys)
    assert decoder.lacks(records) == "schema 10; schema 8; schema 9"
    for schema_id, text in ((8, '"string"'), (9, ids), (10, '"double"')):
        schemas.found[schema_id] = RegisteredSchema(kind="AVRO", text=text)
    decoded = decoder.decode(records, NOW_NS)
    assert reasons(decoded) == [(2, "key_not_text"), (3, "schema_id_missing"), (4, "key_missing")]
    assert decoded.readings.series == ["pump-7", "north/7"]
    assert reasons(decoded) == [(2, "key_not_text"), (3, "schema_id_missing"), (4, "key_missing")]
    with pytest.raises(ConfigError, match=r"input\.key_format"):
        build_decoder(numeric_features(["flow"]), ReadingFormat(key_format="registry"))


@pytest.mark.parametrize("key", [b"[" * 70_000, b'"\xff"', b'{"id":"\xed\xa0\x80"}'])
def test_a_key_of_json_that_cannot_be_read_is_told(key: bytes) -> None:
    """Control: the key beside it names a series."""
    plain = RegisteredSchema(kind="JSON", text="{}")
    schemas = Schemas({6: plain, 7: RegisteredSchema(kind="AVRO", text=FLAT)})
    decoder = make(schemas, "flow", key_format="registry")
    framed: list[bytes | None] = [b"\0\0\0\0\6" + each for each in (key, b'{"id":"pump-7"}')]
    decoded = decoder.decode(replace(poll_of([flat(0)] * 2), keys=framed), NOW_NS)
    assert reasons(decoded) == [(0, "key_not_text")]
    assert decoded.readings.series == ["pump-7"]


@pytest.mark.parametrize("is_referred_to", [False, True])
def test_content_that_nests_without_an_end_is_too_deep(is_referred_to: bool) -> None:
    """The compiled reader would end the process. Control: what nests within reason is read."""
    branch = {"name": "next", "type": ["null", {"type": "array", "items": "Point"}]}
    point = {"type": "record", "name": "Point", "fields": [{"name": "x", "type": "int"}, branch]}
    text, references = json.dumps(point), {}
    if is_referred_to:
        references, text = {"point": text}, record_of(("point", "Point"))
    read = avro_reader(text, references)

    def nested(levels: int) -> bytes:
        return b"\x02\x02\x02" * levels + b"\x02\0" + b"\0" * levels

    assert read(nested(40), 0)
    for levels in (60, 900, 200_000):
        with pytest.raises(DecodeError, match="100 levels") as caught:
            read(nested(levels), 0)
        assert caught.value.reason == "too_deep"


def test_a_header_that_is_no_id_is_told() -> None:
    decoder = make(Schemas(), "flow")
    records = poll_of([flat(0)], [[(VALUE_HEADER, b"xy")]])
    assert decoder.lacks(records) == ""
    assert reasons(decoder.decode(records, NOW_NS)) == [(0, "schema_id_missing")]


def test_the_format_needs_a_registry() -> None:
    with pytest.raises(ConfigError, match=r"registry\.url"):
        build_decoder(numeric_features(["flow"]), ReadingFormat(format="registry"))
    assert replace(ReadingFormat(), format="registry").format == "registry"
