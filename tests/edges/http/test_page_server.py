"""Who gets what of the live page, asked of a real server."""

import asyncio
import hashlib
import json
import re
import socket
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.types import ASGIApp, Message

from stream_vae.core.series_index import SeriesName
from stream_vae.edges.http.page_config import PageConfig
from stream_vae.edges.http.page_guard import Token
from stream_vae.edges.http.page_server import PageServer, PageSource, _Readers, build_page
from stream_vae.errors import ConfigError
from stream_vae.page.bounds import CLIENTS
from stream_vae.settings import load_settings
from tests.limits import slowness

TOKEN = "correct horse battery"  # noqa: S105 -- of these tests
STATIC = files("stream_vae.edges.http") / "static"


class Board:
    """A page with large news, which counts what is asked of it."""

    def __init__(self) -> None:
        self.watched: Collection[SeriesName] = ()
        self.ever: set[SeriesName] = set()
        self.is_watched = False
        self.n_asked = 0
        self.version: int | None = 1
        """Of what is shown; None is always a newer one."""
        self.size = 10

    def watch(self, names: Collection[SeriesName], *, is_watched: bool) -> None:
        self.watched, self.is_watched = list(names), is_watched
        self.ever.update(names)

    def news(self, version: int) -> tuple[int, list[tuple[str, bytes]]]:
        self.n_asked += 1
        newest = self.n_asked if self.version is None else self.version
        news = [("series", json.dumps({"text": "x" * self.size}).encode())]
        return newest, news if newest > version else []

    def steps(self, name: SeriesName, cursor: object) -> tuple[object, bytes] | None:
        return None if cursor else (1, json.dumps({"of": name}).encode())

    def search(self, text: str) -> bytes:
        return json.dumps({"series": [text], "is_all": True}).encode()


@contextmanager
def serving(token: str | None = None, source: PageSource | None = None) -> Iterator[httpx.Client]:
    config = PageConfig(enabled=True, port=0, token=None if token is None else SecretStr(token))
    server = PageServer(config, lambda: source, lambda: {"version": "1", "partitions": []})
    server.start()
    try:
        with httpx.Client(base_url=server.url, timeout=10) as client:
            yield client
    finally:
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 1.5 * slowness(), "streams end by themselves"


@pytest.fixture(scope="module")
def page() -> Iterator[httpx.Client]:
    with serving(source=Board()) as client:
        yield client


@pytest.fixture(scope="module")
def closed() -> Iterator[httpx.Client]:
    with serving(TOKEN, Board()) as client:
        yield client


def events(client: httpx.Client, path: str, n: int) -> list[tuple[str, Any]]:
    """Return the first events of a stream."""
    found: list[tuple[str, Any]] = []
    with client.stream("GET", path) as answer:
        assert answer.status_code == 200, answer.read()
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                found.append((name, json.loads(line.removeprefix("data: "))))
            if len(found) == n:
                break
    return found


@pytest.mark.parametrize("path", ["/", "/page.js", "/charts.js", "/page.css", "/uplot.js"])
def test_nothing_but_the_pages_own_files_can_run_in_it(page: httpx.Client, path: str) -> None:
    answer = page.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    text = answer.text
    assert not re.search(r"""\b(src|href|from|import)\s*=?\s*["'](https?:)?//""", text)
    assert not re.search(r"\sstyle=|\son[a-z]+=|<script>|innerHTML|insertAdjacent|eval\(", text)


def test_the_stream_tells_status_news_and_the_picked_series(page: httpx.Client) -> None:
    found = dict(events(page, "/events?partition=3&key=a%2Fb%20%3C", 3))
    assert found["status"]["version"] == "1"
    assert found["series"]["text"]
    assert found["steps"] == {"of": [3, "a/b <"]}


def test_in_a_quiet_second_no_more_than_the_status_is_sent() -> None:
    board = Board()
    board.size = 1_000_000
    with serving(source=board) as client:
        found = events(client, "/events?partition=0&key=s", 5)
    assert [name for name, _ in found] == ["status", "series", "steps", "status", "status"]
    assert board.n_asked > 3, "control: it was asked for what is new"


