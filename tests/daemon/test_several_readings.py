"""Several readings of one record on their way to delivery: records are settled, not readings."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.records import OutputRecord, RecordBatch
from stream_vae.daemon.clock import SystemClock
from stream_vae.daemon.ingest import Ingest
from stream_vae.delivery.committer import CommitConfig, Committer
from stream_vae.delivery.outbox import Outbox
from stream_vae.events import ReadingsJudged, ReadingsLate, RecordsConsumed, RecordsRejected
from stream_vae.pipeline.pipeline import Outcome, Pipeline
from stream_vae.state.partitions import PartitionTable
from tests.inputs.point_lists import PointListDecoder, point_list
from tests.recorded_events import RecordedEvents
from tests.suites import fewer_examples

MakePipeline = Callable[..., Pipeline]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
F = 3
START_S = 1_700_000_000


class Producer:
    """Commits whatever it is given."""

    def __init__(self) -> None:
        self.records: list[OutputRecord] = []
        self.offsets: dict[int, int] = {}

    def commit(
        self,
        records: Sequence[OutputRecord],
        topic: str,
        offsets: Mapping[int, int],
        membership: object,
        *,
        given_up: Mapping[int, Sequence[int]] | None = None,
    ) -> bool:
        self.records += records
        self.offsets.update(offsets)
        return True


class Member:
    """A member of the group whose membership stands."""

    def membership(self) -> object:
        return 1

    def lag(self) -> dict[int, int]:
        return {}


class Line:
    """The daemon's straight line without its edges."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.events, self.producer = RecordedEvents(), Producer()
        partitions = PartitionTable()
        partitions.assign([0], 0.0)
        topics = {"alerts": "alerts", "dead_letters": "dead-letters", "late": "late"}
        self.committer = Committer(
            CommitConfig(topic="readings", interval_s=1.0),
            consumer=cast(Any, Member()),
            producer=cast(Any, self.producer),
            outbox=Outbox("test", topics),
            partitions=partitions,
            changelog=None,
            events=self.events,
            clock=SystemClock(),
        )
        self.ingest = Ingest(
            PointListDecoder(F),
            pipeline,
            events=self.events,
            evict=lambda _: None,
            clock=SystemClock(),
        )
        self.alerts: list[AlertEvent] = []

    def take(self, values: Sequence[bytes], first_offset: int = 0) -> Outcome:
        """Take a poll in and settle it."""
        records = poll_of(values, first_offset)
        ledger = self.committer.ledger
        ticket = ledger.track(records.next_offsets())
        polled = self.ingest.take(records, ticket)
        assert polled.steps.window_batch.rows.shape == polled.steps.index.shape
        outcome = self._decide(polled, replayed=False)
        before = ledger.committable()
        assert before.get(0, first_offset) <= first_offset, "nothing is settled before all is"
        self.committer.add_outcome(polled, ticket, outcome)
        self.alerts += outcome.alerts
        return outcome

    def replay(self, values: Sequence[bytes], first_offset: int) -> None:
        """Read a poll again."""
        polled = self.ingest.take(poll_of(values, first_offset), None, 1)
        assert len(polled.steps.index) == len(polled.steps.readings)
        assert not self._decide(polled, replayed=True).alerts

    def _decide(self, polled: Any, *, replayed: bool) -> Outcome:
        scored = self.pipeline.score(polled.steps)
        assert scored.detector == polled.detector
        return self.pipeline.decide(scored, NOW, replayed=replayed)

    def told(self, kind: type[Any]) -> list[Any]:
        return self.events.of(kind)


def poll_of(values: Sequence[bytes], first_offset: int) -> RecordBatch:
    n = len(values)
    return RecordBatch(
        topic="readings",
        partitions=np.zeros(n, np.int32),
        offsets=np.arange(first_offset, first_offset + n),
        timestamps=np.full(n, START_S * 10**9),
        timed_by_broker=True,
        keys=[b"gateway"] * n,
        values=list(values),
        headers=lambda _: [],
    )


