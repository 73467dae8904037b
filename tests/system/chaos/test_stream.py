"""What a run is fed: the same for the same seed, with everything in it that can go wrong."""

from collections import Counter
from itertools import chain

import numpy as np
import pytest

from stream_vae.core.model_spec import numeric_features
from stream_vae.core.records import RecordBatch
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.reading_format import ReadingFormat
from tests.system.chaos.recording import Recording
from tests.system.chaos.schedule import Kind, draw_schedule
from tests.system.chaos.stream import BURST_RECORDS, N_PARTITIONS, StreamRecord, build_stream
from tests.system.harness import START_NS

N_FAULTS = len(Kind)


def small_recording() -> Recording:
    values = np.random.default_rng(1).normal(size=(500, 2))
    return Recording(
        origin="noise",
        features=("a", "b"),
        normal={"m": values},
        stream={"m": values},
        anomalies={"m": np.array([20, 90])},
    )


def stream(seed: int, n_faults: int = N_FAULTS) -> list[list[StreamRecord]]:
    return build_stream(
        small_recording(),
        draw_schedule(seed, n_faults, 3),
        seed=seed,
        n_series=10,
        readings_per_fault=100,
    )


def test_a_seed_gives_one_stream() -> None:
    """Control: another seed gives another; a longer run begins as a shorter one."""
    assert stream(1) == stream(1)
    assert stream(1) != stream(2)
    assert stream(1, 5) == stream(1)[:5]


@pytest.mark.parametrize("feature", ["cpu", "flow"])
def test_each_poison_record_is_rejected(feature: str) -> None:
    """By models of either recording: a record without any of its features would be ignored."""
    poison = [r for r in chain.from_iterable(stream(1)) if r.is_poison]
    n = len(poison)
    batch = RecordBatch(
        topic="input",
        partitions=np.array([r.partition for r in poison], np.int32),
        offsets=np.arange(n, dtype=np.int64),
        timestamps=np.full(n, START_NS, np.int64),
        timed_by_broker=False,
        keys=[r.key for r in poison],
        values=[r.value for r in poison],
        headers=lambda _: [],
    )
    decoder = build_decoder(numeric_features([feature]), ReadingFormat())

    assert len(decoder.decode(batch, START_NS).rejections) == n


def test_no_two_poison_records_are_alike_and_a_burst_is_many() -> None:
    chunks = stream(1)
    poison = Counter(r.value for r in chain.from_iterable(chunks) if r.is_poison)
    burst = [fault.kind for fault in draw_schedule(1, N_FAULTS, 3)].index(Kind.POISON_BURST)

    assert max(poison.values()) == 1
    assert sum(r.is_poison for r in chunks[burst]) >= BURST_RECORDS


def test_a_series_stays_in_its_partition() -> None:
    places = {(r.key, r.partition) for r in chain.from_iterable(stream(1)) if not r.is_poison}

    assert len(places) == 10


def test_an_added_partition_gets_series_of_its_own_and_some_series_move() -> None:
    """Control: before that, no record goes there."""
    kinds = (Kind.PARTITIONS_ADDED, Kind.KEYS_MOVED)
    schedule = draw_schedule(1, 4, 3, kinds)
    chunks = build_stream(small_recording(), schedule, seed=1, n_series=10, readings_per_fault=100)
    added = [i for i, fault in enumerate(schedule) if fault.kind is Kind.PARTITIONS_ADDED]

    for n, at in enumerate(added, start=N_PARTITIONS):
        first = min(i for i, chunk in enumerate(chunks) if any(r.partition == n for r in chunk))
        assert first == at
    places = Counter(key for key, _ in {(r.key, r.partition) for c in chunks for r in c})
    assert max(places.values()) > 1
