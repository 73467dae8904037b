"""The log in memory keeps the contract that a real broker is held to in `tests/system`."""

from collections.abc import Callable, Mapping, Sequence

import pytest

from tests.memory_kafka.broker import MemoryKafka
from tests.memory_kafka.clock import ManualClock
from tests.memory_kafka.consumer import MemoryConsumer
from tests.memory_kafka.contract import CONTRACT, GROUP, Backend, How
from tests.memory_kafka.faults import Faults
from tests.memory_kafka.producer import MemoryProducer
from tests.memory_kafka.reader import MemoryReader
from tests.recorded_events import RecordedEvents


class MemoryBackend:
    """See `contract.Backend`."""

    input = "input"
    output = "output"

    def __init__(self) -> None:
        self.kafka = MemoryKafka(ManualClock())
        self.kafka.create_topic(self.input, 2)
        self.kafka.create_topic(self.output)
        self.kafka.group(GROUP, self.input)
        self._feeds = 0
        self._open: tuple[str, int] = "", 0

    def produce(self, values: Sequence[bytes], how: How = "plain", partition: int = 0) -> None:
        if how == "plain":
            for value in values:
                self.kafka.produce(self.input, value, key=None, partition=partition)
            return
        self._feeds += 1
        feed = f"feed-{self._feeds}"
        who = feed, self.kafka.register(feed)
        self.kafka.begin(*who)
        for value in values:
            self.kafka.publish_to(*who, self.kafka.logs(self.input)[partition], None, value)
        if how == "open":
            self._open = who
        else:
            self.kafka.end(*who, commit=how == "committed")

    def time_ns(self) -> int:
        self.kafka.clock.sleep(0.01)
        return self.kafka.clock.time_ns()

    def end_open(self) -> None:
        self.kafka.end(*self._open, commit=True)

    def hold_offset(self, offset: int, membership: object) -> Callable[[], None]:
        who = "holder", self.kafka.register("holder")
        self.kafka.begin(*who)
        group = self.kafka.group(GROUP, self.input)
        assert self.kafka.add_offsets(*who, group, {0: (offset, "")}, membership)
        return lambda: self.kafka.end(*who, commit=True)

    def delete_before(self, offset: int) -> None:
        self.kafka.logs(self.input)[0].delete_before(offset)

    def make_input_anew(self) -> None:
        self.kafka.create_topic(self.input, len(self.kafka.logs(self.input)))

    def consumer(self, name: str, events: RecordedEvents) -> MemoryConsumer:
        return MemoryConsumer(
            self.kafka, self.input, GROUP, name=name, events=events, faults=Faults()
        )

    def producer(self, identity: str) -> MemoryProducer:
        return MemoryProducer(self.kafka, GROUP, identity, Faults())

    def reader(self) -> MemoryReader:
        return MemoryReader(self.kafka, self.input, Faults(), "input")

    def committed(self) -> Mapping[int, int]:
        return self.kafka.committed(GROUP)

    def published(self) -> list[bytes | None]:
        return [entry.value for _, entry in self.kafka.read_all(self.output)]


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_the_log_in_memory_keeps_the_contract(check: Callable[[Backend], None]) -> None:
    check(MemoryBackend())
