"""Snapshots: what is restored goes on as if nothing had happened."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.model_spec import Feature, Scores
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.state_layout import StateLayout
from stream_vae.detect.config import DetectConfig, IncidentConfig
from stream_vae.pipeline.pipeline import Pipeline, store_of_one
from stream_vae.pipeline.series_store import SavedSeries
from stream_vae.wire.snapshots import RowHead, decode_rows, encode_rows
from tests.conftest import make_spec
from tests.suites import fewer_examples

MakePipeline = Callable[..., Pipeline]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
T, F, SERIES, STEPS = 8, 3, 3, 120
CONFIG = DetectConfig(incident=IncidentConfig(cooldown_s=9.0))


def make_stream() -> ReadingBatch:
    """Return noise with anomalies of all lengths, gaps, late readings and revisions."""
    generator = np.random.default_rng(5)
    steps = np.repeat(np.arange(STEPS), SERIES)
    values = generator.normal(size=(STEPS, SERIES, F))
    for begin, end, series in ((30, 33, 0), (40, 75, 1), (60, 62, 2), (80, 110, 0)):
        values[begin:end, series] += 9
    values[generator.random(values.shape) < 0.05] = np.nan
    moved = np.where(generator.random(len(steps)) < 0.05, -1, 0)
    kept = generator.random(len(steps)) > 0.03
    kept[50 * SERIES : 65 * SERIES : SERIES] = False  # a long gap in the first series
    times = ((steps + moved) * 1_000_000_000)[kept]
    n = len(times)
    return ReadingBatch(
        topic="readings",
        partitions=np.zeros(n, np.int32),
        offsets=np.arange(n),
        series=[f"s{i % SERIES}" for i in np.flatnonzero(kept)],
        times=times,
        arrivals=np.arange(n) * 300_000_000,
        values=values.reshape(-1, F)[kept],
    )


STREAM = make_stream()


def part(begin: int, end: int) -> ReadingBatch:
    return STREAM.take(np.arange(begin, min(end, len(STREAM))))


def through_bytes(
    saved: SavedSeries, offset: int, layout: StateLayout
) -> dict[str, NDArray[np.void]]:
    head = RowHead(model=b"12345678", parts=layout.heads)
    values = encode_rows(head, np.full(len(saved.names), offset), saved.states)
    return layout.match(head.parts, decode_rows(head, values)[1])


@fewer_examples(4)
@given(
    saved_at=st.lists(st.integers(0, len(STREAM)), min_size=SERIES, max_size=SERIES),
    until=st.integers(0, len(STREAM)),
    ahead=st.integers(0, 40),
    poll=st.integers(1, 50),
)
def test_restored_series_go_on_as_if_nothing_had_happened(
    make_pipeline: MakePipeline,
    saved_at: list[int],
    until: int,
    ahead: int,
    poll: int,
) -> None:
    """Each series is saved at an offset of its own, while later readings are in flight already.

    The incidents are those of the last alert event before `until`, or of the series' own saving.
    """
    whole = make_pipeline(CONFIG)
    expected = whole.observe(STREAM, NOW)
    assert len(expected.alerts) > 6
    saved_at = [min(at, until) for at in saved_at]
    first, second = make_pipeline(CONFIG), make_pipeline(CONFIG)
    told: list[AlertEvent] = []
    incidents = {}
    begin = 0
    for i in sorted(range(SERIES), key=saved_at.__getitem__):
        outcome = first.observe(part(begin, saved_at[i]), NOW)
        told += outcome.alerts
        incidents.update({n: (saved_at[i], s) for n, s in outcome.changes.incidents.items()})
        begin = saved_at[i]
        row = first.store.index.find((0, f"s{i}"))
        if row is None:
            continue
        capture = first.capture(np.array([row], np.int32))
        # Assembling runs ahead of deciding: it must not be seen in what was captured.
        coming = part(begin, begin + ahead)
        in_flight = first.assemble(coming)
        saved = first.complete(capture)
        second.store.load(list(saved.names), through_bytes(saved, begin, second.store.layout))
        second.replayed.note_series((0, f"s{i}"), begin)
        for name, state in saved.incidents.items():
            incidents[name] = (begin, state)
        # The pipeline under test goes on from before what was in flight: begun anew up to there.
        del in_flight
        first = make_pipeline(CONFIG)
        first.observe(part(0, begin), NOW)
    outcome = first.observe(part(begin, until), NOW)
    told += outcome.alerts
    incidents.update({n: (until, s) for n, s in outcome.changes.incidents.items()})
    for name, (offset, state) in incidents.items():
        if offset >= second.replayed.saved_at(name):
            second.store.load_incidents(name, state, 0)
            second.replayed.note_incidents(name, offset)

    for at in range(min(saved_at), until, poll):
        polled = part(at, min(at + poll, until))
        again = polled.take(second.replayed.unseen(polled))
        replay = second.decide(second.score(second.assemble(again)), NOW, replayed=True)
        assert not replay.alerts
    second.replayed.forget({0})
    after = second.observe(part(until, len(STREAM)), NOW)
    told += after.alerts
    assert told == list(expected.alerts)
    assert_same_state(second, whole)


def assert_same_state(one: Pipeline, other: Pipeline) -> None:
    assert one.n_series == other.n_series == SERIES
    for i in range(SERIES):
        states = []
        for pipeline in (one, other):
            row = pipeline.store.index.find((0, f"s{i}"))
            assert row is not None
            saved = pipeline.complete(pipeline.capture(np.array([row], np.int32)))
            # How much of a gap is forgotten is rounded by how arrivals are polled.
            parts = {name: part.tobytes() for name, part in saved.states.items() if name != "gaps"}
            states.append((parts, dict(saved.incidents)))
        assert states[0] == states[1]


class _Cold:
    """Scores nothing as unusual: what another machine's last bits might make of a reading."""

    def score(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
        n = len(end_times)
        return Scores(
            value=np.zeros(n),
            contribution=np.full((n, F), 1 / F, np.float32),
            expected=np.zeros((n, F)),
            expected_std=np.ones((n, F)),
        )


def test_what_was_published_is_restored_even_where_a_replay_would_judge_otherwise(
    make_pipeline: MakePipeline,
) -> None:
    """An incident was opened; read again, nothing looks unusual: it stays open and is resolved."""
    first, second = make_pipeline(), make_pipeline(scorer=_Cold())
    until = 45 * SERIES
    opened = first.observe(part(0, until), NOW)
    firing = {n: s for n, s in opened.changes.incidents.items() if s.anomaly and s.anomaly.incident}
    assert firing
    for name, state in firing.items():
        second.store.load_incidents(name, state, 0)
    again = second.score(second.assemble(part(0, until)))
    replay = second.decide(again, NOW, replayed=True)
    assert not replay.alerts
    assert second.n_open_incidents == first.n_open_incidents == len(firing)
    rest = second.observe(part(until, len(STREAM)), NOW)
    assert [(e.status, e.sequence) for e in rest.alerts] == [("resolved", 1)] * len(firing)


def test_windows_carry_over_to_another_model_of_the_same_shape(
    make_pipeline: MakePipeline,
) -> None:
    """Their values stay, however far from what either expects; thresholds begin anew."""
    first, second = make_pipeline(), make_pipeline()
    readings = part(0, 100)
    readings.values[-SERIES:] = 500.0  # five times what the first model clips at
    first.observe(readings, NOW)
    saved = first.complete(first.capture(first.store.index.used()))
    assert not second.store.load(list(saved.names), saved.states, by_this_model=False)
    row = second.store.index.find((0, "s1"))
    assert row is not None
    assert second.store.index.changed[row], "saved again in this model's terms"
    position = list(saved.names).index((0, "s1"))
    found = second.complete(second.capture(np.array([row], np.int32))).states
    assert found["windows"][0].tobytes() == saved.states["windows"][position].tobytes()
    assert (found["windows"]["values"][0, -1] == 500.0).all()
    fresh = make_pipeline()
    [begun] = fresh.store.rows([(0, "x")])
    assert second.detector.threshold.in_force(row) == fresh.detector.threshold.in_force(int(begun))


def test_a_series_costs_what_is_stated() -> None:
    features = tuple(Feature(name=f"f{i}") for i in range(8))
    spec = replace(make_spec(), features=features, window_length=32)
    assert store_of_one(spec, DetectConfig()).series_bytes == pytest.approx(23_300, abs=200)
