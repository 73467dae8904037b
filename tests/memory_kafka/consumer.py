"""`ports.InputConsumer` on the log in memory."""

from collections.abc import Collection, Iterable, Mapping

from stream_vae.core.ports import EventSink, RebalanceListener
from stream_vae.core.records import RecordBatch
from stream_vae.errors import FencedError, InputChangedError, KafkaUnavailableError
from stream_vae.events import RecordsLost
from tests.memory_kafka.broker import MemoryKafka
from tests.memory_kafka.columns import record_batch
from tests.memory_kafka.faults import Faults
from tests.memory_kafka.group import Group, Member, Membership
from tests.memory_kafka.partition_log import Entry, PartitionLog


class MemoryOffsets:
    """`ports.PartitionOffsets`."""

    def __init__(self, logs: list[PartitionLog], group: Group, faults: Faults) -> None:
        self._logs = logs
        self._group = group
        self._faults = faults

    def committed(self, partitions: Iterable[int]) -> dict[int, int]:
        return {p: offset for p, (offset, _) in self.committed_with_notes(partitions).items()}

    def committed_with_notes(self, partitions: Iterable[int]) -> dict[int, tuple[int, str]]:
        self._faults.request("offsets.committed")
        wanted = set(partitions)
        if any(self._group.pending.get(partition) for partition in wanted):
            raise KafkaUnavailableError("a transaction that carries the offset is open")
        return {p: at for p, at in self._group.committed.items() if p in wanted}

    def oldest(self, partition: int) -> int:
        self._faults.request("offsets.oldest")
        return self._logs[partition].begin

    def end(self, partition: int) -> int:
        self._faults.request("offsets.end")
        return self._logs[partition].stable_end

    def since(self, partition: int, time_ns: int) -> int | None:
        self._faults.request("offsets.since")
        return self._logs[partition].since(time_ns)


