"""The daemon as a process: its endpoint, its signals and its deadlines around the poll loop."""

import math
import os
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from stream_vae import __version__
from stream_vae.core.alerts import AlertDetector
from stream_vae.core.health import Health, Heartbeat
from stream_vae.core.model_spec import ModelSpec, Scorer
from stream_vae.core.ports import EventSink
from stream_vae.daemon.build import Edges, build_loop
from stream_vae.daemon.clock import SystemClock
from stream_vae.daemon.loop import PollLoop
from stream_vae.daemon.scoring_worker import ScoringWorker
from stream_vae.daemon.stop_signals import handle_stop_signals
from stream_vae.edges.http.server import HealthServer
from stream_vae.edges.kafka.admin.owned_topics import OwnedTopic
from stream_vae.edges.kafka.admin.startup import await_topics
from stream_vae.edges.kafka.consume.input_consumer import InputConsumer
from stream_vae.edges.kafka.produce.output_producer import OutputProducer
from stream_vae.edges.kafka.read.range_reader import RangeReader
from stream_vae.edges.telemetry.logs import Logger
from stream_vae.edges.telemetry.recorder import Recorder
from stream_vae.errors import ConfigError, StreamVaeError
from stream_vae.events import BrokerUnreachable, DaemonStarted, DaemonStopped, Event
from stream_vae.inputs.decoder import Decoder
from stream_vae.pipeline.alert_builder import Origin
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.pipeline.series_store import series_bytes
from stream_vae.settings import LoadedSettings, Settings

EXIT_FAILED = 1
_LAST_WORD_S = 1.0

