"""The daemon as a process: HTTP endpoint, signals and deadlines around the poll loop.

Light to import: the port is bound and probes are answered before torch and the model are loaded,
so that errors of port or settings are reported at once.
"""

import logging
import os
import resource
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry

from stream_vae import __version__
from stream_vae.core.health import Health, Heartbeat
from stream_vae.daemon.clock import SystemClock
from stream_vae.daemon.loop_telemetry import LoopTelemetry
from stream_vae.daemon.stop_signals import handling_stop_signals
from stream_vae.daemon.surroundings import Loop, Surroundings
from stream_vae.edges.http.page_server import PageServer, PageSource
from stream_vae.edges.http.server import HealthServer
from stream_vae.edges.telemetry.event_log import EventLog
from stream_vae.edges.telemetry.logs import LibraryHandler, Logger
from stream_vae.edges.telemetry.recorder import Recorder
from stream_vae.errors import EXIT_FAILED, ConfigError, StreamVaeError, on_one_line
from stream_vae.events import DaemonCrashed, DaemonFailed, DaemonReady, DaemonStopped
from stream_vae.settings import LoadedSettings

_LAST_WORD_S = 1.0
# To load a model; and brokers are waited for up to thrice: for topics, changelog and producer.
_LOADING_S = 900.0
_BROKER_WAITS = 3
# Kafka's clients use at least one per broker; many systems limit a process to 1,024 by default, and
# allow it to raise the limit.
_MOST_FILE_HANDLES = 65_536

# The worker needs the GIL for microseconds between two operations of the model; with the default
# of 5 ms it would wait that long for the poll loop each time.
_SWITCH_INTERVAL_S = 2e-4


class MakeRecorder(Protocol):
    """Makes the recorder of a process."""

    def __call__(
        self,
        registry: CollectorRegistry,
        logger: Logger,
        *,
        detector: str,
        summary_period_s: float,
        clock: Callable[[], float],
    ) -> EventLog:
        """Return it; see `Recorder`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What a process does; the daemon's if nothing else is said."""

    recorder: MakeRecorder = Recorder
    starting: str = "loading the model, then waiting for brokers and topics"
    """What it does before it has a loop."""
    has_page: bool = True
    """Whether it serves the live page, where that is enabled."""


