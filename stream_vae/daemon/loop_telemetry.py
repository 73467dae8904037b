"""What a service learns from the events of its loop."""

from collections.abc import Callable

from stream_vae.edges.telemetry.event_log import EventLog
from stream_vae.events import (
    BrokerReached,
    BrokerUnreachable,
    ConsumptionDelayed,
    DaemonStarted,
    Event,
    ForwarderStarted,
    TopicsFound,
)


class LoopTelemetry:
    """The recorder for the loop.

    Args:
        recorder: Takes every event.
        on_started: Called once the process has told that it starts.
        on_tick: Called in each iteration of the loop.
        on_lack: Called with what is waited for, a broker or a topic; with "" once it is there.
    """

    def __init__(
        self,
        recorder: EventLog,
        *,
        on_started: Callable[[], None],
        on_tick: Callable[[], None],
        on_lack: Callable[[str], None],
    ) -> None:
        self._recorder = recorder
        self._on_lack = on_lack
        self._on_started = on_started
        self._on_tick = on_tick

    def record(self, event: Event) -> None:
        """Forward an event."""
        self._recorder.record(event)
        if isinstance(event, DaemonStarted | ForwarderStarted):
            self._on_started()
        if isinstance(event, BrokerUnreachable | ConsumptionDelayed):
            self._on_lack(event.detail)
        elif isinstance(event, BrokerReached | TopicsFound):
            self._on_lack("")

    def tick(self) -> None:
        """Write the summaries that are due."""
        self._on_tick()
        self._recorder.tick()