def test_only_what_is_looked_at_is_watched() -> None:
    board = Board()
    with serving(source=board) as client:
        events(client, "/events?partition=3&key=s", 2)
        assert board.ever == {(3, "s")}
        await_that(lambda: not board.is_watched and not board.watched)
        events(client, "/events?partition=-1&key=s", 2)
        assert board.ever == {(3, "s")}, "no such partition"


def await_that(is_so: Any) -> None:
    deadline = time.monotonic() + 5 * slowness()
    while not is_so():
        assert time.monotonic() < deadline, "it never was"
        time.sleep(0.01)


def test_before_the_loop_is_there_the_page_says_how_it_stands() -> None:
    with serving() as client:
        assert [name for name, _ in events(client, "/events", 1)] == ["status"]
        assert client.get("/series?q=x").json() == {"series": [], "is_all": True}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:1"}, 200),
        ({"host": "[::1]:8081"}, 200),
        ({"host": "rebound.example"}, 421),
        ({"host": "127.0.0.1.example"}, 421),
        ({"host": "[nonsense"}, 421),
        ({"origin": "http://other.example"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200),
        ({"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}, 200),
    ],
    ids=str,
)
def test_other_sites_get_nothing(
    page: httpx.Client, headers: Mapping[str, str], status: int
) -> None:
    answer = page.get("/series?q=secret", headers=dict(headers))
    assert answer.status_code == status
    assert ("secret" in answer.text) == (status == 200)


@pytest.mark.parametrize("path", ["/events", "/series?q=", "/page.js", "/uplot.js", "/none"])
def test_without_the_token_nothing_of_the_instance_is_told(closed: httpx.Client, path: str) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"cookie": f"{Token(TOKEN).cookie}=0"}):
        assert closed.get(path, headers=headers).status_code == 401
    right = {"authorization": f"Bearer {TOKEN}", "host": "page.example"}
    with closed.stream("GET", path, headers=right) as answer:
        assert answer.status_code == (404 if path == "/none" else 200)


def test_the_token_is_given_once_and_stands_in_no_address_and_no_cookie(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stream_vae.edges.http.page_server._WRONG_TOKEN_S", 0.01)
    with serving(TOKEN, Board()) as client:
        sent_to = client.get("/")
        assert (sent_to.status_code, sent_to.headers["location"]) == (303, "login")
        assert 'type="password"' in client.get("/login").text
        wrong = client.post("/login", data={"token": "wrong"})
        assert wrong.headers["location"] == "login?wrong"
        assert "set-cookie" not in wrong.headers
        has_origin = client.get("/login").headers["referrer-policy"] != "no-referrer"
        origin = str(client.base_url).rstrip("/") if has_origin else "null"
        right = client.post("/login", data={"token": TOKEN}, headers={"origin": origin})
        assert right.headers["location"] == "./"
        cookie = right.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert TOKEN not in cookie
        assert client.get("/").status_code == 200, "with the cookie"
        beside = {"cookie": f'of_another_port={{"a": 1}}; {cookie.split(";")[0]}'}
        assert client.get("/", headers=beside).status_code == 200
        assert [name for name, _ in events(client, "/events", 1)] == ["status"]
        too_long = client.post("/login", content=b"token=" + b"x" * 100_000)
        assert too_long.headers["location"] == "login?wrong"
        by_tls = {"host": "page.example", "origin": "https://page.example"}
        secure = client.post("/login", data={"token": TOKEN}, headers=by_tls)
        assert "; Secure" in secure.headers["set-cookie"]


def test_pages_of_one_host_with_tokens_of_their_own_do_not_log_each_other_out() -> None:
    with serving(TOKEN, Board()) as one, serving(TOKEN[::-1], Board()) as other:
        jar: dict[str, str] = {}
        for client, token in ((one, TOKEN), (other, TOKEN[::-1])):
            jar.update(client.post("/login", data={"token": token}).cookies)
        for client in (one, other):
            client.cookies.clear()
            client.cookies.update(jar)  # a browser sends those of all ports of a host
            assert client.get("/").status_code == 200
        one.cookies.clear()
        assert one.get("/").status_code == 303, "control"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"host": "192.0.2.1"}, "page.*192.0.2.1.*no token.*127.0.0.1"),
        ({"token": "short"}, "page.*16 characters"),
    ],
)
def test_a_page_for_others_needs_a_token(settings: Mapping[str, str], said: str) -> None:
    variables = {f"STREAM_VAE_PAGE__{k.upper()}": v for k, v in settings.items()}
    with pytest.raises(ConfigError, match=said) as refused:
        load_settings(environ={"STREAM_VAE_PAGE__ENABLED": "true", **variables})
    assert "short" not in str(refused.value)
    both = {"STREAM_VAE_PAGE__HOST": "192.0.2.1", "STREAM_VAE_PAGE__TOKEN": TOKEN}
    loaded = load_settings(environ={"STREAM_VAE_PAGE__ENABLED": "true", **both})
    assert TOKEN not in json.dumps(loaded.masked())


