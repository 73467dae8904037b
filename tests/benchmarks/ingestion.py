"""What it costs to bring a reading from the broker into a window."""

import time
import uuid

from stream_vae.core.model_spec import numeric_features
from stream_vae.core.series_index import SeriesIndex
from stream_vae.core.windows import SeriesTable, WindowConfig
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.consume.input_consumer import InputConsumer
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.reading_format import ReadingFormat
from tests.benchmarks.workload import NAMES, STEP_NS, T, Workload
from tests.recorded_events import RecordedEvents
from tests.system.broker import RealKafka


class _FromTheBeginning:
    """Releases partitions as they come."""

    def __init__(self, consumer: InputConsumer) -> None:
        self._consumer = consumer

    def partitions_assigned(self, partitions: tuple[int, ...]) -> None:
        self._consumer.release(dict.fromkeys(partitions, 0))

    def partitions_revoked(self, partitions: tuple[int, ...]) -> None: ...

    def partitions_lost(self, partitions: tuple[int, ...]) -> None: ...


def measure_ingestion(workload: Workload, kafka: RealKafka) -> dict[str, str]:
    """Consume, decode and window the stream in one thread, without a model."""
    topic = kafka.new_topic("ingestion")
    kafka.produce(topic, workload.records(), timeout_s=120)
    consumer = InputConsumer(
        KafkaConfig(bootstrap_servers=kafka.bootstrap, group_id=uuid.uuid4().hex, start="earliest"),
        topic,
        RecordedEvents(),
    )
    consumer.subscribe(_FromTheBeginning(consumer))
    decoder = build_decoder(numeric_features(NAMES), ReadingFormat())
    spec = workload.bundle.spec
    table = SeriesTable(
        WindowConfig(length=T, step_ns=STEP_NS, max_gap=8, min_observed=0.5),
        len(spec.features),
        workload.n_series,
    )
    index = SeriesIndex(workload.n_series)
    spent = dict.fromkeys(("consume", "decode", "window"), 0.0)
    n_readings = n_windows = 0
    while n_readings < workload.n_readings // workload.n_series * workload.n_series:
        at = [time.perf_counter()]
        records = consumer.poll(500, 0.05)
        if records is None:
            continue
        at.append(time.perf_counter())
        decoded = decoder.decode(records, time.time_ns() + 10**18)
        at.append(time.perf_counter())
        readings = decoded.readings
        names = list(zip(readings.partitions.tolist(), readings.series, strict=True))
        rows, new = index.rows(names)
        table.start(new)
        n_windows += len(table.push(rows, readings).windows)
        index.see(rows, readings.arrivals, readings.offsets)
        at.append(time.perf_counter())
        n_readings += len(decoded.readings)
        if n_windows:  # measured once every series is warm
            for name, begin, end in zip(spent, at, at[1:], strict=False):
                spent[name] += end - begin
    consumer.close()
    per_reading = {name: seconds / n_windows * 1e6 for name, seconds in spent.items()}
    parts = ", ".join(f"{name} {us:.2f}" for name, us in per_reading.items())
    return {"ingestion per reading": f"{sum(per_reading.values()):.2f} us ({parts})"}
