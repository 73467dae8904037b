"""The whole daemon as a process of its own, and what it is fed."""

import json
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature, numeric_features
from stream_vae.edges.files.bundle_files import save_bundle
from stream_vae.inputs.reading_encoder import ReadingEncoder
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.training.train import train
from stream_vae.models.training.training_windows import TrainingSeries
from tests.limits import Limit, slowness
from tests.system.broker import KafkaCluster
from tests.system.forked_process import ForkedProcess
from tests.system.watchdog import ChildProcess

FEATURES = ("flow", "level", "pressure")
STEP_S = 60
WINDOW_LENGTH = 8
START_NS = 1_767_225_600 * 10**9
"""2026-01-01T00:00:00Z: the first reading's event time."""

_OFFSETS = np.array([20.0, 3.0, 101.0])
_AMPLITUDES = np.array([5.0, 0.5, 8.0])
_PERIODS = np.array([12.0, 17.0, 24.0])
_NOISE = 0.1

Event = dict[str, Any]


def sine_values(n: int, *, seed: int, first: int = 0) -> NDArray[np.float64]:
    """Return (n, 3) readings: a sine per feature, each of its own period, with a little noise."""
    steps = np.arange(first, first + n)[:, None]
    noise = np.random.default_rng(seed).normal(size=(n, len(FEATURES))) * _NOISE
    values: NDArray[np.float64] = np.sin(2 * np.pi * steps / _PERIODS) + noise
    return _OFFSETS + _AMPLITUDES * values


def with_anomaly(values: NDArray[np.float64], at: int, length: int = 6) -> NDArray[np.float64]:
    """Return a copy in which `flow` stands 8 amplitudes too high for `length` steps from `at`."""
    spoilt = values.copy()
    spoilt[at : at + length, 0] += 8 * _AMPLITUDES[0]
    return spoilt


def as_records(
    values: NDArray[np.float64], series: str, *, first: int = 0
) -> list[tuple[bytes, bytes]]:
    """Return `(key, value)` pairs as `stream-vae feed` would publish them, one a minute."""
    encoder = ReadingEncoder(numeric_features(FEATURES), ReadingFormat())
    return [
        (
            series.encode(),
            encoder.encode(
                series=series,
                time_ns=START_NS + (first + i) * STEP_S * 10**9,
                values=row.tolist(),
            ),
        )
        for i, row in enumerate(values)
    ]


def train_small_bundle(folder: Path, *, window_length: int = WINDOW_LENGTH, seed: int = 7) -> Path:
    """Train a tiny network on two series of sines and save it; takes about 3 seconds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = START_NS + np.arange(900, dtype=np.int64) * STEP_S * 10**9
        trained = train(
            [
                TrainingSeries(key=f"s{seed}", times=times, values=sine_values(900, seed=seed))
                for seed in (1, 2)
            ],
            features=[Feature(name=name) for name in FEATURES],
            step_seconds=STEP_S,
            architecture=ArchitectureConfig(
                window_length=window_length, hidden_size=16, latent_size=4
            ),
            training=TrainingConfig(epochs=2, min_steps=120, device="cpu", seed=seed),
            model_id="sines",
            now=datetime(2026, 1, 31, tzinfo=UTC),
        )
    finally:
        torch.set_num_threads(threads)
    save_bundle(trained.bundle, folder)
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """The four topics of one test, and a group of its own."""

    input: str
    alerts: str
    dead_letters: str
    late: str
    group: str

    @classmethod
    def create(cls, kafka: KafkaCluster, *, partitions: int = 1) -> "Topics":
        """Create all four; the input's and the dead letters' take records of 10 MB."""
        stem = f"test-{uuid.uuid4().hex[:8]}"
        large = {"max.message.bytes": str(15 * 1024 * 1024)}
        names = {kind: f"{stem}.{kind}" for kind in ("input", "alerts", "dead_letters", "late")}
        for kind, name in names.items():
            takes_large = kind in {"input", "dead_letters"}
            kafka.create_topic(name, partitions, large if takes_large else None)
        return cls(**names, group=stem)


def make_config(
    directory: Path,
    kafka: KafkaCluster,
    topics: Topics,
    bundle: Path,
    overrides: Mapping[str, object] | None = None,
) -> Path:
    """Write a configuration for quick tests and return its file.

    Args:
        directory: Where to write it.
        kafka: The brokers.
        topics: Where to read and write.
        bundle: The trained model.
        overrides: Dotted name -> value, as in `{"kafka.commit_interval_s": 5.0}`.
    """
    content: dict[str, Any] = {}
    stretch = slowness()
    base: dict[str, object] = {
        "bundle.path": str(bundle),
        "input.topic": topics.input,
        "output.alerts_topic": topics.alerts,
        "output.dead_letter_topic": topics.dead_letters,
        "output.late_topic": topics.late,
        "kafka.bootstrap_servers": kafka.bootstrap,
        "kafka.group_id": topics.group,
        "kafka.start": "earliest",
        "kafka.commit_interval_s": 0.2,
        "kafka.transaction_timeout_s": 10.0 * stretch,
        "kafka.delivery_timeout_s": 5.0 * stretch,
        "kafka.broker_deadline_s": 30.0 * stretch,
        "worker.device": "cpu",
        "http.port": free_port(),
        "logging.format": "json",
        "logging.level": "debug",
        "logging.summary_period_s": 1.0,
        "shutdown_deadline_s": 15.0 * stretch,
    }
    for name, value in {**base, **(overrides or {})}.items():
        *sections, last = name.split(".")
        place = content
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    path = directory / f"config-{uuid.uuid4().hex[:8]}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def free_port() -> int:
    """Return a port nobody listens on at this moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