def point(step: int, series: str = "a", value: float = 0.5) -> list[object]:
    return [series, START_S + step, value, None, -value]


@pytest.fixture
def line(make_pipeline: MakePipeline) -> Line:
    return Line(make_pipeline())


def test_a_record_with_a_late_reading_goes_to_the_late_topic_once_and_its_others_count(
    line: Line,
) -> None:
    line.take([point_list(point(5), point(6))])
    value = point_list(point(7), point(2), point(8))
    outcome = line.take([value, point_list(point(9))], first_offset=1)
    assert outcome.late.tolist() == [1]
    [late] = line.committer.outbox.waiting.late
    assert (late.key, late.value) == (b"gateway", value)
    headers = dict(late.headers)
    assert headers["dlq.detail"] == b"reading 2 of 3: older than its series' open step"
    assert headers["dlq.source.offset"] == b"1"
    [told] = line.told(ReadingsLate)
    assert told.count == 1
    row = line.pipeline.store.index.find((0, "a"))
    assert row is not None
    assert line.pipeline.store.windows.newest_step(row) == (START_S + 9) * 10**9
    line.committer.commit_or_raise()
    assert line.producer.offsets == {0: 3}
    assert line.producer.records == [late]


def test_a_record_with_several_late_readings_names_all_of_them(line: Line) -> None:
    line.take([point_list(point(5))])
    line.take([point_list(point(1), point(6), point(2)), point_list(point(3))], first_offset=1)
    first, second = (dict(r.headers)["dlq.detail"] for r in line.committer.outbox.waiting.late)
    assert first == b"readings 1, 3 of 3: older than its series' open step"
    assert second == b"older than its series' open step"
    assert [event.count for event in line.told(ReadingsLate)] == [3]


def test_a_record_with_readings_whose_times_leap_is_a_dead_letter_once_and_its_others_count(
    line: Line,
) -> None:
    """Control: a leap that the reading before confirms is used."""
    line.take([point_list(point(5))])
    value = point_list(point(60), point(6), point(90))
    outcome = line.take([value, point_list(point(91))], first_offset=1)
    assert len(outcome.batch.scored.readings) == 2
    [letter] = line.committer.outbox.waiting.dead_letters
    headers = dict(letter.headers)
    assert (letter.value, headers["dlq.reason"]) == (value, b"timestamp_leap")
    assert (headers["dlq.detail"] or b"").startswith(b"readings 1, 3 of 3: 2023-11-14T22:14:20Z is")
    row = line.pipeline.store.index.find((0, "a"))
    assert row is not None
    assert line.pipeline.store.windows.newest_step(row) == (START_S + 91) * 10**9


def test_a_record_with_a_bad_reading_is_a_dead_letter_once_and_its_others_count(
    line: Line,
) -> None:
    bad = point_list(point(0), ["a", START_S + 1, "x", 0, 0], point(2, "new"))
    line.take([bad, point_list(point(0, "b"), point(1, "b"))])
    [letter] = line.committer.outbox.waiting.dead_letters
    assert (letter.key, letter.value) == (b"gateway", bad)
    headers = dict(letter.headers)
    assert (headers["dlq.detail"] or b"").startswith(b"reading 2 of 3: ")
    assert headers["dlq.readings"] == b"2"
    assert [(event.reason, event.count) for event in line.told(RecordsRejected)] == [
        ("value_not_a_number", 1)
    ]
    assert [event.records for event in line.told(RecordsConsumed)] == [2]
    assert line.pipeline.n_series == 3, "a, new and b"
    line.committer.commit_or_raise()
    assert line.producer.offsets == {0: 2}


def test_a_record_is_settled_once_all_its_readings_are(line: Line) -> None:
    records = poll_of([point_list(point(0), point(1))], 0)
    ticket = line.committer.ledger.track(records.next_offsets())
    polled = line.ingest.take(records, ticket)
    assert line.committer.ledger.committable() == {}
    line.committer.add_outcome(polled, ticket, line._decide(polled, replayed=False))
    assert line.committer.ledger.committable() == {0: 1}


