"""Transactions beside the loop: what they carry in which order, and what of refused ones."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from stream_vae.core.records import OutputRecord
from stream_vae.daemon.clock import SystemClock
from stream_vae.delivery import committer
from stream_vae.delivery.committer import CommitConfig, Committer
from stream_vae.delivery.outbox import Outbox
from stream_vae.errors import FencedError, KafkaRefusedError
from stream_vae.events import TransactionCommitted
from stream_vae.state.partitions import PartitionTable
from tests.recorded_events import RecordedEvents


class Producer:
    """Commits when the gate is open, with the outcomes it is given, then always."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.reachable = True
        self.outcomes: list[bool | Exception] = []
        self.committed: list[tuple[list[bytes | None], dict[int, int], object]] = []

    def commit(
        self,
        records: Sequence[OutputRecord],
        topic: str,
        offsets: Mapping[int, int],
        membership: object,
        *,
        given_up: Mapping[int, Sequence[int]] | None = None,
    ) -> bool:
        assert topic == "stream-vae.readings"
        assert self.gate.wait(5)
        outcome = self.outcomes.pop(0) if self.outcomes else True
        if isinstance(outcome, Exception):
            raise outcome
        if outcome:
            self.committed.append(([r.value for r in records], dict(offsets), membership))
        return outcome

    def close(self) -> None: ...


class Member:
    """A member of the group, of the epoch it is given."""

    epoch: int | None = 1

    def membership(self) -> object:
        if self.epoch is None:
            raise FencedError("no member")
        return self.epoch

    def lag(self) -> dict[int, int]:
        return {}


class Stage:
    """A delivery whose transactions are always due."""

    def __init__(self) -> None:
        self.producer, self.member, self.events = Producer(), Member(), RecordedEvents()
        self.partitions = PartitionTable()
        self.partitions.assign((0, 1), 0.0)
        topics = {"alerts": "alerts", "dead_letters": "out", "late": "late"}
        self.committer = Committer(
            CommitConfig(topic="stream-vae.readings", interval_s=1e-9),
            consumer=cast(Any, self.member),
            producer=self.producer,
            outbox=Outbox("test", topics),
            partitions=self.partitions,
            changelog=None,
            events=self.events,
            clock=SystemClock(),
        )

    def settle(self, partition: int, end: int, value: bytes) -> None:
        """Settle input up to `end`, of which `value` comes out."""
        record = OutputRecord(topic="out", key=None, value=value, headers=[], partition=partition)
        self.committer.outbox.waiting.dead_letters.append(record)
        self.committer.ledger.settle(self.committer.ledger.track({partition: end}))


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_the_loop_goes_on_beside_a_transaction_and_the_next_takes_what_came_since(
    stage: Stage,
) -> None:
    stage.producer.gate.clear()
    stage.settle(0, 5, b"a")
    stage.committer.commit_if_due()
    stage.settle(0, 7, b"b")
    stage.settle(1, 3, b"c")
    stage.committer.commit_if_due()
    assert stage.producer.committed == []
    stage.producer.gate.set()
    stage.committer.commit_or_raise()
    assert stage.producer.committed == [([b"a"], {0: 5}, 1), ([b"b", b"c"], {0: 7, 1: 3}, 1)]
    assert [e.dead_letters for e in stage.events.of(TransactionCommitted)] == [1, 2]


def test_a_refused_transaction_goes_along_with_the_next_before_what_came_since(
    stage: Stage,
) -> None:
    stage.producer.gate.clear()
    stage.producer.outcomes = [False]
    stage.settle(0, 5, b"a")
    stage.committer.commit_if_due()
    stage.settle(0, 7, b"b")
    stage.member.epoch = 2
    stage.producer.gate.set()
    stage.committer.commit_or_raise()
    assert stage.producer.committed == [([b"a", b"b"], {0: 7}, 2)]


@pytest.mark.parametrize("stands", [True, False])
def test_a_transaction_is_over_before_its_partitions_are_dropped(
    stage: Stage, stands: bool
) -> None:
    """If it was refused, what it carried of them is dropped with them."""
    stage.producer.gate.clear()
    stage.producer.outcomes = [stands]
    stage.settle(0, 5, b"a")
    stage.settle(1, 5, b"b")
    stage.committer.commit_if_due()
    threading.Timer(0.1, stage.producer.gate.set).start()
    stage.committer.drop({0})
    assert stage.producer.gate.is_set()
    stage.committer.commit_or_raise()
    whole, rest = ([b"a", b"b"], {0: 5, 1: 5}, 1), ([b"b"], {1: 5}, 1)
    assert stage.producer.committed == [whole if stands else rest]


def test_what_a_commit_raises_is_raised_in_the_loop(stage: Stage) -> None:
    stage.producer.outcomes = [KafkaRefusedError("no right")]
    stage.settle(0, 5, b"a")
    stage.committer.commit_if_due()
    with pytest.raises(KafkaRefusedError, match="no right"):
        stage.committer.commit_or_raise()
    assert stage.producer.committed == []


def test_a_transaction_that_takes_long_holds_the_loop(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise all that comes while brokers are away would wait in memory."""
    monkeypatch.setattr(committer, "_WAIT_AFTER_S", 0.0)
    stage.producer.gate.clear()
    stage.settle(0, 5, b"a")
    stage.committer.commit_if_due()
    threading.Timer(0.1, stage.producer.gate.set).start()
    stage.committer.commit_if_due()
    assert stage.producer.committed == [([b"a"], {0: 5}, 1)]


def test_who_is_no_member_any_more_commits_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committer, "_COMMIT_PAUSE_S", 0.0)
    stage.settle(0, 5, b"a")
    stage.member.epoch = None
    stage.committer.commit_if_due()
    with pytest.raises(FencedError, match="refuses"):
        stage.committer.commit_or_raise()
    assert stage.producer.committed == []
    stage.member.epoch = 3
    stage.committer.commit_or_raise()
    assert stage.producer.committed == [([b"a"], {0: 5}, 3)], "control"
