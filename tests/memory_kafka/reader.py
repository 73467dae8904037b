"""`ports.RangeReader` on the log in memory."""

from collections.abc import Iterable
from contextlib import suppress

from stream_vae.core.records import RecordBatch
from tests.memory_kafka.broker import MemoryKafka
from tests.memory_kafka.columns import record_batch
from tests.memory_kafka.faults import Faults
from tests.memory_kafka.partition_log import Entry


class MemoryReader:
    """Reads ranges of one topic.

    Args:
        kafka: The brokers.
        topic: The topic.
        faults: What goes wrong.
        name: Of its steps.
    """

    def __init__(self, kafka: MemoryKafka, topic: str, faults: Faults, name: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._faults = faults
        self._name = name
        self._ranges: dict[int, tuple[int, int]] = {}
        self._finished: list[int] = []
        self.held: set[int] = set()
        """Partitions of which nothing comes for now."""

    def end_offsets(self, partitions: Iterable[int]) -> dict[int, int]:
        self._faults.request(f"{self._name}.end_offsets")
        return {p: self._kafka.logs(self._topic)[p].end for p in partitions}

    def n_partitions(self) -> int:
        self._faults.request(f"{self._name}.n_partitions")
        return len(self._kafka.logs(self._topic))

    def add(self, partition: int, begin: int | None, end: int) -> None:
        self._faults.step(f"{self._name}.add")
        if end <= 0 or (begin is not None and begin >= end):
            self._finished.append(partition)
        elif partition not in self._ranges:
            self._ranges[partition] = begin or 0, end

    def remove(self, partition: int) -> None:
        self._ranges.pop(partition, None)
        with suppress(ValueError):
            self._finished.remove(partition)

    def poll(self, max_records: int) -> RecordBatch | None:
        self._faults.step(f"{self._name}.poll")
        found: list[tuple[int, Entry]] = []
        for partition in sorted(self._ranges.keys() - self.held):
            found += self._read(partition, max_records - len(found))
        return record_batch(self._topic, found)

    def take_finished(self) -> list[int]:
        done, self._finished = self._finished, []
        return done

    def close(self) -> None:
        self._ranges.clear()

    def _read(self, partition: int, max_records: int) -> list[tuple[int, Entry]]:
        if max_records <= 0:
            return []
        log, (begin, end) = self._kafka.logs(self._topic)[partition], self._ranges[partition]
        entries, read_on = log.read(max(begin, log.begin), max_records)
        self._ranges[partition] = read_on, end
        # Where the log does not reach the end of the range and never will, the range ends there.
        if read_on >= end or read_on >= log.end:
            del self._ranges[partition]
            self._finished.append(partition)
        return [(partition, entry) for entry in entries if entry.offset < end]
