"""Whatever happens to instances in whatever order, they leave behind what an undisturbed one does.

How many orders are tried is the hypothesis profile's matter.
"""

from dataclasses import replace
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from stream_vae.errors import FencedError, KafkaUnavailableError
from tests.memory_kafka.faults import CommitFault
from tests.memory_kafka.instance import Instance
from tests.memory_kafka.producer import MemoryProducer, PublishingOutside
from tests.memory_kafka.scene import CHANGELOG, Scene, reading

PARTITIONS, SERIES = 3, 2
MOST_RUNNING = 3

partitions = st.integers(0, PARTITIONS - 1)
series = st.integers(0, SERIES - 1)
which = st.integers(0, MOST_RUNNING - 1)
names = st.sampled_from("abcd")


class Orders(RuleBasedStateMachine):
    """Up to three instances over three partitions."""

    producer: ClassVar[type[MemoryProducer]] = MemoryProducer

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene(PARTITIONS)
        self.scene.parts = replace(self.scene.parts, producer=self.producer)
        self.steps: dict[str, int] = {}

    # Input

    @initialize()
    def warm_up(self) -> None:
        for partition in range(PARTITIONS):
            for i in range(SERIES):
                self._feed(partition, i, 16, 0.0)
        self.scene.start("a")

    @rule(partition=partitions, i=series, n=st.integers(1, 8))
    def feed_normal(self, partition: int, i: int, n: int) -> None:
        self._feed(partition, i, n, 0.0)

    @rule(partition=partitions, i=series, n=st.integers(1, 6), after=st.integers(0, 12))
    def feed_anomaly(self, partition: int, i: int, n: int, after: int) -> None:
        self._feed(partition, i, n, 20.0)
        self._feed(partition, i, after, 0.0)

    @rule(partition=partitions, i=series, step=st.integers(0, 20), is_late=st.booleans())
    def feed_odd(self, partition: int, i: int, step: int, is_late: bool) -> None:
        value = reading(step) if is_late else b"poison %d" % step
        self.scene.feed(_key(partition, i), [value], partition)

    @rule(partition=partitions, i=series, is_committed=st.booleans())
    def feed_in_transaction(self, partition: int, i: int, is_committed: bool) -> None:
        """An aborted anomaly must never be seen."""
        key = _key(partition, i)
        if is_committed:
            self.scene.feed_committed(key, [self._next(key, 0.0)], partition)
        else:
            self.scene.feed_aborted(key, [reading(500, 50.0)] * 3, partition)

    # Instances

    @property
    def running(self) -> list[Instance]:
        return [one for one in self.scene.instances if one.is_running]

    def _one(self, which: int) -> Instance:
        return self.running[which % len(self.running)]

    @rule(name=names)
    def start(self, name: str) -> None:
        """One of the same name is fenced."""
        if len(self.running) < MOST_RUNNING:
            self.scene.start(name)

    @precondition(lambda self: self.running)
    @rule(which=which, n=st.integers(1, 12))
    def turn(self, which: int, n: int) -> None:
        self._one(which).turn(n)

    @precondition(lambda self: self.running)
    @rule(n=st.integers(1, 12))
    def turn_all(self, n: int) -> None:
        for _ in range(n):
            for one in self.running:
                one.turn()

    @precondition(lambda self: self.running)
    @rule(which=which)
    def stop(self, which: int) -> None:
        self._one(which).stop()

    @precondition(lambda self: self.running)
    @rule(which=which)
    def kill(self, which: int) -> None:
        self._one(which).kill()

    @precondition(lambda self: self.running)
    @rule(which=which, steps=st.integers(0, 60), restart=st.booleans())
    def crash(self, which: int, steps: int, restart: bool) -> None:
        """Between any two calls of its ports."""
        one = self._one(which)
        one.faults.crash_in = steps
        one.turn(10)
        if restart and not one.is_running:
            self.scene.start(one.name)

    @precondition(lambda self: self.running)
    @rule(which=which, fault=st.sampled_from(CommitFault), n=st.integers(0, 8))
    def fail_commit(self, which: int, fault: CommitFault, n: int) -> None:
        self._one(which).faults.commits.append(fault)
        self._one(which).turn(n)

    @precondition(lambda self: self.running)
    @rule(which=which, n=st.integers(1, 5))
    def be_away(self, which: int, n: int) -> None:
        self._one(which).faults.unavailable = n

    @precondition(lambda self: self.running)
    @rule(which=which, jobs=st.integers(0, 3), turns=st.integers(0, 4))
    def be_slow(self, which: int, jobs: int, turns: int) -> None:
        one = self._one(which)
        one.scoring.held, one.faults.transaction_turns = jobs, turns

    # Group

    @precondition(lambda self: self.running)
    @rule(owners=st.lists(which, min_size=PARTITIONS, max_size=PARTITIONS))
    def assign(self, owners: list[int]) -> None:
        targets: dict[str, set[int]] = {}
        for partition, owner in enumerate(owners):
            targets.setdefault(self._one(owner).name, set()).add(partition)
        self.scene.group.assign(targets)

    @precondition(lambda self: self.scene.group.members)
    @rule(which=which)
    def lose(self, which: int) -> None:
        """A member's session ends, whether it lives or not."""
        members = sorted(self.scene.group.members)
        self.scene.group.expire(members[which % len(members)])

    @precondition(lambda self: self.scene.group.members)
    @rule(which=which)
    def begin_epoch(self, which: int) -> None:
        members = sorted(self.scene.group.members)
        self.scene.group.bump(members[which % len(members)])

    @rule(seconds=st.sampled_from([0.02, 0.5, 2.0, 31.0, 46.0]))
    def wait(self, seconds: float) -> None:
        self.scene.kafka.clock.sleep(seconds)

    @rule(ahead_s=st.sampled_from([-60.0, 0.0, 60.0]))
    def set_wall_clock(self, ahead_s: float) -> None:
        self.scene.kafka.clock.set_wall_clock(ahead_s)

    @rule()
    def compact(self) -> None:
        for log in self.scene.kafka.logs(CHANGELOG):
            log.compact()

    # The law

    def teardown(self) -> None:
        if not self.steps:
            return
        scene = self.scene
        for one in scene.instances:
            one.scoring.held = one.faults.transaction_turns = one.faults.unavailable = 0
            one.faults.crash_in = None
            one.faults.commits.clear()
        scene.kafka.clock.sleep(60.0)
        self._end_fenced()
        if not self.running:
            scene.start("last")
        scene.assert_undisturbed(*self.running)
        for one in scene.instances:
            assert isinstance(one.failure, FencedError | KafkaUnavailableError | None)

    def _end_fenced(self) -> None:
        """Let those end that do not know yet that others have their names: a commit tells."""
        n_running = None
        while n_running != len(self.running):
            n_running = len(self.running)
            for _ in range(60):
                for one in self.running:
                    one.turn()

    def _feed(self, partition: int, i: int, n: int, value: float) -> None:
        key = _key(partition, i)
        self.scene.feed(key, [self._next(key, value) for _ in range(n)], partition)

    def _next(self, key: str, value: float) -> bytes:
        self.steps[key] = step = self.steps.get(key, -1) + 1
        return reading(step, value)


def _key(partition: int, i: int) -> str:
    return f"p{partition}s{i}"


class PublishesOutside(Orders):
    """The control."""

    producer = PublishingOutside


def play(machine: type[Orders], **changes: Any) -> None:
    usual = settings(
        max_examples=max(20, settings().max_examples * 2 // 5),  # each is a hundred turns
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=settings(usual, **changes))


def test_instances_leave_behind_what_an_undisturbed_one_does() -> None:
    play(Orders)


def test_outputs_published_outside_of_the_transaction_are_found_out() -> None:
    with pytest.raises((AssertionError, ExceptionGroup)):
        play(
            PublishesOutside,
            max_examples=500,  # until the first that finds it
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            report_multiple_bugs=False,
        )
