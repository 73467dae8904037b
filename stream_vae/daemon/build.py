"""Builds the daemon: the only module that wires its parts together."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stream_vae.core.health import Heartbeat
from stream_vae.core.incidents import SeriesIncidents
from stream_vae.core.ports import (
    Clock,
    InputConsumer,
    OutputProducer,
    PartitionAdder,
    RangeReader,
    ScoringQueue,
    Telemetry,
)
from stream_vae.core.series_index import SeriesName
from stream_vae.daemon.back_pressure import BackPressure
from stream_vae.daemon.conditions import ConditionSources
from stream_vae.daemon.decoder_gate import DecoderGate
from stream_vae.daemon.ingest import Ingest
from stream_vae.daemon.key_search import KeySearch
from stream_vae.daemon.lag_trend import LagTrend
from stream_vae.daemon.live_page import LivePage
from stream_vae.daemon.loop import LoopConfig, LoopParts, PollLoop
from stream_vae.daemon.maintenance import MaintenanceConfig, SeriesMaintenance
from stream_vae.daemon.status import StatusBoard
from stream_vae.daemon.work_queue import Work, WorkQueue
from stream_vae.delivery.committer import CommitConfig, Committer
from stream_vae.delivery.outbox import Outbox
from stream_vae.delivery.score_writer import ScoreWriter
from stream_vae.delivery.transaction import Transaction
from stream_vae.inputs.decoder import Decoder
from stream_vae.page.board import PageBoard
from stream_vae.page.view import PageView
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.settings import Settings
from stream_vae.state.begin import BeginFinder, InputFacts
from stream_vae.state.changelog import ChangelogWriter
from stream_vae.state.growth import ChangelogGrowth, GrowthParts
from stream_vae.state.loader import ChangelogLoader
from stream_vae.state.mismatches import MismatchReport
from stream_vae.state.partitions import PartitionTable
from stream_vae.state.restore import RestoreConfig, Restorer
from stream_vae.state.snapshots import SnapshotWriter

_CHUNK = 2000  # records of the changelog, loaded at once
_LARGEST_SHARE = 4  # of the rows, for one chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """The external clients: Kafka's, or the tests' in-memory partition log."""

    consumer: InputConsumer
    producer: OutputProducer
    """Opened."""
    input_reader: RangeReader
    make_input_reader: Callable[[], RangeReader]
    """Returns another one, for what is seldom read."""
    changelog_reader: RangeReader | None
    """None keeps no state."""
    partition_adder: PartitionAdder | None
    """Of the changelog; None where there is none."""
    scoring: ScoringQueue[Work]
    events: Telemetry
    clock: Clock
    heartbeat: Heartbeat
    """Of the poll loop."""
    input_id: str
    """Of the input topic; "" where it is not known."""
    began_with: int
    """Partitions of the input when the group began to consume it."""
    transaction: Callable[..., Transaction] = Transaction


def build_loop(
    settings: Settings,
    edges: Edges,
    *,
    pipeline: Pipeline,
    decoder: Decoder,
    open_incidents: Mapping[SeriesName, SeriesIncidents] | None = None,
) -> PollLoop:
    """Return the poll loop with all its parts.

    Args:
        settings: Checked settings.
        edges: The external clients.
        pipeline: Windows, detector and incidents.
        decoder: Bytes to readings.
        open_incidents: Found on the alerts topic, where the changelog holds nothing.
    """
    topic, clock, events = settings.input.topic, edges.clock, edges.events
    partitions = PartitionTable()
    page = _live_page(edges, pipeline, topic) if settings.page.enabled else None
    committer = _committer(settings, edges, partitions, pipeline, page)
    work = WorkQueue(
        edges.scoring, pipeline, committer, heartbeat=edges.heartbeat, clock=clock, page=page
    )
    maintenance = SeriesMaintenance(
        MaintenanceConfig(topic=topic, ttl_s=settings.state.series_ttl_s),
        pipeline=pipeline,
        committer=committer,
        consumer=edges.consumer,
        partitions=partitions,
        search=KeySearch(
            consumer=edges.consumer,
            input_reader=edges.input_reader,
            make_reader=edges.make_input_reader,
            decoder=decoder,
            partitions=partitions,
            clock=clock,
        ),
        events=events,
        clock=clock,
        settle=work.settle,
    )
    loader = ChangelogLoader(pipeline, maintenance.evict, clock.time_ns)
    keeps_state = edges.changelog_reader is not None
    gate = DecoderGate(decoder, edges.consumer, events=events, clock=clock)
    back_pressure = BackPressure(
        settings.worker, edges.scoring, edges.consumer, gate=gate, events=events, clock=clock
    )
    restorer = _restorer(
        settings,
        edges,
        partitions,
        loader,
        capacity=pipeline.store.index.capacity,
        open_incidents=open_incidents or {},
    )
    status = StatusBoard(
        topic,
        ConditionSources(
            consumer=edges.consumer,
            producer=edges.producer,
            scoring=edges.scoring,
            back_pressure=back_pressure,
            decoder_gate=gate,
            restorer=restorer,
            pipeline=pipeline,
            lag_trend=LagTrend(settings.kafka.poll_records),
        ),
        partitions=partitions,
        heartbeats={"poll": edges.heartbeat, "worker": edges.scoring.heartbeat},
        events=events,
        clock=clock,
    )
    parts = LoopParts(
        consumer=edges.consumer,
        producer=edges.producer,
        scoring=edges.scoring,
        work=work,
        back_pressure=back_pressure,
        decoder_gate=gate,
        ingest=Ingest(decoder, pipeline, events=events, evict=maintenance.evict, clock=clock),
        pipeline=pipeline,
        partitions=partitions,
        restorer=restorer,
        snapshots=SnapshotWriter(
            pipeline,
            committer,
            partitions=partitions,
            clock=clock,
            interval_s=settings.state.snapshot_interval_s if keeps_state else None,
        ),
        maintenance=maintenance,
        committer=committer,
        status=status,
        page=page,
        events=events,
        heartbeat=edges.heartbeat,
        clock=clock,
    )
    config = LoopConfig(
        topic=topic,
        poll_records=settings.kafka.poll_records,
        max_wait_s=settings.worker.max_wait_ms / 1000,
        max_in_flight=settings.worker.max_in_flight,
        liveness_timeout_s=settings.http.liveness_timeout_s,
        keeps_state=keeps_state,
    )
    return PollLoop(config, parts)


def _live_page(edges: Edges, pipeline: Pipeline, topic: str) -> LivePage:
    board = PageBoard(pipeline)
    view = PageView(board, pipeline.detector.spec, topic)
    return LivePage(board, view, events=edges.events, clock=edges.clock, cpu_s=time.thread_time)


def _changelog(settings: Settings, pipeline: Pipeline) -> ChangelogWriter | None:
    topic, detector = settings.changelog_topic, pipeline.detector
    if topic is None:
        return None
    return ChangelogWriter(topic, detector.spec, detector.version, pipeline.store.layout)


def _committer(
    settings: Settings,
    edges: Edges,
    partitions: PartitionTable,
    pipeline: Pipeline,
    page: LivePage | None,
) -> Committer:
    output = settings.output
    topics = {
        "alerts": output.alerts_topic,
        "dead_letters": output.dead_letter_topic,
        "late": output.late_topic,
    }
    return Committer(
        CommitConfig(topic=settings.input.topic, interval_s=settings.kafka.commit_interval_s),
        consumer=edges.consumer,
        producer=edges.producer,
        outbox=Outbox(settings.detector.name, topics),
        partitions=partitions,
        changelog=_changelog(settings, pipeline),
        events=edges.events,
        clock=edges.clock,
        on_alert=None if page is None else page.add_alert,
        transaction=edges.transaction,
        scores=None
        if output.scores_topic is None
        else ScoreWriter(output.scores_topic, output.scores_series, pipeline),
    )


def _restorer(  # noqa: PLR0913 -- what it is built of
    settings: Settings,
    edges: Edges,
    partitions: PartitionTable,
    loader: ChangelogLoader,
    *,
    capacity: int,
    open_incidents: Mapping[SeriesName, SeriesIncidents],
) -> Restorer:
    return Restorer(
        RestoreConfig(
            topic=settings.input.topic,
            history_age_s=settings.state.history_age_s,
            history_readings=settings.state.history_readings,
            chunk=min(_CHUNK, capacity // _LARGEST_SHARE),
        ),
        partitions=partitions,
        consumer=edges.consumer,
        loader=loader,
        begins=BeginFinder(
            InputFacts(
                topic=settings.input.topic,
                id=edges.input_id,
                began_with=edges.began_with,
                start=settings.kafka.start,
            ),
            settings.changelog_topic or "",
            consumer=edges.consumer,
            loader=loader,
            clock=edges.clock,
        ),
        changelog_reader=edges.changelog_reader,
        input_reader=edges.input_reader,
        growth=_growth(settings, edges),
        open_incidents=open_incidents,
        mismatches=MismatchReport(
            settings.input.topic, partitions=partitions, events=edges.events, clock=edges.clock
        ),
        clock=edges.clock,
    )


def _growth(settings: Settings, edges: Edges) -> ChangelogGrowth | None:
    changelog = settings.changelog_topic
    if changelog is None or edges.changelog_reader is None or edges.partition_adder is None:
        return None
    parts = GrowthParts(
        consumer=edges.consumer,
        reader=edges.changelog_reader,
        adder=edges.partition_adder,
        events=edges.events,
        clock=edges.clock,
    )
    return ChangelogGrowth(settings.input.topic, changelog, parts)
