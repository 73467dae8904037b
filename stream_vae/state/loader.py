"""Restores the series of a partition from records of the changelog."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import excerpt
from stream_vae.core.incidents import SeriesIncidents
from stream_vae.core.records import RecordBatch
from stream_vae.core.scaling import Scaler
from stream_vae.core.series_index import SeriesName
from stream_vae.errors import StateError
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.state.partitions import Partition, PartitionTable
from stream_vae.state.upgrade import windows_of_version_1
from stream_vae.wire.snapshots import (
    CHECKPOINT,
    INCIDENTS,
    INPUT,
    MODEL,
    OFFSET_HEADER,
    POSITION,
    SERIES,
    Checkpoint,
    RowHead,
    SavedInput,
    SavedModel,
    decode_rows,
    decode_value,
    head_of,
)

_FAR = np.iinfo(np.int64).max
_BEYOND = "saved beyond the offset at which the group goes on"
_OTHER_OFFSETS = "saved with offsets of another input topic, or of before the group was set back"


class ChangelogLoader:
    """Restores saved series into the pipeline, chunk by chunk.

    Args:
        pipeline: The target.
        evict: Called with the shortfall of rows before a chunk is loaded.
        now_ns: Wall clock, nanoseconds since 1970.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        evict: Callable[[int], None],
        now_ns: Callable[[], int],
    ) -> None:
        self._pipeline = pipeline
        self._spec = pipeline.detector.spec
        self._model = bytes.fromhex(pipeline.detector.version)
        self._evict = evict
        self._now_ns = now_ns

    def load(self, records: RecordBatch, partitions: PartitionTable) -> None:
        """Load a chunk; of each series its newest record counts.

        Args:
            records: Of the changelog, in offset order.
            partitions: Those being loaded; their restorations are updated.

        Raises:
            StateError: If a record cannot be used; names it, and the remedy.
        """
        rows: dict[tuple[int, RowHead], dict[SeriesName, bytes]] = {}
        newest: dict[SeriesName, tuple[int, RowHead]] = {}
        for i, (key, value) in enumerate(zip(records.keys, records.values, strict=True)):
            one = partitions.find(int(records.partitions[i]))
            if one is None or not key:
                continue
            try:
                if key[:1] == INPUT and value is not None:
                    self._load_groups(rows, partitions)
                    self._note_input(one, decode_value(value, SavedInput)[0])
                    newest.clear()
                    continue
                if key[:1] != SERIES:
                    self._note(one, key[:1], key[1:], value)
                    continue
                name = (one.number, key[1:].decode())
                before = newest.pop(name, None)
                if before is not None:
                    del rows[before][name]
                if value is None:
                    self._apply_tombstone(
                        one, name, int(dict(records.headers(i))[OFFSET_HEADER] or b"")
                    )
                    continue
                newest[name] = group = (one.number, head_of(value))
                rows.setdefault(group, {})[name] = value
            except (StateError, KeyError, ValueError) as exc:
                raise _unusable(records, i, exc) from exc
        self._load_groups(rows, partitions)

    def begin_anew(self, one: Partition) -> None:
        """Drop the series saved so far, whose offsets do not count, and keep what was firing."""
        found, store, replayed = one.restoration, self._pipeline.store, self._pipeline.replayed
        number = one.number
        found.incidents = {
            key: (0, incidents)
            for key, (offset, incidents) in found.incidents.items()
            if offset >= max(replayed.saved_at((number, key)), found.unfit.get(key, -1))
        }
        names = store.release(store.index.of_partitions({number}))
        found.unfit = dict.fromkeys([*found.unfit, *(key for _, key in names)], 0)
        replayed.forget({number})
        one.checkpoint, found.is_marked = None, False
        found.newest, found.series = -1, 0
        found.foreign.clear()
        if found.unfit:
            found.why_unfit = _OTHER_OFFSETS

    def save_again(self, one: Partition) -> None:
        """Have all series of a partition saved: their records no longer count."""
        index = self._pipeline.store.index
        index.changed[index.of_partitions({one.number})] = True

    def load_incidents(self, one: Partition) -> None:
        """Load the incidents, after all series."""
        replayed, memory = self._pipeline.replayed, self._pipeline.store
        for key, (offset, incidents) in one.restoration.incidents.items():
            name = (one.number, key)
            # A series that was saved after its incidents had none that were tracked by then.
            if offset < max(replayed.saved_at(name), one.restoration.unfit.get(key, -1)):
                continue
            if memory.index.shortfall([name]):
                self._evict(1)
            is_foreign = key in one.restoration.foreign
            found = _by_another_detector(incidents) if is_foreign else incidents
            memory.load_incidents(name, found, self._now_ns())
            replayed.note_incidents(name, offset)
        one.restoration.incidents = {}

    def begin_replay(self, one: Partition, offset: int) -> None:
        """Set the offset at which the replay of the input starts.

        The state of the partition as a whole is restored only if the replay starts at its
        checkpoint or later: earlier readings would count twice.
        """
        self._pipeline.replayed.forget_before(one.number, offset)
        if one.checkpoint is not None and one.checkpoint.offset == offset:
            self._pipeline.load_partition(one.number, one.checkpoint.parts)

    def _load_groups(
        self, rows: dict[tuple[int, RowHead], dict[SeriesName, bytes]], partitions: PartitionTable
    ) -> None:
        """Load the rows of each partition and head."""
        for (partition, head), found in rows.items():
            if found:
                self._load_rows(partitions[partition], head, found)
        rows.clear()

    def _load_rows(self, one: Partition, head: RowHead, found: Mapping[SeriesName, bytes]) -> None:
        names, store = list(found), self._pipeline.store
        offsets, rows = decode_rows(head, list(found.values()))
        one.restoration.newest = max(one.restoration.newest, int(offsets.max()))
        is_ours = head.model == self._model
        keys = {key for _, key in names}
        if is_ours:
            one.restoration.foreign -= keys
        else:
            one.restoration.foreign |= keys
        scaler = self._spec.scaler if is_ours else self._scaler_of(one, head.model)
        states = {} if scaler is None else self._parts_of(head, rows, scaler)
        is_usable = not store.layout.lacks(states)
        # An offset beyond the group's: that was reset, or the input topic was recreated.
        fits = offsets <= (_FAR if one.committed is None else one.committed)
        fits &= is_usable
        for name, offset, fit in zip(names, offsets.tolist(), fits.tolist(), strict=True):
            if fit:
                self._pipeline.replayed.note_series(name, offset)
                one.restoration.unfit.pop(name[1], None)
            else:
                one.restoration.unfit[name[1]] = offset
        if not fits.all():
            restoration = one.restoration
            restoration.why_unfit = (
                _BEYOND if is_usable else self._other(restoration.models.get(head.model))
            )
            names = [name for name, fit in zip(names, fits.tolist(), strict=True) if fit]
            states = {part: saved[fits] for part, saved in states.items()}
        if not names:
            return
        lacking = store.index.shortfall(names)
        if lacking:
            self._evict(lacking)
        is_whole = store.load(names, states, by_this_model=is_ours)
        one.restoration.series += len(names)
        one.restoration.loaded = "restored" if is_whole else "carried over"

    def _parts_of(
        self, head: RowHead, rows: NDArray[np.void], scaler: Scaler
    ) -> dict[str, NDArray[np.void]]:
        """Return the parts of saved rows that can be restored."""
        store = self._pipeline.store
        states = store.layout.match(head.parts, rows)
        if head.schema_version == 1:
            windows = windows_of_version_1(head, rows, store.windows.state.row, scaler)
            if windows is not None:
                states["windows"] = windows
        return states

    def _scaler_of(self, one: Partition, model: bytes) -> Scaler | None:
        """Return another model's scaler, if its windows have this one's features and steps."""
        saved = one.restoration.models.get(model)
        fits = (
            saved is not None
            and saved.features == tuple(feature.meaning for feature in self._spec.features)
            and saved.step_seconds == self._spec.step_seconds
        )
        if saved is None or not fits:
            return None
        return Scaler(mean=np.array(saved.mean), std=np.array(saved.std), clip=saved.clip)

    def _other(self, saved: SavedModel | None) -> str:
        """Return how another model differs from this one."""
        ours = self._spec
        names = ", ".join(feature.meaning for feature in ours.features)
        here = f"{names}; {ours.window_length} steps of {ours.step_seconds:g} s"
        if saved is None:
            return f"saved by a model that is not known; the bundle's features: {here}"
        steps = f"{saved.window_length} steps" if saved.window_length else "steps"
        there = f"{', '.join(saved.features)}; {steps} of {saved.step_seconds:g} s"
        return f"saved by a model of other features or windows ({there}) than the bundle's ({here})"

    def _apply_tombstone(self, one: Partition, name: SeriesName, offset: int) -> None:
        row = self._pipeline.store.index.find(name)
        if row is not None:
            self._pipeline.store.release(np.array([row], np.int32))
        one.restoration.unfit.pop(name[1], None)
        self._pipeline.replayed.note_series(name, offset)

    def _note_input(self, one: Partition, saved: SavedInput) -> None:
        if saved.is_anew:
            self.begin_anew(one)
        one.restoration.input = saved

    def _note(self, one: Partition, kind: bytes, rest: bytes, value: bytes | None) -> None:
        found = one.restoration
        if kind == INCIDENTS and value is None:
            found.incidents.pop(rest.decode(), None)
        elif value is None:
            return
        elif kind == INCIDENTS:
            incidents, members = decode_value(value, SeriesIncidents)
            found.incidents[rest.decode()] = int(members["offset"]), incidents
        elif kind == MODEL:
            found.models[rest] = decode_value(value, SavedModel)[0]
            found.knows_model |= rest == self._model
        elif kind == CHECKPOINT:
            one.checkpoint, found.is_marked = decode_value(value, Checkpoint)[0], True
            found.newest = max(found.newest, one.checkpoint.offset)
        elif kind == POSITION:
            found.newest = max(found.newest, decode_value(value, int)[0])


def _unusable(records: RecordBatch, i: int, why: Exception) -> StateError:
    key = excerpt((records.keys[i] or b"").decode(errors="replace"), 300)
    return StateError(
        f"saved state in topic {records.topic!r}, partition {records.partitions[i]}, offset "
        f"{records.offsets[i]}, key {key}: {why}. To go on without "
        "the saved state, set state.topic to a new name: series warm up by what the input holds, "
        "and incidents still open on the alerts topic are taken over"
    )


def _by_another_detector(saved: SeriesIncidents) -> SeriesIncidents:
    """Return the incidents without the thresholds and the bias of their detector.

    Compared with scores of this one they would tell of a new level that there is not.
    """
    state = saved.anomaly
    if state is None:
        return saved
    incident = state.incident
    if incident is not None:
        incident = replace(incident, threshold=None, bias=None)
    # One that opens from now on has the threshold of its newest anomalous reading.
    recent = tuple(replace(one, threshold=None) for one in state.recent)
    untaught = replace(state, recent=recent, incident=incident, adapted_run=0)
    return replace(saved, anomaly=untaught)
