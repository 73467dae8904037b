"""The live page: files of the package, and a stream of what has changed."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from typing import Protocol
from urllib.parse import parse_qs

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from stream_vae.core.series_index import SeriesName
from stream_vae.edges.http.bounded_protocol import BoundedProtocol
from stream_vae.edges.http.page_config import PageConfig
from stream_vae.edges.http.page_guard import Guard, Token
from stream_vae.edges.http.server_thread import ServerThread
from stream_vae.page.bounds import CLIENTS, PARTITIONS

STREAM_S = 60.0
"""After so long a stream ends and the browser asks anew: one that nobody reads does not stay."""

_TURN_S = 0.25
_UNREAD_BYTES = 256 * 1024
_STATUS_S = 1.0
_HEARTBEAT_S = 15.0
_WRONG_TOKEN_S = 1.0
_LOGIN_BYTES = 4096
_SEARCH_CHARACTERS = 200

_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/charts.js": ("charts.js", "text/javascript; charset=utf-8"),
    "/login.js": ("login.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/uplot.js": ("uPlot.iife.min.js", "text/javascript; charset=utf-8"),
    "/uplot.css": ("uPlot.min.css", "text/css; charset=utf-8"),
}


class PageSource(Protocol):
    """What is shown; see `stream_vae.page.view.PageView`. Used by the server's thread alone."""

    def watch(self, names: Collection[SeriesName], *, is_watched: bool) -> None:
        """Say which series are drawn, and whether anybody looks at all."""

    def news(self, version: int) -> tuple[int, list[tuple[str, bytes]]]:
        """Return what a reader lacks of what is shown of all series.

        Args:
            version: As it was returned before; 0 for a new reader.

        Returns:
            The newest version, and names and JSON of the parts that have changed since.
        """
        ...

    def steps(self, name: SeriesName, cursor: object) -> tuple[object, bytes] | None:
        """Return the steps of a series that a reader lacks, if there are any.

        Args:
            name: Of the series.
            cursor: As it was returned before; None for a new reader.
        """
        ...

    def search(self, text: str) -> bytes:
        """Return series by a part of their keys, as JSON."""
        ...


Source = Callable[[], PageSource | None]
"""Returns None until the loop is there."""


