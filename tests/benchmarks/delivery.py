"""What exactly-once delivery and saved state cost, against no guarantee at all."""

import statistics
import time
from dataclasses import dataclass, replace

from stream_vae.settings.model import StateConfig
from tests.benchmarks.daemons import PLAIN, Counters, config_of
from tests.benchmarks.workload import Workload
from tests.system.broker import RealKafka
from tests.system.harness import AS_USERS_START_IT, DaemonProcess, Topics

_PAIRS = 3
_DEFAULT_S = StateConfig().snapshot_interval_s
_OFTEN_S = 2.0
_LOOK_S = 0.5  # each look costs the daemon some milliseconds
_KINDS: dict[str, dict[str, object]] = {
    "without": {"state.changelog": False},
    "default": {},
    "often": {"state.snapshot_interval_s": _OFTEN_S},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    rate: float  # readings a second
    cpu_us: float  # of the daemon, per reading
    state_bytes: float  # per reading
    rows: float  # records of state, in all
    commits: float
    alerts: float


def measure_delivery(workload: Workload, kafka: RealKafka) -> dict[str, str]:
    """Let daemons of each kind go over the same backlog in turn, the order reversed each time.

    Rounds of saving begin an interval after the start: a backlog that takes less has none at the
    default interval, and its bytes per reading are those of incidents alone (see `pause`).
    """
    topics = Topics.create(kafka)
    kafka.produce(topics.input, workload.records(), timeout_s=300)
    runs: dict[str, list[_Run]] = {kind: [] for kind in _KINDS}
    for i in range(_PAIRS):
        for kind in list(_KINDS)[:: 1 if i % 2 == 0 else -1]:
            own = replace(topics, group=f"{topics.group}-{kind}-{i}")
            runs[kind].append(_run(workload, kafka, own, kind))
    plain = runs["without"]
    figures = {"without any guarantee": _rates(plain)}
    for kind, interval in (
        ("default", f"{_DEFAULT_S:g} s (default)"),
        ("often", f"{_OFTEN_S:g} s"),
    ):
        found = runs[kind]
        ratio = statistics.median(a.rate / b.rate for a, b in zip(found, plain, strict=True))
        cpu = statistics.median(a.cpu_us / b.cpu_us for a, b in zip(found, plain, strict=True))
        figures[f"exactly once, state every {interval}"] = (
            f"{ratio:.2f} of it (CPU per reading {cpu:.2f}): {_rates(found)}; "
            f"{found[0].commits:.0f} transactions, {found[0].alerts:.0f} alerts, "
            f"{found[0].rows:,.0f} state records, "
            f"{statistics.median(run.state_bytes for run in found):.1f} bytes a reading"
        )
    return figures


def _rates(runs: list[_Run]) -> str:
    return ", ".join(f"{run.rate:,.0f}" for run in runs) + " readings/s"


def _run(workload: Workload, kafka: RealKafka, topics: Topics, kind: str) -> _Run:
    """Return what is counted between a tenth and 98 hundredths of the stream."""
    config = config_of(workload, kafka, topics, _KINDS[kind])
    total = workload.n_series * (workload.n_readings // workload.n_series)
    seen: list[tuple[float, Counters]] = []
    program = PLAIN if kind == "without" else AS_USERS_START_IT
    with DaemonProcess(config, program=program) as daemon:
        daemon.wait_for("partitions_assigned", 60)
        while not seen or seen[-1][1].judged < total:
            seen.append((time.perf_counter(), Counters.of(daemon)))
            time.sleep(_LOOK_S)
            assert daemon.exit_code is None, daemon.tail()
        daemon.stop()
    inside = [point for point in seen if 0.1 * total < point[1].judged < 0.98 * total]
    (began, first), (ended, last) = inside[0], inside[-1]
    readings = last.judged - first.judged
    return _Run(
        rate=readings / (ended - began),
        cpu_us=(last.cpu_s - first.cpu_s) / readings * 1e6,
        state_bytes=(last.state_bytes - first.state_bytes) / readings,
        rows=last.state_records - first.state_records,
        commits=last.commits - first.commits,
        alerts=last.alerts - first.alerts,
    )
