"""A stream of log lines, as text or as JSON of a shipper, with all that lines can be."""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from stream_vae.commands.jobs.log_history import of_logs
from stream_vae.edges.files.bundle_files import save_bundle
from stream_vae.inputs.log_lines.levels import levels_in
from stream_vae.inputs.log_lines.line_counts import LineCounter, features_of
from stream_vae.logs.templates import Templates, mine
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.training.train import train
from stream_vae.models.training.training_windows import TrainingSeries
from tests.system.chaos.stream import N_PARTITIONS, StreamRecord
from tests.system.harness import START_NS, STEP_S

Form = Literal["text", "json"]

STEPS_S, LINES_A_STEP = STEP_S, 4
LONGEST_LINE, LONGEST_RECORD = 256, 4096

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TRAINED_STEPS, _TRAINED_HOSTS = 700, 4
_KINDS = (
    ("INFO request {0} served in {1} ms", 0.5),
    ("DEBUG cache hit for /item/{0}", 0.25),
    ("WARN slow query of {1} ms by 10.0.{0}.7", 0.12),
    ("level=error connection to db-{0} lost after {1} s", 0.08),
    ("INFO worker {0} rests", 0.05),
)
_SHARES = [share for _, share in _KINDS]
_ANOMALY_SHARE = 0.12
"""Of blocks of steps in which a host is not as usual."""
_BLOCK_STEPS = 6
_LATE_SHARE = 0.02
_PAUSE_SHARE = 0.01
_LONG_PAUSE_STEPS = 9
_BATCHED_SHARE = 1 / 3


def _usual(rng: np.random.Generator) -> str:
    kind = int(rng.choice(len(_KINDS), p=_SHARES))
    return _KINDS[kind][0].format(int(rng.integers(250)), int(rng.integers(5000)))


def _odd(rng: np.random.Generator) -> str:
    """Return a line that tells of trouble: one that no training saw, or too many of one."""
    if rng.random() < 0.5:
        return f"FATAL disk {rng.integers(9)} of rack {rng.integers(99)} does not answer"
    if rng.random() < 0.5:
        return " ".join("".join(rng.choice(list("abcdef"), 5)) for _ in range(4))
    return _KINDS[3][0].format(int(rng.integers(250)), int(rng.integers(5000)))


def _spoilt(line: str, rng: np.random.Generator) -> str:
    """Return a line as it may arrive; a surrogate stands for a byte that is not UTF-8."""
    level, _, rest = line.partition(" ")
    forms = (
        f"{line}\r",
        f"\x1b[31m{level}\x1b[0m {rest}\x07\x00",
        f"{line} caf\udce9",
        f"{line}\n\tat org.x.Y.run(Y.java:{rng.integers(999)})\n\tat x\nCaused by: z",
        f"{line}{' and more' * 90}",
        f"{line}\u2028{rng.integers(9)}" + "\u00e9" * 130,
        "   ",
        "",
    )
    return forms[int(rng.integers(len(forms)))]


class LogSource:
    """Lines of hosts; each turn is a line.

    A host has a few lines a step, of kinds that training saw. In some blocks of steps it is in
    trouble, now and then it pauses, and a line comes late. One line in ten is spoilt: colours,
    stack traces, bytes that are not UTF-8, too long, empty. A third of the hosts share records.

    Args:
        form: Of the records: text with time and host in each line, several in some records, or
            objects of a shipper, in some records several in an array.
    """

    def __init__(self, form: Form) -> None:
        self._form = form
        self.origin = f"made lines of logs, {form}"
        self.settings: Mapping[str, object] = {
            "input.max_line_bytes": LONGEST_LINE,
            "input.max_record_bytes": LONGEST_RECORD,
            # Hosts that pause: their steps end by the records' times, of which each is 1 ms later.
            "input.wait_s": 0.3,
            **SETTINGS[form],
        }
        self.poison: Sequence[bytes] = POISON[form]

    def train_bundle(self, folder: Path) -> Path:
        """See `Source.train_bundle`."""
        torch.set_num_threads(1)
        rng = np.random.default_rng(7)
        numbers = rng.poisson(LINES_A_STEP, (_TRAINED_HOSTS, _TRAINED_STEPS)).clip(1)
        lines = [_usual(rng) for _ in range(int(numbers.sum()))]
        logs = mine(lines)
        features = features_of(logs.templates, ("debug", "info", "warn", "error"))
        each = LineCounter(features, logs.templates).vectors(
            Templates(logs).match(lines), levels_in(lines)
        )
        begins = np.concatenate(([0], numbers.ravel().cumsum()[:-1]))
        counts = np.add.reduceat(each, begins).reshape(*numbers.shape, -1)
        times = START_NS + np.arange(_TRAINED_STEPS, dtype=np.int64) * STEPS_S * 10**9
        trained = train(
            [
                TrainingSeries(key=f"trained-{i}", times=times, values=of_host)
                for i, of_host in enumerate(counts)
            ],
            features=features,
            step_seconds=STEPS_S,
            architecture=ArchitectureConfig(window_length=4, hidden_size=16, latent_size=4),
            training=TrainingConfig(epochs=3, min_steps=120, device="cpu", seed=7),
            model_id="chaos-logs",
            now=datetime(2026, 1, 31, tzinfo=UTC),
        )
        save_bundle(of_logs(trained.bundle, logs), folder)
        return folder

    def series(
        self, i: int, n_turns: int, rng: np.random.Generator, partition: int | None = None
    ) -> "_Host":
        """See `Source.series`."""
        return _Host(f"host-{i:04d}", self._form, rng, partition)

    def together(self, elements: Sequence[bytes], n: int, broken_at: int | None) -> bytes:
        """See `Source.together`."""
        return lines_together(self._form, elements, n, broken_at)


