"""What log lines cost on the daemon's path to steps, and what a flood of unseen ones does."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import psutil

from stream_vae.core.alerts import AlertDetector
from stream_vae.core.log_templates import LogSpec
from stream_vae.core.records import RecordBatch
from stream_vae.daemon.clock import SystemClock
from stream_vae.daemon.ingest import Ingest
from stream_vae.detect.config import DetectConfig
from stream_vae.events import Event, LinesRead
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.log_lines.line_counts import features_of
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.logs.templates import Templates, mine
from stream_vae.pipeline.detector import Detector
from stream_vae.pipeline.incident_ids import Origin
from stream_vae.pipeline.pipeline import Pipeline
from tests.benchmarks.decoding import json_reading, time_decoding
from tests.benchmarks.workload import START_NS, Workload
from tests.conftest import MeanSquareScorer, make_spec
from tests.system.broker import RealKafka

_POLLS, _LINES, _FLOOD, _ROUNDS, _HOSTS = (500, 2000, 5000), 100_000, 1_000_000, 3, 20
_LINE_NS = 10**7  # a hundred lines a second


def measure_log_templates(workload: Workload, kafka: RealKafka) -> dict[str, str]:
    """Read, mask, match and count lines of a storage node, then a million distinct ones."""
    rng = random.Random(0)  # noqa: S311 -- no secret
    training, *known = ([_line(rng) for _ in range(_LINES)] for _ in range(1 + _ROUNDS))
    began = time.process_time()
    logs = mine(training)
    mining = _LINES / (time.process_time() - began)
    told = {
        "log lines mined": f"{mining:,.0f} lines/s",
        "log lines masked and matched": f"{_matched_per_second(logs, known):,.0f} lines/s",
    }
    json_us = time_decoding(ReadingFormat(), json_reading)
    paths = {poll: _Path(logs, poll) for poll in _POLLS}
    before = {poll: _best(path.take, known) for poll, path in paths.items()}
    told |= {
        f"read, matched and counted by step, polls of {poll:,}": _rate(spent, json_us)
        for poll, spent in before.items()
    }
    path = paths[_POLLS[0]]
    memory = psutil.Process().memory_info().rss
    spent = 0.0
    for _ in range(_FLOOD // _LINES):
        spent += path.take([_distinct(rng) for _ in range(_LINES)])
    grown = psutil.Process().memory_info().rss - memory
    assert path.unseen >= _FLOOD
    saved = path.pipeline.save_partition(0)
    after = _best(path.take, known)
    return told | {
        "the same of a million distinct unseen lines": _rate(spent * _LINES / _FLOOD, json_us),
        "and of the known ones after them": _rate(after, json_us),
        "memory that the million took": f"{grown / 2**20:.1f} MB",
        "saved state of their partition": f"{sum(map(len, saved.values())) / 1024:.0f} KB",
    }


class _Path:
    """The daemon's way from polls to steps.

    Args:
        logs: What the model knows.
        poll: Records of a poll.
    """

    def __init__(self, logs: LogSpec, poll: int) -> None:
        features = features_of(logs.templates, ("info", "warn"))
        spec = replace(make_spec(), features=features, logs=logs, step_seconds=60.0)
        detector = AlertDetector(name="benchmark", version="0", instance="i")
        origin = Origin(detector=detector, topic="lines", group="benchmark")
        config = DetectConfig()
        self.pipeline = Pipeline(Detector(spec, MeanSquareScorer(), config), config, origin)
        self.unseen = 0
        self._poll = poll
        self._next = 0
        self._ingest = Ingest(
            build_decoder(features, LogFormat(format="log_lines"), logs=logs),
            self.pipeline,
            events=self,
            evict=lambda _: None,
            clock=SystemClock(),
        )

    def record(self, event: Event) -> None:
        """Count what is told of lines."""
        if isinstance(event, LinesRead):
            self.unseen += event.unseen

    def take(self, lines: Sequence[str]) -> float:
        """Return the seconds of a processor that lines cost, from records to steps."""
        spent = 0.0
        for at in range(0, len(lines), self._poll):
            records = self._records(lines[at : at + self._poll])
            began = time.process_time()
            self._ingest.take(records, self._next)
            spent += time.process_time() - began
        return spent

    def _records(self, lines: Sequence[str]) -> RecordBatch:
        offsets = np.arange(self._next, self._next + len(lines))
        self._next += len(lines)
        return RecordBatch(
            topic="lines",
            partitions=np.zeros(len(lines), np.int32),
            offsets=offsets,
            timestamps=START_NS + offsets * _LINE_NS,
            timed_by_broker=False,
            keys=[b"host-%d" % (offset % _HOSTS) for offset in offsets.tolist()],
            values=[line.encode() for line in lines],
            headers=lambda _: [],
        )


def _matched_per_second(logs: LogSpec, rounds: Sequence[Sequence[str]]) -> float:
    templates, poll = Templates(logs), _POLLS[0]

    def match(lines: Sequence[str]) -> float:
        began = time.process_time()
        for at in range(0, len(lines), poll):
            templates.match(lines[at : at + poll])
        return time.process_time() - began

    return _LINES / _best(match, rounds)


def _best(work: Callable[[Sequence[str]], float], rounds: Sequence[Sequence[str]]) -> float:
    """Return the least seconds of rounds, each of lines that were not read before."""
    return min(map(work, rounds))


def _rate(spent: float, json_us: float) -> str:
    """Return what `_LINES` lines cost, also beside a JSON reading of eight fields."""
    us = spent / _LINES * 1e6
    return f"{1e6 / us:,.0f} lines/s, {us / json_us:.2f} of the decoding of a JSON reading"


def _line(rng: random.Random) -> str:
    """Return a line as HDFS writes them: two thousand have as many shapes as Loghub's, 300."""
    host = f"10.25{rng.randrange(2)}.{rng.randrange(256)}.{rng.randrange(256)}"
    block = f"blk_{rng.getrandbits(64) - 2**63}"
    size = 2**26 if rng.random() < 0.85 else rng.getrandbits(26)
    process = rng.choice((rng.randrange(40), rng.randrange(30_000)))
    head = (
        f"0811{rng.randrange(9, 12):02} {rng.randrange(240_000):06} {process} INFO dfs.DataNode: "
    )
    return head + rng.choice(
        (
            f"Receiving block {block} src: /{host}:{rng.randrange(32768, 61000)} "
            f"dest: /{host}:50010",
            f"PacketResponder {rng.randrange(3)} for block {block} terminating",
            f"Received block {block} of size {size} from /{host}",
            f"BLOCK* NameSystem.addStoredBlock: blockMap updated: {host}:50010 is added to {block}"
            f" size {size}",
            f"Deleting block {block} file /mnt/hadoop/dfs/data/current/subdir{rng.randrange(64)}/"
            f"{block}",
            f"Verification succeeded for {block}",
        )
    )


def _distinct(rng: random.Random) -> str:
    words = ("".join(rng.choices("abcdefghij", k=6)) for _ in range(rng.randint(4, 12)))
    return " ".join(words)
