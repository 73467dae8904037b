"""A stream of readings: stretches of a recording."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import numeric_features
from stream_vae.inputs.reading_encoder import ReadingEncoder
from stream_vae.inputs.reading_format import ReadingFormat
from tests.system.chaos.recording import Recording, train_bundle
from tests.system.chaos.stream import N_PARTITIONS, StreamRecord
from tests.system.harness import START_NS, STEP_S

_LATE_SHARE = 0.004
_REVISED_SHARE = 0.004
_MISSING_SHARE = 0.01
_NULL_SHARE = 0.01
_LONG_GAP_SHARE = 0.0005
_BATCHED_SHARE = 1 / 3
_LONG_GAP_STEPS = 12  # longer than detect.max_gap: the series warms up again

FORMAT = ReadingFormat(records_path="readings", series_field="series")
"""Of the records: some are a reading, others hold an array of readings of several series."""


class ReadingSource:
    """Readings of machines; each turn is a step.

    Each fourth series sends its reading in two parts, some features in each. A third share records.
    Some steps are missing, measured twice or come too late, some values are null, some gaps are
    long.

    Args:
        recording: Of which each series is a stretch.
    """

    # Objects name a feature of each recording: those without any are ignored, not rejected.
    poison: Sequence[bytes] = (
        b"no json %d",
        b'{"timestamp": "never", "cpu": 1, "flow": 1, "n": %d}',
        b'{"cpu": 1, "flow": 1, "n": %d}',
        b"\xff\xfe %d",
        b'{"timestamp": "2026-01-01T00:00:00Z", "cpu": "hot", "flow": "wet", "n": %d}',
        b"[%d]",
    )
    settings: Mapping[str, object] = {
        "input.records_path": FORMAT.records_path,
        "input.series_field": FORMAT.series_field,
    }

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self.origin = recording.origin

    def train_bundle(self, folder: Path) -> Path:
        """See `Source.train_bundle`."""
        return train_bundle(self._recording, folder)

    def series(
        self, i: int, n_turns: int, rng: np.random.Generator, partition: int | None = None
    ) -> "_Series":
        """See `Source.series`."""
        values = self._recording.stretch(i, n_turns + _LONG_GAP_STEPS)
        return _Series(f"series-{i:04d}", self._recording, values, rng, partition)

    def together(self, elements: Sequence[bytes], n: int, broken_at: int | None) -> bytes:
        """See `Source.together`."""
        all_of_it = list(elements)
        if broken_at is not None:
            all_of_it.insert(broken_at, b'["no reading"]')
        return b'{"readings": [%s], "n": %d}' % (b", ".join(all_of_it), n)


class _Series:
    """One series on its way through its stretch of the recording."""

    def __init__(
        self,
        name: str,
        recording: Recording,
        values: NDArray[np.float64],
        rng: np.random.Generator,
        partition: int | None = None,
    ) -> None:
        self._name = name
        self.partition = zlib.crc32(name.encode()) % N_PARTITIONS
        if partition is not None:
            self.partition = partition
        self._values = values
        self._rng = rng
        self._encoder = ReadingEncoder(
            numeric_features(recording.features), replace(FORMAT, records_path="")
        )
        self._step = 0
        self._gap = 0
        self._n_parts = 2 if zlib.crc32(name.encode()) // N_PARTITIONS % 4 == 0 else 1
        self.is_batched = zlib.crc32(name.encode()[::-1]) % 1000 < 1000 * _BATCHED_SHARE

    def next_records(self) -> list[StreamRecord]:
        """Return what arrives at the next step: mostly one reading."""
        step = self._step
        self._step += 1
        kind = self._rng.random()
        if kind < _LONG_GAP_SHARE:
            self._gap += _LONG_GAP_STEPS
        if kind < _MISSING_SHARE:
            return []
        records = self._records(step)
        if kind > 1 - _REVISED_SHARE:
            records += self._records(step, shift=0.001)
        elif kind > 1 - _REVISED_SHARE - _LATE_SHARE and step > 2:
            records += self._records(step - int(self._rng.integers(1, 3)))
        return records

    def _records(self, step: int, *, shift: float = 0.0) -> list[StreamRecord]:
        values = self._values[step % len(self._values)] + shift
        shown = np.where(self._rng.random(len(values)) < _NULL_SHARE, np.nan, values)
        part = np.arange(len(values)) % self._n_parts
        return [
            self._record(step, np.where(part == number, shown, np.nan))
            for number in range(self._n_parts)
        ]

    def _record(self, step: int, shown: NDArray[np.float64]) -> StreamRecord:
        return StreamRecord(
            partition=self.partition,
            key=self._name.encode(),
            value=self._encoder.encode(
                series=self._name,
                time_ns=START_NS + (step + self._gap) * STEP_S * 10**9,
                values=shown.tolist(),
            ),
            is_poison=False,
        )
