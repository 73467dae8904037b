"""What a service and the loop that it runs are to each other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from stream_vae.core.health import Health, Heartbeat
from stream_vae.core.ports import Telemetry
from stream_vae.daemon.clock import SystemClock
from stream_vae.edges.http.page_server import PageSource
from stream_vae.settings import LoadedSettings


class Loop(Protocol):
    """The loop that a service runs; see `loop.PollLoop`."""

    def run(self) -> None:
        """Run until `stop`."""

    def stop(self) -> None:
        """Ask `run` to return; any thread may."""

    def liveness(self) -> Health:
        """Return whether the loop has recent heartbeats."""
        ...

    def readiness(self) -> Health:
        """Return whether readings can be judged."""
        ...

    def status(self) -> dict[str, object]:
        """Return what the instance does."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The service's interface for the loop it starts."""

    loaded: LoadedSettings
    events: Telemetry
    clock: SystemClock
    heartbeat: Heartbeat
    """Of the poll loop; before there is one, of a wait that has no end of its own."""
    http_url: str | None
    stopping: Callable[[], bool]
    """Returns whether the daemon was asked to stop."""
    show: Callable[[PageSource | None], None]
    """Gives the live page what it shows."""