_TEXT: Mapping[str, object] = {
    "input.format": "log_lines",
    "input.split_lines": True,
    "input.timestamp_pattern": r"^(\S+) ",
    "input.series_pattern": r"^\S+ (\S+) ",
    "input.message_pattern": r"^\S+ \S+ [^:]*: (.*)",
}
_JSON: Mapping[str, object] = {"input.preset": "filebeat", "input.records_path": "events"}
SETTINGS: Mapping[Form, Mapping[str, object]] = {"text": _TEXT, "json": _JSON}
"""For the daemon, by the form of the records."""

_TEXT_POISON = (
    b"never host-x app: no time %d",
    b"1969-12-31T23:59:59Z host-x app: too early %d",
    b"2026-01-01T00:00:00Z host-x app: " + b"too long " * 500 + b"%d",
    b"2026-01-01T00:00:00Z " + b"x" * 1100 + b" app: a name too long %d",
)
_JSON_POISON = (
    b"no json %d",
    b'{"@timestamp": "2026-01-01T00:00:00Z", "host": {"name": "x"}, "n": %d}',
    b'{"@timestamp": "never", "host": {"name": "x"}, "message": "no time %d"}',
    b'{"@timestamp": "2026-01-01T00:00:00Z", "message": "no host %d", "host": []}',
    b"\xff\xfe %d",
    b'{"events": [{"message": null, "n": %d}]}',
)


POISON: Mapping[Form, Sequence[bytes]] = {"text": _TEXT_POISON, "json": _JSON_POISON}
"""Forms of records that are rejected."""


def lines_together(form: Form, lines: Sequence[bytes], n: int, broken_at: int | None) -> bytes:
    """Return the n-th record of several lines; at `broken_at` stands one that is rejected."""
    all_of_them = list(lines)
    if broken_at is not None:
        broken = b"never host-x app: no time %d" % n if form == "text" else b'{"no line": 1}'
        all_of_them.insert(broken_at, broken)
    if form == "text":
        return b"\n".join(all_of_them)
    return b'{"events": [%s], "n": %d}' % (b", ".join(all_of_them), n)


def line_record(form: Form, second: int, host: str, line: str, **fields: str) -> bytes:
    """Return the record of one line.

    Args:
        form: Of the record.
        second: When it was written, seconds since 1970.
        host: That wrote it.
        line: A surrogate stands for a byte that is not UTF-8.
        fields: More of them, where a record has fields.
    """
    time = f"{_EPOCH + timedelta(seconds=second):%Y-%m-%dT%H:%M:%SZ}"
    text = f"{time} {host} app: {line}"
    if form == "json":
        content = {"@timestamp": time, "host": {"name": host}, "message": line, **fields}
        text = json.dumps(content, ensure_ascii=False)
    return text.encode(errors="surrogateescape")


class _Host:
    """One host on its way through its steps."""

    def __init__(
        self, name: str, form: Form, rng: np.random.Generator, partition: int | None
    ) -> None:
        number = zlib.crc32(name.encode())
        self.partition = number % N_PARTITIONS if partition is None else partition
        self.is_batched = zlib.crc32(name.encode()[::-1]) % 1000 < 1000 * _BATCHED_SHARE
        self._name, self._form, self._rng = name, form, rng
        self._lines = self._all_lines()

    def next_records(self) -> list[StreamRecord]:
        """Return a line, or what came late with it, or none in a pause."""
        return [
            StreamRecord(
                partition=self.partition, key=self._name.encode(), value=value, is_poison=False
            )
            for value in next(self._lines)
        ]

    def _all_lines(self) -> Iterator[list[bytes]]:
        """Yield the records of each turn."""
        rng, step = self._rng, 0
        while True:
            is_odd = rng.random() < _ANOMALY_SHARE
            for _ in range(_BLOCK_STEPS):
                step += 1
                if rng.random() < _PAUSE_SHARE:
                    step += int(rng.integers(1, _LONG_PAUSE_STEPS))
                    yield from ([] for _ in range(LINES_A_STEP))
                for second in range(max(int(rng.poisson(LINES_A_STEP)), 1)):
                    line = _odd(rng) if is_odd and rng.random() < 0.8 else _usual(rng)
                    if rng.random() < 0.1:
                        line = _spoilt(line, rng)
                    records = [self._record(step, second, line)]
                    if rng.random() < _LATE_SHARE:
                        before = max(step - int(rng.integers(1, 4)), 1)
                        records.append(self._record(before, 59, _usual(rng)))
                    yield records

    def _record(self, step: int, second: int, line: str) -> bytes:
        at = START_NS // 10**9 + step * STEPS_S + second
        return line_record(self._form, at, self._name, line)