class MemoryConsumer:
    """A member of a group; rebalances are heard of in `poll`, as of the real client.

    Args:
        kafka: The brokers.
        topic: The input topic.
        group: Name of the group.
        name: Of the member; a later one of the same name fences this one.
        events: Takes `RecordsLost`.
        faults: What goes wrong.
    """

    def __init__(
        self,
        kafka: MemoryKafka,
        topic: str,
        group: str,
        *,
        name: str,
        events: EventSink,
        faults: Faults,
    ) -> None:
        self._kafka = kafka
        self._topic = topic
        self._topic_id = kafka.topic_id(topic)
        self._group_name = group
        self._name = name
        self._events = events
        self._faults = faults
        self._listener: RebalanceListener | None = None
        self._member: Member | None = None
        self._assignment: set[int] = set()
        self._held: set[int] = set()
        self._next_offset: dict[int, int] = {}
        self._heard_of: set[int] = set()
        self._ends: dict[int, int] = {}
        self._turn = 0
        self.joined = False
        self.out_since_ns: int | None = None
        self.paused = False

    @property
    def reachable(self) -> bool:
        return not self._faults.unavailable

    @property
    def offsets(self) -> MemoryOffsets:
        return MemoryOffsets(self._logs, self._group, self._faults)

    @property
    def member(self) -> Member:
        """As the group knows it."""
        assert self._member is not None
        return self._member

    def subscribe(self, listener: RebalanceListener) -> None:
        self._faults.step("consumer.subscribe")
        self._listener = listener
        self._member = self._group.join(self._name)

    def poll(self, max_records: int, timeout_s: float) -> RecordBatch | None:
        self._faults.step("consumer.poll")
        if self._kafka.topic_id(self._topic) != self._topic_id:
            raise InputChangedError(f"topic {self._topic!r} was made anew")
        self._follow_group()
        found = [] if self.paused else self._fetch(max_records)
        if not found:
            self._kafka.clock.sleep(timeout_s)
        return record_batch(self._topic, found)

    def take_eof_offsets(self) -> dict[int, int]:
        ends = {p: end for p, end in self._ends.items() if self._next_offset.get(p) == end}
        self._ends.clear()
        return ends

    def pause(self) -> None:
        self._faults.step("consumer.pause")
        self.paused = True

    def resume(self) -> None:
        self._faults.step("consumer.resume")
        self.paused = False

    def release(self, begins: Mapping[int, int]) -> None:
        self._faults.step("consumer.release")
        assert begins.keys() <= self._held, "of what is held alone"
        for partition, begin in begins.items():
            self._held.discard(partition)
            self._heard_of.discard(partition)
            self._next_offset[partition] = begin

    def rewind(self, begins: Mapping[int, int]) -> None:
        self._faults.step("consumer.rewind")
        for partition in begins.keys() & (self._assignment - self._held):
            self._next_offset[partition] = begins[partition]

    def membership(self) -> object:
        self._faults.step("consumer.membership")
        if self._member is None or self._member.end == "left":
            raise FencedError("the client is closed")
        return Membership(self._member, self._member.epoch)

    def is_at_end(self, partition: int) -> bool:
        try:
            return self._next_offset.get(partition, -1) >= self.offsets.end(partition)
        except KafkaUnavailableError:
            return False

    def lag(self) -> dict[int, int]:
        return {p: max(self._logs[p].end - self._next_offset[p], 0) for p in self._heard_of}

    def close(self) -> None:
        self._faults.step("consumer.close")
        if self._member is None or self._member.end == "left":
            return
        self._leave(set(self._assignment), is_lost=bool(self._member.end))
        self._group.leave(self._member)

    def abandon(self) -> None:
        self._listener = None
        self.close()

    @property
    def _logs(self) -> list[PartitionLog]:
        return self._kafka.logs(self._topic)

    @property
    def _group(self) -> Group:
        return self._kafka.group(self._group_name, self._topic)

    def _follow_group(self) -> None:
        """Let go of what is to leave, else take what is to come."""
        group, member = self._group, self.member
        if member.end == "fenced":
            raise FencedError(f"another instance has the name {self._name!r}")
        if member.end == "expired":
            self._leave(set(self._assignment), is_lost=True)
            if not group.refuses_back:
                self._member = group.join(self._name)
            elif self.joined:
                self.joined, self.out_since_ns = False, self._kafka.clock.time_ns()
            return
        self.joined, self.out_since_ns = True, None
        leaving = member.owned - member.target
        if leaving:
            self._leave(leaving, is_lost=False)
            group.give_up(member, leaving)
            return
        taken = group.take(member)
        if taken and self._listener is not None:
            self._assignment |= taken
            self._held |= taken
            self._listener.partitions_assigned(tuple(sorted(taken)))

    def _leave(self, partitions: Collection[int], *, is_lost: bool) -> None:
        self._assignment.difference_update(partitions)
        self._held.difference_update(partitions)
        self._heard_of.difference_update(partitions)
        for partition in partitions:
            self._next_offset.pop(partition, None)
        if not partitions or self._listener is None:
            return
        gone = tuple(sorted(partitions))
        if is_lost:
            self._listener.partitions_lost(gone)
        else:
            self._listener.partitions_revoked(gone)

    def _fetch(self, max_records: int) -> list[tuple[int, Entry]]:
        """Read on in all partitions that are not held, another one first each time."""
        found: list[tuple[int, Entry]] = []
        wanted = sorted(self._assignment - self._held)
        self._turn += 1
        for i in range(len(wanted)):
            partition = wanted[(self._turn + i) % len(wanted)]
            if len(found) < max_records:
                found += self._fetch_from(partition, max_records - len(found))
        return found

    def _fetch_from(self, partition: int, max_records: int) -> list[tuple[int, Entry]]:
        log, begin = self._logs[partition], self._next_offset[partition]
        if begin > log.end:
            raise InputChangedError(f"partition {partition} ends at {log.end}")
        if begin < log.begin:
            self._events.record(
                RecordsLost(
                    topic=self._topic,
                    partition=partition,
                    wanted_offset=begin,
                    oldest_offset=log.begin,
                )
            )
            self._next_offset[partition] = begin = log.begin
        entries, read_on = log.read(begin, max_records)
        if entries:
            self._next_offset[partition] = entries[-1].offset + 1
        if read_on >= log.stable_end > self._next_offset[partition]:
            # Between the last record and the end stand transaction markers alone.
            self._next_offset[partition] = self._ends[partition] = log.stable_end
        self._heard_of.add(partition)
        return [(partition, entry) for entry in entries]
