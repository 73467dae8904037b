"""A loop or a worker that hangs is found out, each by its name, and the other one is not blamed."""

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
import structlog
from numpy.typing import NDArray

from stream_vae.core.health import Heartbeat
from stream_vae.core.model_spec import Scorer, Scores
from stream_vae.daemon import scoring_worker
from stream_vae.daemon.scoring_worker import ScoringWorker
from stream_vae.daemon.service import Role, Service
from stream_vae.daemon.surroundings import Surroundings
from stream_vae.daemon.work_queue import Work
from stream_vae.edges.http.config import HttpConfig
from stream_vae.events import BrokerReached, ConsumptionDelayed, TopicsFound
from stream_vae.settings import load_settings
from tests.conftest import MeanSquareScorer
from tests.limits import slowness
from tests.memory_kafka.clock import ManualClock
from tests.memory_kafka.faults import Faults
from tests.memory_kafka.instance import Instance, Parts
from tests.memory_kafka.scene import Scene, make_settings
from tests.memory_kafka.scoring import InlineScoring
from tests.recorded_events import RecordedEvents


class RealClock(ManualClock):
    """Goes by itself."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time_ns(self) -> int:
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(seconds, 0.0))


class Threaded(InlineScoring[Work]):
    """The daemon's own worker, in its thread."""

    def __init__(self, scorer: Scorer, clock: ManualClock, faults: Faults) -> None:
        super().__init__(scorer, clock, faults)
        self.worker = ScoringWorker[Work](
            scorer, max_batch=32, events=RecordedEvents(), device="cpu"
        )
        self.heartbeat: Heartbeat = self.worker.heartbeat

    @property
    def readings_in_flight(self) -> int:
        return self.worker.readings_in_flight

    def start(self) -> None:
        self.worker.start()

    def submit(
        self,
        work: Work,
        windows: NDArray[np.float64],
        end_times: NDArray[np.int64],
        *,
        n_readings: int,
    ) -> None:
        self.worker.submit(work, windows, end_times, n_readings=n_readings)

    def collect(self) -> list[tuple[Work, Scores]]:
        return self.worker.collect()

    def wait_idle(self, timeout_s: float) -> bool:
        return self.worker.wait_idle(timeout_s)

    def wait_finished(self, timeout_s: float) -> None:
        self.worker.wait_finished(timeout_s)

    def stop(self, timeout_s: float) -> None:
        self.worker.stop(timeout_s)


class GatedScorer(MeanSquareScorer):
    """Hangs while its gate is closed, as a device that does not come back."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()

    def score(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
        self.gate.wait(30)
        return super().score(values, end_times)


def await_true(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 10 * slowness()
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@pytest.fixture
def scorer() -> GatedScorer:
    return GatedScorer()


def test_a_worker_and_a_loop_that_hang_are_found_out_in_turn(
    scorer: GatedScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring_worker, "_IDLE_S", 0.02)
    settings = make_settings().model_copy(
        update={"http": HttpConfig(liveness_timeout_s=0.3 * slowness())}
    )
    scene = Scene(parts=Parts(settings=settings, scorer=scorer, scoring=Threaded))
    scene.kafka.clock = RealClock()
    one = scene.start()
    polls, stop = hold_polls(one), threading.Event()
    loop = threading.Thread(target=turn_until, args=(stop, one), daemon=True)
    loop.start()
    await_true(lambda: one.loop.liveness().is_ok and bool(one.partitions.live), "alive")

    scorer.gate.clear()
    scene.feed_series("s", range(40))
    await_true(lambda: not one.loop.liveness().is_ok, "the worker is found out")
    assert one.loop.liveness().reason.startswith("worker: no heartbeat")
    assert "poll loop" not in one.loop.liveness().reason, "it goes round, and is not blamed"
    scorer.gate.set()
    await_true(lambda: one.loop.liveness().is_ok, "alive again")

    polls.clear()
    await_true(lambda: not one.loop.liveness().is_ok, "the loop is found out")
    assert one.loop.liveness().reason.startswith("poll loop: no heartbeat")
    assert "worker" not in one.loop.liveness().reason
    polls.set()
    await_true(lambda: one.loop.liveness().is_ok, "alive again")
    stop.set()
    loop.join(10)
    one.stop()


def test_who_waits_for_a_topic_is_live_and_tells_which() -> None:
    """No longer once it is found. Control: before it knows of one."""
    detail = "topic stream-vae.alerts does not exist"
    told: list[object] = []

    def start(around: Surroundings) -> None:
        delayed = ConsumptionDelayed(detail=detail, waited_s=1.0, deadline_s=9.0)
        for event in (delayed, TopicsFound(waited_s=1.0), delayed, BrokerReached(waited_s=1.0)):
            told.append(service._status()["ready"])
            around.events.record(event)
        told.append(service._status()["ready"])
        assert service._liveness().is_ok

    loaded = load_settings(None, {"http.enabled": False}, environ={})
    service = Service(loaded, structlog.get_logger(), start)
    service._work()
    usual = f"starting: {Role().starting}"
    reasons = (usual, f"starting: {detail}", usual, f"starting: {detail}", usual)
    assert told == [{"status": "failed", "reason": reason} for reason in reasons]


def test_a_start_that_never_ends_is_found_out() -> None:
    """Such as one that waits for a device; brokers have a deadline of their own.

    One that waits for days, as a forwarder for its topic, has a heartbeat.
    """
    service = Service(load_settings(None, environ={}), structlog.get_logger(), lambda _: None)
    assert service._liveness().is_ok, "control"
    service._began_at -= 3600.0
    assert service._liveness().is_ok
    service._heartbeat.beat(service._began_at)
    assert not service._liveness().is_ok
    assert service._status()["live"] == {
        "status": "failed",
        "reason": "starting: no heartbeat for 3600 s, expected at most 1800 s",
    }


def turn_until(stop: threading.Event, one: Instance) -> None:
    while not stop.is_set():
        one.turn()


def hold_polls(one: Instance) -> threading.Event:
    """Return what a poll waits for, as for a client that hangs."""
    gate, poll = threading.Event(), one.consumer.poll
    gate.set()

    def gated(max_records: int, timeout_s: float) -> object:
        gate.wait(30)
        return poll(max_records, timeout_s)

    one.consumer.poll = gated  # type: ignore[method-assign,assignment]
    return gate
