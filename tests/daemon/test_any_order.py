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
from stream_vae.events import OffsetMismatched
from tests.memory_kafka.faults import CommitFault
from tests.memory_kafka.instance import Instance
from tests.memory_kafka.producer import MemoryProducer, PublishingOutside
from tests.memory_kafka.scene import CHANGELOG, Scene, reading

PARTITIONS = 3
MOST_RUNNING = 3

which = st.integers(0, MOST_RUNNING - 1)
names = st.sampled_from("abc")
turns = st.integers(0, 6)
stretches = st.lists(
    st.sampled_from(["quiet", "wild", "wild", "poison", "late", "aborted", "committed"]),
    min_size=PARTITIONS,
    max_size=PARTITIONS,
)
"""What each partition is fed next."""


class Orders(RuleBasedStateMachine):
    """Up to three instances over three partitions.

    In every step there is input, then something happens, then all running instances go on.
    """

    producer: ClassVar[type[MemoryProducer]] = MemoryProducer

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene(
            PARTITIONS,
            kafka={"poll_records": 8, "commit_interval_s": 0.05},
            state={"snapshot_interval_s": 0.3},
        )
        self.scene.parts = replace(self.scene.parts, producer=self.producer)
        self.steps: dict[str, int] = {}

    @initialize()
    def warm_up(self) -> None:
        for partition in range(PARTITIONS):
            for key in _keys(partition):
                self._feed(partition, key, 12, 0.0)
        self.scene.start("a")

    # Input

    @rule(fed=stretches, n=turns)
    def go_on(self, fed: list[str], n: int) -> None:
        for partition, stretch in enumerate(fed):
            self._feed_stretch(partition, stretch)
        self._turn(n)

    @precondition(lambda self: self.running)
    @rule(which=which, fed=stretches, n=st.integers(1, 10))
    def turn_one(self, which: int, fed: list[str], n: int) -> None:
        """While the others stand still."""
        self.go_on(fed, 0)
        self._one(which).turn(n)

    # Instances

    @rule(name=names, n=turns)
    def start(self, name: str, n: int) -> None:
        """One of the same name is fenced."""
        if len(self.running) < MOST_RUNNING:
            self.scene.start(name)
        self._turn(n)

    @precondition(lambda self: self.running)
    @rule(which=which, is_killed=st.booleans(), n=turns)
    def end(self, which: int, is_killed: bool, n: int) -> None:
        one = self._one(which)
        if is_killed:
            one.kill()
        else:
            one.stop()
        self._turn(n)

    @precondition(lambda self: self.running)
    @rule(which=which, fed=stretches, steps=st.integers(0, 80), restart=st.booleans())
    def crash(self, which: int, fed: list[str], steps: int, restart: bool) -> None:
        """Between any two calls of its ports."""
        one = self._one(which)
        self.go_on(fed, 0)
        one.faults.crash_in = steps
        self._turn_until_ended(one, 30)
        if restart:
            self.scene.start(one.name)

    @precondition(lambda self: self.running)
    @rule(
        which=which,
        fed=stretches,
        step=st.sampled_from(["publish", "add_offsets", "commit", "committed"]),
        restart=st.booleans(),
    )
    def crash_within_transaction(
        self, which: int, fed: list[str], step: str, restart: bool
    ) -> None:
        one = self._one(which)
        self.go_on(fed, 0)
        one.faults.crash_at = f"producer.{step}"
        self._turn_until_ended(one, 30)
        if restart:
            self.scene.start(one.name)

    @precondition(lambda self: self.running)
    @rule(which=which, fed=stretches, fault=st.sampled_from(CommitFault))
    def fail_commit(self, which: int, fed: list[str], fault: CommitFault) -> None:
        one = self._one(which)
        self.go_on(fed, 1)
        one.faults.commits.append(fault)
        self._turn_until_ended(one, 8)

    @precondition(lambda self: self.running)
    @rule(which=which, requests=st.integers(0, 2), jobs=st.integers(0, 3), looks=st.integers(0, 8))
    def be_slow(self, which: int, requests: int, jobs: int, looks: int) -> None:
        """No broker answers so many requests; jobs and transactions stay under way for a while."""
        one = self._one(which)
        one.faults.unavailable = requests
        one.scoring.held, one.faults.transaction_turns = jobs, looks

    # Group

    @precondition(lambda self: self.running)
    @rule(owners=st.lists(which, min_size=PARTITIONS, max_size=PARTITIONS), n=turns)
    def assign(self, owners: list[int], n: int) -> None:
        targets: dict[str, set[int]] = {}
        for partition, owner in enumerate(owners):
            targets.setdefault(self._one(owner).name, set()).add(partition)
        self.scene.group.assign(targets)
        self._turn(n)

    @precondition(lambda self: self.scene.group.members)
    @rule(which=which, fed=stretches, is_lost=st.booleans(), jobs=st.integers(0, 2), n=turns)
    def pass_membership(self, which: int, fed: list[str], is_lost: bool, jobs: int, n: int) -> None:
        """A member's session or epoch ends while its work is under way; others go on."""
        members = sorted(self.scene.group.members)
        name = members[which % len(members)]
        concerned = [one for one in self.running if one.name == name]
        self.go_on(fed, 2)
        for one in concerned:
            one.faults.transaction_turns, one.scoring.held = 8, jobs
            self.scene.kafka.clock.sleep(0.05)
            one.turn(3)
        if name in self.scene.group.members:
            if is_lost:
                self.scene.group.expire(name)
            else:
                self.scene.group.bump(name)
        for _ in range(n):
            for one in self.running:
                if one not in concerned:
                    one.turn()
        self._turn(1)
        for one in concerned:
            one.faults.transaction_turns = one.scoring.held = 0

    @precondition(lambda self: self.running)
    @rule(name=names, fed=stretches, is_killed=st.booleans())
    def lose_offsets(self, name: str, fed: list[str], is_killed: bool) -> None:
        """They are deleted, or expire, which takes a group without members."""
        self.go_on(fed, 2)
        for one in self.running:
            if is_killed:
                one.kill()
            else:
                one.stop()
        self.scene.kafka.clock.sleep(60.0)
        assert not self.scene.group.members
        self.scene.group.committed.clear()
        self.scene.start(name)

    # Time

    @rule(seconds=st.sampled_from([0.05, 0.5, 31.0, 46.0]), ahead_s=st.sampled_from([0, 60, -60]))
    def wait(self, seconds: float, ahead_s: float) -> None:
        self.scene.kafka.clock.sleep(seconds)
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
            one.faults.crash_in = one.faults.crash_at = None
            one.faults.commits.clear()
        scene.kafka.clock.sleep(60.0)
        self._end_fenced()
        if not self.running:
            scene.start("last")
        scene.assert_undisturbed(*self.running)
        for one in scene.instances:
            assert {told.reason for told in one.events.of(OffsetMismatched)} <= {"missing"}
            assert isinstance(one.failure, FencedError | KafkaUnavailableError | None)

    def _end_fenced(self) -> None:
        """Let those end that do not know yet that others have their names: a commit tells."""
        while len({one.name for one in self.running}) < len(self.running):
            self._turn(1)

    @property
    def running(self) -> list[Instance]:
        return [one for one in self.scene.instances if one.is_running]

    def _one(self, which: int) -> Instance:
        return self.running[which % len(self.running)]

    def _turn(self, times: int) -> None:
        for _ in range(times):
            self.scene.kafka.clock.sleep(0.01)  # a turn takes time
            for one in self.running:
                one.turn()

    def _turn_until_ended(self, one: Instance, most: int) -> None:
        for _ in range(most):
            if one.is_running:
                self._turn(1)

    def _feed_stretch(self, partition: int, stretch: str) -> None:
        """Feed both series of a partition, one more than the other."""
        first, second = _keys(partition)
        if stretch == "wild":
            self._feed(partition, first, 3, 20.0)
            self._feed(partition, second, 2, 0.0)
            self._feed(partition, first, 3, 0.0)
        elif stretch == "aborted":
            self.scene.feed_aborted(first, [reading(500, 50.0)] * 3, partition)
        elif stretch == "committed":
            self.scene.feed_committed(second, [self._next(second, 0.0)], partition)
        elif stretch == "quiet":
            self._feed(partition, first, 9, 0.0)
            self._feed(partition, second, 9, 0.0)
        else:
            late = reading(self.steps[first] - 3)
            self.scene.feed(first, [late if stretch == "late" else b"poison"], partition)

    def _feed(self, partition: int, key: str, n: int, value: float) -> None:
        self.scene.feed(key, [self._next(key, value) for _ in range(n)], partition)

    def _next(self, key: str, value: float) -> bytes:
        self.steps[key] = step = self.steps.get(key, -1) + 1
        return reading(step, value)


def _keys(partition: int) -> tuple[str, str]:
    return f"p{partition}s0", f"p{partition}s1"


class PublishesOutside(Orders):
    """The control."""

    producer = PublishingOutside


def play(machine: type[Orders], **changes: Any) -> None:
    usual = settings(
        max_examples=max(8, settings().max_examples * 2 // 5),  # each is a hundred turns
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=settings(usual, **changes))


@pytest.mark.timeout(3600)  # of the thorough profile
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
