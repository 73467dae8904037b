"""A stream of log lines that belong to sessions, each judged as a whole once it is over."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from stream_vae.commands.jobs.log_history import of_logs
from stream_vae.edges.files.bundle_files import save_bundle
from stream_vae.inputs.log_lines.line_counts import features_of
from stream_vae.logs.templates import Templates, mine
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.training.train import train
from stream_vae.models.training.training_windows import TrainingSeries
from tests.system.chaos.log_stream import (
    LONGEST_LINE,
    LONGEST_RECORD,
    POISON,
    SETTINGS,
    Form,
    line_record,
    lines_together,
)
from tests.system.chaos.stream import N_PARTITIONS, StreamRecord
from tests.system.harness import START_NS

_MOST_LINES = 12
_QUIET_TURNS = 20
_TURN_S = 0.001
"""Of one service: each record's time is a millisecond after that of the one before it."""

_AT_A_TIME = 3
_TRAINED = 900
_SPREAD_SHARE = 0.5
_BATCHED_SHARE = 1 / 3
_KEYLESS_SHARE = 0.1

_BEGIN, _END = "begin of job {key} for user {n}", "end of job {key} after {n} ms"
_READ, _WROTE = "job {key} read {n} rows", "job {key} wrote block {n}"
_RETRY = "job {key} waits for lock {n}"
_KEYLESS = ("heartbeat {n}", "cache of {n} items flushed", "")


def _usual(rng: np.random.Generator) -> list[str]:
    """Return the lines of a session as training saw them."""
    retries = [_RETRY] * int(rng.random() < 0.3)
    return [_BEGIN, *[_READ] * int(rng.integers(1, 3)), *retries, _WROTE, _WROTE, _END]


def _odd(rng: np.random.Generator) -> list[str]:
    """Return the lines of one that did not go well, or that nothing ends."""
    lines = _usual(rng)
    forms = (
        [*lines[:-1], "FATAL disk {n} failed under job {key}", _END],
        [one for one in lines if one != _WROTE],
        [*lines[:-1], *[_RETRY] * int(rng.integers(3, 2 * _MOST_LINES)), _END],
        lines[:-1],
        lines[:2],
    )
    return forms[int(rng.integers(len(forms)))]


_KEYS: Mapping[Form, Mapping[str, object]] = {
    "text": {"input.session_pattern": r"job (\S+-\d+)"},
    "json": {"input.session_field": "job"},
}


