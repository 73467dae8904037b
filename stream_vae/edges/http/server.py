"""Probes, status and metrics on one port, served beside the poll loop."""

import socket
import threading
import time
from collections.abc import Callable, Mapping

import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from stream_vae.core.health import Health
from stream_vae.edges.http.bounded_protocol import ACCEPTED_AT_ONCE, BoundedProtocol
from stream_vae.edges.http.config import HttpConfig
from stream_vae.errors import ConfigError

Probe = Callable[[], Health]
Status = Callable[[], Mapping[str, object]]

_INDEX = """stream-vae
/livez    200 while the poll loop and the worker have heartbeats, else 503
/readyz   200 while readings can be judged, else 503; says what is wrong although they can
/statusz  what the instance does: partitions, lag, series, incidents, conditions (JSON)
/metrics  Prometheus metrics
"""
# Connections that the kernel queues until they are accepted; they use no handles of the process.
_QUEUED = 1024
_FRESH = {"cache-control": "no-store"}
_START_DEADLINE_S = 10.0
_STOP_DEADLINE_S = 2.0


class HealthServer:
    """Serves `/livez`, `/readyz`, `/statusz` and `/metrics` from a thread of its own.

    The number of connections is bounded, and clients cannot block probes; see `BoundedProtocol`.

    Args:
        config: Where to listen.
        registry: Metrics for `/metrics`.
        liveness: For `/livez`; must be quick and thread-safe.
        readiness: For `/readyz`, likewise.
        status: For `/statusz`, likewise; its values are those of JSON.
    """

    def __init__(
        self,
        config: HttpConfig,
        registry: CollectorRegistry,
        liveness: Probe,
        readiness: Probe,
        status: Status = dict,
    ) -> None:
        self._config = config
        self._socket: socket.socket | None = None
        self._server = uvicorn.Server(
            uvicorn.Config(
                build_app(registry, liveness, readiness, status),
                loop="asyncio",
                http=BoundedProtocol,
                ws="none",  # an upgraded connection would escape the limits
                backlog=ACCEPTED_AT_ONCE,  # asyncio accepts so many in one turn
                log_config=None,
                log_level="warning",
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(target=self._serve, name="health-server", daemon=True)

    @property
    def port(self) -> int:
        """The port listened on, once started; the assigned one if port 0 is configured."""
        if self._socket is None:
            msg = "the health server has no port before start()"
            raise RuntimeError(msg)
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The server's URL, once started."""
        host = self._config.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def start(self) -> None:
        """Listen, and return once requests are answered.

        Raises:
            ConfigError: If the address cannot be listened on.
        """
        self._socket = self._listen()
        self._thread.start()
        deadline = time.monotonic() + _START_DEADLINE_S
        while not self._server.started and self._thread.is_alive():
            if time.monotonic() > deadline:
                break
            time.sleep(0.005)
        if not self._server.started:
            msg = "the health server did not start; its thread logged why"
            raise RuntimeError(msg)
        self._socket.listen(_QUEUED)  # more than asyncio asked for, which it also accepts at once

    def stop(self) -> None:
        """Stop listening; requests in progress get a moment to end. A no-op if not running."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_STOP_DEADLINE_S)
        if self._socket is not None:
            self._socket.close()

    def _serve(self) -> None:
        assert self._socket is not None  # noqa: S101 -- start() bound it before starting the thread
        self._server.run(sockets=[self._socket])

    def _listen(self) -> socket.socket:
        host, port = self._config.host, self._config.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            return socket.create_server((host, port), family=family, backlog=_QUEUED)
        except OSError as exc:
            msg = (
                f"http: cannot listen on {host} port {port}: {exc.strerror or exc}; expected an "
                "address of this machine and a free port (set http.host, http.port or "
                "http.enabled)"
            )
            raise ConfigError(msg) from exc


def build_app(
    registry: CollectorRegistry, liveness: Probe, readiness: Probe, status: Status
) -> Starlette:
    """Return the application, without a server around it."""

    # Coroutines, though nothing is awaited: Starlette runs plain functions in a thread pool, and
    # probes must be answered even when no thread can be started.
    async def index(_: Request) -> Response:
        return PlainTextResponse(_INDEX)

    async def livez(_: Request) -> Response:
        return _answer(liveness())

    async def readyz(_: Request) -> Response:
        return _answer(readiness())

    async def statusz(_: Request) -> Response:
        return JSONResponse(dict(status()), headers=_FRESH)

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    return Starlette(
        routes=[
            Route("/", index),
            Route("/livez", livez),
            Route("/readyz", readyz),
            Route("/statusz", statusz),
            Route("/metrics", metrics),
        ]
    )


def _answer(health: Health) -> Response:
    return JSONResponse(
        {"status": health.status, "reason": health.reason},
        status_code=200 if health.is_ok else 503,
        headers=_FRESH,
    )
