"""Brings partitions back to where their last owner left them, beside the live ones."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from stream_vae.core.records import RecordBatch
from stream_vae.edges.kafka.consume.input_consumer import InputConsumer
from stream_vae.edges.kafka.read.range_reader import RangeReader
from stream_vae.errors import KafkaUnavailableError
from stream_vae.events import RestoreProgressed
from stream_vae.settings import Settings
from stream_vae.state.loader import ChangelogLoader, Restoration
from stream_vae.wire.snapshots import Checkpoint

_ASK_PAUSE_S = 0.5


class Restorer:
    """Loads saved state and has the input since then read again.

    Args:
        settings: Checked settings.
        consumer: Of the input; holds the partitions meanwhile.
        loader: Takes the records of the changelog.
        chunk: Most records of it at a time.
        changelog_reader: Of its topic; None where no state is kept.
        input_reader: Of the input, to read it again.
        now_ns: Wall clock, nanoseconds since 1970.
    """

    def __init__(  # noqa: PLR0913 -- one part of each kind
        self,
        settings: Settings,
        *,
        consumer: InputConsumer,
        loader: ChangelogLoader,
        chunk: int,
        changelog_reader: RangeReader | None,
        input_reader: RangeReader,
        now_ns: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._loader = loader
        self._chunk = chunk
        self._changelog = changelog_reader
        self._input = input_reader
        self._now_ns = now_ns
        self._history_ns = round(settings.state.history_age_s * 1e9)
        self._ask_at = 0.0
        self._under_way: dict[int, Restoration] = {}
        self._waiting: list[int] = []
        self._loaded: list[int] = []
        self._ready: list[Restoration] = []

    @property
    def is_idle(self) -> bool:
        """Whether no partition is on its way."""
        return not self._under_way and not self._ready

    def begin(self, partitions: Iterable[int]) -> None:
        """Begin with partitions that were assigned and are held."""
        for partition in partitions:
            self._under_way[partition] = Restoration(partition=partition, began_at=time.monotonic())
            self._waiting.append(partition)

    def give_up(self, partitions: Iterable[int]) -> None:
        """Stop for partitions that left."""
        for partition in partitions:
            if self._under_way.pop(partition, None) is not None:
                for stage in (self._waiting, self._loaded):
                    if partition in stage:
                        stage.remove(partition)
                if self._changelog is not None:
                    self._changelog.remove(partition)
                self._input.remove(partition)
        self._ready = [one for one in self._ready if one.partition not in set(partitions)]

    def poll(self, max_records: int) -> RecordBatch | None:
        """Go on; return input to be taken in again, if some has come.

        Raises:
            StateError: If the changelog cannot be used; says what to do.
        """
        if self._changelog is not None:
            found = self._changelog.poll(self._chunk)
            if found is not None:
                self._loader.load(found, self._under_way)
            self._loaded += self._changelog.take_finished()
        # What has to be asked of the brokers is asked again next time if none answers.
        with suppress(KafkaUnavailableError):
            while self._loaded:
                self._replay(self._under_way[self._loaded[0]])
                del self._loaded[0]
            if self._waiting and time.monotonic() > self._ask_at:
                self._ask_at = time.monotonic() + _ASK_PAUSE_S
                self._open(self._waiting)
                self._waiting = []
        again = self._input.poll(max_records)
        if again is not None:
            for partition in again.partitions.tolist():
                self._under_way[partition].replayed += 1
        for partition in self._input.take_finished():
            self._ready.append(self._under_way.pop(partition))
        return again

    def read_since_ns(self, records: RecordBatch) -> int:
        """Return a wall clock before any of these records was read first."""
        partitions = set(records.partitions.tolist())
        known = [*self._under_way.values(), *self._ready]
        clocks = [
            one.checkpoint.clock_ns
            for one in known
            if one.partition in partitions and one.checkpoint is not None
        ]
        return min(clocks, default=self._now_ns())

    def progress(self) -> RestoreProgressed:
        """Return how far it is."""
        under_way = self._under_way.values()
        return RestoreProgressed(
            topic=self._settings.input.topic,
            partitions=tuple(sorted(self._under_way)),
            series=sum(one.series for one in under_way),
            replayed=sum(one.replayed for one in under_way),
        )

    def close(self) -> None:
        """Let go of the clients."""
        self._input.close()
        if self._changelog is not None:
            self._changelog.close()

    def take_ready(self) -> list[Restoration]:
        """Return the partitions that can go live once all that was returned has been decided."""
        ready, self._ready = self._ready, []
        return ready

    def _open(self, partitions: list[int]) -> None:
        committed = self._consumer.offsets.committed(partitions)
        # Asked after the committed offsets: their transaction's state lies before these ends, be
        # its marker still on the way.
        ends = {} if self._changelog is None else self._changelog.topic_ends(partitions)
        for partition in partitions:
            one = self._under_way[partition]
            one.committed = committed.get(partition)
            if self._changelog is None:
                self._loaded.append(partition)
            else:
                self._changelog.add(partition, None, ends[partition])

    def _replay(self, one: Restoration) -> None:
        """Load the incidents and begin to read the input again, up to the committed offset."""
        self._loader.load_incidents(one)
        partition, start = one.partition, self._settings.kafka.start
        if one.committed is not None:
            one.begin = one.committed
            if one.checkpoint is None and self._changelog is not None:
                one.state = "history"  # the group went on before it kept state, or that was deleted
        elif start == "earliest":
            one.begin = self._consumer.offsets.oldest(partition)
        else:
            one.begin = self._consumer.offsets.end(partition)
            one.state = "history" if start == "history" else one.state
        if one.is_marked and one.state == "cold":
            one.state = "restored"  # no series had been saved yet: all are read again
        since, clock_ns = one.begin, self._now_ns()
        if one.state == "history":
            since, clock_ns = self._history_begin(partition, since), clock_ns - self._history_ns
        if one.checkpoint is None:
            one.checkpoint = Checkpoint(offset=since, clock_ns=clock_ns)
        since = min(one.checkpoint.offset, since)
        self._loader.begin_replay(partition, since)
        self._input.add(partition, since, one.begin)

    def _history_begin(self, partition: int, end: int) -> int:
        """Return how far back the input is read to warm up."""
        young = self._consumer.offsets.since(partition, self._now_ns() - self._history_ns)
        readings = self._settings.state.history_readings
        return max(0, end - readings, end if young is None else young)
