"""Lines of logs as they come in: what is odd is told, and what no training saw is kept."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertDetector, AlertEvent
from stream_vae.core.log_templates import LogSpec
from stream_vae.core.model_spec import Scorer, Scores
from stream_vae.core.records import RecordBatch
from stream_vae.daemon.clock import SystemClock
from stream_vae.daemon.ingest import Ingest
from stream_vae.detect.config import DetectConfig
from stream_vae.events import LinesOdd, LinesRead, RecordsWithoutFeature
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.log_lines.line_counts import features_of
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.logs.templates import mine
from stream_vae.pipeline.detector import Detector
from stream_vae.pipeline.incident_ids import Origin
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.wire.alert_text import format_alert
from tests.conftest import NOW, MeanSquareScorer, make_spec
from tests.recorded_events import RecordedEvents

BEGIN_NS = 1_772_323_200 * 10**9
KNOWN = [f"request {n} served" for n in range(9)]
LOGS = mine(KNOWN)
FORMAT = LogFormat(format="log_lines", max_line_bytes=64)


class Stream:
    """Ingests polls of lines."""

    def __init__(
        self, logs: LogSpec = LOGS, scorer: Scorer | None = None, fmt: LogFormat = FORMAT
    ) -> None:
        features = features_of(logs.templates, ())
        spec = replace(make_spec(), features=features, logs=logs, step_seconds=60.0)
        detector = AlertDetector(name="test", version="0", instance="i")
        origin = Origin(detector=detector, topic="app", group="test")
        self.pipeline = Pipeline(
            Detector(spec, scorer or MeanSquareScorer(), DetectConfig()), DetectConfig(), origin
        )
        self.events = RecordedEvents()
        self._scorer = scorer
        self._ingest = Ingest(
            build_decoder(features, fmt, logs=logs),
            self.pipeline,
            events=self.events,
            evict=lambda _: None,
            clock=SystemClock(),
        )

    def take(
        self,
        lines: Sequence[bytes],
        first: int = 0,
        *,
        replayed: bool = False,
        seconds: Sequence[int] | None = None,
    ) -> list[AlertEvent]:
        n = len(lines)
        at_s = np.arange(first, first + n) if seconds is None else np.array(seconds)
        batch = RecordBatch(
            topic="app",
            partitions=np.zeros(n, np.int32),
            offsets=np.arange(first, first + n),
            timestamps=BEGIN_NS + at_s * 10**9,
            timed_by_broker=False,
            keys=[b"web-1"] * n,
            values=list(lines),
            headers=lambda _: [],
        )
        polled = self._ingest.take(batch, None if replayed else first)
        scored = self.pipeline.score(polled.steps)
        return list(self.pipeline.decide(scored, NOW, replayed=replayed).alerts)

    def restarted(self) -> "Stream":
        """Return another instance with the state of this one."""
        index, other = self.pipeline.store.index, Stream(scorer=self._scorer)
        names = [(0, "web-1")]
        saved = self.pipeline.complete(self.pipeline.capture(index.rows(names)[0]))
        other.pipeline.load_partition(0, self.pipeline.save_partition(0))
        other.pipeline.store.load(names, saved.states)
        for name, incidents in saved.incidents.items():
            other.pipeline.store.load_incidents(name, incidents, 0)
        return other

    def told(self) -> dict[str, tuple[int, int, str]]:
        return {
            one.reason: (one.count, one.example_offset, one.example)
            for one in self.events.of(LinesOdd)
        }


def test_what_is_odd_about_lines_is_told_with_an_example() -> None:
    """Control: usual lines are counted alone, and read again nothing is told a second time."""
    lines = [
        *(line.encode() for line in KNOWN),
        b" \n",
        b"disk \x1b[31mis\x07 full",
        b"request \xff\xff served",
        b"x" * 100,
        b"request 1 served\n at Main.run(Main.java:1)",
    ]
    stream = Stream()
    stream.take(lines)
    assert stream.told() == {
        "unseen": (3, 10, "disk is full"),
        "cut": (1, 12, "x" * 64),
        "not_utf8": (2, 11, "request \ufffd\ufffd served"),
        "empty": (1, 9, ""),
    }
    [read] = stream.events.of(LinesRead)
    assert (read.known, read.unseen, read.empty, read.continuation) == (10, 3, 1, 1)
    assert not stream.events.of(RecordsWithoutFeature)

    usual = Stream()
    usual.take([line.encode() for line in KNOWN])
    assert usual.told() == {}
    again = Stream()
    again.take(lines, replayed=True)
    assert again.events.events == []


def test_records_of_empty_lines_alone_are_not_said_to_name_no_feature() -> None:
    stream = Stream()
    stream.take([b"  "] * 200)
    assert stream.pipeline.complaint == (
        "none of the last 200 records gave a reading: 200 hold no line but empty ones"
    )


def test_a_log_whose_format_changes_is_told_as_that_until_it_is_as_before() -> None:
    """Control: where some lines are new it is not."""
    stream = Stream()
    usual, other = [f"request {n} served" for n in range(1000)], '{"msg": "request %d served"}'

    def complaint(lines: Sequence[str]) -> str:
        stream.take([line.encode() for line in lines])
        return stream.pipeline.line_fit.complaint

    assert complaint(usual) == ""
    assert complaint([other % n if n % 3 else line for n, line in enumerate(usual)]) == (
        "666 of the last 1,000 lines are of no template that training saw, as after a change of "
        "the log's format; expected an input.message_pattern that finds the message in them, or a "
        "bundle trained on such lines"
    )
    assert stream.pipeline.line_fit.complaint in stream.pipeline.complaint
    assert complaint([line if n % 3 else "disk full" for n, line in enumerate(usual)]) == ""


def test_a_json_log_whose_fields_change_is_told_with_those_that_it_has() -> None:
    """Control: in the field that is named for it, the line is read."""
    stream = Stream(fmt=replace(FORMAT, message_field="log"))
    stream.take([b'{"log": "request 1 served", "level": "info"}'] * 100)
    assert stream.pipeline.complaint == ""
    stream.take([b'{"msg": "request 1 served", "level": "info"}'] * 100, 100)
    assert stream.pipeline.complaint == (
        "none of the last 100 records gave a reading: 100 are dead letters, most of them "
        "line_missing (no field log; found msg, level; expected the line in a field that "
        "input.message_field names)"
    )


@pytest.mark.parametrize("cut", [0, 450])
def test_unseen_lines_become_the_same_candidates_after_a_restore(cut: int) -> None:
    """Control: under another model's templates what was found is dropped."""
    rng = np.random.default_rng(cut)
    words = [f"w{''.join(map(chr, rng.integers(97, 123, 6)))}" for _ in range(400)]
    lines = [
        f"disk {n} full" if n % 3 else f"{words[n % 400]} {words[n * 7 % 400]} odd"
        for n in range(600)
    ]
    raws = [line.encode() for line in lines]
    straight = Stream()
    straight.take(raws)
    found = straight.pipeline.unseen_lines
    assert found is not None
    assert found.most_frequent()[0].pattern == "disk <v> full"
    assert found.lines == 600

    first, second, other = Stream(), Stream(), Stream(mine(["another thing"]))
    if cut:
        first.take(raws[:cut])
    saved = first.pipeline.save_partition(0)
    assert sum(map(len, saved.values())) < 600_000
    second.pipeline.load_partition(0, saved)
    for begin in range(cut, 600, 90):
        second.take(raws[begin : begin + 90], begin, replayed=True)
    assert second.pipeline.save_partition(0) == straight.pipeline.save_partition(0)
    other.pipeline.load_partition(0, straight.pipeline.save_partition(0))
    assert other.pipeline.unseen_lines is not None
    assert other.pipeline.unseen_lines.lines == 0
    second.pipeline.forget_partitions({0})
    assert second.pipeline.unseen_lines is not None
    assert second.pipeline.unseen_lines.most_frequent() == []


