"""The input of a run: real readings of many series, what is wrong with some, and poison."""

import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import numeric_features
from stream_vae.inputs.reading_encoder import ReadingEncoder
from stream_vae.inputs.reading_format import ReadingFormat
from tests.system.chaos.recording import Recording
from tests.system.chaos.schedule import Fault, Kind
from tests.system.harness import START_NS, STEP_S

N_PARTITIONS = 6
"""At first."""
BURST_RECORDS = 150

_POISON_SHARE = 0.02
_LATE_SHARE = 0.004
_REVISED_SHARE = 0.004
_MISSING_SHARE = 0.01
_NULL_SHARE = 0.01
_NEW_SERIES = 10
_MOVED_SERIES = 8
_LONG_GAP_SHARE = 0.0005
_BATCHED_SHARE = 1 / 3
_BATCH_READINGS = 4
_BROKEN_BATCH_SHARE = 0.05
_LONG_GAP_STEPS = 12  # longer than detect.max_gap: the series warms up again

FORMAT = ReadingFormat(records_path="readings", series_field="series")
"""Of the records: some are a reading, others hold an array of readings of several series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRecord:
    """One record of the input, with the partition it goes to."""

    partition: int
    key: bytes
    value: bytes
    is_poison: bool


def build_stream(
    recording: Recording,
    schedule: Sequence[Fault],
    *,
    seed: int,
    n_series: int,
    readings_per_fault: int,
) -> list[list[StreamRecord]]:
    """Return what is fed during each fault: the same for the same arguments.

    Series take turns, a reading each; each fourth sends its reading in two parts, some features in
    each. A third of the series share records: each holds what several of them send, and a few of
    these hold something that is no reading too. Some steps are missing, measured twice or come too
    late, some values are null, some gaps are long; bytes that are no reading stand among them.
    A partition that is added gets series of its own.
    """
    n_steps = -(-readings_per_fault * len(schedule) // n_series) + _LONG_GAP_STEPS
    rng = np.random.default_rng([seed, 3])
    series = [
        _Series(f"series-{i:04d}", recording, recording.stretch(i, n_steps), rng)
        for i in range(n_series)
    ]
    poison = _poison(rng)
    turns = _turns(series, rng, _Batches(np.random.default_rng([seed, 5])))
    moves = np.random.default_rng([seed, 4])
    chunks: list[list[StreamRecord]] = []
    n_partitions = N_PARTITIONS
    for fault in schedule:
        if fault.kind is Kind.PARTITIONS_ADDED:
            for i in range(len(series), len(series) + _NEW_SERIES):
                values = recording.stretch(i, n_steps)
                series.append(_Series(f"series-{i:04d}", recording, values, rng, n_partitions))
            n_partitions += 1
        elif fault.kind is Kind.KEYS_MOVED:
            for i in moves.integers(len(series), size=_MOVED_SERIES).tolist():
                series[i].partition = int(moves.integers(n_partitions))
        chunk = [next(poison) for _ in range(BURST_RECORDS * (fault.kind is Kind.POISON_BURST))]
        for _ in range(readings_per_fault):
            chunk += next(turns)
            if rng.random() < _POISON_SHARE:
                chunk.append(next(poison))
        chunks.append(chunk)
    return chunks


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


class _Batches:
    """Puts readings of several series into one record, partition by partition."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._waiting: defaultdict[int, list[bytes]] = defaultdict(list)
        self._n = 0

    def add(self, records: Sequence[StreamRecord]) -> list[StreamRecord]:
        """Return the records that are full with these."""
        full = []
        for record in records:
            waiting = self._waiting[record.partition]
            waiting.append(record.value)
            if len(waiting) >= _BATCH_READINGS:
                full.append(self._record(record.partition))
        return full

    def take_rest(self) -> list[StreamRecord]:
        """Return what waits."""
        return [self._record(partition) for partition in sorted(self._waiting)]

    def _record(self, partition: int) -> StreamRecord:
        elements = self._waiting.pop(partition)
        self._n += 1
        is_broken = bool(self._rng.random() < _BROKEN_BATCH_SHARE)
        if is_broken:
            elements.insert(int(self._rng.integers(len(elements) + 1)), b'["no reading"]')
        value = b'{"readings": [%s], "n": %d}' % (b", ".join(elements), self._n)
        key = b"gateway-%d" % partition
        return StreamRecord(partition=partition, key=key, value=value, is_poison=is_broken)


def _turns(
    series: Sequence[_Series], rng: np.random.Generator, batches: _Batches
) -> Iterator[list[StreamRecord]]:
    """Give each series its turn, in an order that changes, for ever."""
    while True:
        for i in rng.permutation(len(series)).tolist():
            records = series[i].next_records()
            yield batches.add(records) if series[i].is_batched else records
        yield batches.take_rest()


def _poison(rng: np.random.Generator) -> Iterator[StreamRecord]:
    """Return records that are no reading, no two of them alike.

    Objects name a feature of each recording: those without any are ignored, not rejected.
    """
    forms = (
        b"no json %d",
        b'{"timestamp": "never", "cpu": 1, "flow": 1, "n": %d}',
        b'{"cpu": 1, "flow": 1, "n": %d}',
        b"\xff\xfe %d",
        b'{"timestamp": "2026-01-01T00:00:00Z", "cpu": "hot", "flow": "wet", "n": %d}',
        b"[%d]",
    )
    n = 0
    while True:
        form = forms[n % len(forms)]
        yield StreamRecord(
            partition=int(rng.integers(N_PARTITIONS)),
            key=b"poison-%d" % n,
            value=form % n,
            is_poison=True,
        )
        n += 1
