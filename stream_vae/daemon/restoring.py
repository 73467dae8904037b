"""Brings partitions back to where their last owner left them, beside the live ones."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from stream_vae.core.incidents import SeriesIncidents
from stream_vae.core.model_spec import ModelSpec
from stream_vae.core.records import RecordBatch
from stream_vae.core.scaling import Scaler
from stream_vae.core.series_index import SeriesName
from stream_vae.daemon.changelog import model_key
from stream_vae.edges.kafka.input_consumer import InputConsumer
from stream_vae.edges.kafka.range_reader import RangeReader
from stream_vae.errors import KafkaUnavailableError, StateError
from stream_vae.events import RestoreProgressed
from stream_vae.pipeline.line import Pipeline
from stream_vae.pipeline.series_memory import StateShape
from stream_vae.settings import Settings
from stream_vae.wire.snapshots import (
    CHECKPOINT,
    INCIDENTS,
    MODEL,
    OFFSET_HEADER,
    SERIES,
    Checkpoint,
    RowHead,
    SavedModel,
    decode_rows,
    decode_value,
    head_of,
)

_CHUNK = 2000
_LARGEST_SHARE = 4  # of the rows, for one chunk


@dataclass(slots=True)
class Restoration:
    """One partition on its way back."""

    partition: int
    began_at: float
    """Monotonic seconds."""
    committed: int | None = None
    """The group's offset: where it goes live."""
    checkpoint: Checkpoint | None = None
    models: dict[bytes, SavedModel] = field(default_factory=dict)
    incidents: dict[str, tuple[int, SeriesIncidents]] = field(default_factory=dict)
    series: int = 0
    replayed: int = 0
    state: str = "cold"
    """`cold`, `restored`, `carried over` (by another model) or `history`."""
    knows_model: bool = False
    """Whether the changelog says what this model's rows mean."""
    begin: int | None = None
    """Where live reading begins, if the group does not say."""


