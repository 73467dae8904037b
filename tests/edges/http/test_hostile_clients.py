"""Probes are answered whatever other clients do, and the process keeps handles for Kafka.

The server runs in a process of its own with as few file handles as a container may give it.
"""

import contextlib
import http.client
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest

from stream_vae.edges.http.bounded_protocol import MAX_CONNECTIONS
from tests.limits import slowness

pytestmark = pytest.mark.slow  # each test starts a process of its own

HANDLES = 320
"""Of the server's process; a flood is larger."""
FLOOD = 1000
REQUEST_DEADLINE_S = 1.0
PROBE_TIMEOUT_S = 10.0
"""An answer takes milliseconds; more only where the machine is busy with something else."""

_SERVE = f"""
import resource, sys
from prometheus_client import CollectorRegistry, Gauge
from stream_vae.core.health import Health
from stream_vae.edges.http.bounded_protocol import BoundedProtocol
from stream_vae.edges.http.config import HttpConfig
from stream_vae.edges.http.server import HealthServer

resource.setrlimit(resource.RLIMIT_NOFILE, ({HANDLES}, {HANDLES}))
BoundedProtocol.request_deadline_s = float(sys.argv[2])
registry = CollectorRegistry()
gauge = Gauge("g", "A page larger than the socket's buffers.", ["n"], registry=registry)
for n in range(int(sys.argv[3])):
    gauge.labels(f"{{n}}" + "x" * 1000)
ok = Health(is_ok=True, reason="fine")
server = HealthServer(HttpConfig(port=0), registry, lambda: ok, lambda: ok)
if sys.argv[1] == "unbounded":
    uvicorn = server._server.config
    uvicorn.http, uvicorn.backlog = "h11", 2048
server.start()
print(server.port, flush=True)
sys.stdin.read()
server.stop()
"""


class Server:
    """A process that serves probes."""

    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        self.port = port
        self._process = psutil.Process(process.pid)

    @property
    def n_handles(self) -> int:
        return self._process.num_fds()

    def connect(self, said: bytes = b"") -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        client.sendall(said)
        return client

    def probe(self, timeout_s: float = PROBE_TIMEOUT_S) -> int:
        url = f"http://127.0.0.1:{self.port}/livez"
        return httpx.get(url, timeout=timeout_s).status_code


@contextlib.contextmanager
def serving(
    kind: str = "bounded", *, deadline_s: float = REQUEST_DEADLINE_S, page: int = 0
) -> Iterator[Server]:
    with subprocess.Popen(
        [sys.executable, "-c", _SERVE, kind, str(deadline_s), str(page)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield Server(process, int(process.stdout.readline()))
        process.kill()


@pytest.fixture
def clients() -> Iterator[contextlib.ExitStack]:
    """Keeps sockets open to the end of the test; more than the usual 1,024 of a process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.ExitStack() as stack:
        yield stack
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def is_closed(client: socket.socket, within_s: float) -> bool:
    """Tell whether the server drops the connection, without a word, in time."""
    client.settimeout(within_s)
    try:
        return client.recv(65536) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


@pytest.mark.parametrize("said", [b"", b"GET /livez HTTP/1.1\r\nhost: x\r\n"])
def test_a_thousand_clients_that_finish_no_request_keep_no_probe_waiting(
    said: bytes, clients: contextlib.ExitStack
) -> None:
    with serving(deadline_s=60.0) as server:
        before = server.n_handles
        for _ in range(FLOOD):
            clients.enter_context(server.connect(said))
        assert [server.probe() for _ in range(5)] == [200] * 5
        assert server.n_handles <= before + MAX_CONNECTIONS + 1


def test_without_the_bound_such_clients_would_keep_the_probe_out(
    clients: contextlib.ExitStack,
) -> None:
    """Control: the flood is large enough."""
    with serving("unbounded") as server:
        for _ in range(FLOOD):
            clients.enter_context(server.connect())
        with pytest.raises(httpx.TimeoutException):
            server.probe(timeout_s=2.0)


def test_clients_that_come_while_it_is_asked_do_not_push_a_probe_out(
    clients: contextlib.ExitStack,
) -> None:
    """The flood goes on: 50 newcomers between a probe's connection and its request."""
    with serving(deadline_s=60.0) as server:
        for _ in range(MAX_CONNECTIONS):
            clients.enter_context(server.connect())
        for _ in range(10):
            probe = clients.enter_context(server.connect())
            for _ in range(50):
                clients.enter_context(server.connect())
            probe.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
            assert probe.recv(100).startswith(b"HTTP/1.1 200")


def test_headers_that_trickle_in_are_cut_off(clients: contextlib.ExitStack) -> None:
    with serving() as server:
        slow = clients.enter_context(server.connect(b"GET /livez HTTP/1.1\r\nhost: x\r\nx: "))
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < 10 * REQUEST_DEADLINE_S:
                slow.sendall(b"y")
                if is_closed(slow, within_s=0.05):
                    break
        assert time.monotonic() - began < 5 * REQUEST_DEADLINE_S


def test_a_body_that_trickles_in_after_its_answer_is_cut_off(
    clients: contextlib.ExitStack,
) -> None:
    request = b"POST /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n"
    with serving() as server:
        slow = clients.enter_context(server.connect(request))
        assert slow.recv(65536).startswith(b"HTTP/1.1 405")
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < 10 * REQUEST_DEADLINE_S:
                slow.sendall(b"y")
                if is_closed(slow, within_s=0.05):
                    break
        assert time.monotonic() - began < 5 * REQUEST_DEADLINE_S


def test_a_response_that_nobody_reads_is_cut_off(clients: contextlib.ExitStack) -> None:
    with serving(page=8000) as server:
        before = server.n_handles
        deaf = clients.enter_context(server.connect())
        deaf.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        assert server.probe() == 200
        assert server.n_handles > before
        until = time.monotonic() + 30
        while server.n_handles > before and time.monotonic() < until:
            time.sleep(0.05)
        assert server.n_handles <= before


def test_a_client_that_asks_again_in_time_keeps_its_connection() -> None:
    """Control for all of the above: Prometheus asks on one connection again and again."""
    deadline_s = REQUEST_DEADLINE_S * slowness()
    with serving(deadline_s=deadline_s) as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        client.connect()
        own = client.sock.getsockname()
        for _ in range(3):
            time.sleep(0.4 * deadline_s)  # more than the deadline in all
            client.request("GET", "/livez")
            assert client.getresponse().read() == b'{"status":"ok","reason":"fine"}'
            assert client.sock.getsockname() == own
        client.close()
