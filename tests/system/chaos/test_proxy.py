"""The network between daemon and broker fails when it is asked to, and not otherwise."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.system.chaos.proxy import Network, Proxy


@contextmanager
def connected() -> Iterator[tuple[Proxy, socket.socket, socket.socket]]:
    """Yield a proxy, a client's end and the server's end of one connection through it."""
    proxy = Proxy()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        proxy.forward_to(server.getsockname()[1])
        with socket.create_connection(("127.0.0.1", proxy.port), 5) as near:
            far, _ = server.accept()
            with far:
                near.settimeout(5)
                far.settimeout(5)
                yield proxy, near, far
    proxy.close()


def test_bytes_pass_both_ways() -> None:
    with connected() as (_, near, far):
        near.sendall(b"request")
        assert far.recv(100) == b"request"
        far.sendall(b"answer")
        assert near.recv(100) == b"answer"


def test_what_was_sent_into_a_silent_network_arrives_when_it_is_back() -> None:
    with connected() as (proxy, near, far):
        proxy.set_network(Network.STALLED)
        near.sendall(b"late")
        far.settimeout(0.2)
        with pytest.raises(TimeoutError):
            far.recv(100)
        far.settimeout(5)
        proxy.set_network(Network.UP)
        assert far.recv(100) == b"late"


def test_a_cut_ends_connections_and_takes_no_new_ones() -> None:
    """Control: once it is up again it does."""
    with connected() as (proxy, near, far):
        proxy.set_network(Network.CUT)
        assert ended(near)
        with socket.create_connection(("127.0.0.1", proxy.port), 5) as refused:
            refused.settimeout(5)
            assert ended(refused)
        proxy.set_network(Network.UP)
        with socket.create_connection(("127.0.0.1", proxy.port), 5) as again:
            again.settimeout(0.2)
            with pytest.raises(TimeoutError):
                again.recv(1)
        assert ended(far)


def test_of_a_lost_answer_the_records_arrive_and_their_connection_ends() -> None:
    """Control: other requests are answered."""
    with connected() as (proxy, near, far):
        proxy.set_network(Network.ANSWER_LOST)
        near.sendall(b"\0\0\0\x06\0\3join")
        assert far.recv(100)
        far.sendall(b"answer")
        assert near.recv(100) == b"answer"
        near.sendall(b"\0\0\0\x06\0\0data")
        assert far.recv(100) == b"\0\0\0\x06\0\0data"
        assert ended(near)


def ended(one: socket.socket) -> bool:
    try:
        return one.recv(1) == b""
    except ConnectionError:
        return True
