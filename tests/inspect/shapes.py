"""What producers send: a dozen steps of two hosts each, in the shape of each."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stream_vae.core.records import RecordBatch
from tests.inputs.otlp_messages import Point, as_json, as_protobuf

START = 1_767_225_600
STEPS = 12
HOSTS = ("web-1", "web-2")


@dataclass(frozen=True)
class Record:
    """One record of Kafka."""

    value: bytes
    key: bytes | None = None
    partition: int = 0
    time_s: float = START


def batch_of(records: Sequence[Record]) -> RecordBatch:
    n = len(records)
    return RecordBatch(
        topic="t",
        partitions=np.array([record.partition for record in records], np.int32),
        offsets=np.arange(n, dtype=np.int64),
        timestamps=np.array([round(record.time_s * 1e9) for record in records], np.int64),
        timed_by_broker=False,
        keys=[record.key for record in records],
        values=[record.value for record in records],
        headers=lambda _: [],
    )


def steps() -> Iterator[tuple[str, int, float, float]]:
    """Yield host, time, and values of two features that rise and fall."""
    for at in range(STEPS):
        for number, host in enumerate(HOSTS):
            yield host, START + 60 * at, 50 + 7 * math.sin(at + number), 3 + math.cos(2.5 * at)


def iso(at: int, suffix: str = "Z") -> str:
    return f"{np.datetime64(at, 's')}{suffix}"


def _each(make: Callable[[str, int, float, float], list[Any]], **more: Any) -> list[Record]:
    return [
        Record(
            document if isinstance(document, bytes) else json.dumps(document).encode(),
            time_s=at + 1,
            **{name: of(host) for name, of in more.items()},
        )
        for host, at, flow, level in steps()
        for document in make(host, at, flow, level)
    ]


def _one_host(make: Callable[[str, int, float, float], list[Any]]) -> list[Record]:
    """Return the records of one host, which name it nowhere."""
    return _each(lambda host, *step: make(host, *step) if host == HOSTS[0] else [])


def _key(host: str) -> bytes:
    return host.encode()


def _telegraf(name: str, host: str, at: int, **fields: object) -> dict[str, object]:
    tags = {"host": host, "dc": "a"}
    return {"fields": fields, "name": name, "tags": tags, "timestamp": at}


def _prometheus(name: str, host: str, at: int, value: float) -> dict[str, object]:
    labels = {"__name__": name, "instance": host, "job": "node"}
    return {"timestamp": iso(at), "value": str(value), "name": name, "labels": labels}


def _collectd(
    kind: str, host: str, at: int, values: dict[str, float], of: str = "gauge"
) -> dict[str, object]:
    return {
        "values": [*values.values()],
        "dstypes": [of] * len(values),
        "dsnames": [*values],
        "time": at,
        "interval": 60,
        "host": host,
        "plugin": kind,
        "plugin_instance": "",
        "type": kind,
        "type_instance": "",
    }


def _otlp(host: str, at: int, flow: float, level: float) -> tuple[dict[str, str], list[Point]]:
    now = at * 10**9
    return {"host.name": host}, [
        Point(metric="flow", value=flow, time_ns=now),
        Point(metric="memory", value=level, time_ns=now, attributes={"state": "used"}),
        Point(metric="memory", value=flow - level, time_ns=now, attributes={"state": "free"}),
    ]


@dataclass(frozen=True)
class Shape:
    """Records, and how they are to be read."""

    records: list[Record]
    features: set[str]
    settings: dict[str, Any]
    """That are proposed, among others."""
    n_readings: int = 2 * STEPS
    series: tuple[str, ...] = HOSTS


SHAPES: dict[str, Shape] = {
    "wide with keys": Shape(
        _each(
            lambda _, at, flow, level: [
                {"timestamp": iso(at), "flow": flow, "state": "run", "in": {"level": level}}
            ],
            key=_key,
        ),
        {"flow", "in.level"},
        {},
    ),
    "wide, host in a field, a row number, a constant and a counter": Shape(
        [
            Record(
                json.dumps(
                    {
                        "id": 100 + row,
                        "device_id": host,
                        "ts": at * 1000,
                        "flow": flow,
                        "level": level,
                        "flag": 1,
                        "bytes": 1000 * (at - START) + row % 2 + 7 * (at % 11),
                    }
                ).encode(),
                time_s=at + 1,
            )
            for row, (host, at, flow, level) in enumerate(steps())
        ],
        {"flow", "level"},
        {"series_field": "device_id", "timestamp_field": "ts"},
    ),
    "no time of its own, units, binary keys": Shape(
        _each(
            lambda _, __, flow, level: [{"flow": f"{flow:.3f} L/s", "level": f"{level:.3f} m"}],
            key=lambda host: HOSTS.index(host).to_bytes(8, "big"),
        ),
        {"flow", "level"},
        {"timestamp_field": "$record", "key_format": "int64", "units": True},
        series=("0", "1"),
    ),
    "decimal comma, local time, words for missing": Shape(
        _each(
            lambda host, at, flow, level: [
                {
                    "host": host,
                    "time": iso(at + 3600, ""),
                    "flow": f"{flow:.3f}".replace(".", ","),
                    "level": f"{level:.3f}".replace(".", ",") if at % 120 else "unavailable",
                }
            ]
        ),
        {"flow", "level"},
        {"decimal": ",", "timestamp_zone": "Etc/GMT-1", "series_field": "host"},
    ),
    "a batch in an array": Shape(
        [
            Record(
                json.dumps(
                    {
                        "gateway": "gw",
                        "readings": [
                            {"unit": host, "at": at, "flow": flow, "level": level}
                            for host, at, flow, level in steps()
                        ],
                    }
                ).encode()
            )
        ],
        {"flow", "level"},
        {"records_path": "readings", "series_field": "unit", "timestamp_field": "at"},
    ),
    "long form": Shape(
        _each(
            lambda host, at, flow, level: [
                {"sensor": "flow", "value": flow, "unit": host, "ts": iso(at)},
                {"sensor": "level", "value": level, "unit": host, "ts": iso(at)},
            ],
        ),
        {"flow", "level"},
        {"name_field": "sensor", "value_field": "value", "series_field": "unit"},
        n_readings=4 * STEPS,
    ),
    "telegraf": Shape(
        _each(
            lambda host, at, flow, level: [
                _telegraf("cpu", host, at, usage=flow, model="x"),
                _telegraf("mem", host, at, free=level),
            ]
        ),
        {"cpu.usage", "mem.free"},
        {"preset": "telegraf"},
        n_readings=4 * STEPS,
    ),
    "telegraf batches": Shape(
        _each(
            lambda host, at, flow, level: [
                {
                    "metrics": [
                        _telegraf("cpu", host, at, usage=flow),
                        _telegraf("mem", host, at, free=level),
                    ]
                }
            ]
        ),
        {"cpu.usage", "mem.free"},
        {"preset": "telegraf"},
    ),
    "prometheus adapter": Shape(
        _each(
            lambda host, at, flow, level: [
                _prometheus("flow", host, at, flow),
                _prometheus("level", host, at, level),
            ]
        ),
        {"flow", "level"},
        {"preset": "prometheus_adapter"},
        n_readings=4 * STEPS,
    ),
    "connect": Shape(
        _each(
            lambda host, at, flow, level: [
                {
                    "schema": {"type": "struct", "fields": [{"type": "double", "field": "flow"}]},
                    "payload": {"ts": at * 1000, "device": host, "flow": flow, "level": level},
                }
            ]
        ),
        {"flow", "level"},
        {"preset": "connect", "series_field": "device"},
    ),
    "cloudevents": Shape(
        _each(
            lambda host, at, flow, level: [
                {
                    "specversion": "1.0",
                    "type": "com.example.measured",
                    "source": host,
                    "id": f"{host}-{at}",
                    "time": iso(at),
                    "data": {"flow": flow, "level": level},
                }
            ]
        ),
        {"flow", "level"},
        {"preset": "cloudevents"},
    ),
    "metricbeat": Shape(
        _each(
            lambda host, at, flow, level: [
                {
                    "@timestamp": iso(at, ".000Z"),
                    "@metadata": {"beat": "metricbeat", "version": "8.15.0"},
                    "host": {"name": host},
                    "metricset": {"name": "cpu", "period": 10000},
                    "event": {"duration": round(1000 * flow)},
                    "system": {"cpu": {"total": {"pct": flow}, "user": {"pct": level}}},
                }
            ]
        ),
        {"system.cpu.total.pct", "system.cpu.user.pct"},
        {"preset": "metricbeat"},
    ),
    "fluent bit": Shape(
        _each(
            lambda host, at, flow, level: [
                {"@timestamp": at + 0.25, "hostname": host, "cpu_p": flow, "cpu0.p_cpu": level}
            ]
        ),
        {"cpu_p", "cpu0.p_cpu"},
        {"preset": "fluent_bit", "series_field": "hostname"},
    ),
    "vector": Shape(
        _each(
            lambda host, at, flow, level: [
                {
                    "name": name,
                    "tags": {"host": host},
                    "timestamp": iso(at),
                    "kind": "absolute",
                    "gauge": {"value": value},
                }
                for name, value in (("flow", flow), ("level", level))
            ]
        ),
        {"flow", "level"},
        {"preset": "vector"},
        n_readings=4 * STEPS,
    ),
    "vector logs": Shape(
        _each(
            lambda host, at, flow, level: [
                {
                    "timestamp": iso(at),
                    "host": host,
                    "source_type": "file",
                    "message": "m",
                    "flow": flow,
                    "level": level,
                }
            ]
        ),
        {"flow", "level"},
        {"preset": "vector_logs"},
    ),
    "otlp json": Shape(
        _each(lambda *step: [as_json(_otlp(*step))]),
        {"flow", "memory.used", "memory.free"},
        {"format": "otlp_json", "series_field": "resource.host.name"},
    ),
    "otlp protobuf": Shape(
        _each(lambda *step: [as_protobuf(_otlp(*step))]),
        {"flow", "memory.used", "memory.free"},
        {"format": "otlp_proto", "feature_name": "{name}.{attributes.state}"},
    ),
    "otlp protobuf, nothing names the series": Shape(
        _one_host(lambda *step: [as_protobuf(({}, _otlp(*step)[1]))]),
        {"flow", "memory.used", "memory.free"},
        {"format": "otlp_proto", "series": "all"},
        n_readings=STEPS,
        series=("all",),
    ),
    "wide, nothing names the series": Shape(
        _one_host(lambda _, at, flow, level: [{"timestamp": at, "flow": flow, "level": level}]),
        {"flow", "level"},
        {"series": "all"},
        n_readings=STEPS,
        series=("all",),
    ),
    "long form, nothing names the series": Shape(
        _one_host(
            lambda _, at, flow, level: [
                {"name": "flow", "value": flow, "timestamp": at},
                {"name": "level", "value": level, "timestamp": at},
            ]
        ),
        {"flow", "level"},
        {"series": "all"},
        n_readings=2 * STEPS,
        series=("all",),
    ),
    "influx lines, nothing names the series": Shape(
        _one_host(
            lambda _, at, flow, level: [f"cpu usage={flow},load={level} {at}000000000".encode()]
        ),
        {"cpu.usage", "cpu.load"},
        {"format": "influx", "series": "all"},
        n_readings=STEPS,
        series=("all",),
    ),
    "influx lines": Shape(
        _each(
            lambda host, at, flow, level: [
                f"cpu,host={host} usage={flow},ok=t {at}000000000\n"
                f"mem,host={host} free={level} {at}000000000".encode()
            ]
        ),
        {"cpu.usage", "mem.free"},
        {"format": "influx", "series_field": "tags.host"},
    ),
    "collectd": Shape(
        _each(
            lambda host, at, flow, level: [
                [
                    _collectd("load", host, at, {"shortterm": flow, "longterm": level}),
                    _collectd("if_octets", host, at, {"rx": at % 7000, "tx": at % 9000}, "derive"),
                ]
            ],
            key=lambda host: f"{host}-{len(host)}".encode(),
        ),
        {"load/load/shortterm", "load/load/longterm"},
        {"format": "collectd"},
    ),
    "schema registry, JSON": Shape(
        _each(
            lambda host, at, flow, level: [
                b"\0\0\0\0\7"
                + json.dumps({"timestamp": at, "h": host, "flow": flow, "level": level}).encode()
            ],
            key=_key,
        ),
        {"flow", "level"},
        {},
    ),
}