AS_USERS_START_IT = ("stream_vae",)
"""For `DaemonProcess`: a new interpreter, and seconds of imports."""


class DaemonProcess:
    """`stream-vae run`. Use it as a context manager: it is killed at the end.

    Args:
        config: Its YAML file; the log goes beside it.
        env: Environment variables set for it; none of the test run's `STREAM_VAE_…` reach it.
        program: What follows `python -m`, up to the command. Unset, the process is a fork that has
            its imports already.
        command: Another one that takes a configuration and serves probes.
    """

    def __init__(
        self,
        config: Path,
        env: Mapping[str, str] | None = None,
        *,
        program: Sequence[str] | None = None,
        command: str = "run",
    ) -> None:
        self.log = config.with_suffix(f".{uuid.uuid4().hex[:6]}.log")
        self._lines: list[str] = []
        self._events: list[Event] = []
        self._n_read = 0
        self.http_port: int = yaml.safe_load(config.read_text())["http"]["port"]
        arguments = [command, "--config", str(config)]
        self._process: ChildProcess | ForkedProcess
        if program is None:
            self._process = ForkedProcess(arguments, output=self.log, environment=env)
        else:
            inherited = {k: v for k, v in os.environ.items() if not k.startswith("STREAM_VAE_")}
            self._process = ChildProcess(
                [sys.executable, "-m", *program, *arguments],
                output=self.log,
                env={**inherited, **(env or {})},
            )

    @property
    def events(self) -> list[Event]:
        """Every log line so far, in order."""
        self._read_log()
        return self._events

    @property
    def stray_lines(self) -> list[str]:
        """What was written past the log: tracebacks, warnings of libraries."""
        self._read_log()
        return [line for line in self._lines if line.strip() and _event(line) is None]

    @property
    def failure(self) -> str:
        """What its log says went wrong; empty if nothing did."""
        failures = self.find("daemon_failed")
        return failures[0]["detail"] if failures else ""

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: killed by that signal."""
        return self._process.exit_code

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def find(self, name: str, **fields: object) -> list[Event]:
        """Return the events of a name that carry these fields."""
        wanted = {"event": name, **fields}.items()
        return [e for e in self.events if all(e.get(k) == v for k, v in wanted)]

    def wait_for(
        self, name: str, timeout_s: float = 30.0, *, count: int = 1, **fields: object
    ) -> Event:
        """Wait until an event was logged `count` times and return the last of these.

        Raises:
            AssertionError: If it was not in time, or the daemon ended first; shows the log's end.
        """
        limit = Limit(timeout_s)
        while True:
            ended = self.exit_code is not None
            found = self.find(name, **fields)
            if len(found) >= count:
                return found[count - 1]
            if ended or limit.is_over:
                why = f"exited with {self.exit_code}" if ended else f"after {timeout_s} s"
                wanted = f"{count} x {name} {fields or ''}"
                msg = f"{wanted} not logged, {why}; found {len(found)}. Log:\n{self.tail()}"
                raise AssertionError(msg)
            time.sleep(0.05)

    def sigterm(self) -> None:
        """Ask it to drain, commit and end."""
        self._process.signal(signal.SIGTERM)

    def sigkill(self) -> None:
        """End it as a lost machine would."""
        self._process.kill()

    def wait(self, timeout_s: float = 30.0) -> int:
        """Return its exit code.

        Raises:
            AssertionError: If it still runs after the time; shows the log's end.
        """
        try:
            return self._process.wait(timeout_s)
        except TimeoutError as exc:
            msg = f"{exc}. Log:\n{self.tail()}"
            raise AssertionError(msg) from exc

    def stop(self, timeout_s: float = 30.0) -> int:
        """SIGTERM and wait; returns the exit code."""
        self.sigterm()
        return self.wait(timeout_s)

    def tail(self, n_lines: int = 30) -> str:
        """Return the newest lines of the log."""
        self._read_log()
        return "\n".join(self._lines[-n_lines:])

    def __enter__(self) -> "DaemonProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()

    def _read_log(self) -> None:
        """Take in what the log has more than before; a line still being written is not there."""
        if not self.log.exists():
            return
        with self.log.open("rb") as file:
            file.seek(self._n_read)
            more = file.read()
        more = more[: more.rfind(b"\n") + 1]
        self._n_read += len(more)
        lines = more.decode(errors="replace").splitlines()
        self._lines += lines
        self._events += [event for event in map(_event, lines) if event is not None]


def _event(line: str) -> Event | None:
    try:
        content = json.loads(line)
    except ValueError:
        return None
    return content if isinstance(content, dict) and "event" in content else None