class SessionSource:
    """Lines of jobs of services; each turn is a line.

    A service has some jobs under way at a time, and lines of none between theirs. One job in six
    is odd: a line that no training saw, lines that are missing, so many that it is cut, or no end,
    so that quiet time closes it. Of half of the services each job goes to a partition of its own,
    by its key; those of the others all go to one. A job stays where it began. A third of the
    services share records.

    Args:
        n_series: Services of a run. Where more than two thirds as many jobs are open in a
            partition, some are closed early.
        form: Of the records: text that holds the key of a line's job, or objects with a field of
            it.
    """

    def __init__(self, n_series: int, form: Form = "text") -> None:
        self._form = form
        self.origin = f"made lines of sessions, {form}"
        self.poison: Sequence[bytes] = POISON[form]
        self.settings: Mapping[str, object] = {
            **SETTINGS[form],
            "input.max_line_bytes": LONGEST_LINE,
            "input.max_record_bytes": LONGEST_RECORD,
            **_KEYS[form],
            "input.session_end_pattern": "end of job",
            "input.session_quiet_s": _QUIET_TURNS * _TURN_S * n_series,
            "input.session_max_lines": _MOST_LINES,
            "input.session_max_open": n_series * 2 // 3,
        }

    def train_bundle(self, folder: Path) -> Path:
        """See `Source.train_bundle`."""
        torch.set_num_threads(1)
        rng = np.random.default_rng(7)
        sessions = [
            [one.format(key=f"a-{i}", n=rng.integers(5000)) for one in _usual(rng)]
            for i in range(_TRAINED)
        ]
        logs = mine([line for lines in sessions for line in lines])
        features = features_of(logs.templates, (), of_sessions=True)
        column = {feature.name: f for f, feature in enumerate(features)}
        columns = np.array([column[one.feature] for one in logs.templates])
        matcher = Templates(logs)
        counts = np.array(
            [
                np.bincount(columns[matcher.match(lines)], minlength=len(features))
                for lines in sessions
            ],
            np.float64,
        )
        times = START_NS + np.arange(_TRAINED, dtype=np.int64) * 10**9
        trained = train(
            [TrainingSeries(key="trained", times=times, values=counts)],
            features=features,
            step_seconds=1.0,
            architecture=ArchitectureConfig(
                window_length=1,
                hidden_size=16,
                latent_size=4,
                sigma_floor=0.03,
                count_likelihood="log_gaussian",
            ),
            training=TrainingConfig(epochs=5, min_steps=200, device="cpu", seed=7),
            model_id="chaos-sessions",
            now=datetime(2026, 1, 31, tzinfo=UTC),
        )
        save_bundle(of_logs(trained.bundle, logs), folder)
        return folder

    def series(
        self, i: int, n_turns: int, rng: np.random.Generator, partition: int | None = None
    ) -> "_Service":
        """See `Source.series`."""
        return _Service(f"service-{i:04d}", self._form, rng, partition)

    def together(self, elements: Sequence[bytes], n: int, broken_at: int | None) -> bytes:
        """See `Source.together`."""
        return lines_together(self._form, elements, n, broken_at)


@dataclass(slots=True, kw_only=True)
class _Job:
    """One session on its way through its lines."""

    key: str
    partition: int
    lines: list[str]
    n: int = field(default=0)
    """Lines that are told."""


class _Service:
    """One service and the jobs that it has under way."""

    def __init__(
        self, name: str, form: Form, rng: np.random.Generator, partition: int | None
    ) -> None:
        number = zlib.crc32(name.encode())
        self.partition = number % N_PARTITIONS if partition is None else partition
        self.is_batched = zlib.crc32(name.encode()[::-1]) % 1000 < 1000 * _BATCHED_SHARE
        self._is_spread = partition is None and number // 7 % 1000 < 1000 * _SPREAD_SHARE
        self._name, self._form, self._rng = name, form, rng
        self._records = self._all_records()

    def next_records(self) -> list[StreamRecord]:
        """Return a line of one of its jobs, or of none."""
        return [next(self._records)]

    def _all_records(self) -> Iterator[StreamRecord]:
        rng, jobs, n_begun, second = self._rng, list[_Job](), 0, 0
        while True:
            second += 1
            if rng.random() < _KEYLESS_SHARE:
                line = _KEYLESS[int(rng.integers(len(_KEYLESS)))].format(n=rng.integers(5000))
                yield self._record(self.partition, self._name, second, line)
                continue
            if len(jobs) < _AT_A_TIME:
                jobs.append(self._job(n_begun))
                n_begun += 1
            job = jobs[int(rng.integers(len(jobs)))]
            line = job.lines[job.n].format(key=job.key, n=rng.integers(5000))
            job.n += 1
            if job.n == len(job.lines):
                jobs.remove(job)
            yield self._record(job.partition, job.key, second, line, job=job.key)

    def _job(self, number: int) -> _Job:
        key = f"{self._name}-{number}"
        own = zlib.crc32(key.encode()) % N_PARTITIONS if self._is_spread else self.partition
        lines = _odd(self._rng) if self._rng.random() < 1 / 6 else _usual(self._rng)
        return _Job(key=key, partition=own, lines=lines)

    def _record(
        self, partition: int, key: str, second: int, line: str, **fields: str
    ) -> StreamRecord:
        at = START_NS // 10**9 + second
        return StreamRecord(
            partition=partition,
            key=key.encode(),
            value=line_record(self._form, at, self._name, line, **fields),
            is_poison=False,
        )
