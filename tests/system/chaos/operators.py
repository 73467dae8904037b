"""What people do to topics, groups and names while daemons run, or after they have stopped them."""

import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

import yaml
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, not re-exported
    AdminClient,
    NewPartitions,
)

from tests.limits import Limit
from tests.system.broker import RealKafka
from tests.system.chaos.ends import times_told
from tests.system.chaos.fleet import Fleet
from tests.system.chaos.schedule import SESSION_TIMEOUT_S, TRANSACTION_TIMEOUT_S, Fault, Kind
from tests.system.harness import Topics
from tests.system.scene import await_true

_WITHIN_S = 90.0
_ASKED_AGAIN_AFTER_S = 10.0
"""An admin client whose broker was killed may wait for an answer that never comes."""
_LOOK_S = 0.2
_TOLD_WITHIN_S = 90.0  # a client asks every minute how many partitions there are
_BROKER_LOOKS_EVERY_S = 1.0  # for transactions that have timed out; twice as often
_BEYOND = 1000
_SOME = 10
_LARGE = {"max.message.bytes": str(15 * 1024 * 1024)}

_TELLS: Mapping[Kind, Mapping[str, object]] = {
    Kind.PARTITIONS_ADDED: {"event": "state_restored"},
    Kind.OFFSETS_DELETED: {"event": "offset_mismatched", "reason": "missing"},
    Kind.OFFSETS_BEYOND_END: {"event": "offset_mismatched", "reason": "beyond_end"},
    Kind.OFFSETS_SET_BACK: {"event": "offset_mismatched", "reason": "set_back"},
    Kind.CHANGELOG_DELETED: {"event": "state_restored", "state": "history"},
    Kind.INPUT_RECREATED: {"event": "offset_mismatched", "reason": "recreated"},
}
"""The log line that tells of what was done."""

_OF_EACH_PARTITION = {Kind.OFFSETS_BEYOND_END, Kind.CHANGELOG_DELETED}
"""What comes before it is told would be skipped; what is open stays so until then."""

NAME = "renamed-"
"""What the names begin with that a detector is given."""


