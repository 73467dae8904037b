"""The input of a run: records of many series, what is wrong with some, and poison."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from tests.system.chaos.schedule import Fault, Kind

N_PARTITIONS = 6
"""At first."""
BURST_RECORDS = 150

_POISON_SHARE = 0.02
_NEW_SERIES = 10
_MOVED_SERIES = 8
_BATCH_READINGS = 4
_BROKEN_BATCH_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRecord:
    """One record of the input, with the partition it goes to."""

    partition: int
    key: bytes
    value: bytes
    is_poison: bool


class Series(Protocol):
    """One series of a stream."""

    partition: int
    """To which it goes."""
    is_batched: bool
    """Whether it shares records with others."""

    def next_records(self) -> list[StreamRecord]:
        """Return what arrives at its next turn."""
        ...


class Source(Protocol):
    """What a run is fed with, and what the daemon must know of it."""

    origin: str
    """Where it comes from."""
    settings: Mapping[str, object]
    """Dotted name -> value, for the daemon."""
    poison: Sequence[bytes]
    """Forms of records that are rejected, each with a place for a number."""

    def train_bundle(self, folder: Path) -> Path:
        """Train a tiny network on what is normal and save it; takes some seconds."""
        ...

    def series(
        self, i: int, n_turns: int, rng: np.random.Generator, partition: int | None = None
    ) -> Series:
        """Return one series.

        Args:
            i: Its number.
            n_turns: That it has at least.
            rng: Of all chance.
            partition: In place of the one that follows from its name.
        """
        ...

    def together(self, elements: Sequence[bytes], n: int, broken_at: int | None) -> bytes:
        """Return the n-th record that several series share.

        Args:
            elements: What each of them sends.
            n: Its number.
            broken_at: Where something stands that is rejected; None: nowhere.
        """
        ...


def build_stream(
    source: Source,
    schedule: Sequence[Fault],
    *,
    seed: int,
    n_series: int,
    readings_per_fault: int,
) -> list[list[StreamRecord]]:
    """Return what is fed during each fault: the same for the same arguments.

    Series take turns. Some share records: each holds what several of them send, and a few of these
    hold something that is rejected too. Records that are rejected stand among all. A partition that
    is added gets series of its own.
    """
    n_turns = -(-readings_per_fault * len(schedule) // n_series)
    rng = np.random.default_rng([seed, 3])
    series = [source.series(i, n_turns, rng) for i in range(n_series)]
    poison = _poison(source.poison, rng)
    turns = _turns(series, rng, _Batches(source, np.random.default_rng([seed, 5])))
    moves = np.random.default_rng([seed, 4])
    chunks: list[list[StreamRecord]] = []
    n_partitions = N_PARTITIONS
    for fault in schedule:
        if fault.kind is Kind.PARTITIONS_ADDED:
            new = range(len(series), len(series) + _NEW_SERIES)
            series += [source.series(i, n_turns, rng, n_partitions) for i in new]
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


class _Batches:
    """Puts what several series send into one record, partition by partition."""

    def __init__(self, source: Source, rng: np.random.Generator) -> None:
        self._source = source
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
        broken_at = None
        if self._rng.random() < _BROKEN_BATCH_SHARE:
            broken_at = int(self._rng.integers(len(elements) + 1))
        return StreamRecord(
            partition=partition,
            key=b"gateway-%d" % partition,
            value=self._source.together(elements, self._n, broken_at),
            is_poison=broken_at is not None,
        )


def _turns(
    series: Sequence[Series], rng: np.random.Generator, batches: _Batches
) -> Iterator[list[StreamRecord]]:
    """Give each series its turn, in an order that changes, for ever."""
    while True:
        for i in rng.permutation(len(series)).tolist():
            records = series[i].next_records()
            yield batches.add(records) if series[i].is_batched else records
        yield batches.take_rest()


def _poison(forms: Sequence[bytes], rng: np.random.Generator) -> Iterator[StreamRecord]:
    """Return records that are rejected, no two of them alike."""
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
