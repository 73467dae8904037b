"""Steps of parts, leaps and waiting: the same alerts however polled, and after any restart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.assembly_config import AssemblyConfig
from stream_vae.core.feature_rule import parse_rule
from stream_vae.core.incidents import SeriesIncidents
from stream_vae.core.log_templates import LogSpec
from stream_vae.core.model_spec import ModelSpec
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import RecordBatch
from stream_vae.core.series_index import SeriesName
from stream_vae.core.state_layout import StateLayout
from stream_vae.detect.config import DetectConfig, IncidentConfig
from stream_vae.pipeline.pipeline import Outcome, Pipeline
from stream_vae.pipeline.polled_batch import Assembled
from stream_vae.pipeline.series_store import SavedSeries
from stream_vae.wire.snapshots import RowHead, decode_rows, encode_rows
from tests.conftest import make_spec
from tests.suites import fewer_examples

MakePipeline = Callable[..., Pipeline]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
F, SERIES, STEPS = 3, 4, 60
STEP_NS = 1_000_000_000
BEGIN = 1_000
CONFIG = DetectConfig(incident=IncidentConfig(cooldown_s=5.0))
NAMES = [(0, f"s{i}") for i in range(SERIES)]


@dataclass(frozen=True)
class Stream:
    """M records of one partition, and the N readings of some of them."""

    times: NDArray[np.int64]
    """(M,) of the records."""
    index: NDArray[np.int64]
    """(N,) record of each reading."""
    readings: ReadingBatch

    def of_counts(self) -> "Stream":
        """Return the same, of what lines of logs give."""
        counts = np.rint(np.abs(np.nan_to_num(self.readings.values)))
        return replace(self, readings=replace(self.readings, values=counts))

    def poll(self, begin: int, end: int) -> tuple[RecordBatch, ReadingBatch, NDArray[np.int64]]:
        """Return the records from `begin` to `end`, their readings, and the record of each."""
        end = min(end, len(self.times))
        at = np.flatnonzero((self.index >= begin) & (self.index < end))
        n = end - begin
        records = RecordBatch(
            topic="readings",
            partitions=np.zeros(n, np.int32),
            offsets=np.arange(begin, end),
            timestamps=self.times[begin:end],
            timed_by_broker=False,
            keys=[None] * n,
            values=[b""] * n,
            headers=lambda _: (),
        )
        return records, self.readings.take(at), self.index[at] - begin


PLAIN = ("", "", "")
LOGS = LogSpec(templates=(), masks=(), lines=0)

Row = tuple[float, int, int, list[float]]
"""Place in the input in steps, series (-1: no reading), event time, values."""


def make_stream(seed: int) -> Stream:
    """Return anomalies in steps whose parts are lost, late or repeated, with pauses and leaps."""
    rng = np.random.default_rng(seed)
    rows = [row for series in range(SERIES) for row in rows_of(series, rng)]
    rows += [(float(at), -1, 0, []) for at in rng.uniform(0, STEPS, 20)]
    rows.sort(key=lambda row: row[0])
    place = np.array([row[0] for row in rows])
    times = ((BEGIN + place + rng.normal(0, 0.2, len(rows))) * STEP_NS).astype(np.int64)
    times[rng.random(len(rows)) < 0.2] = 0
    times[rng.random(len(rows)) < 0.1] -= 30 * STEP_NS
    begins = rng.random(len(rows)) > 0.1  # the others stand in the record before them
    begins[0] = True
    has_reading = np.array([row[1] >= 0 for row in rows])
    index = (np.cumsum(begins) - 1)[has_reading]
    parts = [row for row in rows if row[1] >= 0]
    return Stream(
        times=np.maximum(times[begins], 0),
        index=index,
        readings=ReadingBatch(
            topic="readings",
            partitions=np.zeros(len(parts), np.int32),
            offsets=index.copy(),
            series=[NAMES[row[1]][1] for row in parts],
            times=np.array([row[2] for row in parts], np.int64),
            arrivals=index * 100_000_000,
            values=np.array([row[3] for row in parts]),
        ),
    )


def rows_of(series: int, rng: np.random.Generator) -> list[Row]:
    """Return the parts of a series' steps; the first pauses, the second's clock is set forward."""
    rows: list[Row] = []
    faults, pause = rng.integers(8, STEPS, size=3), int(rng.integers(20, 50))
    for step in range(STEPS):
        if series == 0 and pause <= step < pause + 14:
            continue
        values = rng.normal(size=F)
        values += 9 * any(at <= step < at + 4 * (k + 1) for k, at in enumerate(faults))
        which = rng.integers(0, 3, size=F) * (rng.random() < 0.7)
        for one in np.unique(which[rng.random(F) > 0.05]).tolist():
            part = np.where((which == one) & (rng.random() > 0.03), values, np.nan)
            at = step + rng.exponential(0.3) + (rng.random() < 0.07) * rng.uniform(0, 4)
            leap = 100 * (rng.random() < 0.01) + 40 * (series == 1 and step > STEPS - 10)
            time = (BEGIN + step + leap) * STEP_NS + int(rng.integers(-3, 4)) * 100_000_000
            rows += [(at, series, time, part.tolist())] * (1 + int(rng.random() < 0.03))
    return rows


class Line:
    """A pipeline and what it has told."""

    def __init__(self, pipeline: Pipeline, stream: Stream) -> None:
        self.pipeline = pipeline
        self.stream = stream
        self.alerts: list[AlertEvent] = []
        self.leaps: list[int] = []
        self.incidents: dict[SeriesName, tuple[int, SeriesIncidents]] = {}

    def assemble(self, begin: int, end: int, *, replayed: bool = False) -> Assembled:
        """Assemble a poll."""
        records, readings, index = self.stream.poll(begin, end)
        if replayed:
            unseen = self.pipeline.replayed.unseen(readings)
            readings, index = readings.take(unseen), index[unseen]
        assembled = self.pipeline.assemble(readings, index, records)
        if not replayed:
            self.leaps += (begin + index[assembled.leaps]).tolist()
        return assembled

    def decide(self, assembled: Assembled, end: int, *, replayed: bool = False) -> Outcome:
        """Decide a poll that ends there."""
        outcome = self.pipeline.decide(self.pipeline.score(assembled), NOW, replayed=replayed)
        self.alerts += outcome.alerts
        if not replayed:
            self.incidents |= {n: (end, s) for n, s in outcome.changes.incidents.items()}
        return outcome

    def run(self, begin: int, end: int, poll: int, *, replayed: bool = False) -> None:
        """Process records in polls."""
        for at in range(begin, end, poll):
            until = min(at + poll, end)
            self.decide(self.assemble(at, until, replayed=replayed), until, replayed=replayed)


def ruled(rules: tuple[str, ...]) -> ModelSpec:
    """Return a model whose features have these rules, "" for none."""
    plain = make_spec()
    pairs = zip(plain.features, rules, strict=True)
    features = tuple(replace(one, rule=parse_rule(text) if text else None) for one, text in pairs)
    return replace(plain, features=features)


def through_bytes(
    saved: SavedSeries, offset: int, layout: StateLayout
) -> dict[str, NDArray[np.void]]:
    head = RowHead(model=b"12345678", parts=layout.heads)
    values = encode_rows(head, np.full(len(saved.names), offset), saved.states)
    return layout.match(head.parts, decode_rows(head, values)[1])


def by_series(alerts: Sequence[AlertEvent]) -> dict[str, list[AlertEvent]]:
    return {key: [a for a in alerts if a.series.key == key] for _, key in NAMES}


def state_of(pipeline: Pipeline) -> dict[SeriesName, object]:
    found: dict[SeriesName, object] = {}
    for name in NAMES:
        row = pipeline.store.index.find(name)
        if row is not None:
            saved = pipeline.complete(pipeline.capture(np.array([row], np.int32)))
            # How much of a gap is forgotten is rounded by how arrivals are polled.
            parts = {name: part.tobytes() for name, part in saved.states.items() if name != "gaps"}
            found[name] = parts, dict(saved.incidents)
    return found


@fewer_examples(4)
@given(
    seed=st.integers(0, 10_000),
    saved_at=st.lists(st.floats(0, 1), min_size=SERIES, max_size=SERIES),
    checkpoint_at=st.floats(0, 1),
    until_at=st.floats(0, 1),
    polls=st.lists(st.integers(1, 60), min_size=3, max_size=3),
    assembly=st.builds(
        lambda wait_steps, lateness_steps: AssemblyConfig(
            wait_steps=wait_steps, lateness_steps=lateness_steps
        ),
        st.sampled_from([0.3, 1.0, 2.5]),
        st.integers(0, 3),
    ),
    rules=st.sampled_from([PLAIN, ("difference", "hold:3", "scale:0.5,rate,hold:5")]),
    adds_up=st.booleans(),
)
def test_steps_of_parts_are_judged_alike_however_polled_and_after_a_restart(
    make_pipeline: MakePipeline,
    seed: int,
    saved_at: list[float],
    checkpoint_at: float,
    until_at: float,
    polls: list[int],
    assembly: AssemblyConfig,
    rules: tuple[str, ...],
    adds_up: bool,
) -> None:
    """Each series is saved at an offset of its own, while the next poll is in flight already."""
    stream = make_stream(seed)
    stream = stream.of_counts() if adds_up else stream
    spec = replace(make_spec(), logs=LOGS) if adds_up else ruled(rules)
    n = len(stream.times)
    until = round(until_at * n)
    checkpoint = round(checkpoint_at * until)
    saved = [checkpoint + round(at * (until - checkpoint)) for at in saved_at]

    def new_line() -> Line:
        return Line(make_pipeline(CONFIG, assembly=assembly, spec=spec), stream)

    whole = new_line()
    whole.run(0, n, 1)
    first, second = new_line(), new_line()
    parts: dict[str, bytes] = {}
    stops = sorted({checkpoint, *saved, until})
    begin = 0
    for stop in stops:
        first.run(begin, stop, polls[0])
        begin = stop
        if stop == checkpoint:
            parts = first.pipeline.save_partition(0)
        captured = [i for i in range(SERIES) if saved[i] == stop]
        rows = [first.pipeline.store.index.find(NAMES[i]) for i in captured]
        known = np.array([row for row in rows if row is not None], np.int32)
        if len(known):
            capture = first.pipeline.capture(known)
            end = min(stop + polls[1], until)
            is_cut = end == stop or any(stop < other < end for other in stops)
            # Assembling runs ahead of deciding: it must not be seen in what was captured.
            later = None if is_cut else first.assemble(stop, end)
            done = first.pipeline.complete(capture)
            restored = second.pipeline
            restored.store.load(list(done.names), through_bytes(done, stop, restored.store.layout))
            for name in done.names:
                restored.replayed.note_series(name, stop)
            first.incidents |= {name: (stop, state) for name, state in done.incidents.items()}
            if later is not None:
                first.decide(later, end)
                begin = end
    for name, (offset, state) in first.incidents.items():
        if offset >= second.pipeline.replayed.saved_at(name):
            second.pipeline.store.load_incidents(name, state, 0)
            second.pipeline.replayed.note_incidents(name, offset)
    second.pipeline.load_partition(0, parts)
    second.run(checkpoint, until, polls[2], replayed=True)
    assert not second.alerts
    second.pipeline.replayed.forget({0})
    second.run(until, n, polls[2])
    told = by_series([*first.alerts, *second.alerts])
    assert told == by_series(whole.alerts)
    assert first.leaps + second.leaps == whole.leaps
    assert state_of(second.pipeline) == state_of(whole.pipeline)
    assert second.pipeline.save_partition(0) == whole.pipeline.save_partition(0)
