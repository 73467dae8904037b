"""From SIGKILL of a daemon to the first new verdict of the one that goes on."""

import statistics
import time
from dataclasses import dataclass
from datetime import datetime

from stream_vae.settings.model import StateConfig
from tests.benchmarks.daemons import Counters, config_of
from tests.benchmarks.feed import Feed
from tests.benchmarks.workload import T, Workload
from tests.system.broker import SESSION_TIMEOUT_S, RealKafka
from tests.system.harness import AS_USERS_START_IT, DaemonProcess, Topics
from tests.system.scene import await_true, probe

_SERIES = 500
_RATE = 1_000
_LIVE_S = 2.5 * StateConfig().snapshot_interval_s  # the middle of a round of saving, not the first
_TIMES = 2
_DEADLINE_S = 90.0

_CLASSIC: dict[str, object] = {"kafka.group_protocol": "classic"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recovery:
    """Seconds after the kill."""

    started: float | None  # None: it was there already
    assigned: float
    restored: float
    judged: float
    replayed: int  # records


def measure_recovery(workload: Workload, kafka: RealKafka) -> dict[str, str]:
    """Kill a daemon in the middle of a round of saving, twice in each way."""
    session = f"session of {SESSION_TIMEOUT_S:g} s"
    return {
        f"same name again, {session}": _median(workload, kafka, {}, standby=False),
        f"standby takes over, {session}": _median(workload, kafka, {}, standby=True),
        "same name again, classic": _median(workload, kafka, _CLASSIC, standby=False),
    }


def _median(
    workload: Workload, kafka: RealKafka, overrides: dict[str, object], *, standby: bool
) -> str:
    found = [_recover(workload, kafka, overrides, standby=standby) for _ in range(_TIMES)]
    found.sort(key=lambda one: one.judged)
    middle = found[len(found) // 2]
    started = "" if middle.started is None else f"started {middle.started:.1f}, "
    times = ", ".join(f"{one.judged:.1f}" for one in found)
    return (
        f"{statistics.median(one.judged for one in found):.1f} s to the first verdict ({times}); "
        f"the middle one: {started}partitions {middle.assigned:.1f}, state back "
        f"{middle.restored:.1f} ({middle.replayed:,} readings read again)"
    )


def _recover(
    workload: Workload, kafka: RealKafka, overrides: dict[str, object], *, standby: bool
) -> _Recovery:
    topics = Topics.create(kafka)
    configs = [
        config_of(workload, kafka, topics, {"kafka.instance_id": name, **overrides})
        for name in ("pod-0", "pod-1" if standby else "pod-0")
    ]
    feed = Feed(kafka=kafka, topic=topics.input, n_series=_SERIES, rate=_RATE)
    feed.send_steps(T)
    with DaemonProcess(configs[0], program=AS_USERS_START_IT) as first, feed:
        first.wait_for("state_restored", 60)
        if standby:
            with DaemonProcess(configs[1], program=AS_USERS_START_IT) as second:
                await_true(lambda: probe(second, "readyz")[0] == 200, "a standby", 60)
                time.sleep(_LIVE_S)
                return _watch(second, killed_at=_kill(first), restarted=False)
        time.sleep(_LIVE_S)
        killed_at = _kill(first)
        with DaemonProcess(configs[1], program=AS_USERS_START_IT) as second:
            return _watch(second, killed_at=killed_at, restarted=True)


def _kill(daemon: DaemonProcess) -> float:
    now = time.time()
    daemon.sigkill()
    return now


def _watch(second: DaemonProcess, *, killed_at: float, restarted: bool) -> _Recovery:
    deadline = time.monotonic() + _DEADLINE_S
    while Counters.of(second).judged == 0:
        assert time.monotonic() < deadline, second.tail()
        assert second.exit_code is None, second.tail()
        time.sleep(0.05)
    judged_at = time.time()

    def after(event: dict[str, str]) -> float:
        return datetime.fromisoformat(event["timestamp"]).timestamp() - killed_at

    restored = second.find("state_restored")[-1]
    return _Recovery(
        started=after(second.find("daemon_started")[0]) if restarted else None,
        assigned=after(second.find("partitions_assigned")[-1]),
        restored=after(restored),
        judged=judged_at - killed_at,
        replayed=restored["replayed"],
    )
