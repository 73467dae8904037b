"""`ports.ScoringQueue` without a thread: scores when work is collected, or later on demand."""

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.health import Heartbeat
from stream_vae.core.model_spec import Scorer, Scores
from tests.memory_kafka.clock import ManualClock
from tests.memory_kafka.faults import Faults

Work = TypeVar("Work")
_Job = tuple[Work, NDArray[np.float64], NDArray[np.int64], int]


class InlineScoring(Generic[Work]):
    """Scores in the caller's thread.

    Args:
        scorer: Scores windows.
        clock: The time.
        faults: What goes wrong.
    """

    def __init__(self, scorer: Scorer, clock: ManualClock, faults: Faults) -> None:
        self._scorer = scorer
        self._clock = clock
        self._faults = faults
        self._jobs: list[_Job[Work]] = []
        self._awaited = 0  # jobs that somebody waited for
        self.held = 0
        """So many of the newest jobs are not finished unless somebody waits for them."""
        self.heartbeat = Heartbeat(clock.monotonic())

    @property
    def readings_in_flight(self) -> int:
        return sum(n for *_, n in self._jobs)

    def start(self) -> None: ...

    def submit(
        self,
        work: Work,
        windows: NDArray[np.float64],
        end_times: NDArray[np.int64],
        *,
        n_readings: int,
    ) -> None:
        self._faults.step("scoring.submit")
        self._jobs.append((work, windows, end_times, n_readings))

    def collect(self) -> list[tuple[Work, Scores]]:
        self._faults.step("scoring.collect")
        self.heartbeat.beat(self._clock.monotonic())
        n = max(self._awaited, len(self._jobs) - self.held)
        self._awaited = 0
        done, self._jobs = self._jobs[:n], self._jobs[n:]
        return [(work, self._scorer.score(windows, times)) for work, windows, times, _ in done]

    def wait_idle(self, timeout_s: float) -> bool:
        self._awaited = len(self._jobs)
        return True

    def wait_finished(self, timeout_s: float) -> None:
        self._clock.sleep(timeout_s)

    def stop(self, timeout_s: float) -> None:
        self._jobs.clear()
