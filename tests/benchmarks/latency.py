"""From producing an anomalous reading to reading its alert event, read_committed."""

import threading
import time
import uuid

import msgspec
import numpy as np

from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.topic_reader import read_topic
from tests.benchmarks.daemons import Counters, config_of
from tests.benchmarks.feed import Feed
from tests.benchmarks.throughput import daemon_windows_per_second
from tests.benchmarks.workload import T, Workload
from tests.system.broker import RealKafka
from tests.system.harness import DaemonProcess, Topics

_RATE = 2_000
_SECONDS = 30
_SERIES = 400
_INCIDENTS = 40  # a second, whatever the rate
_SNAPSHOT_S = 10.0  # so that state is saved while it is measured


def measure_latency(workload: Workload, kafka: RealKafka) -> dict[str, str]:
    """Look at 2,000 readings a second, and at half of what the daemon takes of a backlog."""
    topics = Topics.create(kafka)
    kafka.produce(topics.input, workload.records(), timeout_s=300)
    half = daemon_windows_per_second(workload, kafka, topics) / 2
    return {
        "produce to visible alert": _measure(workload, kafka, _RATE),
        "the same at half load": _measure(workload, kafka, half),
    }


def _measure(workload: Workload, kafka: RealKafka, rate: float) -> str:
    topics = Topics.create(kafka)
    config = config_of(
        workload,
        kafka,
        topics,
        {
            "detect.incident.open_after": 1,
            "detect.incident.open_within": 1,
            "detect.incident.resolve_after": 2,
            "detect.incident.min_deviation": 5.0,
            "state.snapshot_interval_s": _SNAPSHOT_S,
        },
    )
    feed = Feed(
        kafka=kafka,
        topic=topics.input,
        n_series=_SERIES,
        rate=rate,
        spike_every=round(rate / _INCIDENTS),
    )
    seen: dict[tuple[str, int], float] = {}
    done = threading.Event()
    reader = threading.Thread(target=_read, args=(kafka, topics, seen, done))
    feed.send_steps(T)
    with DaemonProcess(config) as daemon:
        daemon.wait_for("state_restored", 60)
        reader.start()
        with feed:
            time.sleep(_SNAPSHOT_S)
            began, first = time.time(), Counters.of(daemon)
            time.sleep(_SECONDS)
            ended, last = time.time(), Counters.of(daemon)
        time.sleep(2)
        done.set()
        reader.join(30)
        daemon.stop()
    inside = {key: at for key, at in feed.sent.items() if began <= at < ended}
    latency = np.array([seen[key] - at for key, at in inside.items() if key in seen])
    p50, p99 = np.quantile(latency, [0.5, 0.99])
    return (
        f"p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms over {len(latency)} of {len(inside)} "
        f"incidents at {(last.judged - first.judged) / (ended - began):,.0f} readings/s, "
        f"{(last.state_records - first.state_records) / (ended - began):,.0f} state records/s"
    )


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
