"""Probes, status and metrics on one port, served beside the poll loop."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from stream_vae.core.health import Health
from stream_vae.edges.http.config import HttpConfig
from stream_vae.edges.http.server_thread import ServerThread

Probe = Callable[[], Health]
Status = Callable[[], Mapping[str, object]]

_INDEX = """stream-vae
/livez    200 while the poll loop and the worker have heartbeats, else 503
/readyz   200 while readings can be judged, else 503; says what is wrong although they can
/statusz  what the instance does: partitions, lag, series, incidents, conditions (JSON)
/metrics  Prometheus metrics
"""
_FRESH = {"cache-control": "no-store"}


class HealthServer(ServerThread):
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
        app = build_app(registry, liveness, readiness, status)
        super().__init__(app, config.host, config.port, name="http")


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
