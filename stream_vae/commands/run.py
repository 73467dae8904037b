"""`stream-vae run`: the composition root of the daemon."""

import logging
import math
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry

from stream_vae import __version__
from stream_vae.commands.options import ConfigOption, SecretsOption
from stream_vae.commands.stop_signals import handle_stop_signals
from stream_vae.core.alerts import AlertDetector
from stream_vae.core.health import Health
from stream_vae.daemon.loop import Daemon
from stream_vae.daemon.notices import ClientNotices
from stream_vae.edges.files.bundle_files import load_bundle
from stream_vae.edges.http.server import HealthServer
from stream_vae.edges.kafka.admin.owned_topics import OwnedTopic
from stream_vae.edges.kafka.admin.startup import await_topics
from stream_vae.edges.kafka.produce.output_producer import OutputProducer
from stream_vae.edges.kafka.properties import verify_properties
from stream_vae.edges.telemetry.logs import LibraryHandler, Logger, build_logger
from stream_vae.edges.telemetry.recorder import Recorder
from stream_vae.errors import ConfigError, StreamVaeError
from stream_vae.events import (
    DaemonStarted,
    DaemonStopped,
    TransactionAborted,
)
from stream_vae.inputs.decoder import Decoder
from stream_vae.inputs.formats import build_decoder
from stream_vae.models.bundle import Bundle
from stream_vae.models.device import limit_threads
from stream_vae.models.scoring import WindowScorer
from stream_vae.pipeline.alert_builder import Origin
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.pipeline.series_store import StateShape
from stream_vae.settings import LoadedSettings, Settings, load_settings

EXIT_FAILED = 1
_LAST_WORD_S = 1.0

# The worker needs the interpreter's lock for microseconds between two operations of the model; with
# the default of 5 ms it would wait that long for the poll loop each time.
_SWITCH_INTERVAL_S = 2e-4


def run(
    config: ConfigOption = None,
    secrets_dir: SecretsOption = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Model bundle; overrides bundle.path.")
    ] = None,
) -> None:
    """Run the daemon: consume readings, score windows, publish alert events.

    Alerts, dead letters, late readings and the input's offsets are committed in one Kafka
    transaction. SIGTERM or Ctrl-C drains, commits and exits 0; a second one exits at once.

    Example: stream-vae run --config configs/sensors.yaml
    """
    loaded = load_settings(
        config=config, overrides={"bundle.path": bundle}, secrets_dir=secrets_dir
    )
    settings = loaded.settings
    model = load_bundle(settings.bundle.path)
    verify_properties(settings.kafka)
    decoder = build_decoder([feature.name for feature in model.spec.features], settings.input)
    limit_threads(settings.worker.threads)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    scorer = WindowScorer(
        model,
        score=settings.detect.score,
        device=settings.worker.device,
        samples=settings.worker.samples,
        max_batch=settings.worker.max_batch,
    )
    logger = build_logger(settings.logging, sys.stdout)
    logging.getLogger().addHandler(
        LibraryHandler(logger, settings.logging.summary_period_s, time.monotonic)
    )
    _Service(loaded, model, scorer, decoder, logger).serve()


class _Service:
    """The daemon with its endpoint, its signals and its deadlines around it."""

    def __init__(
        self,
        loaded: LoadedSettings,
        model: Bundle,
        scorer: WindowScorer,
        decoder: Decoder,
        logger: Logger,
    ) -> None:
        self._settings: Settings = loaded.settings
        self._shown_settings = loaded.masked()
        self._model = model
        self._scorer = scorer
        self._decoder = decoder
        self._log_failure = logger.error
        registry = CollectorRegistry()
        self._recorder = Recorder(
            registry,
            logger,
            detector=self._settings.detector.name,
            summary_period_s=self._settings.logging.summary_period_s,
            clock=time.monotonic,
        )
        self._notices = ClientNotices(
            self._recorder, self._settings.kafka.broker_deadline_s, self._settings.input.topic
        )
        self._series_bytes = StateShape.of(model.spec, self._settings.detect).series_bytes
        self._capacity = _capacity(self._settings, self._series_bytes)
        self._daemon: Daemon | None = None
        self._stop_asked_at: float | None = None
        self._http = HealthServer(self._settings.http, registry, self._liveness, self._readiness)

    def serve(self) -> None:
        """Serve until told to stop; ends the process with a code other than 0 on failure."""
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
        settings, spec = self._settings, self._model.spec
        instance = settings.kafka.instance_id or f"{os.uname().nodename}-{uuid.uuid4().hex[:8]}"
        self._recorder.record(
            DaemonStarted(
                version=__version__,
                instance=instance,
                model_id=spec.id,
                model_version=spec.version,
                device=str(self._scorer.device),
                series_capacity=self._capacity,
                series_bytes=self._series_bytes,
                settings=self._shown_settings,
            )
        )
        found = await_topics(
            settings.kafka,
            settings.input.topic,
            _owned_topics(settings),
            on_wait=self._waiting,
            on_back=self._notices.reached,
            on_missing=self._notices.delayed,
            stopping=lambda: self._stop_asked_at is not None,
        )
        if not found:
            return
        producer = OutputProducer(
            settings.kafka,
            f"{settings.kafka.group_id}.{instance}",
            on_aborted=lambda detail: self._recorder.record(TransactionAborted(detail=detail)),
            on_wait=self._waiting,
            on_back=self._notices.reached,
        )
        producer.open()
        detector = AlertDetector(
            name=settings.detector.name, version=__version__, instance=instance
        )
        origin = Origin(
            detector=detector, labels=settings.detector.labels, links=settings.detector.links
        )
        self._daemon = Daemon(
            settings,
            spec=spec,
            scorer=self._scorer,
            score=spec.score if settings.detect.score == "auto" else settings.detect.score,
            pipeline=Pipeline(spec, settings.detect, origin, self._capacity),
            decoder=self._decoder,
            producer=producer,
            changelog=settings.changelog_topic,
            recorder=self._recorder,
            device=str(self._scorer.device),
        )
        if self._stop_asked_at is None:
            self._daemon.run()

    def _asked_to_stop(self, number: int) -> None:
        if self._stop_asked_at is not None:
            os._exit(128 + number)
        self._stop_asked_at = time.monotonic()
        if self._daemon is not None:
            self._daemon.stop()
        _after(self._settings.shutdown_deadline_s, self._give_up)

    def _give_up(self) -> None:
        """End the process, whatever hangs, before the cluster loses patience and kills it."""
        _after(_LAST_WORD_S, lambda: os._exit(EXIT_FAILED))
        self._report_stopped("shutdown deadline passed")
        os._exit(EXIT_FAILED)

    def _report_stopped(self, reason: str) -> None:
        began = self._stop_asked_at or time.monotonic()
        self._recorder.record(DaemonStopped(reason=reason, duration_s=time.monotonic() - began))

    def _waiting(self, detail: str, waited_s: float) -> None:
        if self._daemon is not None:
            self._daemon.beat()
        self._notices.waiting(detail, waited_s)

    def _liveness(self) -> Health:
        if self._daemon is None:
            return Health(is_ok=True, reason="waiting for the brokers")
        return self._daemon.liveness()

    def _readiness(self) -> Health:
        if self._daemon is None:
            return Health(is_ok=False, reason="waiting for the brokers")
        return self._daemon.readiness()


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