class UsualScorer(MeanSquareScorer):
    """Expects a request a step; lines of any kind have no part in the score."""

    def score(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
        expected = np.tile([1.0, 0.002, 1.0], (len(values), 1))  # the template, unseen, lines
        scores = super().score((values - expected[:, None]) * (1.0, 1.0, 0.0), end_times)
        return replace(scores, expected=expected, expected_std=np.sqrt(expected))


@pytest.mark.parametrize(("poll", "restarts"), [(7, False), (400, True), (17, True)])
def test_an_incident_tells_its_second_fault_and_its_lines_in_all(poll: int, restarts: bool) -> None:
    """However the lines are polled, and after restarts in the middle of it.

    Lines that training never saw come for some minutes, in one of them many requests too.
    """
    lines = [(minute * 60, b"request 1 served") for minute in range(60)]
    lines += [(1800 + 6 * n, b"disk %d is full" % n) for n in range(40)]
    lines += [(1950 + n, b"request %d served" % n) for n in range(60)]
    lines.sort()

    def alerts(poll: int, *, restarts: bool) -> list[AlertEvent]:
        stream, found = Stream(scorer=UsualScorer()), list[AlertEvent]()
        for begin in range(0, len(lines), poll):
            seconds, texts = zip(*lines[begin : begin + poll], strict=True)
            found += stream.take(texts, begin, seconds=seconds)
            if restarts:
                stream = stream.restarted()
        return found

    found = alerts(poll, restarts=restarts)
    assert found == alerts(len(lines), restarts=False)
    opened, *updates, resolved = found
    assert opened.features[0].direction == "unseen"
    assert opened.updated_because is None
    [other] = [event for event in updates if event.updated_because == "other_cause"]
    assert other.told is not None
    assert other.cause == other.told.name == LOGS.templates[0].feature
    text = f"{other.told.worst.actual:.0f} lines from " if other.told.worst else ""
    assert f", another cause: {text}" in other.summary
    assert f"  another cause: {text}" in format_alert(other)
    worst = other.told.worst
    assert worst is not None
    assert worst.starts_at is not None
    assert worst.ends_at is not None
    begin_s, end_s = (at.timestamp() - BEGIN_NS / 1e9 for at in (worst.starts_at, worst.ends_at))
    of_step = [n for n, (second, _) in enumerate(lines) if begin_s <= second < end_s]
    assert (worst.offset_start, worst.offset_end) == (of_step[0], of_step[-1])

    course = resolved.course
    assert course is not None
    first_s, last_s = (at.timestamp() - BEGIN_NS / 1e9 for at in (course.starts_at, course.ends_at))
    within = [text for second, text in lines if first_s <= second < last_s]
    n_unseen = sum(text.startswith(b"disk") for text in within)
    assert course.unseen_lines == course.opened_by_lines == n_unseen > 30
    assert course.anomalous <= (last_s - first_s) / 60
    assert (
        f"opened by lines never seen in training ({n_unseen} such lines in all)" in resolved.summary
    )


@pytest.mark.parametrize("poll", [600, 17])
def test_an_alert_of_unseen_lines_shows_the_first_of_its_worst_step(poll: int) -> None:
    """However they are polled, and after a restart in the middle of that step."""
    lines = [(minute * 60, b"request 1 served") for minute in range(60)]
    lines += [(1800 + 6 * n, b"disk %d is full" % n) for n in range(40)]
    lines.sort()
    stream, alerts = Stream(), list[AlertEvent]()
    for begin in range(0, len(lines), poll):
        seconds, texts = zip(*lines[begin : begin + poll], strict=True)
        alerts += stream.take(texts, begin, seconds=seconds)
        stream = stream.restarted()
    [opened] = [event for event in alerts if event.sequence == 0]
    [told] = [one for one in opened.features if one.name == "unseen"]
    assert told.worst is not None
    step_s = round(told.worst.at.timestamp() - BEGIN_NS / 1e9)
    first = next(n for n in range(40) if step_s - 30 <= 1800 + 6 * n < step_s + 30)
    assert told.example == f"disk {first} is full"
