"""`ports.OutputProducer` on the log in memory."""

from collections.abc import Mapping, Sequence
from itertools import count

from stream_vae.core.records import OutputRecord
from stream_vae.errors import KafkaUnavailableError
from stream_vae.wire.offset_notes import encode_note
from tests.memory_kafka.broker import MemoryKafka
from tests.memory_kafka.faults import CommitFault, Faults

_HUNG = (CommitFault.UNKNOWN_BEFORE, CommitFault.UNKNOWN_AFTER)
_notes = count()


class MemoryProducer:
    """Publishes in transactions; each of their steps is a place to crash.

    Args:
        kafka: The brokers.
        group: Whose offsets it commits.
        identity: The transactional id; a later producer of the same one fences this one.
        faults: What goes wrong.
        began_with: Partitions of the input when the group began.
    """

    def __init__(
        self,
        kafka: MemoryKafka,
        group: str,
        identity: str,
        faults: Faults,
        began_with: int = 0,
    ) -> None:
        self._kafka = kafka
        self._group = group
        self._identity = identity
        self._faults = faults
        self._began_with = began_with
        self._epoch = kafka.register(identity)
        self.reachable = True

    def commit(
        self,
        records: Sequence[OutputRecord],
        topic: str,
        offsets: Mapping[int, int],
        membership: object,
        *,
        given_up: Mapping[int, Sequence[int]] | None = None,
    ) -> bool:
        fault = self._faults.commits.popleft() if self._faults.commits else None
        name = f"{next(_notes)}"
        noted = {
            p: (offset, encode_note(name, None, self._began_with, (given_up or {}).get(p, ())))
            for p, offset in offsets.items()
        }
        if not self._attempt(records, topic, noted, membership, fault):
            return False
        if fault in {CommitFault.BEFORE, CommitFault.AFTER}:
            raise KafkaUnavailableError("committing: no broker answers")
        if fault in _HUNG:
            self._epoch = self._kafka.register(self._identity)
            committed = self._kafka.group(self._group, topic).committed
            if {p: committed.get(p) for p in noted} != noted:
                return self._attempt(records, topic, noted, membership, None)
        return True

    def close(self) -> None:
        """An open transaction is left to the brokers."""

    def _attempt(
        self,
        records: Sequence[OutputRecord],
        topic: str,
        noted: Mapping[int, tuple[int, str]],
        membership: object,
        fault: CommitFault | None,
    ) -> bool:
        kafka, who = self._kafka, (self._identity, self._epoch)
        self._faults.step("producer.begin")
        kafka.begin(*who)
        for record in records:
            self._faults.step("producer.publish")
            self._publish(record)
        self._faults.step("producer.add_offsets")
        if not kafka.add_offsets(*who, kafka.group(self._group, topic), noted, membership):
            kafka.end(*who, commit=False)
            return False
        self._faults.step("producer.commit")
        if fault is CommitFault.BEFORE:
            kafka.end(*who, commit=False)
        elif fault is not CommitFault.UNKNOWN_BEFORE:
            kafka.end(*who, commit=True)
            self._faults.step("producer.committed")
        return True

    def _publish(self, record: OutputRecord) -> None:
        self._kafka.publish(self._identity, self._epoch, record)


class PublishingOutside(MemoryProducer):
    """The control: outputs stand in the topic whatever becomes of the transaction."""

    def _publish(self, record: OutputRecord) -> None:
        kafka, identity = self._kafka, f"{self._identity}-outside"
        epoch = kafka.register(identity)
        kafka.begin(identity, epoch)
        kafka.publish(identity, epoch, record)
        kafka.end(identity, epoch, commit=True)