class Service:
    """Serves one daemon until it is asked to stop.

    Args:
        loaded: Validated settings, and the origin of each.
        logger: For log lines.
        start: Loads the model, waits for brokers and topics and returns the loop; None if it was
            asked to stop meanwhile.
        role: What the process does.
    """

    def __init__(
        self,
        loaded: LoadedSettings,
        logger: Logger,
        start: Callable[[Surroundings], Loop | None],
        role: "Role | None" = None,
    ) -> None:
        settings = loaded.settings
        self._role = role or Role()
        self._loaded = loaded
        self._start = start
        self._clock = SystemClock()
        self._began_at = self._clock.monotonic()
        self._heartbeat = Heartbeat(self._began_at)
        registry = CollectorRegistry()
        self._events = self._role.recorder(
            registry,
            logger,
            detector=settings.detector.name,
            summary_period_s=settings.logging.summary_period_s,
            clock=self._clock.monotonic,
        )
        self._library_handler = LibraryHandler(self._events.record)
        self._http = HealthServer(
            settings.http, registry, self._liveness, self._readiness, self._status
        )
        self._page: PageServer | None = None
        self._shown: PageSource | None = None
        if settings.page.enabled and self._role.has_page:
            self._page = PageServer(settings.page, lambda: self._shown, self._status)
        self._loop: Loop | None = None
        self._lacks = ""
        """What was waited for last: a broker, or a topic."""
        self._was_ready = False
        self._ending_since: float | None = None

    def serve(self) -> None:
        """Serve until asked to stop; the process exits with a code other than 0 on failure.

        Raises:
            ConfigError: If the configuration is invalid; logged only if the daemon had started.
            StreamVaeError: Any other failure of the daemon; it has been logged.
        """
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        _raise_file_limit()
        with handling_stop_signals(self._asked_to_stop):
            self._serve()

    def _serve(self) -> None:
        reason = "stopped"
        try:
            self._work()
        except StreamVaeError as exc:
            reason = type(exc).__name__
            self._note_end()
            if self.has_logged(exc):
                self._events.record(DaemonFailed(error=reason, detail=on_one_line(exc)))
            raise
        except Exception as exc:
            reason = "crashed"
            self._note_end()
            self._events.record(DaemonCrashed(exc_info=exc))
            raise
        finally:
            if self._page is not None:
                self._page.stop()
            self._http.stop()
            logging.getLogger().removeHandler(self._library_handler)
            if self.has_logged(sys.exception()):
                self._report_stopped(reason)

    def has_logged(self, failure: BaseException | None) -> bool:
        """Return whether the log tells of an end; one before the start is the command's to tell."""
        return self._events.has_started or not isinstance(failure, ConfigError)

    def _work(self) -> None:
        if self._loaded.settings.http.enabled:
            self._http.start()
        if self._page is not None:
            self._page.start()
        self._loop = self._start(
            Surroundings(
                loaded=self._loaded,
                events=LoopTelemetry(
                    self._events,
                    on_started=self._record_libraries,
                    on_tick=self._report_ready,
                    on_lack=self._note_lack,
                ),
                clock=self._clock,
                heartbeat=self._heartbeat,
                http_url=self._http_url,
                stopping=lambda: self._ending_since is not None,
                show=self._show,
            )
        )
        if self._loop is not None and self._ending_since is None:
            self._loop.run()

    @property
    def _http_url(self) -> str | None:
        return self._http.url if self._loaded.settings.http.enabled else None

    def _note_lack(self, detail: str) -> None:
        self._lacks = detail

    def _record_libraries(self) -> None:
        # Not earlier: messages of libraries about refused settings are part of that error.
        logging.getLogger().addHandler(self._library_handler)

    def _report_ready(self) -> None:
        """Report readiness once; the loop calls this in each iteration."""
        if not self._was_ready and self._readiness().is_ok:
            self._was_ready = True
            startup_s = self._clock.monotonic() - self._began_at
            page_url = None if self._page is None else self._page.url
            self._events.record(
                DaemonReady(http_url=self._http_url, startup_s=startup_s, page_url=page_url)
            )

    def _asked_to_stop(self, number: int) -> None:
        if self._ending_since is not None:
            os._exit(128 + number)
        self._note_end()
        if self._loop is not None:
            self._loop.stop()
        _after(self._loaded.settings.shutdown_deadline_s, self._give_up)

    def _note_end(self) -> None:
        if self._ending_since is None:
            self._ending_since = self._clock.monotonic()

    def _give_up(self) -> None:
        """Exit even if a thread hangs, before the cluster's grace period ends."""
        _after(_LAST_WORD_S, lambda: os._exit(EXIT_FAILED))
        self._report_stopped("shutdown deadline passed")
        os._exit(EXIT_FAILED)

    def _report_stopped(self, reason: str) -> None:
        self._note_end()
        duration_s = self._clock.monotonic() - (self._ending_since or 0.0)
        self._events.record(DaemonStopped(reason=reason, duration_s=duration_s))

    def _liveness(self) -> Health:
        if self._loop is not None:
            return self._loop.liveness()
        idle_s = self._heartbeat.age(self._clock.monotonic())
        limit_s = _LOADING_S + _BROKER_WAITS * self._loaded.settings.kafka.broker_deadline_s
        reason = f"starting: no heartbeat for {idle_s:.0f} s, expected at most {limit_s:.0f} s"
        return Health(is_ok=idle_s <= limit_s, reason=reason)

    def _readiness(self) -> Health:
        if self._loop is None:
            return Health(is_ok=False, reason=f"starting: {self._lacks or self._role.starting}")
        return self._loop.readiness()

    def _show(self, source: PageSource | None) -> None:
        self._shown = source

    def _status(self) -> dict[str, object]:
        """Return the answer to `/statusz`, also while the loop is being started."""
        liveness, readiness = self._liveness(), self._readiness()
        settings = self._loaded.settings
        return {
            "detector": settings.detector.name,
            "version": __version__,
            "group": settings.kafka.group_id,
            "instance_id": settings.kafka.instance_id,
            "uptime_s": round(self._clock.monotonic() - self._began_at, 3),
            "live": {"status": liveness.status, "reason": liveness.reason},
            "ready": {"status": readiness.status, "reason": readiness.reason},
            "is_stopping": self._ending_since is not None,
            **({} if self._loop is None else self._loop.status()),
        }


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILE_HANDLES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILE_HANDLES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # a sandbox may forbid it; nothing is lost then
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _after(seconds: float, action: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()
