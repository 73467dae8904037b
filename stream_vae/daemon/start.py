"""From settings to a runnable poll loop: model, topics, Kafka clients."""

import math
import os
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from stream_vae import __version__
from stream_vae.core.alerts import AlertDetector, AlertEvent
from stream_vae.core.health import Heartbeat
from stream_vae.core.incidents import SeriesIncidents
from stream_vae.core.ports import EventSink
from stream_vae.core.series_index import SeriesName
from stream_vae.core.warm_up import first_alert
from stream_vae.daemon.build import Edges, build_loop
from stream_vae.daemon.checked_start import CheckedStart, check_start
from stream_vae.daemon.clock import SystemClock
from stream_vae.daemon.loop import PollLoop
from stream_vae.daemon.scoring_worker import ScoringWorker
from stream_vae.daemon.surroundings import Surroundings
from stream_vae.daemon.topics import owned_topics
from stream_vae.detect import drift
from stream_vae.edges.files.bundle_files import load_bundle
from stream_vae.edges.kafka.admin.partition_adder import PartitionAdder
from stream_vae.edges.kafka.consume.input_consumer import InputConsumer
from stream_vae.edges.kafka.produce.output_producer import OutputProducer
from stream_vae.edges.kafka.read.lost_state import lacks_state
from stream_vae.edges.kafka.read.range_reader import RangeReader
from stream_vae.edges.kafka.read.topic_reader import read_topic
from stream_vae.edges.registry.schema_client import schema_source
from stream_vae.errors import AlertDecodeError, ConfigError, KafkaRefusedError
from stream_vae.events import (
    BrokerUnreachable,
    DaemonStarted,
    Event,
    IncidentsNotLookedFor,
    SettingsLoaded,
)
from stream_vae.inputs.formats import build_decoder
from stream_vae.models.device import limit_threads
from stream_vae.models.scoring import WindowScorer
from stream_vae.pipeline.detector import Detector, score_name
from stream_vae.pipeline.incident_ids import Origin
from stream_vae.pipeline.open_alerts import open_incidents
from stream_vae.pipeline.pipeline import Pipeline, store_of_one
from stream_vae.pipeline.ruled_history import check_rules
from stream_vae.pipeline.session_check import check_sessions
from stream_vae.settings import Settings
from stream_vae.wire.alerts import decode_alert


def start_loop(around: Surroundings) -> PollLoop | None:
    """Load the model, wait for brokers and topics, and return the loop.

    Returns:
        None if the daemon was asked to stop first.

    Raises:
        ConfigError: If bundle, settings and topics are inconsistent, or the memory budget is too
            small for the model.
        KafkaUnavailableError: If no broker answers before the deadline.
        KafkaRefusedError: If a topic is missing, or a right.
    """
    settings = around.loaded.settings
    trained = load_bundle(settings.bundle.path)
    spec = trained.spec
    check_rules(spec, settings.input.rules)
    check_sessions(spec, settings.input.sessions)
    decoder = build_decoder(
        spec.features,
        settings.input,
        is_events=spec.has_events,
        schemas=schema_source(settings.registry),
        logs=spec.logs,
    )
    row_bytes = store_of_one(spec, settings.detect, settings.input.assembly).series_bytes
    capacity = _capacity(settings, row_bytes)
    limit_threads(settings.worker.threads)
    scorer = WindowScorer(
        trained,
        score=score_name(spec, settings.detect),
        device=settings.worker.device,
        max_batch=settings.worker.max_batch,
    )
    # While the brokers are waited for; the first score would hold up the loop for it.
    threading.Thread(target=drift.load, name="drift-loader", daemon=True).start()
    instance = settings.kafka.instance_id or f"{os.uname().nodename}-{uuid.uuid4().hex[:8]}"
    around.events.record(
        DaemonStarted(
            version=__version__,
            instance=instance,
            model_id=spec.id,
            model_version=spec.version,
            model_trained_s=spec.trained_at.timestamp(),
            first_alert=first_alert(spec),
            device=str(scorer.device),
            series_capacity=capacity,
            series_bytes=row_bytes,
            http_url=around.http_url,
            settings=around.loaded.changed(),
        )
    )
    around.events.record(SettingsLoaded(settings=around.loaded.dotted()))
    detector = AlertDetector(name=settings.detector.name, version=__version__, instance=instance)
    origin = Origin(
        detector=detector,
        topic=settings.input.topic,
        group=settings.kafka.group_id,
        labels=settings.detector.labels,
        links=settings.detector.links,
    )
    topics = owned_topics(settings, spec, origin)
    checked = check_start(around, topics)
    if checked is None:
        return None
    loop = build_loop(
        settings,
        _edges(around, scorer, instance, checked),
        pipeline=Pipeline(
            Detector(spec, scorer, settings.detect, capacity),
            settings.detect,
            origin,
            assembly=settings.input.assembly,
        ),
        decoder=decoder,
        open_incidents=_open_incidents(around, origin, is_first=checked.standing.is_first),
    )
    around.show(loop.page)
    return loop


