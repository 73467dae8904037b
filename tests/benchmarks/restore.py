"""How long a daemon takes to have its state back."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import psutil
from confluent_kafka import TopicPartition
from numpy.typing import NDArray

from stream_vae.core.records import OutputRecord
from stream_vae.detect.config import DetectConfig
from stream_vae.models.scoring import WindowScorer
from stream_vae.pipeline.detector import Detector
from stream_vae.pipeline.series_store import SavedSeries, SeriesStore
from stream_vae.state.changelog import ChangelogWriter
from stream_vae.wire.snapshots import Checkpoint
from tests.benchmarks.daemons import TIMED, config_of
from tests.benchmarks.workload import START_NS, Workload
from tests.system.broker import RealKafka
from tests.system.harness import AS_USERS_START_IT, DaemonProcess, Event, Topics

_PARTITIONS = 4
_SERIES = (10_000, 100_000)
_CHUNK = 1_000
_INPUT = 10  # records of each input partition, all committed
_BUDGET_MB = 1024.0
_STEPS = ("read", "decode", "load", "all")


def measure_restore(workload: Workload, kafka: RealKafka) -> dict[str, str]:
    """Fill a changelog with full windows and thresholds, and start a daemon on it."""
    return {f"restoring {n:,} series": _measure(workload, kafka, n) for n in _SERIES}


def _measure(workload: Workload, kafka: RealKafka, n_series: int) -> str:
    topics = Topics.create(kafka, partitions=_PARTITIONS)
    changelog = f"{topics.group}-changelog"
    kafka.create_topic(changelog, _PARTITIONS, {"cleanup.policy": "compact"})
    n_bytes = _fill(workload, kafka, changelog, n_series)
    for partition in range(_PARTITIONS):
        kafka.produce(topics.input, [(b"none", b"")] * _INPUT, partition=partition)
    _commit(kafka, topics)
    config = config_of(workload, kafka, topics, {"state.memory_budget_mb": _BUDGET_MB})
    plain = _restore(config, AS_USERS_START_IT)
    timed = _restore(config, TIMED)[1]["steps"]
    seconds, _, before, after, peak = plain
    parts = ", ".join(f"{step} {timed[f'restore: {step}']:.1f}" for step in _STEPS)
    return (
        f"{seconds:.1f} s, {seconds / n_series * 1e4:.2f} s per 10,000 ({n_bytes / 1e6:,.0f} MB "
        f"in {_PARTITIONS} partitions); resident memory {before:,.0f} -> {after:,.0f} MB, peak "
        f"{peak:,.0f}; of a second run with its steps timed, seconds: {parts}"
    )


def _restore(config: Path, program: tuple[str, ...]) -> tuple[float, Event, float, float, float]:
    """Return seconds, the steps' times if they were told, and memory in MB."""
    with DaemonProcess(config, program=program) as daemon:
        daemon.wait_for("partitions_assigned", 60)
        process = psutil.Process(daemon.pid)
        before = peak = process.memory_info().rss
        while len(daemon.find("state_restored")) < _PARTITIONS:
            peak = max(peak, process.memory_info().rss)
            assert daemon.exit_code is None, daemon.tail()
            time.sleep(0.05)
        after = process.memory_info().rss
        found = daemon.find("state_restored")
        assert {event["state"] for event in found} == {"restored"}, found
        daemon.stop()
        told = daemon.find("steps_timed")
    return (
        max(event["duration_s"] for event in found),
        told[0] if told else {},
        before / 1e6,
        after / 1e6,
        max(peak, after) / 1e6,
    )


def _fill(workload: Workload, kafka: RealKafka, changelog: str, n_series: int) -> int:
    """Publish what daemons would have saved; return its bytes."""
    detect = DetectConfig()
    spec = workload.bundle.spec
    scorer = WindowScorer(workload.bundle, device="cpu")
    detector = Detector(spec, scorer, detect, _CHUNK)
    memory = SeriesStore(spec, detect, _CHUNK, detector.parts)
    writer = ChangelogWriter(changelog, spec, detector.version, memory.layout)
    producer = kafka.producer(**{"compression.type": "lz4", "linger.ms": 5})
    n_bytes = 0
    for record in _records(writer, _rows(memory), n_series):
        while True:
            try:
                producer.produce(record.topic, record.value, record.key, partition=record.partition)
            except BufferError:
                producer.poll(0.1)
            else:
                break
        n_bytes += len(record.value or b"")
    producer.flush(60)
    return n_bytes


def _rows(memory: SeriesStore) -> Mapping[str, NDArray[np.void]]:
    """Return rows of series as they are after warm-up: full windows, own scores."""
    rows = memory.rows([(0, f"series-{i}") for i in range(_CHUNK)])
    states = memory.complete(memory.capture(rows)).states
    generator = np.random.default_rng(0)
    windows, threshold, index = states["windows"], states["threshold"], states["index"]
    windows["values"] = generator.normal(size=windows["values"].shape)
    threshold["scores"] = np.sort(generator.normal(size=threshold["scores"].shape), axis=-1)
    index["arrived"], index["count"], index["warmed_up"] = START_NS, 1000, True
    return states


def _records(
    writer: ChangelogWriter, rows: Mapping[str, NDArray[np.void]], n_series: int
) -> Iterator[OutputRecord]:
    for partition in range(_PARTITIONS):
        yield writer.model(partition)
        numbers = range(partition, n_series, _PARTITIONS)
        for begin in range(0, len(numbers), _CHUNK):
            names = [(partition, f"series-{i}") for i in numbers[begin : begin + _CHUNK]]
            states = {part: saved[: len(names)] for part, saved in rows.items()}
            saved = SavedSeries(names=names, states=states, incidents={})
            yield from writer.saved(saved, {partition: _INPUT})
        yield writer.checkpoint(partition, Checkpoint(offset=_INPUT, clock_ns=START_NS))


def _commit(kafka: RealKafka, topics: Topics) -> None:
    consumer = kafka.consumer(**{"group.id": topics.group})
    wanted = [TopicPartition(topics.input, p, _INPUT) for p in range(_PARTITIONS)]
    consumer.commit(offsets=wanted, asynchronous=False)
    consumer.close()
