"""What a run is fed: the same for the same seed, with everything in it that can go wrong."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
import pytest

from stream_vae.core.model_spec import numeric_features
from stream_vae.core.partition_clocks import PartitionClocks
from stream_vae.core.readings import CLOSINGS
from stream_vae.core.records import RecordBatch
from stream_vae.core.sessions import SessionAssembler
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.log_lines.line_counts import features_of
from stream_vae.logs.templates import mine
from stream_vae.settings import load_settings
from tests.system.chaos.log_stream import Form, LogSource
from tests.system.chaos.reading_stream import FORMAT, ReadingSource
from tests.system.chaos.recording import Recording
from tests.system.chaos.schedule import Kind, draw_schedule
from tests.system.chaos.session_stream import SessionSource
from tests.system.chaos.stream import (
    BURST_RECORDS,
    N_PARTITIONS,
    Source,
    StreamRecord,
    build_stream,
)
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


@cache
def stream(
    seed: int, n_faults: int = N_FAULTS, n_series: int = 10, source: Source | None = None
) -> list[list[StreamRecord]]:
    return build_stream(
        source or ReadingSource(small_recording()),
        draw_schedule(seed, n_faults, 3),
        seed=seed,
        n_series=n_series,
        readings_per_fault=100,
    )


def as_poll(records: Sequence[StreamRecord]) -> RecordBatch:
    n = len(records)
    return RecordBatch(
        topic="input",
        partitions=np.array([r.partition for r in records], np.int32),
        offsets=np.arange(n, dtype=np.int64),
        timestamps=np.full(n, START_NS, np.int64),
        timed_by_broker=False,
        keys=[r.key for r in records],
        values=[r.value for r in records],
        headers=lambda _: [],
    )


def test_a_seed_gives_one_stream() -> None:
    """Control: another seed gives another; a longer run begins as a shorter one."""
    assert stream.__wrapped__(1) == stream(1)
    assert stream(1) != stream(2)
    assert stream(1, 5) == stream(1)[:5]


@pytest.mark.parametrize("feature", ["cpu", "flow"])
def test_each_poison_record_is_rejected(feature: str) -> None:
    """By models of either recording: a record without any of its features would be ignored."""
    poison = [r for r in chain.from_iterable(stream(1)) if r.is_poison]
    decoder = build_decoder(numeric_features([feature]), FORMAT)

    assert len(decoder.decode(as_poll(poison), START_NS).rejections) == len(poison)


@pytest.mark.parametrize("form", ["text", "json"])
def test_each_poison_record_of_logs_is_rejected_and_no_other(form: Form) -> None:
    """Control: what is spoilt about lines is there, and each record of them is lines or empty."""
    source = LogSource(form)
    records = [*chain.from_iterable(stream(1, 8, 40, source))]
    poll = as_poll(records)
    settings = load_settings(overrides=source.settings, environ={}).settings.input
    logs = mine(["a line"])
    decoder = build_decoder(features_of(logs.templates, ()), settings, logs=logs)
    decoded = decoder.decode(poll, 2 * START_NS)

    rejected = {rejection.index for rejection in decoded.rejections}
    assert rejected == {at for at, record in enumerate(records) if record.is_poison}
    assert max(Counter(records[at].value for at in rejected).values()) == 1
    assert len({*decoded.index.tolist(), *decoded.ignored, *rejected}) == len(records)
    assert len(set(decoded.readings.series)) == 40
    assert decoded.lines is not None
    for n in (decoded.lines.n_cut, decoded.lines.n_replaced, decoded.lines.n_continuation):
        assert n > 0


@pytest.mark.parametrize("form", ["text", "json"])
def test_each_session_lies_in_one_partition_and_they_are_closed_in_every_way(form: Form) -> None:
    """Each line is counted once. Control: a series lies in several; some lines are of none."""
    source = SessionSource(10, form)
    records = [*chain.from_iterable(stream(1, 18, 10, source))]
    poll = as_poll(records)
    poll = replace(poll, timestamps=poll.timestamps + np.arange(len(records)) * 1_000_000)
    settings = load_settings(overrides=source.settings, environ={}).settings.input
    logs = mine(["a line"])
    features = features_of(logs.templates, (), of_sessions=True)
    decoded = build_decoder(features, settings, logs=logs).decode(poll, 2 * START_NS)
    lines, found = decoded.readings, decoded.sessions
    assert found is not None
    assert settings.sessions is not None

    rejected = {rejection.index for rejection in decoded.rejections}
    assert rejected == {at for at, record in enumerate(records) if record.is_poison}
    places = {(key, p) for key, p in zip(found.keys, lines.partitions.tolist(), strict=True) if key}
    assert len({key for key, _ in places}) == len(places)
    assert len(set(zip(lines.series, lines.partitions.tolist(), strict=True))) > 10
    names = [feature.name for feature in features]
    assembler = SessionAssembler(settings.sessions, names, PartitionClocks())
    closed, _ = assembler.assemble(lines, decoded.index, found, poll)
    assert closed.sessions is not None
    still_open = assembler.release_all("input").sessions
    assert still_open is not None
    n_lines = closed.sessions.n_lines.sum() + still_open.n_lines.sum()
    assert 0 < n_lines == sum(key is not None for key in found.keys) < len(lines)
    hows = {CLOSINGS[how] for how in closed.sessions.closings.tolist()}
    assert hows == {"ended", "quiet", "full", "early"}


def test_no_two_poison_records_are_alike_and_a_burst_is_many() -> None:
    chunks = stream(1)
    poison = Counter(r.value for r in chain.from_iterable(chunks) if r.is_poison)
    burst = [fault.kind for fault in draw_schedule(1, N_FAULTS, 3)].index(Kind.POISON_BURST)

    assert max(poison.values()) == 1
    assert sum(r.is_poison for r in chunks[burst]) >= BURST_RECORDS


def readings(record: StreamRecord) -> list[dict[str, Any]]:
    """Return the readings that a record holds."""
    content = json.loads(record.value)
    return [each for each in content.get("readings", [content]) if isinstance(each, dict)]


def test_a_series_stays_in_its_partition() -> None:
    records = [r for r in chain.from_iterable(stream(1)) if b"series-" in r.value]
    places = {(each["series"], r.partition) for r in records for each in readings(r)}

    assert len(places) == 10


def test_some_records_hold_readings_of_several_series_and_some_of_these_a_broken_one() -> None:
    """Control: others are one reading; parts of readings are among both."""
    records = [*chain.from_iterable(stream(1, n_series=40))]
    shared = [r for r in records if b'"readings"' in r.value]
    alone = [r for r in records if b"series-" in r.value and b'"readings"' not in r.value]

    assert max(len({each["series"] for each in readings(r)}) for r in shared) > 1
    assert any(r.is_poison for r in shared)
    assert not all(r.is_poison for r in shared)
    for records in (shared, alone):
        assert len({len(each) for r in records for each in readings(r)}) > 1


def test_an_added_partition_gets_series_of_its_own_and_some_series_move() -> None:
    """Control: before that, no record goes there."""
    kinds = (Kind.PARTITIONS_ADDED, Kind.KEYS_MOVED)
    schedule = draw_schedule(1, 4, 3, kinds)
    chunks = build_stream(
        ReadingSource(small_recording()), schedule, seed=1, n_series=10, readings_per_fault=100
    )
    added = [i for i, fault in enumerate(schedule) if fault.kind is Kind.PARTITIONS_ADDED]

    for n, at in enumerate(added, start=N_PARTITIONS):
        first = min(i for i, chunk in enumerate(chunks) if any(r.partition == n for r in chunk))
        assert first == at
    records = [r for chunk in chunks for r in chunk if b"series-" in r.value]
    places = {(each["series"], r.partition) for r in records for each in readings(r)}
    assert max(Counter(series for series, _ in places).values()) > 1