def _open_incidents(
    around: Surroundings, origin: Origin, *, is_first: bool
) -> Mapping[SeriesName, SeriesIncidents]:
    """Return what is open on the alerts topic, where a partition has no state."""
    settings = around.loaded.settings
    changelog, alerts = settings.changelog_topic, settings.output.alerts_topic
    if changelog is None or not lacks_state(
        settings.kafka,
        settings.input.topic,
        changelog,
        around.events,
        stopping=around.stopping,
    ):
        return {}
    records = read_topic(settings.kafka, alerts, around.events, follow=False, stop=around.stopping)
    try:
        events = _decoded(record.value for record in records)
        return open_incidents(events, origin, stopping=around.stopping)
    except KafkaRefusedError as exc:
        around.events.record(
            IncidentsNotLookedFor(topic=alerts, is_first=is_first, detail=str(exc))
        )
        return {}


def _decoded(values: Iterable[bytes | None]) -> Iterator[AlertEvent]:
    for value in values:
        with suppress(AlertDecodeError):  # of other producers
            yield decode_alert(value or b"")


def _edges(
    around: Surroundings,
    scorer: WindowScorer,
    instance: str,
    checked: CheckedStart,
) -> Edges:
    settings, events = around.loaded.settings, around.events
    kafka, topic, changelog = settings.kafka, settings.input.topic, settings.changelog_topic
    began_with = checked.standing.began_with
    producer = OutputProducer(
        kafka,
        f"{kafka.group_id}.{instance}",
        _BeatingSink(events, around.heartbeat, around.clock),
        changelog=checked.changelog,
        began_with=began_with,
        may_have_rival=kafka.instance_id is not None,
    )
    producer.open()
    return Edges(
        consumer=InputConsumer(kafka, topic, events, topic_id=checked.standing.input.id),
        producer=producer,
        input_reader=RangeReader(kafka, topic, events),
        make_input_reader=lambda: RangeReader(kafka, topic, events),
        changelog_reader=None if changelog is None else RangeReader(kafka, changelog, events),
        partition_adder=None if changelog is None else PartitionAdder(kafka, changelog),
        scoring=ScoringWorker(
            scorer,
            max_batch=settings.worker.max_batch,
            events=events,
            device=str(scorer.device),
        ),
        events=events,
        clock=around.clock,
        heartbeat=around.heartbeat,
        input_id=checked.standing.input.id,
        began_with=began_with,
    )


class _BeatingSink:
    """Beats while startup waits because no broker answers."""

    def __init__(self, events: EventSink, heartbeat: Heartbeat, clock: SystemClock) -> None:
        self._events = events
        self._heartbeat = heartbeat
        self._clock = clock

    def record(self, event: Event) -> None:
        """Forward an event."""
        if isinstance(event, BrokerUnreachable):
            self._heartbeat.beat(self._clock.monotonic())
        self._events.record(event)


def _capacity(settings: Settings, row_bytes: int) -> int:
    """Return how many series the memory budget holds."""
    capacity = int(settings.state.memory_budget_mb * 2**20 / row_bytes)
    # The series of one poll must fit beside those of another that is being scored.
    least = 2 * settings.kafka.poll_records
    if capacity < least:
        msg = (
            f"state.memory_budget_mb: found {settings.state.memory_budget_mb:g}, which holds "
            f"{capacity} series of {row_bytes} bytes; expected at least "
            f"{math.ceil(least * row_bytes / 2**20 * 10) / 10:g}, for {least} series, twice "
            "kafka.poll_records"
        )
        raise ConfigError(msg)
    return capacity
