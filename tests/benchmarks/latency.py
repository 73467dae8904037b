"""From producing an anomalous reading to reading its alert event, read_committed."""

import threading
import time
import uuid

import msgspec
import numpy as np

from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.topic_reader import read_topic
from stream_vae.wire.reading_encoder import ReadingEncoder
from stream_vae.wire.reading_format import ReadingFormat
from tests.benchmarks.workload import NAMES, START_NS, STEP_NS, T, Workload, signal
from tests.system.broker import RealKafka
from tests.system.harness import DaemonProcess, Topics, make_config

_RATE = 2_000
_SECONDS = 30
_SERIES = 400
_SPIKE_EVERY = 50


def measure_latency(workload: Workload, kafka: RealKafka) -> dict[str, str]:
    """Produce 2,000 readings a second; every 50th step of a series begins an anomaly."""
    topics = Topics.create(kafka)
    config = make_config(
        workload.folder,
        kafka,
        topics,
        workload.folder / "bundle",
        {
            "detect.incident.open_after": 1,
            "detect.incident.open_within": 1,
            "detect.incident.resolve_after": 2,
            "detect.incident.min_deviation": 5.0,
            "kafka.commit_interval_s": 1.0,
            "logging.level": "info",
            "input.max_future_s": 1e9,
        },
    )
    sent: dict[tuple[str, int], float] = {}
    seen: dict[tuple[str, int], float] = {}
    done = threading.Event()
    reader = threading.Thread(target=_read, args=(kafka, topics, seen, done))
    with DaemonProcess(config) as daemon:
        daemon.wait_for("partitions_assigned", 60)
        reader.start()
        _produce(kafka, topics.input, sent)
        time.sleep(2)
        done.set()
        reader.join(30)
        daemon.stop()
    latency = np.array([seen[key] - sent[key] for key in seen if key in sent])
    p50, p99 = np.quantile(latency, [0.5, 0.99])
    return {
        "produce to visible alert": (
            f"p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms over {len(latency)} incidents at "
            f"{_RATE:,} readings/s"
        )
    }


def _produce(kafka: RealKafka, topic: str, sent: dict[tuple[str, int], float]) -> None:
    encoder = ReadingEncoder(NAMES, ReadingFormat())
    producer = kafka.producer(**{"linger.ms": 0})
    n_steps = _RATE * _SECONDS // _SERIES
    values = [signal(n_steps, seed=1000 + i) for i in range(_SERIES)]
    began = time.perf_counter()
    for step in range(n_steps):
        for i in range(_SERIES):
            due = began + (step * _SERIES + i) / _RATE
            if due > time.perf_counter():
                producer.poll(max(due - time.perf_counter(), 0))
            spiked = step > T and (step + i) % _SPIKE_EVERY == 0
            row = values[i][step] + (20.0 if spiked else 0.0)
            event_ns = START_NS + step * STEP_NS
            value = encoder.encode(series="", time_ns=event_ns, values=row.tolist())
            if spiked:
                sent[f"s{i}", event_ns // 10**9] = time.time()
            producer.produce(topic, value, f"s{i}")
    producer.flush(10)


def _read(
    kafka: RealKafka, topics: Topics, seen: dict[tuple[str, int], float], done: threading.Event
) -> None:
    config = KafkaConfig(bootstrap_servers=kafka.bootstrap, group_id=uuid.uuid4().hex)
    for record in read_topic(config, topics.alerts, follow=True, stop=done.is_set):
        now = time.time()
        event = msgspec.json.decode(record.value or b"")
        if event["sequence"] == 0:
            start = np.datetime64(event["starts_at"].removesuffix("Z"), "s").astype(int)
            seen[event["series"]["key"], int(start)] = now