def make_stream(n_steps: int = 60) -> list[list[object]]:
    """Return quiet points of two series, of which one goes wild for ten steps."""
    generator = np.random.default_rng(3)
    points: list[list[object]] = []
    for step in range(n_steps):
        for name in ("a", "b"):
            wild = 12.0 if name == "b" and 30 <= step < 40 else 0.0
            values = (generator.normal(size=F) + wild).tolist()
            points.append([name, START_S + step, *values])
    return points


POINTS = make_stream()


def cut(points: list[list[object]], sizes: list[int]) -> list[bytes]:
    """Return records of so many points, over and over."""
    records: list[bytes] = []
    begin = 0
    while begin < len(points):
        size = sizes[len(records) % len(sizes)]
        records.append(point_list(*points[begin : begin + size]))
        begin += size
    return records


sizes_of_records = st.lists(st.integers(1, 5), min_size=1, max_size=4)
few = fewer_examples(5)


def told_of(line: Line) -> list[tuple[object, ...]]:
    """Return what alert events say, but for the offsets of their records."""
    return [(e.status, e.sequence, e.series, e.starts_at, e.score, e.grade) for e in line.alerts]


@few
@given(sizes=sizes_of_records, poll=st.integers(1, 20))
def test_readings_have_the_same_outcome_however_many_are_in_a_record(
    make_pipeline: MakePipeline, sizes: list[int], poll: int
) -> None:
    alone, together = (Line(make_pipeline()) for _ in range(2))
    alone.take(cut(POINTS, [1]))
    records = cut(POINTS, sizes)
    for begin in range(0, len(records), poll):
        together.take(records[begin : begin + poll], first_offset=begin)
    assert told_of(alone) == told_of(together)
    assert told_of(alone), "control"
    judged = [sum(e.anomalous for e in one.told(ReadingsJudged)) for one in (alone, together)]
    assert judged[0] == judged[1] > 0
    assert together.committer.ledger.committable() == {0: len(records)}


@few
@given(
    sizes=sizes_of_records,
    offsets=st.lists(st.integers(0, 60), min_size=3, max_size=3).map(sorted),
    poll=st.integers(1, 20),
)
def test_records_read_again_repeat_and_miss_none_of_their_readings(
    make_pipeline: MakePipeline, sizes: list[int], offsets: list[int], poll: int
) -> None:
    """Series were saved at one record; reading begins anew before it, up to what was committed."""
    records = cut(POINTS, sizes)
    begin, saved_at, committed = (min(offset, len(records)) for offset in offsets)
    first, second = (Line(make_pipeline()) for _ in range(2))
    first.take(records[:saved_at])
    saved = first.pipeline.complete(first.pipeline.capture(first.pipeline.store.index.used()))
    incidents = dict.fromkeys(saved.incidents, saved_at)
    state = dict(saved.incidents)
    changed = first.take(records[saved_at:committed], first_offset=saved_at).changes.incidents
    incidents |= dict.fromkeys(changed, committed)
    state |= changed

    second.pipeline.store.load(list(saved.names), saved.states)
    for name in saved.names:
        second.pipeline.replayed.note_series(name, saved_at)
    for name, offset in incidents.items():
        second.pipeline.store.load_incidents(name, state[name], 0)
        second.pipeline.replayed.note_incidents(name, offset)
    for at in range(begin, committed, poll):
        second.replay(records[at : min(at + poll, committed)], at)
    second.pipeline.replayed.forget({0})

    first.alerts.clear()
    for one in (first, second):
        one.take(records[committed:], first_offset=committed)
    assert told_of(first) == told_of(second)
    for part in ("index", "windows", "threshold"):
        assert state_of(first)[part].tobytes() == state_of(second)[part].tobytes()


def state_of(line: Line) -> Mapping[str, NDArray[np.void]]:
    """Return the saved state of the series that have begun, by name."""
    find = line.pipeline.store.index.find
    rows = [row for name in ("a", "b") if (row := find((0, name))) is not None]
    return line.pipeline.complete(line.pipeline.capture(np.array(rows, np.int32))).states
