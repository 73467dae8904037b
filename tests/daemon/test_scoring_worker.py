import threading
import time

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.core.model_spec import Scores
from stream_vae.daemon import scoring_worker
from stream_vae.daemon.scoring_worker import ScoringWorker
from tests.limits import Limit
from tests.recorded_events import RecordedEvents


class FirstValueScorer:
    """Scores a window by its first value; waits for the gate; raises on a negative value."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[int] = []

    def score(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
        self.gate.wait(5)
        if (values < 0).any():
            raise ArithmeticError("negative")
        n = len(end_times)
        self.batches.append(n)
        return Scores(
            value=values[:, 0, 0],
            contribution=np.ones((n, 1), np.float32),
            expected=np.zeros((n, 1)),
            expected_std=np.ones((n, 1)),
        )


def submit(worker: ScoringWorker[int], number: int, n_windows: int) -> None:
    windows = np.full((n_windows, 2, 1), float(number))
    worker.submit(number, windows, np.zeros(n_windows, np.int64), n_readings=n_windows + 1)


@pytest.fixture
def scorer() -> FirstValueScorer:
    return FirstValueScorer()


@pytest.fixture
def worker(scorer: FirstValueScorer) -> ScoringWorker[int]:
    return ScoringWorker(scorer, max_batch=10, events=RecordedEvents(), device="cpu")


def test_jobs_come_back_in_order_each_with_its_own_scores(worker: ScoringWorker[int]) -> None:
    for number in range(20):
        submit(worker, number, number % 4)
    worker.start()
    assert worker.wait_idle(5)
    done = worker.collect()
    assert [work for work, _ in done] == list(range(20))
    for work, scores in done:
        assert scores.value.tolist() == [work] * (work % 4)
    assert worker.readings_in_flight == 0
    worker.stop(5)


def test_waiting_jobs_share_a_call_up_to_max_batch(
    worker: ScoringWorker[int], scorer: FirstValueScorer
) -> None:
    for number in range(6):
        submit(worker, number, 4)
    worker.start()
    assert worker.wait_idle(5)
    assert scorer.batches == [8, 8, 8]
    worker.stop(5)


def test_in_flight_counts_what_was_not_collected(
    worker: ScoringWorker[int], scorer: FirstValueScorer
) -> None:
    scorer.gate.clear()
    worker.start()
    submit(worker, 1, 3)
    submit(worker, 2, 5)
    assert worker.readings_in_flight == 10
    assert not worker.wait_idle(0.05)
    scorer.gate.set()
    assert worker.wait_idle(5)
    worker.collect()
    assert worker.readings_in_flight == 0
    worker.stop(5)


def test_a_scorers_failure_is_raised_at_the_callers_side(worker: ScoringWorker[int]) -> None:
    worker.start()
    submit(worker, -1, 1)
    assert worker.wait_idle(5), "a failed worker keeps nobody waiting"
    with pytest.raises(ArithmeticError, match="negative"):
        worker.collect()


def test_an_idle_worker_shows_signs_of_life(
    worker: ScoringWorker[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring_worker, "_IDLE_S", 0.01)
    worker.start()
    for _ in range(2):
        began, limit = time.monotonic(), Limit(5.0)
        while worker.heartbeat.age(now := time.monotonic()) >= now - began:
            assert not limit.is_over
            time.sleep(0.005)
    worker.stop(5)
