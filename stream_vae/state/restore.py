"""Restores partitions to the state of their last owner, concurrently with the live ones."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from stream_vae.core.incidents import SeriesIncidents
from stream_vae.core.ports import Clock, InputConsumer, RangeReader
from stream_vae.core.records import RecordBatch
from stream_vae.core.series_index import SeriesName
from stream_vae.errors import KafkaUnavailableError
from stream_vae.events import RestoreProgressed
from stream_vae.state.begin import BeginFinder
from stream_vae.state.growth import ChangelogGrowth
from stream_vae.state.loader import ChangelogLoader
from stream_vae.state.mismatches import MismatchReport
from stream_vae.state.partitions import Partition, PartitionTable, Phase
from stream_vae.wire.snapshots import Checkpoint

_ASK_PAUSE_S = 0.5
_REST = 3.0  # seconds of pause, for each that a request without an answer took


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreConfig:
    """Bounds of the warm-up from history."""

    topic: str
    """The input topic."""
    history_age_s: float
    history_readings: int
    chunk: int
    """Most records of the changelog at a time."""


class Restorer:
    """Loads saved state and replays the input since then.

    Args:
        config: Start and bounds.
        partitions: Advances the held ones, up to `Phase.REPLAYED`.
        consumer: Of the input; gives offsets.
        loader: Loads the records of the changelog.
        begins: Finds where partitions go on.
        changelog_reader: Of its topic; None if no state is kept.
        input_reader: Of the input, for the replay.
        growth: Of the changelog; None where no state is kept.
        mismatches: Tells where the group's offsets and the rest contradict each other.
        clock: The time.
        open_incidents: Found on the alerts topic, where the changelog holds nothing.
    """

    def __init__(  # noqa: PLR0913 -- one part of each kind
        self,
        config: RestoreConfig,
        *,
        partitions: PartitionTable,
        consumer: InputConsumer,
        loader: ChangelogLoader,
        begins: BeginFinder,
        changelog_reader: RangeReader | None,
        input_reader: RangeReader,
        growth: ChangelogGrowth | None,
        mismatches: MismatchReport,
        clock: Clock,
        open_incidents: Mapping[SeriesName, SeriesIncidents],
    ) -> None:
        self._open_incidents = open_incidents
        self._config = config
        self._partitions = partitions
        self._consumer = consumer
        self._loader = loader
        self._begins = begins
        self._changelog = changelog_reader
        self._input = input_reader
        self._growth = growth
        self._mismatches = mismatches
        self._clock = clock
        self._history_ns = round(config.history_age_s * 1e9)
        self._ask_at = self._replay_at = -float("inf")
        self._unanswered: set[int] = set()

    def cancel(self, numbers: Iterable[int]) -> None:
        """Stop reading for revoked partitions."""
        self._mismatches.tell()
        for number in numbers:
            if self._changelog is not None:
                self._changelog.remove(number)
            self._input.remove(number)

    def poll(self, max_records: int) -> RecordBatch | None:
        """Make progress; return replayed input, if some has arrived.

        Raises:
            StateError: If the changelog cannot be used; names the remedy.
            ConfigError: If it is that of another input topic.
        """
        if self._changelog is not None:
            found = self._changelog.poll(self._config.chunk)
            if found is not None:
                self._loader.load(found, self._partitions)
            self._finish(self._changelog, Phase.RESTORED)
        self._begin_replays()
        with suppress(KafkaUnavailableError):
            self._open()
        self._mismatches.tell_if_due()
        again = self._input.poll(max_records)
        if again is not None:
            for number in again.partitions.tolist():
                self._partitions[number].restoration.replayed += 1
        self._finish(self._input, Phase.REPLAYED)
        return again

    def read_since_ns(self, records: RecordBatch) -> int:
        """Return a wall-clock lower bound of the first read of these records."""
        found = [self._partitions[number] for number in set(records.partitions.tolist())]
        clocks = [one.checkpoint.clock_ns for one in found if one.checkpoint is not None]
        return min(clocks, default=self._clock.time_ns())

    def progress(self) -> RestoreProgressed:
        """Return the progress."""
        under_way = self._partitions.restoring
        return RestoreProgressed(
            topic=self._config.topic,
            partitions=tuple(one.number for one in under_way),
            series=sum(one.restoration.series for one in under_way),
            replayed=sum(one.restoration.replayed for one in under_way),
        )

    @property
    def is_extending(self) -> bool:
        """Whether partitions were asked for that the changelog is not known to have yet."""
        return self._growth is not None and self._growth.is_extending

    @property
    def waiting(self) -> Mapping[int, int | None]:
        """Partitions that the changelog has no place for -> records that wait, where known."""
        if self._growth is None:
            return {}
        return {one: self._growth.lag_records.get(one) for one in self._growth.waiting}

    @property
    def complaint(self) -> str:
        """What keeps partitions from going live that a person must mend; "" if nothing does."""
        return "" if self._growth is None else self._growth.complaint

    def close(self) -> None:
        """Tell what was not told yet; close the clients."""
        self._mismatches.tell()
        self._input.close()
        if self._growth is not None:
            self._growth.close()
        if self._changelog is not None:
            self._changelog.close()

    def _finish(self, reader: RangeReader, phase: Phase) -> None:
        for number in reader.take_finished():
            self._partitions[number].phase = phase

    def _begin_replays(self) -> None:
        """Start the replay of loaded partitions; after a request without an answer, pause.

        Each takes a second or more, in which live partitions wait.
        """
        loaded, began = self._partitions.within(Phase.RESTORED), self._clock.monotonic()
        if not loaded or began < self._replay_at:
            return
        try:
            self._each(loaded, self._replay)
        except KafkaUnavailableError:
            now = self._clock.monotonic()
            self._replay_at = now + max(_ASK_PAUSE_S, _REST * (now - began))

    def _open(self) -> None:
        """Request the offsets of the held partitions, and start loading their state."""
        held = self._partitions.within(Phase.HELD)
        if not (held or self.is_extending) or self._clock.monotonic() <= self._ask_at:
            return
        self._ask_at = self._clock.monotonic() + _ASK_PAUSE_S
        if self._growth is not None:
            held = self._growth.placed(held)
        if not held:
            return
        committed = self._consumer.offsets.committed([one.number for one in held])
        self._each(held, lambda one: self._take(one, committed.get(one.number)))

    def _take(self, one: Partition, committed: int | None) -> None:
        """Start loading the state of a held partition, if its offset is certain."""
        if not self._begins.is_taken(one, committed):
            return
        if self._changelog is None:
            one.phase = Phase.RESTORED
            return
        # Requested after the committed offset: the state of its transaction is before this end,
        # even if its marker is not written yet.
        end = self._changelog.end_offsets([one.number])[one.number]
        one.phase = Phase.RESTORING
        self._changelog.add(one.number, None, end)

    def _each(self, partitions: Iterable[Partition], ask: Callable[[Partition], None]) -> None:
        """Ask about each, until one is not answered: that is asked about last the next time.

        Raises:
            KafkaUnavailableError: Then.
        """
        for one in sorted(partitions, key=lambda one: one.number in self._unanswered):
            self._unanswered.add(one.number)
            ask(one)
            self._unanswered.discard(one.number)

    def _adopt(self, one: Partition) -> None:
        """Go on with incidents that are open on the alerts topic, where their state is lost.

        Not where the input is read from its beginning: that opens them again, under the same ids.
        """
        is_known = one.restoration.newest >= 0
        if self._changelog is None or is_known or self._begins.reads_all(one):
            return
        found = {
            name: incidents
            for name, incidents in self._open_incidents.items()
            if name[0] == one.number
        }
        for name, incidents in found.items():
            one.restoration.incidents[name[1]] = one.begin, incidents
        one.restoration.adopted = tuple(found)

    def _replay(self, one: Partition) -> None:
        """Load the incidents and start the replay of the input, up to the committed offset."""
        found = one.restoration
        self._begins.find(one)
        if one.committed is not None and one.checkpoint is None and self._changelog is not None:
            found.reads_history = True  # the group went on before it kept state, or that is gone
        if found.is_marked and found.state == "cold":
            found.loaded = "restored"  # no series had been saved yet: all are read again
        since, clock_ns = one.begin, self._clock.time_ns()
        if found.state == "history":
            # Records that wait to be processed may all be older than the history that is read.
            since = min(self._history_begin(one.number, since), since)
            clock_ns -= self._history_ns
        # After all requests: if one is not answered, everything before them is done again.
        self._adopt(one)
        self._loader.load_incidents(one)
        # Those that nobody brings back are buried as of now, also where offsets begin anew.
        found.unfit = {key: min(offset, one.begin) for key, offset in found.unfit.items()}
        if one.checkpoint is None:
            one.checkpoint = Checkpoint(offset=since, clock_ns=clock_ns)
        since = min(one.checkpoint.offset, since)
        self._loader.begin_replay(one, since)
        self._input.add(one.number, since, one.begin)
        one.phase = Phase.REPLAYING
        self._mismatches.add(one)

    def _history_begin(self, partition: int, end: int) -> int:
        """Return the offset at which the warm-up starts."""
        young = self._consumer.offsets.since(partition, self._clock.time_ns() - self._history_ns)
        return max(0, end - self._config.history_readings, end if young is None else young)
