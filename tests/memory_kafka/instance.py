"""A daemon's loop between edges in memory, turned by hand."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from stream_vae.core.alerts import AlertDetector
from stream_vae.core.health import Heartbeat
from stream_vae.core.incidents import SeriesIncidents
from stream_vae.core.model_spec import ModelSpec, Scorer
from stream_vae.core.series_index import SeriesName
from stream_vae.core.state_layout import PartitionPart
from stream_vae.daemon.build import Edges, build_loop
from stream_vae.daemon.loop import PollLoop
from stream_vae.daemon.work_queue import Work
from stream_vae.errors import ConfigError
from stream_vae.events import StateRestored
from stream_vae.inputs.decoder import Decoder
from stream_vae.inputs.formats import build_decoder
from stream_vae.pipeline.detector import Detector
from stream_vae.pipeline.incident_ids import Origin
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.settings import Settings
from stream_vae.state.owner import find_owner
from stream_vae.state.partitions import PartitionTable
from stream_vae.state.standing import Standing, TopicFacts
from tests.conftest import MeanSquareScorer, make_spec
from tests.memory_kafka.adder import MemoryPartitionAdder
from tests.memory_kafka.broker import MemoryKafka
from tests.memory_kafka.clock import ManualClock
from tests.memory_kafka.consumer import MemoryConsumer
from tests.memory_kafka.faults import Crash, Faults
from tests.memory_kafka.producer import MemoryProducer
from tests.memory_kafka.reader import MemoryReader
from tests.memory_kafka.scoring import InlineScoring
from tests.memory_kafka.transaction import stepped
from tests.recorded_events import RecordedEvents

DEFAULT_CAPACITY = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an instance is made of beside its edges."""

    settings: Settings
    spec: ModelSpec = field(default_factory=cache(make_spec))
    scorer: Scorer = field(default_factory=MeanSquareScorer)
    decoder: Decoder | None = None
    """Unset, the one the settings name."""
    capacity: int = DEFAULT_CAPACITY
    partition_parts: Sequence[PartitionPart] = ()
    """Of the state; for one instance."""
    producer: type[MemoryProducer] = MemoryProducer
    knows_ids: bool = True
    """Whether brokers tell the ids of topics; those before 2.8 do not."""
    finds_owner: bool = True
    """Whether a start finds soon which input the changelog is of."""
    scoring: Callable[[Scorer, ManualClock, Faults], InlineScoring[Work]] = InlineScoring
    open_incidents: Mapping[SeriesName, SeriesIncidents] = field(default_factory=dict)
    """Found on the alerts topic, where the state is lost."""


