"""What decoding costs, shape by shape: `python -m tests.benchmarks.shapes`.

The decoders of all shapes take turns in one process, so that their ratios hold on a busy machine.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from stream_vae.core.model_spec import numeric_features
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.reading_format import ReadingFormat
from tests.inputs.polls import poll_of

NAMES = tuple(f"f{i}" for i in range(8))
_N_READINGS = 256
_ROUNDS = 100
_START_S = 1_767_225_600
_NOW_NS = (_START_S + 10**6) * 10**9

Record = Mapping[str, object]
_Values = Sequence[Sequence[float]]


def _wide(values: _Values) -> list[Record]:
    return [
        {"timestamp": _START_S + i, **dict(zip(NAMES, row, strict=True))}
        for i, row in enumerate(values)
    ]


def _text(values: _Values) -> list[Record]:
    return [
        {"timestamp": _START_S + i, **{n: str(v) for n, v in zip(NAMES, row, strict=True)}}
        for i, row in enumerate(values)
    ]


def _one_field(values: _Values) -> list[Record]:
    return [
        {"timestamp": _START_S + i, name: value}
        for i, row in enumerate(values)
        for name, value in zip(NAMES, row, strict=True)
    ]


def _point(i: int, name: str, value: object) -> Record:
    labels = {"instance": "pump-7", "job": "pumps", "__name__": name}
    return {"timestamp": _START_S + i, "name": name, "value": value, "labels": labels}


def _long(values: _Values) -> list[Record]:
    return [
        _point(i, name, value)
        for i, row in enumerate(values)
        for name, value in zip(NAMES, row, strict=True)
    ]


def _long_text(values: _Values) -> list[Record]:
    return [{**record, "value": str(record["value"])} for record in _long(values)]


def _long_array(values: _Values) -> list[Record]:
    points = _long(values)
    n = len(NAMES)
    return [{"metrics": points[i : i + n]} for i in range(0, len(points), n)]


def _wide_array(values: _Values) -> list[Record]:
    readings = _wide(values)
    return [{"metrics": readings[i : i + 10]} for i in range(0, len(readings), 10)]


def _objects(values: _Values) -> list[Record]:
    return [
        {
            "fields": dict(zip(NAMES, row, strict=True)),
            "name": "pump",
            "tags": {"host": "gw", "unit": "pump-7"},
            "timestamp": _START_S + i,
        }
        for i, row in enumerate(values)
    ]


_POINTS = ReadingFormat(name_field="name", value_field="value", series_field="labels.instance")
_FIELDS = ReadingFormat(
    value_field="fields", feature_name="{field}", series_field="{tags.host}/{tags.unit}"
)
SHAPES: Mapping[str, tuple[ReadingFormat, Callable[[_Values], list[Record]]]] = {
    "wide": (ReadingFormat(), _wide),
    "numbers as text": (ReadingFormat(), _text),
    "one field a record": (ReadingFormat(), _one_field),
    "ten readings a record": (ReadingFormat(records_path="metrics"), _wide_array),
    "long, a point a record, with labels": (_POINTS, _long),
    "long, values as text": (_POINTS, _long_text),
    "long, eight points a record": (replace(_POINTS, records_path="metrics"), _long_array),
    "an object of eight values, with tags": (_FIELDS, _objects),
}


def main() -> None:
    """Print microseconds per record and per value of every shape."""
    generator = np.random.default_rng(0)
    values = generator.normal(size=(_N_READINGS, len(NAMES))).round(4).tolist()
    cases = {}
    for name, (fmt, records_of) in SHAPES.items():
        records = [json.dumps(record).encode() for record in records_of(values)]
        cases[name] = (build_decoder(numeric_features(NAMES), fmt), poll_of(records))
    fastest = dict.fromkeys(cases, float("inf"))
    for _ in range(_ROUNDS):
        for name, (decoder, batch) in cases.items():
            began = time.process_time()
            decoded = decoder.decode(batch, _NOW_NS)
            fastest[name] = min(fastest[name], time.process_time() - began)
            n_values = int(np.isfinite(decoded.readings.values).sum())
            if n_values != _N_READINGS * len(NAMES):
                raise SystemExit(f"{name}: {n_values} values read: {decoded.rejections[:1]}")
    for name, (_, batch) in cases.items():
        per_record = fastest[name] / len(batch) * 1e6
        per_value = fastest[name] / (_N_READINGS * len(NAMES)) * 1e6
        print(f"{name:40} {per_record:7.2f} us a record {per_value:7.2f} us a value")  # noqa: T201


if __name__ == "__main__":
    main()