class Restorer:
    """Loads saved state and has the input since then read again.

    Args:
        settings: Checked settings.
        topic: The changelog; None where no state is kept.
        ends: Returns partition -> offset behind the newest record of the changelog, be its
            transaction still open.
        consumer: Of the input; holds the partitions meanwhile.
        pipeline: What is loaded into.
        spec: The model.
        score: Name of the score in use.
        readers: Of the changelog and of the input.
        make_room: Called with how many series more than there is room for are about to be loaded.
    """

    def __init__(  # noqa: PLR0913 -- one part of each kind
        self,
        settings: Settings,
        *,
        ends: Callable[[Iterable[int]], dict[int, int]] | None,
        consumer: InputConsumer,
        pipeline: Pipeline,
        spec: ModelSpec,
        score: str,
        changelog_reader: RangeReader | None,
        input_reader: RangeReader,
        make_room: Callable[[int], None],
        now_ns: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._ends = ends
        self._consumer = consumer
        self._pipeline = pipeline
        self._spec = spec
        self._model = model_key(spec, score)
        self._changelog = changelog_reader
        self._input = input_reader
        self._make_room = make_room
        self._now_ns = now_ns
        self._chunk = min(_CHUNK, pipeline.memory.index.capacity // _LARGEST_SHARE)
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
                self._load(found)
            self._loaded += self._changelog.take_finished()
        # What has to be asked of the brokers is asked again next time if none answers.
        with suppress(KafkaUnavailableError):
            while self._loaded:
                self._replay(self._under_way[self._loaded[0]])
                del self._loaded[0]
            if self._waiting:
                self._open(self._waiting)
                self._waiting = []
        again = self._input.poll(max_records)
        if again is not None:
            for partition, count in zip(
                *np.unique(again.partitions, return_counts=True), strict=True
            ):
                self._under_way[int(partition)].replayed += int(count)
        for partition in self._input.take_finished():
            self._ready.append(self._under_way.pop(partition))
        return again

    def clock_ns(self, records: RecordBatch) -> int:
        """Return the wall clock to judge timestamps by when records are read again."""
        clocks = [
            one.checkpoint.clock_ns
            for p in set(records.partitions.tolist())
            for one in [self._under_way.get(p)]
            if one is not None and one.checkpoint is not None and one.state != "history"
        ]
        return max(clocks, default=self._now_ns())

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
        committed = self._consumer.ask_committed(partitions)
        # Asked after the committed offsets: their transaction's state lies before these ends.
        ends = self._ends(partitions) if self._ends is not None else {}
        for partition in partitions:
            one = self._under_way[partition]
            one.committed = committed.get(partition)
            if self._changelog is None:
                self._loaded.append(partition)
            else:
                self._changelog.add(partition, None, ends[partition])

    def _load(self, records: RecordBatch) -> None:
        """Load a chunk of the changelog; of each series its newest record counts."""
        rows: dict[SeriesName, tuple[bytes, int]] = {}
        for i, (key, value) in enumerate(zip(records.keys, records.values, strict=True)):
            one = self._under_way.get(int(records.partitions[i]))
            if one is None or not key:
                continue
            try:
                kind = key[:1]
                if kind == SERIES:
                    name = (one.partition, key[1:].decode())
                    if value is None:
                        rows.pop(name, None)
                        self._bury(name, dict(records.headers(i)).get(OFFSET_HEADER))
                    else:
                        rows[name] = value, i
                else:
                    self._note(one, kind, key[1:], value)
            except (StateError, UnicodeDecodeError) as exc:
                raise self._unusable(records, i, exc) from exc
        by_head: dict[tuple[int, RowHead], list[tuple[SeriesName, bytes]]] = {}
        for name, (value, i) in rows.items():
            try:
                by_head.setdefault((name[0], head_of(value)), []).append((name, value))
            except StateError as exc:
                raise self._unusable(records, i, exc) from exc
        for (partition, head), found in by_head.items():
            names, values = [name for name, _ in found], [value for _, value in found]
            self._load_rows(self._under_way[partition], head, names, values)

    def _load_rows(
        self, one: Restoration, head: RowHead, names: list[SeriesName], values: list[bytes]
    ) -> None:
        shape = StateShape(length=head.length, n_features=head.n_features, scores=head.scores)
        offsets, states = decode_rows(values, shape.row)
        memory, ours = self._pipeline.memory, self._pipeline.memory.shape
        lacking = memory.index.lack_of_room(names)
        if lacking:
            self._make_room(lacking)
        if head.model == self._model and shape == ours:
            memory.load(names, states)
            state = "restored"
        else:
            saved = one.models.get(head.model)
            if saved is None or not self._fits(saved, shape):
                one.state = "history"
                return
            scaler = Scaler(mean=np.array(saved.mean), std=np.array(saved.std), clip=saved.clip)
            memory.carry_over(names, states, scaler)
            state = "carried over"
        for name, offset in zip(names, offsets.tolist(), strict=True):
            self._pipeline.replayed.note_series(name, offset)
        one.series += len(names)
        if one.state != "history":
            one.state = state

    def _fits(self, saved: SavedModel, shape: StateShape) -> bool:
        """Tell whether windows of another model are windows of this one."""
        ours = self._pipeline.memory.shape
        return (
            (shape.length, shape.n_features) == (ours.length, ours.n_features)
            and saved.features == tuple(feature.name for feature in self._spec.features)
            and saved.step_seconds == self._spec.step_seconds
        )

    def _bury(self, name: SeriesName, offset: bytes | None) -> None:
        row = self._pipeline.memory.index.find(name)
        if row is not None:
            self._pipeline.memory.release(np.array([row], np.int32))
        if offset is not None:
            self._pipeline.replayed.note_series(name, int(offset))

    def _note(self, one: Restoration, kind: bytes, rest: bytes, value: bytes | None) -> None:
        if kind == INCIDENTS:
            if value is None:
                one.incidents.pop(rest.decode(), None)
            else:
                incidents, members = decode_value(value, SeriesIncidents)
                one.incidents[rest.decode()] = int(members["offset"]), incidents
        elif kind == MODEL and value is not None:
            one.models[rest] = decode_value(value, SavedModel)[0]
            one.knows_model |= rest == self._model
        elif kind == CHECKPOINT and value is not None:
            one.checkpoint = decode_value(value, Checkpoint)[0]

    def _replay(self, one: Restoration) -> None:
        """Load the incidents and begin to read the input again, up to the committed offset."""
        for key, (offset, incidents) in one.incidents.items():
            name = (one.partition, key)
            # Of a series saved after its incidents were, nothing was restless any more.
            if offset >= self._pipeline.replayed.saved_at(name):
                if self._pipeline.memory.index.lack_of_room([name]):
                    self._make_room(1)
                self._pipeline.memory.load_incidents(name, incidents)
                self._pipeline.replayed.note_incidents(name, offset)
        one.incidents = {}
        end = one.committed
        begin = end
        if end is not None and one.checkpoint is None and self._changelog is not None:
            one.state = "history"  # the group went on before it kept state, or that was deleted
        if end is None and self._settings.kafka.start == "history":
            one.state = "history"
            end = one.begin = self._consumer.bounds(one.partition)[1]
        if one.state == "history" and end is not None:
            begin = self._history_begin(one.partition, end)
        if one.checkpoint is not None and begin is not None:
            begin = min(one.checkpoint.offset, begin)
        self._input.add(one.partition, begin, end or 0)

    def _history_begin(self, partition: int, end: int) -> int:
        """Return how far back the input is read to warm up."""
        state = self._settings.state
        since = self._now_ns() - round(state.history_age_s * 1e9)
        young = self._consumer.offset_at(partition, since)
        return max(0, end - state.history_readings, end if young is None else young)

    def _unusable(self, records: RecordBatch, i: int, why: Exception) -> StateError:
        key = (records.keys[i] or b"").decode(errors="replace")
        return StateError(
            f"saved state in topic {records.topic!r}, partition {records.partitions[i]}, offset "
            f"{records.offsets[i]}, key {key!r}: {why}. To start anew, set state.topic to a new "
            "name, or delete that topic while no instance runs"
        )
