"""HTTP/1.1 with bounds on the number of connections and on their duration."""

import asyncio
from collections.abc import Iterable

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

MAX_CONNECTIONS = 128
"""Open at a time: a bound on the process's file handles, since Kafka needs some too."""

ACCEPTED_AT_ONCE = 16
"""Per turn of the event loop. A request is read a few turns after its connection was accepted, so
this must be a small part of `MAX_CONNECTIONS`: else a flood closes a probe before it is read.
"""

REQUEST_DEADLINE_S = 10.0
"""From a connection, or the response before, to the end of the next response."""


class BoundedProtocol(H11Protocol):
    """Closes the connection that has waited longest when there are too many, and each after a time.

    A limit that refuses new connections (uvicorn's `limit_concurrency` returns 503) would fail
    probes as soon as others hold all connections; here a new connection is always accepted, and one
    that sends its request at once is answered. The deadline also covers what uvicorn does not time:
    slow headers or bodies, and responses that are not read.
    """

    max_connections = MAX_CONNECTIONS
    request_deadline_s = REQUEST_DEADLINE_S
    waiting_since = 0.0
    _deadline: asyncio.TimerHandle | None = None

    @property
    def is_answering(self) -> bool:
        """A request was read and its response is not complete."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection; close another if there are too many."""
        super().connection_made(transport)
        self._await_request()
        if len(self.connections) > self.max_connections:
            self.logger.warning("Too many connections: closing the one that has waited longest.")
            others = (each for each in self.connections if each is not self)
            _longest_waiting(others).close_at_once()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._cancel_deadline()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Restart the connection's deadline for the next request."""
        self._await_request()
        super().on_response_complete()

    def close_at_once(self) -> None:
        """Drop the connection with any unsent data."""
        # The loop calls `connection_lost` a turn later; until then it must not be chosen again.
        self.connections.discard(self)
        self._cancel_deadline()
        self.transport.abort()

    def _await_request(self) -> None:
        self._cancel_deadline()
        self.waiting_since = self.loop.time()
        self._deadline = self.loop.call_later(self.request_deadline_s, self.close_at_once)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()


def _longest_waiting(connections: Iterable[object]) -> BoundedProtocol:
    """Return the connection to close: those being answered come last."""
    bounded = (each for each in connections if isinstance(each, BoundedProtocol))
    return min(bounded, key=lambda each: (each.is_answering, each.waiting_since))
