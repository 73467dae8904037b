"""Clients of a daemon during a long run: Prometheus' scrape, and whoever asks how it stands."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx

_EVERY_S = 1.0


class Repeated:
    """A call once a second in a thread of its own; use it as a context manager.

    Args:
        call: What to do; the next one waits for it.
    """

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join(30)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            self._call()
            due = max(due + _EVERY_S, time.monotonic())
            self._stopping.wait(due - time.monotonic())


class Scrapes:
    """Answers of `/metrics`, how long each took, and what else was not as it should be."""

    def __init__(self, port: int) -> None:
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5.0)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what was found until now."""
        self.seconds: list[float] = []
        self.longest_lag_s = 0.0
        self.not_ready = 0
        """Seconds in which `/readyz` was not 200, or `/livez` not."""
        self.failed = 0

    def look(self) -> None:
        """Scrape once, and ask both probes."""
        began = time.perf_counter()
        try:
            text = self._client.get("/metrics").text
            self.seconds.append(time.perf_counter() - began)
            codes = [self._client.get(path).status_code for path in ("/livez", "/readyz")]
        except httpx.TransportError:
            self.failed += 1
            return
        self.not_ready += codes != [200, 200]
        lags = [
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith("stream_vae_consumer_lag_seconds{")
        ]
        self.longest_lag_s = max([self.longest_lag_s, *lags])
