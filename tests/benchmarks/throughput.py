"""The whole daemon against its bare model, on the same windows, in the same run."""

import statistics
import time
import urllib.request

import numpy as np

from stream_vae.models.scoring import WindowScorer
from tests.benchmarks.daemons import config_of
from tests.benchmarks.workload import F, T, Workload
from tests.system.broker import RealKafka
from tests.system.harness import AS_USERS_START_IT, DaemonProcess, Topics

_BATCH = 256
_BARE_S = 4.0


def measure_throughput(workload: Workload, kafka: RealKafka) -> dict[str, str]:
    """Measure the bare model before and after the daemon, since the machine's speed drifts."""
    topics = Topics.create(kafka)
    kafka.produce(topics.input, workload.records(), timeout_s=120)
    bare = [_bare_windows_per_second(workload)]
    daemon = daemon_windows_per_second(workload, kafka, topics)
    bare.append(_bare_windows_per_second(workload))
    mean = statistics.fmean(bare)
    return {
        "bare model": f"{bare[0]:,.0f} and {bare[1]:,.0f} windows/s before and after",
        "whole daemon": f"{daemon:,.0f} windows/s, {daemon / mean:.0%} of the bare model",
    }


def _bare_windows_per_second(workload: Workload) -> float:
    scorer = WindowScorer(workload.bundle, device="cpu", max_batch=_BATCH)
    values = np.random.default_rng(0).normal(size=(_BATCH, T, F))
    times = np.zeros(_BATCH, np.int64)
    scorer.score(values, times)
    began = time.perf_counter()
    n_windows = 0
    while time.perf_counter() - began < _BARE_S:
        scorer.score(values, times)
        n_windows += _BATCH
    return n_windows / (time.perf_counter() - began)


def daemon_windows_per_second(workload: Workload, kafka: RealKafka, topics: Topics) -> float:
    """Return the rate between a tenth and nine tenths of the stream."""
    config = config_of(workload, kafka, topics)
    total = workload.n_series * (workload.n_readings // workload.n_series - T + 1)
    seen: list[tuple[float, float]] = []
    with DaemonProcess(config, program=AS_USERS_START_IT) as daemon:
        daemon.wait_for("partitions_assigned", 60)
        while not seen or seen[-1][1] < 0.98 * total:
            seen.append((time.perf_counter(), _windows_scored(daemon.http_port)))
            time.sleep(0.5)  # each scrape costs the daemon some milliseconds
        daemon.stop()
    inside = [point for point in seen if 0.1 * total < point[1] < 0.9 * total]
    (began, first), (ended, last) = inside[0], inside[-1]
    return (last - first) / (ended - began)


def _windows_scored(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    found = [line for line in lines if line.startswith("stream_vae_windows_scored_total{")]
    return float(found[0].rpartition(" ")[2]) if found else 0.0
