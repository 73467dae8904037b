"""One test's stage: its topics, the daemons that work on them, and what they leave behind."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.limits import Limit
from tests.system.cluster import KafkaCluster, Record
from tests.system.harness import (
    DaemonProcess,
    Topics,
    as_records,
    make_config,
    sine_values,
    with_anomaly,
)


def poison(begin: int, end: int) -> list[Record]:
    """Return numbered records that are no reading: each must become one dead letter, once.

    Dead letters show which input offsets a daemon's transactions covered, and how often.
    """
    return [(b"k%d" % (i % 7), b"poison %d" % i) for i in range(begin, end)]


def mixed_stream(n_series: int, n_steps: int) -> list[Record]:
    """Return readings step by step, an anomaly in the middle of each series, poison after each."""
    series = [
        as_records(with_anomaly(sine_values(n_steps, seed=i), n_steps // 2 + i), f"s{i}")
        for i in range(n_series)
    ]
    readings = [record for step in zip(*series, strict=True) for record in step]
    pairs = zip(readings, poison(0, len(readings)), strict=True)
    return [record for pair in pairs for record in pair]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Topics and a group of their own on a broker that others use too."""

    kafka: KafkaCluster
    topics: Topics
    bundle: Path
    directory: Path

    def daemon(self, **overrides: object) -> DaemonProcess:
        """Start a daemon; `kafka__start="latest"` sets `kafka.start`."""
        dotted = {name.replace("__", "."): value for name, value in overrides.items()}
        config = make_config(self.directory, self.kafka, self.topics, self.bundle, dotted)
        return DaemonProcess(config)

    def committed(self) -> dict[int, int]:
        """Return the group's committed offset of each input partition that has one."""
        found = self.kafka.committed(self.topics.group, self.topics.input)
        return {partition: offset for partition, offset in found.items() if offset >= 0}

    def await_committed(
        self, offsets: Mapping[int, int], *daemons: DaemonProcess, timeout_s: float = 60.0
    ) -> None:
        """Wait until the group has committed these offsets.

        Raises:
            AssertionError: If it has not in time, or one of the daemons ended; shows its log.
        """

        def reached() -> bool:
            ended = [daemon.exit_code for daemon in daemons if daemon.exit_code is not None]
            assert not ended, f"exited with {ended}"
            return self.committed() == offsets

        try:
            await_true(reached, f"offsets {dict(offsets)}", timeout_s)
        except AssertionError as exc:
            logs = "\n".join(daemon.tail() for daemon in daemons)
            msg = f"{exc}; committed {self.committed()}. Log:\n{logs}"
            raise AssertionError(msg) from exc

    def alert_identities(self) -> list[tuple[str, int]]:
        """Return what makes each committed alert event unique, in the order of the topic."""
        events = [json.loads(m.value() or b"") for m in self.kafka.consume_all(self.topics.alerts)]
        return [(event["incident_id"], event["sequence"]) for event in events]

    def dead_letters(self) -> list[bytes | None]:
        """Return the committed dead letters' values, sorted by their number."""
        values = [letter.value() for letter in self.kafka.consume_all(self.topics.dead_letters)]
        return sorted(values, key=lambda value: int((value or b"").removeprefix(b"poison ")))


def await_true(holds: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
    """Wait until something holds.

    Raises:
        AssertionError: If it does not in time.
    """
    limit = Limit(timeout_s)
    while not holds():
        assert not limit.is_over, f"not in {timeout_s:g} s, stretched: {what}"
        time.sleep(0.05)


def probe(daemon: DaemonProcess, path: str) -> tuple[int, str]:
    """Return status and body of the daemon's endpoint; 0 while nobody listens."""
    try:
        answer = httpx.get(f"http://127.0.0.1:{daemon.http_port}/{path}", timeout=5.0)
    except httpx.ConnectError:
        return 0, ""
    return answer.status_code, answer.text


def metric(daemon: DaemonProcess, name: str, **labels: str) -> float:
    """Return the sum of a metric's samples that carry these labels."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(probe(daemon, "metrics")[1])
        for sample in family.samples
        if sample.name == f"stream_vae_{name}" and labels.items() <= sample.labels.items()
    )
