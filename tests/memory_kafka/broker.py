"""A well-behaved Kafka in memory: topics, transactions and groups, without threads or sockets."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count

from stream_vae.core.records import OutputRecord
from stream_vae.errors import FencedError
from tests.memory_kafka.clock import ManualClock
from tests.memory_kafka.group import Group
from tests.memory_kafka.partition_log import Entry, LogTransaction, PartitionLog

_ids = count()


@dataclass(slots=True)
class OpenTransaction:
    """What an open transaction has touched."""

    began_at: float
    log_transaction: LogTransaction = field(default_factory=LogTransaction)
    logs: list[PartitionLog] = field(default_factory=list)
    offsets: dict[int, tuple[int, str]] = field(default_factory=dict)
    group: Group | None = None


@dataclass(slots=True)
class _Identity:
    epoch: int = 0
    open: OpenTransaction | None = None


class MemoryKafka:
    """The brokers, as far as stream-vae can see them.

    Args:
        clock: Of the brokers, and of everybody here.
        transaction_timeout_s: After which an open transaction is aborted.
        session_timeout_s: After which a dead member's partitions go to others.
    """

    def __init__(
        self,
        clock: ManualClock,
        *,
        transaction_timeout_s: float = 30.0,
        session_timeout_s: float = 45.0,
    ) -> None:
        self.clock = clock
        self._transaction_timeout_s = transaction_timeout_s
        self._session_timeout_s = session_timeout_s
        self._topics: dict[str, list[PartitionLog]] = {}
        self._groups: dict[str, Group] = {}
        self._identities: dict[str, _Identity] = {}
        self._ids: dict[str, str] = {}

    def create_topic(
        self, name: str, partitions: int = 1, logs: list[PartitionLog] | None = None
    ) -> None:
        """Make a topic anew, of empty partitions or of these."""
        self._topics[name] = logs or [PartitionLog() for _ in range(partitions)]
        self._ids[name] = f"{name}-{next(_ids)}"

    def topic_id(self, name: str) -> str:
        return self._ids[name]

    def add_partitions(self, name: str, n_partitions: int) -> None:
        """Give a topic this many partitions; its groups hear of it by `Group.extend`."""
        logs = self._topics[name]
        logs += [PartitionLog() for _ in range(n_partitions - len(logs))]

    def logs(self, topic: str) -> list[PartitionLog]:
        """Return the partitions of a topic; what has timed out meanwhile is ended first."""
        self._end_overdue()
        return self._topics[topic]

    def group(self, name: str, topic: str) -> Group:
        self._end_overdue()
        return self._groups.setdefault(name, Group(len(self._topics[topic])))

    def committed(self, group: str) -> dict[int, int]:
        """Return partition -> the group's committed offset, where there is one."""
        return {p: offset for p, (offset, _) in sorted(self._groups[group].committed.items())}

    def produce(self, topic: str, value: bytes | None, *, key: bytes | None, partition: int) -> int:
        """Append a record outside of any transaction; return its offset."""
        return self.logs(topic)[partition].append(self.clock.time_ns(), key, value)

    def read_all(self, topic: str) -> list[tuple[int, Entry]]:
        """Return the partition and entry of every committed record."""
        logs = self.logs(topic)
        return [(p, e) for p, log in enumerate(logs) for e in log.read(log.begin, 2**62)[0]]

    # Transactions, see KIP-98 and KIP-447

    def register(self, identity: str) -> int:
        """Fence whoever has this transactional id, abort what it left open; return a new epoch."""
        known = self._identities.setdefault(identity, _Identity())
        self._end(known, commit=False)
        known.epoch += 1
        return known.epoch

    def begin(self, identity: str, epoch: int) -> OpenTransaction:
        known = self._known(identity, epoch)
        known.open = OpenTransaction(began_at=self.clock.monotonic())
        return known.open

    def publish(self, identity: str, epoch: int, record: OutputRecord) -> None:
        """Append a record within the open transaction."""
        logs = self._topics[record.topic]
        number = record.to_partition
        if number is None:
            number = zlib.crc32(record.key or b"") % len(logs)
        self.publish_to(identity, epoch, logs[number], record.key, record.value, record.headers)

    def publish_to(
        self,
        identity: str,
        epoch: int,
        log: PartitionLog,
        key: bytes | None,
        value: bytes | None,
        headers: object = (),
    ) -> None:
        open_ = self._open(identity, epoch)
        assert isinstance(headers, (list, tuple))
        log.append(self.clock.time_ns(), key, value, headers, open_.log_transaction)
        if log not in open_.logs:
            open_.logs.append(log)

    def add_offsets(
        self,
        identity: str,
        epoch: int,
        group: Group,
        offsets: Mapping[int, tuple[int, str]],
        membership: object,
    ) -> bool:
        """Let the open transaction carry offsets; False if the membership has passed."""
        open_ = self._open(identity, epoch)
        if not group.accepts(membership):
            return False
        open_.group = group
        for partition, offset in offsets.items():
            open_.offsets[partition] = offset
            group.pending[partition] = group.pending.get(partition, 0) + 1
        return True

    def end(self, identity: str, epoch: int, *, commit: bool) -> None:
        """Commit or abort the open transaction."""
        self._open(identity, epoch)
        self._end(self._known(identity, epoch), commit=commit)

    def _known(self, identity: str, epoch: int) -> _Identity:
        self._end_overdue()
        known = self._identities[identity]
        if known.epoch != epoch:
            raise FencedError(f"another producer has the transactional id {identity!r}")
        return known

    def _open(self, identity: str, epoch: int) -> OpenTransaction:
        open_ = self._known(identity, epoch).open
        assert open_ is not None
        return open_

    def _end(self, known: _Identity, *, commit: bool) -> None:
        open_, known.open = known.open, None
        if open_ is None:
            return
        open_.log_transaction.state = "committed" if commit else "aborted"
        for log in open_.logs:
            log.end_transaction(open_.log_transaction, self.clock.time_ns())
        if open_.group is not None:
            for partition, offset in open_.offsets.items():
                open_.group.pending[partition] -= 1
                if commit:
                    open_.group.committed[partition] = offset

    def _end_overdue(self) -> None:
        now = self.clock.monotonic()
        for known in self._identities.values():
            if known.open is not None and now > known.open.began_at + self._transaction_timeout_s:
                known.epoch += 1
                self._end(known, commit=False)
        for group in self._groups.values():
            group.expire_silent(now, self._session_timeout_s)
