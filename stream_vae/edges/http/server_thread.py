"""A web server in a thread of its own, beside the poll loop."""

import socket
import threading
import time
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp

from stream_vae.edges.http.bounded_protocol import ACCEPTED_AT_ONCE, BoundedProtocol
from stream_vae.errors import ConfigError

# Connections that the kernel queues until they are accepted; they use no handles of the process.
_QUEUED = 1024
_START_DEADLINE_S = 10.0
_STOP_DEADLINE_S = 2.0
_LAST_MOMENT_S = 0.6


class ServerThread:
    """Serves one application from `start` to `stop`.

    Args:
        app: The application.
        host: Address to listen on.
        port: 0 selects a free one.
        name: Of the settings' section, which errors name.
        protocol: Bounds connections.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        *,
        name: str,
        protocol: type[BoundedProtocol] = BoundedProtocol,
    ) -> None:
        self._host = host
        self._wanted_port = port
        self._name = name
        self._socket: socket.socket | None = None
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=protocol,
                ws="none",  # an upgraded connection would escape the limits
                backlog=ACCEPTED_AT_ONCE,  # asyncio accepts so many in one turn
                log_config=None,
                log_level="warning",
                access_log=False,
                lifespan="off",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(target=self._serve, name=f"{name}-server", daemon=True)

    @property
    def port(self) -> int:
        """The port listened on, once started; the assigned one if port 0 is configured."""
        if self._socket is None:
            msg = f"the {self._name} server has no port before start()"
            raise RuntimeError(msg)
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The server's URL, once started."""
        host = self._host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called: long responses must end."""
        return self._server.should_exit

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
            msg = f"the {self._name} server did not start; its thread logged why"
            raise RuntimeError(msg)
        self._socket.listen(_QUEUED)  # more than asyncio asked for, which it also accepts at once

    def stop(self) -> None:
        """Stop listening; requests in progress get a moment to end. A no-op if not running."""
        self._server.should_exit = True
        self._drop_unread()
        if self._thread.is_alive():
            self._thread.join(_STOP_DEADLINE_S)
        if self._socket is not None:
            self._socket.close()

    def _drop_unread(self) -> None:
        """Drop the connections that are there after a moment: nobody reads what they were sent."""
        for each in list(self._server.server_state.connections):
            if isinstance(each, BoundedProtocol):
                with suppress(RuntimeError):  # the server has ended
                    each.loop.call_soon_threadsafe(
                        each.loop.call_later, _LAST_MOMENT_S, each.close_at_once
                    )

    def _serve(self) -> None:
        assert self._socket is not None  # noqa: S101 -- start() bound it before starting the thread
        self._server.run(sockets=[self._socket])

    def _listen(self) -> socket.socket:
        host, port, name = self._host, self._wanted_port, self._name
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            return socket.create_server((host, port), family=family, backlog=_QUEUED)
        except OSError as exc:
            msg = (
                f"{name}: cannot listen on {host} port {port}: {exc.strerror or exc}; expected an "
                f"address of this machine and a free port (set {name}.host, {name}.port or "
                f"{name}.enabled)"
            )
            raise ConfigError(msg) from exc