class Instance:
    """One daemon, from its start to its stop, failure or death.

    Args:
        kafka: The brokers.
        parts: What it is made of.
        name: Its `kafka.instance_id`.

    Raises:
        ConfigError: If its start is refused.
    """

    def __init__(self, kafka: MemoryKafka, parts: Parts, name: str) -> None:
        settings = parts.settings
        topic, group, changelog = (
            settings.input.topic,
            settings.kafka.group_id,
            settings.changelog_topic,
        )
        self.name = name
        self.status: Literal["running", "stopped", "failed", "dead"] = "running"
        self.failure: Exception | None = None
        self.events = RecordedEvents()
        self.faults = faults = Faults()
        self._kafka = kafka
        self.consumer = MemoryConsumer(
            kafka, topic, group, name=name, events=self.events, faults=faults
        )
        self.scoring = parts.scoring(parts.scorer, kafka.clock, faults)
        self.input_reader = MemoryReader(kafka, topic, faults, "input")
        self.changelog_reader = (
            None if changelog is None else MemoryReader(kafka, changelog, faults, "changelog")
        )
        self.partition_adder = (
            None if changelog is None else MemoryPartitionAdder(kafka, changelog, faults)
        )
        self.pipeline = Pipeline(
            Detector(parts.spec, parts.scorer, settings.detect, parts.capacity),
            settings.detect,
            Origin(
                detector=AlertDetector(name="memory", version="0", instance=name),
                topic=topic,
                group=group,
            ),
            assembly=settings.input.assembly,
            partition_parts=parts.partition_parts,
        )
        standing = _standing(kafka, parts)
        standing.refuse_contradictions()
        errors = standing.partition_errors(lambda n: f"widen to {n}")
        if errors:
            raise ConfigError(errors[0])
        began_with = standing.began_with
        edges = Edges(
            consumer=self.consumer,
            producer=parts.producer(kafka, group, f"{group}.{name}", faults, began_with),
            input_reader=self.input_reader,
            make_input_reader=lambda: MemoryReader(kafka, topic, faults, "search"),
            changelog_reader=self.changelog_reader,
            partition_adder=self.partition_adder,
            scoring=self.scoring,
            events=self.events,
            clock=kafka.clock,
            heartbeat=Heartbeat(kafka.clock.monotonic()),
            input_id=standing.input.id,
            began_with=began_with,
            transaction=stepped(faults),
        )
        decoder = parts.decoder
        if decoder is None:
            decoder = build_decoder(parts.spec.features, settings.input, logs=parts.spec.logs)
        self.loop: PollLoop = build_loop(
            settings,
            edges,
            pipeline=self.pipeline,
            decoder=decoder,
            open_incidents=parts.open_incidents,
        )
        with self._judged():
            self.loop.start()

    @property
    def is_running(self) -> bool:
        return self.status == "running"

    @property
    def partitions(self) -> PartitionTable:
        """The loop's partition table."""
        return self.loop._parts.partitions

    @property
    def restored(self) -> list[StateRestored]:
        """How partitions came back, in that order."""
        return self.events.of(StateRestored)

    def turn(self, times: int = 1) -> None:
        """Go round so many times, unless it ends before."""
        for _ in range(times):
            if self.is_running:
                with self._judged():
                    self.loop.turn()

    def turn_until(self, is_reached: Callable[[], object], most: int = 300) -> None:
        """Go round until something is so.

        Raises:
            AssertionError: If it never is.
        """
        for _ in range(most):
            if is_reached():
                return
            self.turn()
        assert is_reached(), f"not within {most} turns; {self.status}: {self.failure}"

    def stop(self) -> None:
        """Stop in good order."""
        assert self.is_running, self.failure
        with self._judged():
            self.loop.drain()
            self.loop.close()
            self.status = "stopped"

    def kill(self) -> None:
        """End the process without notice."""
        self.faults.is_dead = True
        self._bury()

    @contextmanager
    def _judged(self) -> Iterator[None]:
        """Do as the process does when something is raised."""
        try:
            yield
        except Crash:
            self._bury()
        except AssertionError:
            raise  # the test's own
        except Exception as exc:  # noqa: BLE001 -- as the process, whatever it is
            self.status, self.failure = "failed", exc
            try:
                self.loop.give_up()
                self.loop.close()
            except Crash:
                self._bury()
        if self.faults.is_dead:
            self._bury()

    def _bury(self) -> None:
        self.status = "dead"
        self.consumer.member.silent_since = self._kafka.clock.monotonic()


def _standing(kafka: MemoryKafka, parts: Parts) -> Standing:
    """Return what a start finds."""
    settings = parts.settings
    topic, group, changelog = (
        settings.input.topic,
        settings.kafka.group_id,
        settings.changelog_topic,
    )

    def facts(name: str) -> TopicFacts:
        found = kafka.topic_id(name) if parts.knows_ids else ""
        return TopicFacts(name=name, id=found, n_partitions=len(kafka.logs(name)))

    owner = None
    if changelog is not None and parts.finds_owner:
        reader = MemoryReader(kafka, changelog, Faults(), "owner")
        owner = find_owner(reader, clock=ManualClock(), stopping=lambda: False)
    return Standing(
        group=group,
        input=facts(topic),
        changelog=None if changelog is None else facts(changelog),
        notes={p: note for p, (_, note) in kafka.group(group, topic).committed.items()},
        owner=owner,
    )
