"""What decoding costs: a record of each input format (eight features), a line of a log."""

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from io import BytesIO

import fastavro
import numpy as np

from stream_vae.core.model_spec import numeric_features
from stream_vae.inputs.decode_errors import DecodeErrors
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inputs.log_lines.readers import build_line_reader
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.registry.schemas import RegisteredSchema, SchemaId
from tests.benchmarks.workload import NAMES, START_NS, STEP_NS, Workload
from tests.inputs.otlp_messages import Point, as_json, as_protobuf
from tests.inputs.polls import poll_of
from tests.system.broker import RealKafka

_POLL, _POLLS, _ROUNDS = 500, 20, 3
_AVRO = {
    "type": "record",
    "name": "Reading",
    "fields": [
        {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "host", "type": "string"},
        *({"name": name, "type": ["null", "double"]} for name in NAMES),
    ],
}
_Write = Callable[[int, Sequence[float]], bytes]
HOST = "pump-1"
_AT = "2025-03-04T13:00:07.250123456Z"
_LINE = (
    "081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1 for block "
    "blk_388650490{:08} terminating"
)


class _Schemas:
    _known = RegisteredSchema(kind="AVRO", text=json.dumps(_AVRO))

    def find(self, ids: Collection[SchemaId]) -> Mapping[SchemaId, RegisteredSchema]:
        return dict.fromkeys(ids, self._known)

    def waiting_for(self, schema_id: SchemaId) -> str:
        return str(schema_id)


def measure_decoding(workload: Workload, kafka: RealKafka) -> dict[str, str]:
    """Decode records of every format in one thread; the best of three rounds counts."""
    formats: dict[str, tuple[ReadingFormat, _Write]] = {
        "json": (ReadingFormat(), json_reading),
        "otlp_proto": (
            ReadingFormat(format="otlp_proto", series_field="resource.host.name"),
            lambda at, values: as_protobuf(({"host.name": HOST}, _points(at, values))),
        ),
        "otlp_json": (
            ReadingFormat(format="otlp_json", series_field="resource.host.name"),
            lambda at, values: as_json(({"host.name": HOST}, _points(at, values))),
        ),
        "registry, Avro": (ReadingFormat(format="registry", series_field="host"), _avro),
        "influx": (
            ReadingFormat(format="influx", series_field="tags.host", feature_name="{field}"),
            _line,
        ),
    }
    lines: dict[str, tuple[LogFormat, Callable[[str], bytes]]] = {
        "text": (LogFormat(), str.encode),
        "text, time in the line": (LogFormat(timestamp_pattern=r"^(\S+ \S+) "), str.encode),
        "JSON": (
            LogFormat(message_field="log", timestamp_field="time"),
            lambda line: json.dumps({"log": f"{line}\n", "stream": "stdout", "time": _AT}).encode(),
        ),
    }
    return {
        **{
            f"decode {name}": f"{time_decoding(*each):.2f} us a record"
            for name, each in formats.items()
        },
        **{f"read lines, {name}": f"{_read(*each):.2f} us a line" for name, each in lines.items()},
    }


def _read(fmt: LogFormat, write: Callable[[str], bytes]) -> float:
    """Return what a line of 115 characters costs until its template is asked for."""
    reader = build_line_reader("log_lines", fmt)
    n = _POLL * _POLLS
    records = [write(_LINE.format(k)) for k in range(n)]
    polls = [poll_of(records[at : at + _POLL]) for at in range(0, n, _POLL)]
    spent = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        for poll in polls:
            found = reader.read(poll, DecodeErrors())
        spent.append(time.process_time() - began)
        assert found.levels.tolist() == [3] * _POLL
    return min(spent) / n * 1e6


def time_decoding(fmt: ReadingFormat, write: _Write) -> float:
    """Return what a record costs, microseconds of a processor."""
    decoder = build_decoder(numeric_features(NAMES), fmt, schemas=_Schemas())
    values = np.random.default_rng(0).normal(size=(_POLL * _POLLS, len(NAMES))).tolist()
    records = [write(START_NS + step * STEP_NS, row) for step, row in enumerate(values)]
    polls = [poll_of(records[at : at + _POLL]) for at in range(0, len(records), _POLL)]
    spent = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        for poll in polls:
            decoded = decoder.decode(poll, 2 * START_NS)
        spent.append(time.process_time() - began)
        assert len(decoded.readings) == _POLL
        assert not decoded.rejections
    return min(spent) / len(records) * 1e6


def json_reading(time_ns: int, values: Sequence[float]) -> bytes:
    """Return a reading with a field of each feature."""
    named = dict(zip(NAMES, values, strict=True))
    return json.dumps({"timestamp": time_ns // 10**6, **named}, separators=(",", ":")).encode()


def _points(time_ns: int, values: Sequence[float]) -> list[Point]:
    return [
        Point(metric=name, value=value, time_ns=time_ns, attributes={"state": "used"})
        for name, value in zip(NAMES, values, strict=True)
    ]


def _avro(time_ns: int, values: Sequence[float]) -> bytes:
    out = BytesIO()
    named = dict(zip(NAMES, values, strict=True))
    record = {"timestamp": time_ns // 10**6, "host": HOST, **named}
    fastavro.schemaless_writer(out, _PARSED, record)
    return b"\0\0\0\0\7" + out.getvalue()


_PARSED = fastavro.parse_schema(_AVRO)


def _line(time_ns: int, values: Sequence[float]) -> bytes:
    fields = ",".join(f"{name}={value!r}" for name, value in zip(NAMES, values, strict=True))
    return f"pump,host={HOST} {fields} {time_ns}".encode()
