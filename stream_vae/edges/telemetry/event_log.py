"""Turns events into log lines; what the recorders of all programs have in common."""

import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from stream_vae import events
from stream_vae.edges.telemetry.logs import Logger
from stream_vae.edges.telemetry.repeats import Level, Line, RepeatLimiter

Faces = Mapping[type[events.Event], Callable[[Any], None]]
"""Kind of event -> what becomes of it."""

_DIGITS = re.compile(r"\d+")
_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])")


class EventLog(ABC):
    """Turns events into log lines. Any thread may record.

    A line is named after its event (`PartitionsAssigned` is `partitions_assigned`) and contains the
    event's fields. Repeated warnings are held back and counted. `DaemonStopped` is the last line.

    Args:
        logger: For the lines.
        summary_period_s: Time between two summary lines.
        clock: Monotonic seconds.
    """

    def __init__(
        self, logger: Logger, *, summary_period_s: float, clock: Callable[[], float]
    ) -> None:
        self._logger = logger
        self._summary_period_s = summary_period_s
        self._clock = clock
        # Reentrant: a library may log from within a metric or the logger itself.
        self._lock = threading.RLock()
        self._is_closed = False
        self.has_started = False
        """Whether the program's own start was recorded."""
        self._period_began = clock()
        self._limiter = RepeatLimiter(self._write, summary_period_s)
        self._faces = self._list_faces()

    @property
    def events_known(self) -> frozenset[type[events.Event]]:
        """The kinds of events that are handled."""
        return frozenset(self._faces)

    def record(self, event: events.Event) -> None:
        """Log and count one event."""
        with self._lock:
            self._faces[type(event)](event)

    def tick(self) -> None:
        """Write the summary line and held-back warnings that are due; call once per iteration."""
        now = self._clock()
        if now - self._period_began < self._summary_period_s:
            return
        with self._lock:
            self._limiter.release(now)
            self._summarise(now)
            self._period_began = now

    @abstractmethod
    def _list_faces(self) -> Faces:
        """Return what becomes of each kind of event."""

    @abstractmethod
    def _summarise(self, now: float) -> None:
        """Write the summary line of the period that ends now."""

    @abstractmethod
    def _show_reachable(self, *, is_reachable: bool) -> None:
        """Show whether brokers answer."""

    def _life_cycle(self) -> Faces:
        """Return what becomes of the events of every program."""
        return {
            events.DaemonReady: self._inform,
            events.DaemonFailed: self._daemon_failed,
            events.DaemonCrashed: self._daemon_failed,
            events.DaemonStopped: self._daemon_stopped,
            events.LibraryLogged: self._library_logged,
            events.BrokerUnreachable: self._broker_unreachable,
            events.BrokerReached: self._broker_reached,
            events.TopicsFound: self._inform,
        }

    def _begin(self) -> None:
        self._period_began = self._clock()
        self.has_started = True

    def _write(self, line: Line) -> None:
        if not self._is_closed:
            getattr(self._logger, line.level)(line.event, **line.fields)

    def _trace(self, event: events.Event) -> None:
        self._write(line_of("debug", event))

    def _inform(self, event: events.Event) -> None:
        self._write(line_of("info", event))

    def _warn(self, event: events.Event) -> None:
        self._write(line_of("warning", event))

    def _inform_sparingly(self, event: events.Event, *, kind: str, count: int) -> None:
        self._limiter.add(line_of("info", event), kind=kind, count=count, now=self._clock())

    def _warn_sparingly(self, event: events.Event, *, kind: str = "", count: int = 1) -> None:
        line = line_of("warning", event)
        self._limiter.add(line, kind=kind, count=count, now=self._clock())

    def _daemon_failed(self, event: events.DaemonFailed | events.DaemonCrashed) -> None:
        # The warnings that led to it are written first.
        self._limiter.release(self._clock(), all_kinds=True)
        self._write(line_of("error", event))

    def _daemon_stopped(self, event: events.DaemonStopped) -> None:
        now = self._clock()
        self._limiter.release(now, all_kinds=True)
        if self.has_started:
            self._summarise(now)
        self._inform(event)
        self._is_closed = True

    def _broker_unreachable(self, event: events.BrokerUnreachable) -> None:
        self._show_reachable(is_reachable=False)
        self._warn_sparingly(event)

    def _broker_reached(self, event: events.BrokerReached) -> None:
        self._show_reachable(is_reachable=True)
        self._inform(event)

    def _library_logged(self, event: events.LibraryLogged) -> None:
        # Messages that differ in digits alone (ports, durations) are of one kind.
        kind = f"{event.level} {event.library} {_DIGITS.sub('', event.message)}"
        line = line_of("error" if event.level == "error" else "warning", event)
        self._limiter.add(line, kind=kind, count=1, now=self._clock())


def line_of(level: Level, event: events.Event) -> Line:
    """Return the line of an event."""
    name = _WORD_START.sub("_", type(event).__name__).lower()
    return Line(level, name, {field.name: getattr(event, field.name) for field in fields(event)})
