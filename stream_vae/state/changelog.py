"""The state of series as records of the changelog topic."""

from collections.abc import Mapping

import numpy as np

from stream_vae.core.incidents import SeriesIncidents
from stream_vae.core.model_spec import ModelSpec
from stream_vae.core.records import OutputRecord
from stream_vae.core.series_index import SeriesName
from stream_vae.core.state_layout import StateLayout
from stream_vae.pipeline.series_store import SavedSeries
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
    encode_rows,
    encode_value,
)


class ChangelogWriter:
    """Makes the records of one detector; the topic has the partitions of the input.

    Args:
        topic: The compacted topic.
        spec: The model.
        version: Of the detector.
        layout: Of the rows.
    """

    def __init__(self, topic: str, spec: ModelSpec, version: str, layout: StateLayout) -> None:
        self._topic = topic
        self._head = RowHead(model=bytes.fromhex(version), parts=layout.heads)
        self._model = SavedModel(
            version=spec.version,
            features=tuple(feature.meaning for feature in spec.features),
            step_seconds=spec.step_seconds,
            mean=tuple(spec.scaler.mean.tolist()),
            std=tuple(spec.scaler.std.tolist()),
            clip=spec.scaler.clip,
            window_length=spec.window_length,
        )

    def saved(self, saved: SavedSeries, positions: Mapping[int, int]) -> list[OutputRecord]:
        """Return the records of saved series.

        Args:
            saved: K series.
            positions: Input partition -> offset before which all readings are in their rows.
        """
        offsets = np.array([positions[partition] for partition, _ in saved.names], np.int64)
        values = encode_rows(self._head, offsets, saved.states)
        records = [
            self._record(SERIES, name, value)
            for name, value in zip(saved.names, values, strict=True)
        ]
        for name, incidents in saved.incidents.items():
            records.append(self.incidents(name, incidents, positions[name[0]]))
        return records

    def incidents(self, name: SeriesName, value: SeriesIncidents, offset: int) -> OutputRecord:
        """Return the record of a series' incidents, as of `offset`."""
        return self._record(INCIDENTS, name, encode_value(value, offset=offset))

    def forgotten(self, name: SeriesName, offset: int) -> list[OutputRecord]:
        """Return the tombstones of a series: its state as of `offset` is deleted."""
        return [
            self._record(SERIES, name, None, [(OFFSET_HEADER, str(offset).encode())]),
            self._record(INCIDENTS, name, None),
        ]

    def checkpoint(self, partition: int, checkpoint: Checkpoint) -> OutputRecord:
        """Return the record that says from where a partition must be read again."""
        return self._make(partition, CHECKPOINT, encode_value(checkpoint))

    def position(self, partition: int, offset: int) -> OutputRecord:
        """Return the record that says up to which input offset outputs are published."""
        return self._make(partition, POSITION, encode_value(offset))

    def input(self, partition: int, saved: SavedInput) -> OutputRecord:
        """Return the record that says which input the offsets of later records belong to."""
        return self._make(partition, INPUT, encode_value(saved))

    def model(self, partition: int) -> OutputRecord:
        """Return the record that lets another model make use of this one's rows."""
        return self._make(partition, MODEL + self._head.model, encode_value(self._model))

    def _record(
        self,
        kind: bytes,
        name: SeriesName,
        value: bytes | None,
        headers: list[tuple[str, bytes | None]] | None = None,
    ) -> OutputRecord:
        return self._make(name[0], kind + name[1].encode(), value, headers)

    def _make(
        self,
        partition: int,
        key: bytes,
        value: bytes | None,
        headers: list[tuple[str, bytes | None]] | None = None,
    ) -> OutputRecord:
        return OutputRecord(
            topic=self._topic,
            key=key,
            value=value,
            headers=headers or [],
            partition=partition,
            to_partition=partition,
        )
