"""Topics, instances and what they leave behind, for one test."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stream_vae.core.records import Headers
from stream_vae.detect.config import DetectConfig, IncidentConfig, SilenceConfig, ThresholdConfig
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.settings import Settings
from stream_vae.settings.model import InputConfig, StateConfig, WorkerConfig
from tests.memory_kafka.broker import MemoryKafka
from tests.memory_kafka.clock import START_S, ManualClock
from tests.memory_kafka.group import Group
from tests.memory_kafka.instance import Instance, Parts
from tests.memory_kafka.partition_log import Entry
from tests.memory_kafka.producer import MemoryProducer
from tests.state.saved_state import SavedState, State

F = 3
INPUT, ALERTS, DEAD_LETTERS, LATE = (
    "stream-vae.readings",
    "stream-vae.alerts",
    "stream-vae.dead-letters",
    "stream-vae.late",
)
CHANGELOG = "stream-vae-changelog"
GROUP = "stream-vae"


def make_settings(**sections: Mapping[str, Any]) -> Settings:
    """Return settings for small tests; `kafka={"start": "latest"}` overrides."""
    usual: dict[str, dict[str, Any]] = {
        "input": {},
        "kafka": {"start": "earliest", "poll_records": 16, "commit_interval_s": 0.5},
        "state": {"snapshot_interval_s": 2.0},
        "worker": {"max_in_flight": 64, "max_batch": 32},
        "detect": {
            "threshold": ThresholdConfig(window=100, refresh_every=4),
            "incident": IncidentConfig(resolve_after=3),
            "silence": SilenceConfig(intervals=0),
        },
    }
    chosen = {name: usual[name] | dict(sections.get(name, {})) for name in usual}
    return Settings(
        input=InputConfig(**chosen["input"]),
        kafka=KafkaConfig(**chosen["kafka"]),
        state=StateConfig(**chosen["state"]),
        worker=WorkerConfig(**chosen["worker"]),
        detect=DetectConfig(**chosen["detect"]),
    )


def reading(step: int, value: float = 0.0) -> bytes:
    """Return a reading at a second, of quiet values that differ or of one value in all features."""
    values = [value + 0.1 * ((7 * step + 3 * i) % 11 - 5) for i in range(F)]
    return json.dumps(
        {"timestamp": START_S + step, **{f"f{i}": v for i, v in enumerate(values)}}
    ).encode()


Aside = tuple[bytes | None, bytes | None, Headers]
"""Key, value and headers of a dead letter or late record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """Everything that must not depend on what happened to the instances."""

    alerts: Mapping[str, list[dict[str, Any]]]
    """Series -> its alert events in the order of the topic."""
    dead_letters: list[Aside]
    late: list[Aside]
    committed: dict[int, int]
    state: State


