"""Records as each producer documents them, read by its preset alone."""

import json
from typing import Any, get_args

import numpy as np
import pytest

from stream_vae.inputs.presets import PRESETS, Preset
from tests.inputs.test_shapes import NAN, content, decode

AT = 1_767_225_000
ISO = "2025-12-31T23:50:00.000Z"


def telegraf(name: str, **fields: object) -> dict[str, object]:
    tags = {"cpu": "cpu-total", "host": "web-1"}
    return {"fields": fields, "name": name, "tags": tags, "timestamp": AT}


def metricbeat(**system: object) -> dict[str, object]:
    return {
        "@timestamp": ISO,
        "@metadata": {"beat": "metricbeat", "type": "_doc", "version": "8.15.0"},
        "host": {"name": "web-1", "os": {"family": "debian"}},
        "metricset": {"name": "cpu", "period": 10000},
        "event": {"dataset": "system.cpu", "module": "system", "duration": 115000},
        "system": system,
    }


def prometheus(name: str, value: str) -> dict[str, object]:
    labels = {"__name__": name, "instance": "web-1", "job": "node"}
    return {"timestamp": ISO, "value": value, "name": name, "labels": labels}


def connect(**payload: object) -> dict[str, object]:
    fields = [{"type": "double", "optional": True, "field": name} for name in payload]
    schema = {"type": "struct", "fields": fields, "optional": False, "name": "pump"}
    return {"schema": schema, "payload": payload}


def vector(name: str, kind: str, value: float) -> dict[str, object]:
    return {
        "name": name,
        "namespace": "host",
        "tags": {"host": "web-1", "collector": "cpu"},
        "timestamp": ISO,
        "kind": "absolute",
        kind: {"value": value},
    }


EVENT = {
    "specversion": "1.0",
    "type": "com.example.pump.measured",
    "source": "web-1",
    "id": "A234-1234-1234",
    "time": ISO,
    "datacontenttype": "application/json",
    "data": {"a": 1.5, "b": 2},
}
SAMPLES: dict[Preset, tuple[list[object], list[str], dict[str, Any], list[list[float]]]] = {
    "telegraf": (
        [telegraf("cpu", usage_idle=1.5, usage_user=2, x="y"), telegraf("mem", free=1)],
        ["cpu.usage_idle", "cpu.usage_user"],
        {},
        [[1.5, 2]],
    ),
    "metricbeat": (
        [metricbeat(cpu={"total": {"pct": 1.5}, "user": {"pct": 2}})],
        ["system.cpu.total.pct", "system.cpu.user.pct"],
        {},
        [[1.5, 2]],
    ),
    "prometheus_adapter": (
        [
            prometheus("a", "1.5"),
            prometheus("b", "2"),
            prometheus("a", "NaN"),
            prometheus("c", "1"),
        ],
        ["a", "b"],
        {},
        [[1.5, NAN], [NAN, 2], [NAN, NAN]],
    ),
    "connect": (
        [connect(a=1.5, b=2, ts=AT * 1000, unit="web-1"), {"a": 3.5, "ts": AT, "unit": "web-1"}],
        ["a", "b"],
        {"timestamp_field": "ts", "series_field": "unit"},
        [[1.5, 2], [3.5, NAN]],
    ),
    "cloudevents": ([EVENT], ["a", "b"], {}, [[1.5, 2]]),
    "fluent_bit": (
        [{"@timestamp": AT + 0.25, "cpu_p": 1.5, "cpu0.p_cpu": 2}],
        ["cpu_p", "cpu0.p_cpu"],
        {"key": b"web-1"},
        [[1.5, 2]],
    ),
    "vector": (
        [vector("load1", "gauge", 1.5), vector("cpu_seconds_total", "counter", 2)],
        ["load1", "cpu_seconds_total"],
        {},
        [[1.5, NAN], [NAN, 2]],
    ),
    "vector_logs": (
        [{"timestamp": ISO, "host": "web-1", "source_type": "file", "message": "m", "a": 1.5}],
        ["a", "b"],
        {},
        [[1.5, NAN]],
    ),
}


OF_LINES = {"fluent_bit_logs", "filebeat", "docker_logs", "rsyslog"}
"""Read in `test_log_lines`."""


@pytest.mark.parametrize("preset", sorted({*get_args(Preset)} - OF_LINES))
def test_a_preset_reads_what_its_producer_writes(preset: Preset) -> None:
    """Also where only the slow path does, for a token that is no JSON."""
    records, features, settings, expected = SAMPLES[preset]
    spoilt: list[object] = [
        json.dumps({**record, "zz": NAN}).encode() for record in records if isinstance(record, dict)
    ]
    for sent in (records, spoilt):
        found = decode(*sent, features=features, **{"key": None, **PRESETS[preset], **settings})
        rows = [("web-1", AT, row) for row in expected]
        np.testing.assert_equal(content(found), rows)
        assert found.unreadable == {}


def test_a_batch_of_telegraf_is_read_as_its_metrics_are() -> None:
    batch = {"metrics": [telegraf("cpu", a=1.0), telegraf("cpu", b=2.0), telegraf("mem", a=3.0)]}
    settings: dict[str, Any] = dict(PRESETS["telegraf"])
    decoded = decode(batch, features=["cpu.a", "cpu.b"], key=None, **settings)
    assert content(decoded) == [("web-1", AT, [1.0, 2.0])]
