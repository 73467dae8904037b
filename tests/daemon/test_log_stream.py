"""Lines of logs as they come in: what is odd is told, and what no training saw is kept."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from stream_vae.core.alerts import AlertDetector
from stream_vae.core.log_templates import LogSpec
from stream_vae.core.records import RecordBatch
from stream_vae.daemon.clock import SystemClock
from stream_vae.daemon.ingest import Ingest
from stream_vae.detect.config import DetectConfig
from stream_vae.events import LinesOdd, LinesRead, RecordsWithoutFeature
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.log_lines.line_counts import features_of
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.logs.templates import mine
from stream_vae.pipeline.alert_builder import Origin
from stream_vae.pipeline.detector import Detector
from stream_vae.pipeline.pipeline import Pipeline
from tests.conftest import MeanSquareScorer, make_spec
from tests.recorded_events import RecordedEvents

BEGIN_NS = 1_772_323_200 * 10**9
KNOWN = [f"request {n} served" for n in range(9)]
LOGS = mine(KNOWN)
FORMAT = LogFormat(format="log_lines", max_line_bytes=64)


class Stream:
    """Ingests polls of lines."""

    def __init__(self, logs: LogSpec = LOGS) -> None:
        features = features_of(logs.templates, ())
        spec = dataclasses.replace(make_spec(), features=features, logs=logs, step_seconds=60.0)
        detector = AlertDetector(name="test", version="0", instance="i")
        origin = Origin(detector=detector, topic="app", group="test")
        self.pipeline = Pipeline(
            Detector(spec, MeanSquareScorer(), DetectConfig()), DetectConfig(), origin
        )
        self.events = RecordedEvents()
        self._ingest = Ingest(
            build_decoder(features, FORMAT, logs=logs),
            self.pipeline,
            events=self.events,
            evict=lambda _: None,
            clock=SystemClock(),
        )

    def take(self, lines: Sequence[bytes], first: int = 0, *, replayed: bool = False) -> None:
        n = len(lines)
        batch = RecordBatch(
            topic="app",
            partitions=np.zeros(n, np.int32),
            offsets=np.arange(first, first + n),
            timestamps=BEGIN_NS + np.arange(first, first + n) * 10**9,
            timed_by_broker=False,
            keys=[b"web-1"] * n,
            values=list(lines),
            headers=lambda _: [],
        )
        self._ingest.take(batch, None if replayed else first)

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