class Operator:
    """Does one thing after the other.

    Args:
        fleet: The daemons.
        broker: Of the topics.
        topics: Of the group.
        configs: Of all daemons; settings are changed there.
    """

    def __init__(
        self, fleet: Fleet, broker: RealKafka, topics: Topics, configs: Collection[Path]
    ) -> None:
        self._fleet = fleet
        self._broker = broker
        self._topics = topics
        self._configs = configs
        self._admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        self._n_done = 0
        self.changelog = f"{topics.group}-changelog"
        """The topic in use."""

    def set_start(self) -> None:
        """Let later starts without an offset begin at the end, once each partition has one.

        That must lose nothing, and would where it were obeyed.
        """
        self._await_offsets()
        self._configure("kafka", "start", "latest")

    def play(self, fault: Fault) -> None:
        """Do what a fault says, with an odd target the harder way, and wait until a log tells."""
        self._n_done += 1
        told = dict(_TELLS.get(fault.kind, {}))
        if fault.kind is Kind.PARTITIONS_ADDED:
            told["partition"] = len(self._committed())  # the new one's number
        wanted = times_told(self._fleet.logs, told)
        wanted += len(self._committed()) if fault.kind in _OF_EACH_PARTITION else 1
        self._do(fault)
        if told:
            await_true(
                lambda: times_told(self._fleet.logs, told) >= wanted, f"{told}", _TOLD_WITHIN_S
            )

    def _do(self, fault: Fault) -> None:
        is_hard = bool(fault.target % 2)
        number = SIGKILL if is_hard else SIGTERM
        match fault.kind:
            case Kind.PARTITIONS_ADDED:
                if is_hard:
                    self._add_partition()
                else:
                    self._stopped(self._add_partition, SIGTERM)
            case Kind.OFFSETS_DELETED:
                self._stopped(self._delete_group, number)
            case Kind.OFFSETS_BEYOND_END:
                self._stopped(lambda: self._set_offsets(lambda n: n + _BEYOND), number)
            case Kind.OFFSETS_SET_BACK:
                self._await_offsets()
                share = 1 - fault.strength
                self._stopped(lambda: self._set_offsets(lambda n: round(n * share)), number)
            case Kind.RENAMED:
                self._rename(number)
            case Kind.CHANGELOG_DELETED:
                self._stopped(lambda: self._lose_changelog(is_made=is_hard), SIGTERM)
            case Kind.INPUT_RECREATED:
                if is_hard:
                    self._recreate_input()
                else:
                    self._stopped(self._recreate_input, SIGTERM)

    def _stopped(self, do: Callable[[], None], number: Signals) -> None:
        """Do something while no daemon runs, and the group knows that."""
        wanted = self._fleet.wanted
        for name in wanted:
            self._fleet.end(name, number)
        time.sleep(max(SESSION_TIMEOUT_S, TRANSACTION_TIMEOUT_S) + _BROKER_LOOKS_EVERY_S)
        do()
        for name in wanted:
            self._fleet.release(name)

    def _add_partition(self) -> None:
        topic = self._topics.input
        new = NewPartitions(topic, len(self._committed()) + 1)
        self._admin.create_partitions([new])[topic].result(_WITHIN_S)

    def _delete_group(self) -> None:
        group = self._topics.group
        self._once_empty(
            lambda: self._admin.delete_consumer_groups(
                [group], request_timeout=_ASKED_AGAIN_AFTER_S
            )[group].result(_WITHIN_S)
        )

    def _set_offsets(self, change: Callable[[int], int]) -> None:
        """Set the group's offsets, as the brokers' own tool does: without their notes."""
        wanted = [
            TopicPartition(self._topics.input, partition, change(offset))
            for partition, offset in self._committed().items()
            if offset >= 0
        ]
        asked = [ConsumerGroupTopicPartitions(self._topics.group, wanted)]

        def alter() -> None:
            done = self._admin.alter_consumer_group_offsets(
                asked, request_timeout=_ASKED_AGAIN_AFTER_S
            )[self._topics.group]
            for one in done.result(_WITHIN_S).topic_partitions:
                if one.error is not None:
                    raise KafkaException(one.error)

        self._once_empty(alter)

    def _rename(self, number: Signals) -> None:
        self._configure("detector", "name", f"{NAME}{self._n_done}")
        for name in self._fleet.wanted:
            self._fleet.end(name, number)
            self._fleet.release(name)

    def _lose_changelog(self, *, is_made: bool) -> None:
        self._delete_topic(self.changelog)
        self.changelog = f"{self._topics.group}-{self._n_done}-changelog"
        if is_made:
            compacted = {"cleanup.policy": "compact"}
            self._broker.create_topic(self.changelog, len(self._committed()), compacted)
        self._configure("state", "topic", self.changelog)

    def _recreate_input(self) -> None:
        n_partitions = len(self._committed())
        self._delete_topic(self._topics.input)
        self._broker.create_topic(self._topics.input, n_partitions, _LARGE)

    def _delete_topic(self, topic: str) -> None:
        self._admin.delete_topics([topic])[topic].result(_WITHIN_S)
        await_true(lambda: topic not in self._admin.list_topics(timeout=10).topics, "it is gone")

    def _configure(self, section: str, name: str, value: str) -> None:
        """Change a setting of all daemons, for their next start."""
        for path in self._configs:
            content = yaml.safe_load(path.read_text())
            content.setdefault(section, {})[name] = value
            path.write_text(yaml.safe_dump(content))

    def _await_offsets(self) -> None:
        """Wait until each partition has one that can be set back."""
        await_true(lambda: min(self._committed().values()) > _SOME, "committed", _WITHIN_S)

    def _committed(self) -> dict[int, int]:
        """Return the group's offset of each partition of the input."""
        return self._broker.committed(self._topics.group, self._topics.input)

    def _once_empty(self, do: Callable[[], object]) -> None:
        """Do what brokers do to an empty group alone."""
        limit = Limit(_WITHIN_S)
        while True:
            try:
                do()
            except KafkaException:
                if limit.is_over:
                    raise
                time.sleep(_LOOK_S)
            else:
                return
