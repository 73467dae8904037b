"""What the live page costs the loop, with very many series and with a reader that does not read."""

import gc
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import numpy as np
import psutil

from stream_vae.core.alerts import AlertDetector
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import RecordBatch
from stream_vae.detect.config import DetectConfig, ThresholdConfig
from stream_vae.edges.http.page_config import PageConfig
from stream_vae.edges.http.page_server import PageServer
from stream_vae.page.board import PageBoard
from stream_vae.page.view import PageView
from stream_vae.pipeline.detector import Detector
from stream_vae.pipeline.incident_ids import Origin
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.pipeline.polled_batch import PolledBatch
from tests.benchmarks.workload import Workload
from tests.conftest import STEP_NS, F, MeanSquareScorer, T, make_spec
from tests.system.broker import RealKafka

SERIES = 100_000
POLL = 500
POLLS = 400
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_NO_RECORDS = RecordBatch(
    topic="readings",
    partitions=np.zeros(0, np.int32),
    offsets=np.zeros(0, np.int64),
    timestamps=np.zeros(0, np.int64),
    timed_by_broker=False,
    keys=[],
    values=[],
    headers=lambda _: [],
)


class _Loop:
    """Polls of all series in turn, judged by the cheapest scorer there is.

    With a network, and records to decode, a poll takes longer, and the page's share is smaller.
    """

    def __init__(self) -> None:
        config = DetectConfig(threshold=ThresholdConfig(quantile=0.9999))
        origin = Origin(
            detector=AlertDetector(name="page", version="0", instance="i"),
            topic="readings",
            group="page",
        )
        detector = Detector(make_spec(), MeanSquareScorer(), config, SERIES)
        self.pipeline = Pipeline(detector, config, origin)
        self.board: PageBoard | None = None
        self._names = [f"series-{i}" for i in range(SERIES)]
        self._rng = np.random.default_rng(0)
        self._n_polls = 0

    def poll(self) -> float:
        """Process the next readings; return the CPU seconds that took this thread."""
        at = self._n_polls * POLL % SERIES
        step = self._n_polls * POLL // SERIES
        self._n_polls += 1
        times = np.full(POLL, (1_700_000_000 + step) * STEP_NS)
        readings = ReadingBatch(
            topic="readings",
            partitions=np.zeros(POLL, np.int32),
            offsets=np.arange(POLL) + self._n_polls * POLL,
            series=self._names[at : at + POLL],
            times=times,
            arrivals=times,
            values=self._rng.normal(size=(POLL, F)),
        )
        began = time.thread_time()
        steps = self.pipeline.assemble(readings)
        outcome = self.pipeline.decide(self.pipeline.score(steps), _NOW)
        if self.board is not None:
            polled = PolledBatch(
                ticket=1,
                records=_NO_RECORDS,
                rejections=(),
                steps=steps,
                detector="",
                positions={},
                polled_at=0.0,
            )
            self.board.observe(polled, outcome)
            for event in outcome.alerts:
                self.board.add_alert(event)
            self.board.tick(time.monotonic())
        return time.thread_time() - began


def measure_page(workload: Workload, kafka: RealKafka) -> dict[str, str]:
    """Measure polls of 100,000 series without a page, and with one with four kinds of readers."""
    loop = _Loop()
    for _ in range((T + 1) * SERIES // POLL):
        loop.poll()
    found: dict[str, str] = {}
    board = PageBoard(loop.pipeline)
    view = PageView(board, make_spec(), "readings")
    server = PageServer(PageConfig(enabled=True, port=0), lambda: view, dict)
    server.start()
    for name, readers in (
        ("nobody watches", nullcontext()),
        ("one reader", _reading(server.url)),
        ("one that does not read", _stuck(server.url, 1)),
        ("sixteen that do not read", _stuck(server.url, 16)),
    ):
        gc.collect()
        before = psutil.Process().memory_info().rss
        with readers:
            usual, taken = _alternately(loop, board)
            grown = psutil.Process().memory_info().rss - before
        found[f"page: {name}"] = (
            f"{taken * 1e3:.2f} ms a poll of {POLL} readings of {SERIES:,} series, without the "
            f"page {usual * 1e3:.2f} ({taken / usual:.2f} times); memory {grown / 2**20:+.1f} MiB"
        )
    server.stop()
    return found


def _alternately(loop: _Loop, board: PageBoard) -> tuple[float, float]:
    """Return the mean seconds of a poll without and with the page."""
    spent: list[list[float]] = [[], []]
    for i in range(2 * POLLS):
        loop.board = board if i % 2 else None
        spent[i % 2].append(loop.poll())
    return float(np.mean(spent[0])), float(np.mean(spent[1]))


@contextmanager
def _reading(url: str) -> Iterator[None]:
    is_over = threading.Event()

    def read() -> None:
        with httpx.stream("GET", f"{url}/events?partition=0&key=series-7", timeout=30) as answer:
            for _ in answer.iter_raw():
                if is_over.is_set():
                    return

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield
    finally:
        is_over.set()
        reader.join()


@contextmanager
def _stuck(url: str, n: int) -> Iterator[None]:
    address = urlsplit(url)
    readers = [
        socket.create_connection((address.hostname or "", address.port or 0)) for _ in range(n)
    ]
    for i, one in enumerate(readers):
        request = f"GET /events?partition=0&key=series-{i} HTTP/1.1\r\nhost: localhost\r\n\r\n"
        one.sendall(request.encode())
    try:
        yield
    finally:
        for one in readers:
            one.close()
