"""A coordinator that fences one member and never lets it in again, in front of the embedded broker.

The wire format is that of Kafka's protocol guide: frames of four bytes of length; a request starts
with key, version, number and client id, an answer with the number.
"""

import ctypes
import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, cimpl

from stream_vae.edges.kafka.embedded import EmbeddedBroker

_LIBRARY = ctypes.CDLL(cimpl.__file__)
_HEARTBEAT = 68
"""The key of `ConsumerGroupHeartbeat` (KIP-848)."""
_LISTED = struct.pack(">hh", _HEARTBEAT, 1)
"""How the broker lists it: its key and oldest version; the next is the newest."""
_UNKNOWN_LISTED = struct.pack(">hh", 30_000, 1)
_ERROR_AT = 9
"""Of its answer: after the number (4), a tag (1) and the throttle time (4)."""


class RefusingCoordinator:
    """Forwards to the embedded broker; `fence` turns against whoever is a member then.

    Args:
        broker: Advertises this proxy from now on.
        offers_heartbeat: Whether it lists the heartbeat of the protocol `consumer` among the
            requests it knows, as brokers since 4.0 do.
    """

    def __init__(self, broker: EmbeddedBroker, *, offers_heartbeat: bool = True) -> None:
        self._offers_heartbeat = offers_heartbeat
        self.refused: set[bytes] = set()
        """Members that are told `FENCED_MEMBER_EPOCH` instead of what the broker answers."""
        self.refuses_all = False
        """Whether every member is told that."""
        self.members: list[bytes] = []
        """Every member that has sent a heartbeat, in the order of the first."""
        host, at = broker.bootstrap.rsplit(":", 1)
        self._upstream = (host, int(at))
        self._server = socket.create_server(("127.0.0.1", 0))
        port = self._server.getsockname()[1]
        self.bootstrap = f"127.0.0.1:{port}"
        _advertise(broker, port)
        _hasten(broker)
        threading.Thread(target=self._accept, daemon=True).start()

    def fence(self) -> None:
        """Refuse all members there have been so far."""
        self.refused.update(self.members)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                try:
                    broker = socket.create_connection(self._upstream)
                except OSError:  # it has ended
                    client.close()
                    continue
                asked: set[bytes] = set()
                for pump in (self._pass_requests, self._pass_answers):
                    arguments = (client, broker, asked)
                    threading.Thread(target=pump, args=arguments, daemon=True).start()

    def _pass_requests(
        self, client: socket.socket, broker: socket.socket, asked: set[bytes]
    ) -> None:
        """Pass requests on; note the numbers of heartbeats of refused members in `asked`."""
        with suppress(OSError), client, broker:
            while frame := _frame(client):
                if struct.unpack_from(">h", frame) == (_HEARTBEAT,):
                    member = _member_of(frame)
                    if member not in self.members:
                        self.members.append(member)
                    if self.refuses_all or member in self.refused:
                        asked.add(frame[4:8])
                broker.sendall(struct.pack(">i", len(frame)) + frame)

    def _pass_answers(
        self, client: socket.socket, broker: socket.socket, asked: set[bytes]
    ) -> None:
        with suppress(OSError), client, broker:
            while frame := _frame(broker):
                if frame[:4] in asked:
                    refusal = struct.pack(">h", KafkaError.FENCED_MEMBER_EPOCH)
                    frame = frame[:_ERROR_AT] + refusal + frame[_ERROR_AT + 2 :]
                if not self._offers_heartbeat:
                    frame = frame.replace(_LISTED, _UNKNOWN_LISTED)
                client.sendall(struct.pack(">i", len(frame)) + frame)


def _advertise(broker: EmbeddedBroker, port: int) -> None:
    function = _LIBRARY.rd_kafka_mock_broker_set_host_port
    function.argtypes = [ctypes.c_void_p, ctypes.c_int32, ctypes.c_char_p, ctypes.c_int]
    assert function(broker._cluster, 1, b"127.0.0.1", port) == 0


def _hasten(broker: EmbeddedBroker) -> None:
    """Let members say soon that they are there, and be missed soon."""
    for name, milliseconds in (("heartbeat_interval", 100), ("session_timeout", 1_000)):
        function = getattr(_LIBRARY, f"rd_kafka_mock_set_group_consumer_{name}_ms")
        function.argtypes = [ctypes.c_void_p, ctypes.c_int]
        function(broker._cluster, milliseconds)


def _frame(source: socket.socket) -> bytes:
    """Return the next frame, without its length; empty at the end."""
    head = _read(source, 4)
    return _read(source, struct.unpack(">i", head)[0]) if head else b""


def _read(source: socket.socket, n: int) -> bytes:
    found = b""
    while len(found) < n:
        more = source.recv(n - len(found))
        if not more:
            return b""
        found += more
    return found


def _member_of(frame: bytes) -> bytes:
    """Return the member id of a heartbeat: behind client id, a tag and the group's name."""
    (n_client,) = struct.unpack_from(">h", frame, 8)
    at = 8 + 2 + max(n_client, 0) + 1
    at += frame[at]  # lengths stand in one byte, which they count, since these texts are short
    return frame[at + 1 : at + frame[at]]
