"""Who is there during a long run: Prometheus' scrape, an open page, a receiver of alerts."""

import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import httpx
import msgspec

from tests.benchmarks.latency import opening_of

_EVERY_S = 1.0


class Beside(ABC):
    """Something that goes on in a thread of its own; use it as a context manager."""

    def __init__(self) -> None:
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

    @abstractmethod
    def _run(self) -> None:
        """Go on until it is stopping."""


class Repeated(Beside):
    """A call once a second in a thread of its own.

    Args:
        call: What to do; the next one waits for it.
    """

    def __init__(self, call: Callable[[], None]) -> None:
        super().__init__()
        self._call = call

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


class OpenPage(Beside):
    """The page's event stream, read as a browser does: again after each end of it.

    Args:
        port: Of the page.
        key: Of the series that is drawn, once it is found; None has none.
    """

    def __init__(self, port: int, key: str | None = None) -> None:
        super().__init__()
        self._key = key
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30.0)
        self.events = Counter[str]()
        self.failures = Counter[str]()
        self.n_bytes = 0

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._read()
            except httpx.HTTPError as exc:
                self.failures[f"{exc}"[:60]] += 1
                self._stopping.wait(1.0)

    def _read(self) -> None:
        with self._client.stream("GET", "/events", params=self._query()) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                self.n_bytes += len(line) + 1
                if line.startswith("event: "):
                    self.events[line[7:]] += 1
                if self._stopping.is_set():
                    return

    def _query(self) -> dict[str, str]:
        if self._key is None:
            return {}
        found = self._client.get("/series", params={"q": self._key}).json()["series"]
        places = {one["key"]: str(one["partition"]) for one in found}
        return {"partition": places[self._key], "key": self._key} if self._key in places else {}


class Webhook:
    """A receiver that takes every alert event, and notes when the first of each incident came."""

    def __init__(self) -> None:
        self.opened: dict[tuple[str, int], float] = {}
        self.n_events = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver.take(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where events are posted."""
        return f"http://127.0.0.1:{self._server.server_port}/alerts"

    def take(self, body: bytes) -> None:
        """Note one event."""
        self.n_events += 1
        key = opening_of(msgspec.json.decode(body))
        if key is not None:
            self.opened.setdefault(key, time.time())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
