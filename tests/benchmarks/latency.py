"""From producing an anomalous reading to reading its alert event, read_committed."""

import threading
import time
import uuid
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.kafka.read.topic_reader import read_topic
from tests.benchmarks.daemons import Counters, config_of
from tests.benchmarks.feed import Feed
from tests.benchmarks.throughput import daemon_windows_per_second
from tests.benchmarks.workload import T, Workload
from tests.recorded_events import RecordedEvents
from tests.system.broker import RealKafka
from tests.system.harness import AS_USERS_START_IT, DaemonProcess, Topics

_RATE = 2_000
_SECONDS = 30
_SERIES = 400
_INCIDENTS = 40  # a second, whatever the rate
_SNAPSHOT_S = 10.0  # so that state is saved while it is measured


def measure_latency(workload: Workload, kafka: RealKafka) -> dict[str, str]:
    """Look at 2,000 readings a second, and at half of what the daemon takes at most.

    That is measured with the same feed and the same reader beside it, which cost about as much as
    the daemon itself: a backlog that nobody feeds is worked off faster.
    """
    topics = Topics.create(kafka)
    kafka.produce(topics.input, workload.records(), timeout_s=300)
    backlog = daemon_windows_per_second(workload, kafka, topics)
    most = _run(workload, kafka, backlog).rate
    return {
        "most readings taken": f"{most:,.0f}/s of a live feed, {backlog:,.0f}/s of a backlog",
        "produce to visible alert": str(_run(workload, kafka, _RATE)),
        "the same at half of the most": str(_run(workload, kafka, most / 2)),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    rate: float  # readings judged a second
    saved: float  # state records a second
    sent: int  # incidents
    latency: NDArray[np.float64]  # (<= sent,) seconds

    def __str__(self) -> str:
        p50, p99 = np.quantile(self.latency, [0.5, 0.99])
        return (
            f"p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms over {len(self.latency)} of "
            f"{self.sent} incidents at {self.rate:,.0f} readings/s, {self.saved:,.0f} state "
            "records/s"
        )


def _run(workload: Workload, kafka: RealKafka, rate: float) -> _Run:
    topics = Topics.create(kafka)
    config = config_of(
        workload,
        kafka,
        topics,
        {
            "detect.incident.open_after": 1,
            "detect.incident.open_within": 1,
            "detect.incident.resolve_after": 2,
            "detect.incident.min_deviation": 5.0,
            "state.snapshot_interval_s": _SNAPSHOT_S,
        },
    )
    feed = Feed(
        kafka=kafka,
        topic=topics.input,
        n_series=_SERIES,
        rate=rate,
        spike_every=round(rate / _INCIDENTS),
    )
    seen: dict[tuple[str, int], float] = {}
    done = threading.Event()
    reader = threading.Thread(target=read_openings, args=(kafka, topics, seen, done))
    feed.send_steps(T)
    with DaemonProcess(config, program=AS_USERS_START_IT) as daemon:
        daemon.wait_for("state_restored", 60)
        reader.start()
        with feed:
            time.sleep(_SNAPSHOT_S)
            began, first = time.time(), Counters.of(daemon)
            time.sleep(_SECONDS)
            ended, last = time.time(), Counters.of(daemon)
        time.sleep(2)
        done.set()
        reader.join(30)
        daemon.stop()
    inside = {key: at for key, at in feed.sent.items() if began <= at < ended}
    return _Run(
        rate=(last.judged - first.judged) / (ended - began),
        saved=(last.state_records - first.state_records) / (ended - began),
        sent=len(inside),
        latency=np.array([seen[key] - at for key, at in inside.items() if key in seen]),
    )


def read_openings(
    kafka: RealKafka, topics: Topics, seen: dict[tuple[str, int], float], done: threading.Event
) -> None:
    """Read alerts until told to stop; note when each opening came, by series and start (s)."""
    config = KafkaConfig(bootstrap_servers=kafka.bootstrap, group_id=uuid.uuid4().hex)
    for record in read_topic(
        config, topics.alerts, RecordedEvents(), follow=True, stop=done.is_set
    ):
        now = time.time()
        key = opening_of(msgspec.json.decode(record.value or b""))
        if key is not None:
            seen[key] = now


def opening_of(event: Any) -> tuple[str, int] | None:
    """Return series and start, in seconds, if an alert event opens an incident."""
    if event["sequence"] != 0:
        return None
    start = np.datetime64(event["starts_at"].removesuffix("Z"), "s").astype(int)
    return event["series"]["key"], int(start)
