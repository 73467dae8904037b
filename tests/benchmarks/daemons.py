"""Daemons under measurement: their configuration, and what they count."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.benchmarks.workload import Workload
from tests.system.broker import RealKafka
from tests.system.harness import DaemonProcess, Topics, make_config

PLAIN = ("tests.benchmarks.variants", "plain")
"""The same daemon without any delivery guarantee."""
TIMED = ("tests.benchmarks.variants", "timed")
"""The daemon, timing some of its own steps and telling them at its end."""


def config_of(
    workload: Workload,
    kafka: RealKafka,
    topics: Topics,
    overrides: Mapping[str, object] | None = None,
) -> Path:
    """Write the configuration all measures share: the defaults where they bear on speed."""
    shared = {
        "kafka.commit_interval_s": 1.0,
        "logging.level": "info",
        "logging.summary_period_s": 60.0,
        "input.max_future_s": 1e9,
    }
    bundle = workload.folder / "bundle"
    return make_config(workload.folder, kafka, topics, bundle, {**shared, **(overrides or {})})


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """A daemon's own metrics at one moment, summed over their labels."""

    judged: float
    """Readings, those read again after a restart not among them."""
    state_bytes: float
    state_records: float
    commits: float
    alerts: float
    cpu_s: float

    @classmethod
    def of(cls, daemon: DaemonProcess) -> "Counters":
        """Ask a daemon; all zeros while it does not answer."""
        found: defaultdict[str, float] = defaultdict(float)
        try:
            text = httpx.get(f"http://127.0.0.1:{daemon.http_port}/metrics", timeout=5.0).text
        except httpx.TransportError:
            text = ""
        for line in text.splitlines():
            if not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                found[name.partition("{")[0]] += float(value)
        return cls(
            judged=found["stream_vae_readings_judged_total"],
            state_bytes=found["stream_vae_changelog_bytes_total"],
            state_records=found["stream_vae_changelog_records_total"],
            commits=found["stream_vae_transactions_total"],
            alerts=found["stream_vae_alerts_total"],
            cpu_s=found["process_cpu_seconds_total"],
        )