# The worker needs the interpreter's lock for microseconds between two operations of the model; with
# the default of 5 ms it would wait that long for the poll loop each time.
_SWITCH_INTERVAL_S = 2e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The model that judges, on its device."""

    spec: ModelSpec
    scorer: Scorer
    score: str
    """Name of the score in use."""
    device: str


class Service:
    """Serves one daemon until it is told to stop.

    Args:
        loaded: Checked settings, and what set each.
        model: Scores windows.
        decoder: Bytes to readings.
        logger: Where log lines go.

    Raises:
        ConfigError: If the memory budget is too small for the model.
    """

    def __init__(
        self, loaded: LoadedSettings, model: Model, decoder: Decoder, logger: Logger
    ) -> None:
        self._settings: Settings = loaded.settings
        self._shown_settings = loaded.masked()
        self._model = model
        self._decoder = decoder
        self._log_failure = logger.error
        self._clock = SystemClock()
        self._heartbeat = Heartbeat(self._clock.monotonic())
        registry = CollectorRegistry()
        self._events = Recorder(
            registry,
            logger,
            detector=self._settings.detector.name,
            summary_period_s=self._settings.logging.summary_period_s,
            clock=self._clock.monotonic,
        )
        self._series_bytes = series_bytes(model.spec, self._settings.detect)
        self._capacity = _capacity(self._settings, self._series_bytes)
        self._loop: PollLoop | None = None
        self._stop_asked_at: float | None = None
        self._http = HealthServer(self._settings.http, registry, self._liveness, self._readiness)

    def serve(self) -> None:
        """Serve until told to stop; ends the process with a code other than 0 on failure."""
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        handle_stop_signals(self._asked_to_stop)
        if self._settings.http.enabled:
            self._http.start()
        reason = "stopped"
        try:
            self._work()
        except StreamVaeError as exc:
            reason = type(exc).__name__
            self._log_failure("daemon_failed", error=reason, detail=str(exc))
            raise
        except Exception:
            reason = "crashed"
            self._log_failure("daemon_crashed", exc_info=True)
            raise
        finally:
            self._report_stopped(reason)
            self._http.stop()

    def _work(self) -> None:
        settings, model = self._settings, self._model
        instance = settings.kafka.instance_id or f"{os.uname().nodename}-{uuid.uuid4().hex[:8]}"
        self._events.record(
            DaemonStarted(
                version=__version__,
                instance=instance,
                model_id=model.spec.id,
                model_version=model.spec.version,
                device=model.device,
                series_capacity=self._capacity,
                series_bytes=self._series_bytes,
                settings=self._shown_settings,
            )
        )
        found = await_topics(
            settings.kafka,
            settings.input.topic,
            _owned_topics(settings),
            self._events,
            stopping=lambda: self._stop_asked_at is not None,
        )
        if not found:
            return
        producer = OutputProducer(
            settings.kafka,
            f"{settings.kafka.group_id}.{instance}",
            _BeatingSink(self._events, self._heartbeat, self._clock),
        )
        producer.open()
        detector = AlertDetector(
            name=settings.detector.name, version=__version__, instance=instance
        )
        origin = Origin(
            detector=detector, labels=settings.detector.labels, links=settings.detector.links
        )
        self._loop = build_loop(
            settings,
            self._edges(producer),
            spec=model.spec,
            score=model.score,
            pipeline=Pipeline(model.spec, settings.detect, origin, self._capacity),
            decoder=self._decoder,
        )
        if self._stop_asked_at is None:
            self._loop.run()

    def _edges(self, producer: OutputProducer) -> Edges:
        kafka, events = self._settings.kafka, self._events
        changelog = self._settings.changelog_topic
        topic = self._settings.input.topic
        return Edges(
            consumer=InputConsumer(kafka, topic, events),
            producer=producer,
            input_reader=RangeReader(kafka, topic, events),
            changelog_reader=None if changelog is None else RangeReader(kafka, changelog, events),
            scoring=ScoringWorker(
                self._model.scorer,
                max_batch=self._settings.worker.max_batch,
                events=events,
                device=self._model.device,
            ),
            events=events,
            clock=self._clock,
            heartbeat=self._heartbeat,
        )

    def _asked_to_stop(self, number: int) -> None:
        if self._stop_asked_at is not None:
            os._exit(128 + number)
        self._stop_asked_at = self._clock.monotonic()
        if self._loop is not None:
            self._loop.stop()
        _after(self._settings.shutdown_deadline_s, self._give_up)

    def _give_up(self) -> None:
        """End the process, whatever hangs, before the cluster loses patience and kills it."""
        _after(_LAST_WORD_S, lambda: os._exit(EXIT_FAILED))
        self._report_stopped("shutdown deadline passed")
        os._exit(EXIT_FAILED)

    def _report_stopped(self, reason: str) -> None:
        began = self._stop_asked_at or self._clock.monotonic()
        duration_s = self._clock.monotonic() - began
        self._events.record(DaemonStopped(reason=reason, duration_s=duration_s))

    def _liveness(self) -> Health:
        if self._loop is None:
            return Health(is_ok=True, reason="waiting for the brokers")
        return self._loop.liveness()

    def _readiness(self) -> Health:
        if self._loop is None:
            return Health(is_ok=False, reason="waiting for the brokers")
        return self._loop.readiness()


class _BeatingSink:
    """Shows a sign of life while a step takes long because no broker answers."""

    def __init__(self, events: EventSink, heartbeat: Heartbeat, clock: SystemClock) -> None:
        self._events = events
        self._heartbeat = heartbeat
        self._clock = clock

    def record(self, event: Event) -> None:
        """Pass an event on."""
        if isinstance(event, BrokerUnreachable):
            self._heartbeat.beat(self._clock.monotonic())
        self._events.record(event)


def _capacity(settings: Settings, series_bytes: int) -> int:
    """Return how many series the memory budget holds."""
    capacity = int(settings.state.memory_budget_mb * 2**20 / series_bytes)
    # Those of one poll must find room beside those of another that is being scored.
    least = 2 * settings.kafka.poll_records
    if capacity < least:
        msg = (
            f"state.memory_budget_mb: found {settings.state.memory_budget_mb:g}, which holds "
            f"{capacity} series of {series_bytes} bytes; expected at least "
            f"{math.ceil(least * series_bytes / 2**20 * 10) / 10:g}, for {least} series, twice "
            "kafka.poll_records"
        )
        raise ConfigError(msg)
    return capacity


def _owned_topics(settings: Settings) -> list[OwnedTopic]:
    topics = [
        OwnedTopic(name=settings.output.alerts_topic, kind="alerts"),
        OwnedTopic(name=settings.output.dead_letter_topic, kind="dead_letters"),
        OwnedTopic(name=settings.output.late_topic, kind="late"),
    ]
    if settings.changelog_topic is not None:
        topics.append(OwnedTopic(name=settings.changelog_topic, kind="changelog"))
    return topics


def _after(seconds: float, action: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()