def test_a_page_that_nobody_reads_holds_up_nobody_and_is_not_queued_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    board = Board()
    board.size, board.version = 1_000_000, None
    with serving(source=board) as client:
        stuck = socket.socket()
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect((client.base_url.host, client.base_url.port))
        stuck.sendall(b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await_that(lambda: board.n_asked >= 1)
        before = board.n_asked
        began = time.monotonic()
        assert client.get("/series?q=x").status_code == 200
        assert time.monotonic() - began < 2 * slowness()
        time.sleep(0.8)
        assert board.n_asked <= before + 1, "nothing more is made for it"
    assert not caplog.records, "its end is no error"
    stuck.close()


def test_only_so_many_pages_are_open_and_the_next_is_told() -> None:
    with serving(source=Board()) as client:
        address = (client.base_url.host, client.base_url.port)
        opened = [socket.create_connection(address) for _ in range(CLIENTS)]
        for one in opened:
            one.sendall(b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        for one in opened:
            assert one.recv(12) == b"HTTP/1.1 200"
        refused = client.get("/events")
        assert refused.status_code == 503
        assert "16 pages are open" in refused.text
        opened.pop().close()
        await_that(lambda: client.stream("GET", "/events").__enter__().status_code == 200)
        for one in opened:
            one.close()


async def answers_to_a_burst(app: ASGIApp, n: int) -> Counter[int]:
    """Return how often each status was answered; then all have gone."""
    statuses: list[int] = []
    are_gone = asyncio.Event()

    async def receive() -> Message:
        await are_gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def ask() -> None:
        scope = {"type": "http", "method": "GET", "path": "/events"}
        await app({**scope, "query_string": b"", "headers": []}, receive, send)

    async with asyncio.timeout(5 * slowness()), asyncio.TaskGroup() as opened:
        for _ in range(n):
            opened.create_task(ask())
        while len(statuses) < n:
            await asyncio.sleep(0)
        are_gone.set()
    return Counter(statuses)


def test_of_a_burst_no_page_more_is_open_and_all_places_are_free_afterwards() -> None:
    """They ask in one turn of the server, before one of them has been sent anything."""
    readers = _Readers(Board, dict, lambda: False)
    app = build_page(readers, Token(None))

    async def bursts() -> list[Counter[int]]:
        return [await answers_to_a_burst(app, 3 * CLIENTS) for _ in range(2)]

    assert asyncio.run(bursts()) == [{200: CLIENTS, 503: 2 * CLIENTS}] * 2


@pytest.mark.parametrize(
    ("name", "sha256"),
    [
        ("uPlot.iife.min.js", "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"),
        ("uPlot.min.css", "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"),
        ("uPlot.LICENSE", "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd"),
    ],
)
def test_the_chart_library_is_the_published_one(name: str, sha256: str) -> None:
    """As in the package uplot 1.6.32 of the npm registry: a new version changes all three."""
    assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == sha256
