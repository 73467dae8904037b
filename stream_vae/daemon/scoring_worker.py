"""The worker: one thread that owns the model and its device."""

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.health import Heartbeat
from stream_vae.core.model_spec import Scorer, Scores
from stream_vae.core.ports import EventSink
from stream_vae.events import WindowsScored

_IDLE_S = 0.5

Work = TypeVar("Work")


@dataclass(frozen=True, slots=True)
class _Job(Generic[Work]):
    work: Work
    windows: NDArray[np.float64]  # (B, T, F)
    end_times: NDArray[np.int64]  # (B,)
    n_readings: int


class ScoringWorker(Generic[Work]):
    """Scores jobs in order of submission, batching queued jobs into one call of the model.

    The caller never blocks: it submits, continues polling, and collects what is finished. The
    caller limits the work in flight.

    Args:
        scorer: Used by the worker's thread alone.
        max_batch: Windows after which no further queued job is added to a call.
        events: Receives `WindowsScored` of each call, in the worker's thread.
        device: The scorer's device, for events.
    """

    def __init__(self, scorer: Scorer, *, max_batch: int, events: EventSink, device: str) -> None:
        self._scorer = scorer
        self._max_batch = max_batch
        self._events = events
        self._device = device
        self._waiting: deque[_Job[Work]] = deque()
        self._finished: deque[tuple[_Job[Work], Scores]] = deque()
        self._changed = threading.Condition()
        self._readings_in_flight = 0
        self._unfinished = 0  # jobs
        self._stopping = False
        self._failure: BaseException | None = None
        self.heartbeat = Heartbeat(time.monotonic())
        self._thread = threading.Thread(target=self._run, name="scoring-worker", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def readings_in_flight(self) -> int:
        """Readings submitted and not yet collected, with or without a window."""
        return self._readings_in_flight

    def submit(
        self,
        work: Work,
        windows: NDArray[np.float64],
        end_times: NDArray[np.int64],
        *,
        n_readings: int,
    ) -> None:
        """Queue a job; `collect` returns `work` with its scores.

        Args:
            work: Returned unchanged.
            windows: (B, T, F) in input units
            end_times: (B,)
            n_readings: The job's readings, for `readings_in_flight`.
        """
        with self._changed:
            self._waiting.append(_Job(work, windows, end_times, n_readings))
            self._readings_in_flight += n_readings
            self._unfinished += 1
            self._changed.notify_all()

    def collect(self) -> list[tuple[Work, Scores]]:
        """Return the jobs finished since the last call, in the order they were submitted.

        Raises:
            BaseException: Whatever the scorer raised; nothing is scored after that.
        """
        with self._changed:
            if self._failure is not None:
                raise self._failure
            done = list(self._finished)
            self._finished.clear()
            self._readings_in_flight -= sum(job.n_readings for job, _ in done)
            return [(job.work, scores) for job, scores in done]

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until every submitted job is finished; return False on timeout."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._failure is not None or self._unfinished == 0, timeout_s
            )

    def wait_finished(self, timeout_s: float) -> None:
        """Wait until something can be collected, but no longer than `timeout_s`."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._failure is not None or len(self._finished) > 0, timeout_s
            )

    def stop(self, timeout_s: float) -> None:
        """Stop the thread; queued jobs are dropped."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while not self._stopping:
                jobs = self._take()
                if jobs:
                    self._score(jobs)
        except BaseException as exc:  # noqa: BLE001 -- carried to the caller's thread and raised there
            with self._changed:
                self._failure = exc
                self._changed.notify_all()

    def _take(self) -> list[_Job[Work]]:
        with self._changed:
            if not self._waiting:
                self._changed.wait(_IDLE_S)
            self.heartbeat.beat(time.monotonic())
            jobs: list[_Job[Work]] = []
            n_windows = 0
            while self._waiting and (
                not jobs or n_windows + len(self._waiting[0].windows) <= self._max_batch
            ):
                jobs.append(self._waiting.popleft())
                n_windows += len(jobs[-1].windows)
            return jobs

    def _score(self, jobs: list[_Job[Work]]) -> None:
        started = time.perf_counter()
        if len(jobs) == 1:
            scores = [self._scorer.score(jobs[0].windows, jobs[0].end_times)]
        else:
            together = self._scorer.score(
                np.concatenate([job.windows for job in jobs]),
                np.concatenate([job.end_times for job in jobs]),
            )
            scores = together.split([len(job.windows) for job in jobs])
        n_windows = sum(len(job.windows) for job in jobs)
        if n_windows:
            self._events.record(
                WindowsScored(
                    windows=n_windows,
                    inference_s=time.perf_counter() - started,
                    device=self._device,
                )
            )
        with self._changed:
            self._finished.extend(zip(jobs, scores, strict=True))
            self._unfinished -= len(jobs)
            self._changed.notify_all()
