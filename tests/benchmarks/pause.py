"""How long saving state holds up the loop, and what it writes, while readings flow."""

import time

from stream_vae.settings.model import StateConfig
from tests.benchmarks.daemons import TIMED, Counters, config_of
from tests.benchmarks.feed import Feed
from tests.benchmarks.workload import T, Workload
from tests.system.broker import RealKafka
from tests.system.harness import DaemonProcess, Topics

_SERIES = 20_000
_RATE = 5_000
_INTERVALS_S = (StateConfig().snapshot_interval_s, 10.0)
_ROUNDS_S = 60.0  # of saving that are looked at


def measure_pause(workload: Workload, kafka: RealKafka) -> dict[str, str]:
    """Fill the windows of 20,000 series, then go on at 5,000 readings/s; save at two paces."""
    return {
        f"saving every {interval_s:g} s": _measure(workload, kafka, interval_s)
        for interval_s in _INTERVALS_S
    }


def _measure(workload: Workload, kafka: RealKafka, interval_s: float) -> str:
    topics = Topics.create(kafka)
    config = config_of(workload, kafka, topics, {"state.snapshot_interval_s": interval_s})
    feed = Feed(kafka=kafka, topic=topics.input, n_series=_SERIES, rate=_RATE)
    feed.send_steps(T)
    with DaemonProcess(config, program=TIMED) as daemon, feed:
        daemon.wait_for("state_restored", 60)
        time.sleep(interval_s)  # then the first round begins
        began, first = time.perf_counter(), Counters.of(daemon)
        time.sleep(_ROUNDS_S)
        seconds, last = time.perf_counter() - began, Counters.of(daemon)
        daemon.stop(60)
        timed = daemon.wait_for("steps_timed", 5)
    readings = last.judged - first.judged
    return (
        f"pauses p50 {timed['pause_p50_ms']:.1f} ms, p99 {timed['pause_p99_ms']:.1f} ms, "
        f"max {timed['pause_max_ms']:.1f} ms over {timed['pauses']:,} turns; "
        f"{(last.state_bytes - first.state_bytes) / readings:,.0f} bytes a reading "
        f"({(last.state_records - first.state_records) / seconds:,.0f} records/s at "
        f"{readings / seconds:,.0f} readings/s of {_SERIES:,} series)"
    )