class PageProtocol(BoundedProtocol):
    """As for probes, but a stream may take its time."""

    max_connections = 64
    request_deadline_s = STREAM_S + 10.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection; what the kernel holds for its reader is bounded."""
        found = transport.get_extra_info("socket")
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNREAD_BYTES)
        super().connection_made(transport)


class PageServer(ServerThread):
    """Serves the live page from a thread of its own.

    A reader gets the newest of what there is: nothing is queued for one that is slow. Its memory is
    that of a connection's buffer, and there are at most `CLIENTS`.

    Args:
        config: Where to listen, and for whom.
        source: What is shown.
        status: What the instance does, as `/statusz` has it; must be quick and thread-safe.
    """

    def __init__(
        self, config: PageConfig, source: Source, status: Callable[[], Mapping[str, object]]
    ) -> None:
        token = Token(None if config.token is None else config.token.get_secret_value())
        readers = _Readers(source, status, lambda: self.is_stopping)
        app = Guard(build_page(readers, token), token, config.host)
        super().__init__(app, config.host, config.port, name="page", protocol=PageProtocol)


class _Readers:
    """The open streams, and what they look at."""

    def __init__(
        self,
        source: Source,
        status: Callable[[], Mapping[str, object]],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._source = source
        self._status = status
        self._is_stopping = is_stopping
        self._watched: Counter[SeriesName | None] = Counter()
        self._told: tuple[float, bytes] = (-float("inf"), b"")
        self._searching = asyncio.Lock()

    @property
    def is_full(self) -> bool:
        return self._watched.total() >= CLIENTS

    async def search(self, text: str) -> bytes:
        """Return series by a part of their keys; one search at a time."""
        source = self._source()
        if source is None:
            return b'{"series":[],"is_all":true}'
        async with self._searching:
            await asyncio.sleep(0)
            return source.search(text)

    @contextmanager
    def reading(self, name: SeriesName | None) -> Iterator[None]:
        """Hold the place of one more reader.

        Args:
            name: Series that is drawn, if one is.
        """
        self._watched[name] += 1
        try:
            yield
        finally:
            self._watched -= Counter([name])
            self._tell_source()

    async def events(self, name: SeriesName | None) -> AsyncIterator[bytes]:
        """Yield events until the stream is old, or the server stops.

        Args:
            name: Series that is drawn, if one is.
        """
        began = told_at = sent_at = time.monotonic()
        told_at -= _STATUS_S
        version, cursor = 0, None
        yield b"retry: 1000\n\n"
        while not self._is_stopping() and time.monotonic() - began < STREAM_S:
            source = self._tell_source()
            parts: list[bytes] = []
            now = time.monotonic()
            if now - told_at >= _STATUS_S:
                told_at = now
                parts.append(_event(b"status", self._status_json(now)))
            if source is not None:
                version, news = source.news(version)
                parts += (_event(part.encode(), content) for part, content in news)
                found = None if name is None else source.steps(name, cursor)
                if found is not None:
                    cursor, content = found
                    parts.append(_event(b"steps", content))
            if parts or now - sent_at >= _HEARTBEAT_S:
                sent_at = now
                yield b"".join(parts) or b": still here\n\n"
            await asyncio.sleep(_TURN_S)

    def _tell_source(self) -> PageSource | None:
        source = self._source()
        if source is not None:
            names = [name for name in self._watched if name is not None]
            source.watch(names, is_watched=self._watched.total() > 0)
        return source

    def _status_json(self, now: float) -> bytes:
        """Return the status; all readers share one of each moment."""
        if now - self._told[0] >= _STATUS_S:
            self._told = (now, msgspec.json.encode(_shortened(self._status())))
        return self._told[1]


def build_page(readers: _Readers, token: Token) -> Starlette:
    """Return the application, without guard and server around it."""
    folder = files("stream_vae.edges.http") / "static"
    contents = {path: (folder / name).read_bytes() for path, (name, _) in _FILES.items()}
    login_page = (folder / "login.html").read_bytes()

    async def file(request: Request) -> Response:
        path = request.url.path
        return Response(contents[path], media_type=_FILES[path][1])

    async def events(request: Request) -> Response:
        return _Stream(readers, _series(request))

    async def series(request: Request) -> Response:
        text = request.query_params.get("q", "")[:_SEARCH_CHARACTERS]
        return Response(await readers.search(text), media_type="application/json")

    async def ask_token(request: Request) -> Response:
        if token.admits(request.headers):
            return RedirectResponse("./", 303)
        return Response(login_page, media_type="text/html")

    async def login(request: Request) -> Response:
        try:
            given = await _given_token(request)
        except ClientDisconnect:
            return Response(status_code=400)
        if not token.fits(given):
            await asyncio.sleep(_WRONG_TOKEN_S)
            return RedirectResponse("login?wrong", 303)
        response = RedirectResponse("./", 303)
        is_https = request.headers.get("origin", "").startswith("https://")
        response.set_cookie(
            token.cookie, token.session, httponly=True, samesite="strict", secure=is_https
        )
        return response

    return Starlette(
        routes=[
            *(Route(path, file) for path in _FILES),
            Route("/events", events),
            Route("/series", series),
            Route("/login", ask_token),
            Route("/login", login, methods=["POST"]),
        ]
    )


class _Stream(StreamingResponse):
    """The events of one reader; of one too many, that there are too many.

    Args:
        readers: Those that there are.
        name: Series that is drawn, if one is.
    """

    def __init__(self, readers: _Readers, name: SeriesName | None) -> None:
        headers = {"x-accel-buffering": "no"}
        super().__init__(readers.events(name), headers=headers, media_type="text/event-stream")
        self._readers = readers
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; a place is taken before anything is awaited, so that a burst counts itself."""
        if self._readers.is_full:
            text = f"{CLIENTS} pages are open already; close one, or try again\n"
            await PlainTextResponse(text, 503, {"retry-after": "5"})(scope, receive, send)
            return
        with self._readers.reading(self._name):
            await super().__call__(scope, receive, send)


async def _given_token(request: Request) -> str:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LOGIN_BYTES:
            return ""
    fields = parse_qs(body.decode("utf-8", "replace"))
    return fields.get("token", [""])[0]


def _series(request: Request) -> SeriesName | None:
    """Return the series that a page draws."""
    partition, key = request.query_params.get("partition", ""), request.query_params.get("key")
    if key is None or not partition.isascii() or not partition.isdigit() or len(partition) > 9:
        return None
    return int(partition), key


def _event(name: bytes, content: bytes) -> bytes:
    return b"event: " + name + b"\ndata: " + content + b"\n\n"


def _shortened(status: Mapping[str, object]) -> dict[str, object]:
    """Return a status with the partitions that lag most, and how many there are."""
    found = dict(status)
    partitions = found.get("partitions")
    if isinstance(partitions, list):
        found["n_partitions"] = len(partitions)
        most = sorted(partitions, key=lambda one: -(one["lag_records"] or 0))[:PARTITIONS]
        found["partitions"] = sorted(most, key=lambda one: one["partition"])
    return found
