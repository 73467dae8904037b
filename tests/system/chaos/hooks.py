"""Faults within a daemon's process, asked for by files in a directory of its own.

The product knows nothing of this: its parts are wrapped from outside, in processes the chaos test
forks. A file is the request, its content the argument:

    slow     every call of the model takes so many seconds more, while the file exists
    clock    the wall clock is off by so many seconds, while the file exists
    raise    the model raises once
    commit   at the next transaction that carries more than state: `freeze` or `kill-before` its
             commit, or `kill-after` it
"""

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import Scores
from stream_vae.core.records import OutputRecord
from stream_vae.edges.kafka.deadline import Deadline
from stream_vae.edges.kafka.produce.output_producer import OutputProducer
from stream_vae.edges.kafka.produce.transactional_client import TransactionalClient
from stream_vae.models.scoring import WindowScorer
from tests.system.chaos import broken_order

CHAOS_ERROR = "raised by the chaos test"

_CLOCK_LOOK_S = 0.1


class Requests:
    """What is asked of this process."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, name: str) -> str | None:
        """Return a request's argument while it stands."""
        with suppress(FileNotFoundError):
            return (self._directory / name).read_text()
        return None

    def take(self, name: str) -> str | None:
        """Return a request's argument once."""
        argument = self.read(name)
        if argument is not None:
            (self._directory / name).unlink(missing_ok=True)
        return argument


def install(wanted: dict[str, Any]) -> None:
    """Let this process handle requests; the fork server calls it before the program begins.

    Args:
        wanted: `requests`, the directory where they appear; `broken_order`, whether to publish
            outputs before offsets.
    """
    requests = Requests(Path(wanted["requests"]))
    _wrap_scorer(requests)
    _wrap_transactions(requests)
    _shift_clock(requests)
    if wanted["broken_order"]:
        broken_order.install()


def _wrap_scorer(requests: Requests) -> None:
    score = WindowScorer.score

    def wrapped(
        self: WindowScorer, values: NDArray[np.float64], end_times: NDArray[np.int64]
    ) -> Scores:
        if (seconds := requests.read("slow")) is not None:
            time.sleep(float(seconds))
        if requests.take("raise") is not None:
            raise RuntimeError(CHAOS_ERROR)
        return score(self, values, end_times)

    WindowScorer.score = wrapped  # type: ignore[method-assign] # the fault is here


def _wrap_transactions(requests: Requests) -> None:
    transact, commit = OutputProducer.commit, TransactionalClient.commit
    carries_outputs = False

    def wrapped_transact(
        self: OutputProducer, records: Sequence[OutputRecord], *others: Any, **named: Any
    ) -> bool:
        nonlocal carries_outputs
        carries_outputs = any(not r.topic.endswith("-changelog") for r in records)
        return transact(self, records, *others, **named)

    def wrapped_commit(self: TransactionalClient, deadline: Deadline) -> None:
        wanted = requests.take("commit") if carries_outputs else None
        if wanted == "freeze":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif wanted == "kill-before":
            os.kill(os.getpid(), signal.SIGKILL)
        commit(self, deadline)
        if wanted == "kill-after":
            os.kill(os.getpid(), signal.SIGKILL)

    OutputProducer.commit = wrapped_transact  # type: ignore[method-assign] # see above
    TransactionalClient.commit = wrapped_commit  # type: ignore[method-assign] # see above


def _shift_clock(requests: Requests) -> None:
    real_time, real_time_ns = time.time, time.time_ns
    looked_at, offset = -1.0, 0.0

    def offset_s() -> float:
        nonlocal looked_at, offset
        now = time.monotonic()
        if now - looked_at > _CLOCK_LOOK_S:
            looked_at, offset = now, float(requests.read("clock") or 0.0)
        return offset

    time.time = lambda: real_time() + offset_s()
    time.time_ns = lambda: real_time_ns() + int(offset_s() * 1e9)