class Scene:
    """A cluster with the daemon's topics.

    Args:
        partitions: Of the input and its changelog.
        parts: What instances are made of.
        like: A scene whose input and clock this one has; unset, the input is empty.
        sections: Of the settings, where they differ from the usual.
    """

    def __init__(
        self,
        partitions: int = 1,
        parts: Parts | None = None,
        like: "Scene | None" = None,
        **sections: Mapping[str, Any],
    ) -> None:
        clock = ManualClock() if like is None else like.kafka.clock
        self.kafka: MemoryKafka = MemoryKafka(clock)
        self.parts = parts or Parts(settings=make_settings(**sections))
        self.n_partitions = partitions
        self.kafka.create_topic(INPUT, partitions, None if like is None else like.kafka.logs(INPUT))
        self.kafka.create_topic(CHANGELOG, partitions)
        for topic in (ALERTS, DEAD_LETTERS, LATE):
            self.kafka.create_topic(topic, 2)
        self.instances: list[Instance] = []

    @property
    def group(self) -> Group:
        return self.kafka.group(GROUP, INPUT)

    def start(self, name: str = "a", **changes: Any) -> Instance:
        """Start an instance, of other parts if asked to."""
        instance = Instance(self.kafka, replace(self.parts, **changes), name)
        self.instances.append(instance)
        return instance

    def add_partitions(self, n_partitions: int) -> None:
        """Give the input this many partitions, as an operator does while instances run."""
        self.kafka.add_partitions(INPUT, n_partitions)
        self.group.extend(n_partitions)
        self.n_partitions = n_partitions

    def feed(self, key: str, values: Sequence[bytes | None], partition: int = 0) -> None:
        """Append records."""
        for value in values:
            self.kafka.produce(INPUT, value, key=key.encode(), partition=partition)

    def feed_series(
        self,
        key: str,
        steps: range,
        *,
        anomalies: Sequence[int] = (),
        partition: int = 0,
    ) -> None:
        """Append readings of a series, some of them far out."""
        values = [reading(step, 20.0 if step in anomalies else 0.0) for step in steps]
        self.feed(key, values, partition)

    def feed_aborted(self, key: str, values: Sequence[bytes], partition: int = 0) -> None:
        """Append records in a transaction that is aborted."""
        self._feed_in_transaction(key, values, partition, commit=False)

    def feed_committed(self, key: str, values: Sequence[bytes], partition: int = 0) -> None:
        """Append records in a transaction that is committed."""
        self._feed_in_transaction(key, values, partition, commit=True)

    def _feed_in_transaction(
        self, key: str, values: Sequence[bytes], partition: int, *, commit: bool
    ) -> None:
        epoch = self.kafka.register("feed")
        self.kafka.begin("feed", epoch)
        log = self.kafka.logs(INPUT)[partition]
        for value in values:
            self.kafka.publish_to("feed", epoch, log, key.encode(), value)
        self.kafka.end("feed", epoch, commit=commit)

    # What is left behind

    @property
    def ends(self) -> dict[int, int]:
        """Input partition -> its end."""
        return {p: log.stable_end for p, log in enumerate(self.kafka.logs(INPUT)) if log.end}

    @property
    def committed(self) -> dict[int, int]:
        return self.kafka.committed(GROUP)

    def assert_undisturbed(self, *running: Instance) -> None:
        """Settle and stop instances; they leave behind what an undisturbed one does."""
        self.settle(*running)
        for one in running:
            one.stop()
        found, expected = self.leftovers(), self.undisturbed()
        assert found.alerts == expected.alerts
        assert found.dead_letters == expected.dead_letters
        assert found.late == expected.late
        assert found.committed == expected.committed
        assert found.state == expected.state

    def settle(self, *instances: Instance, turns: int = 400) -> None:
        """Turn instances until all input is committed.

        Raises:
            AssertionError: If one ends, or it never is.
        """
        for _ in range(turns):
            for one in instances:
                assert one.is_running, one.failure
                one.turn()
            live: set[int] = set().union(*(one.partitions.live for one in instances))
            if len(live) == self.n_partitions and self._all_committed():
                return
        assert self.committed == self.ends, "not all input was committed"
        assert len(live) == self.n_partitions

    def settle_empty(self, one: Instance) -> None:
        """Turn an instance until all partitions are live, before anything is fed."""
        for _ in range(400):
            one.turn()
            if len(one.partitions.live) == self.n_partitions:
                return
        raise AssertionError("not all partitions are live")

    def _all_committed(self) -> bool:
        committed = self.committed
        return all(committed.get(p) == end for p, end in self.ends.items())

    def alerts(self) -> list[dict[str, Any]]:
        """Return all alert events, but for when and by whom they were raised."""
        events = []
        for _, entry in self.kafka.read_all(ALERTS):
            event = json.loads(entry.value or b"")
            del event["detected_at"], event["detector"]["instance"]
            events.append(event)
        return events

    def told(self) -> list[tuple[str, str, int]]:
        """Return series, status and sequence of all alert events, series by series."""
        told = [(e["series"]["key"], e["status"], e["sequence"]) for e in self.alerts()]
        return sorted(told, key=lambda event: event[0])  # of one series in the topic's order

    def dead_letters(self) -> list[bytes | None]:
        return [entry.value for _, entry in self.kafka.read_all(DEAD_LETTERS)]

    def late(self) -> list[bytes | None]:
        return [entry.value for _, entry in self.kafka.read_all(LATE)]

    def leftovers(self) -> Leftovers:
        """Return what instances have left behind that have stopped in good order."""
        alerts: dict[str, list[dict[str, Any]]] = {}
        for event in self.alerts():
            alerts.setdefault(event["series"]["key"], []).append(event)
        return Leftovers(
            alerts=alerts,
            dead_letters=_asides(self.entries(DEAD_LETTERS)),
            late=_asides(self.entries(LATE)),
            committed=self.committed,
            state=self.state().comparable(),
        )

    def undisturbed(self) -> Leftovers:
        """Return what one instance leaves behind that reads this input and nothing happens to.

        It reads in large polls, since how the input is cut must not matter either.
        """
        settings = self.parts.settings
        kafka = replace(settings.kafka, poll_records=500, commit_interval_s=0.5)
        parts = replace(
            self.parts,
            settings=settings.model_copy(update={"kafka": kafka}),
            producer=MemoryProducer,
        )
        quiet = Scene(self.n_partitions, parts, like=self)
        one = quiet.start("undisturbed")
        quiet.settle(one)
        one.stop()
        return quiet.leftovers()

    def entries(self, topic: str) -> list[Entry]:
        return [entry for _, entry in self.kafka.read_all(topic)]

    def state(self) -> SavedState:
        """Return what a daemon that takes over would find."""
        state = SavedState()
        for partition, entry in self.kafka.read_all(CHANGELOG):
            state.add(partition, entry.key or b"", entry.value)
        return state


def _asides(entries: list[Entry]) -> list[Aside]:
    return sorted(
        ((entry.key, entry.value, entry.headers) for entry in entries),
        key=lambda aside: sorted((name, value or b"") for name, value in aside[2]),
    )
