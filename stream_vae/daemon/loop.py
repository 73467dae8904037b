"""The long-running daemon: poll, decode, assemble, score, decide, deliver, commit."""

import time
from datetime import UTC, datetime

import numpy as np

from stream_vae.core.health import Health, Heartbeat, judge_heartbeats
from stream_vae.core.model_spec import ModelSpec, Scorer, Scores
from stream_vae.core.records import RecordBatch
from stream_vae.daemon.back_pressure import BackPressure
from stream_vae.daemon.ingest import Ingest
from stream_vae.daemon.maintenance import SeriesMaintenance
from stream_vae.daemon.notices import ClientNotices
from stream_vae.daemon.scoring_worker import ScoringWorker
from stream_vae.delivery.committer import Committer, Recorder
from stream_vae.edges.kafka.consume.input_consumer import InputConsumer
from stream_vae.edges.kafka.produce.output_producer import OutputProducer
from stream_vae.edges.kafka.read.range_reader import RangeReader
from stream_vae.events import (
    PartitionsAssigned,
    PartitionsLost,
    PartitionsRevoked,
    StateRestored,
    WindowsScored,
)
from stream_vae.inputs.decoder import Decoder
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.pipeline.polled_batch import PolledBatch
from stream_vae.settings import Settings
from stream_vae.state.changelog import ChangelogWriter, model_key
from stream_vae.state.loader import ChangelogLoader, Restoration
from stream_vae.state.restore import Restorer
from stream_vae.state.snapshots import SnapshotJob, SnapshotWriter

_PROGRESS_PERIOD_S = 5.0
_CHUNK = 2000  # records of the changelog, loaded at once
_LARGEST_SHARE = 4  # of the rows, for one chunk
_RESTORE_WAIT_S = 0.002
_LAST_COMMIT_S = 5.0


class Daemon:
    """Joins the edges to the pipeline. One thread runs `run`; the worker has its own.

    Every poll is tracked in a ledger until its outputs are ready. Outputs, state and the offsets
    of their input are then committed in one transaction, so that a crash at any point repeats or
    loses nothing that consumers can see.

    A partition that was assigned is held until its state is back: loaded from the changelog, and
    brought up to the committed offset by reading the input since then again, outputs suppressed.

    Args:
        settings: Checked settings.
        spec: The model's inputs and calibration.
        scorer: The model on its device.
        score: Name of the score in use.
        pipeline: Windows, thresholds and incidents.
        decoder: Bytes to readings.
        producer: Opened transactional producer.
        changelog: Name of the state's topic; None keeps no state.
        recorder: Takes events.
        device: Named in events.
    """

    def __init__(  # noqa: PLR0913 -- the composition root hands over one part of each kind
        self,
        settings: Settings,
        *,
        spec: ModelSpec,
        scorer: Scorer,
        score: str,
        pipeline: Pipeline,
        decoder: Decoder,
        producer: OutputProducer,
        changelog: str | None,
        recorder: Recorder,
        device: str,
    ) -> None:
        self._settings = settings
        self._topic = settings.input.topic
        self._pipeline = pipeline
        self._producer = producer
        self._recorder = recorder
        self._heartbeat = Heartbeat(time.monotonic())
        self._stopping = False
        self._progress_at = time.monotonic()
        shape = pipeline.store.shape
        self._no_windows = (
            np.empty((0, shape.length, shape.n_features)),
            np.empty(0, np.int64),
        )
        notices = ClientNotices(recorder, settings.kafka.broker_deadline_s, settings.input.topic)
        self._worker: ScoringWorker[PolledBatch | SnapshotJob] = ScoringWorker(
            scorer,
            max_batch=settings.worker.max_batch,
            on_scored=lambda windows, seconds: recorder.record(
                WindowsScored(windows=windows, inference_s=seconds, device=device)
            ),
        )
        self._consumer = InputConsumer(
            settings.kafka,
            settings.input.topic,
            on_assigned=self._assigned,
            on_revoked=self._revoked,
            on_lost=self._lost,
            on_history_lost=notices.history_lost,
            on_wait=notices.waiting,
            on_back=notices.reached,
            on_delay=notices.delayed,
        )
        self._back_pressure = BackPressure(settings.worker, self._worker, self._consumer, recorder)
        model = model_key(spec, score, settings.detect.threshold.quantile)
        writer = None
        if changelog is not None:
            writer = ChangelogWriter(changelog, spec, model, shape)
        self._committer = Committer(
            settings,
            consumer=self._consumer,
            producer=producer,
            changelog=writer,
            recorder=recorder,
        )
        interval_s = None if changelog is None else settings.state.snapshot_interval_s
        self._snapshots = SnapshotWriter(pipeline, self._committer, interval_s)
        self._maintenance = SeriesMaintenance(
            pipeline,
            self._committer,
            self._consumer,
            recorder,
            topic=settings.input.topic,
            ttl_s=settings.state.series_ttl_s,
            settle=self._settle_all,
        )
        self._ingest = Ingest(decoder, pipeline, recorder, self._evict)
        input_topic = settings.input.topic
        state_reader = None
        if changelog is not None:
            watch = notices.watch(f"reading {changelog!r}")
            state_reader = RangeReader(settings.kafka, changelog, watch)
        self._restorer = Restorer(
            settings,
            consumer=self._consumer,
            loader=ChangelogLoader(pipeline, spec, model, self._evict, time.time_ns),
            chunk=min(_CHUNK, pipeline.store.index.capacity // _LARGEST_SHARE),
            changelog_reader=state_reader,
            input_reader=RangeReader(
                settings.kafka, input_topic, notices.watch(f"reading {input_topic!r} again")
            ),
            now_ns=time.time_ns,
        )

    def stop(self) -> None:
        """Ask `run` to drain, commit and return; safe from a signal handler."""
        self._stopping = True

    def beat(self) -> None:
        """Show a sign of life, from within a step that takes long for a reason that is told."""
        self._heartbeat.beat(time.monotonic())

    def liveness(self) -> Health:
        """Tell whether the poll loop and the worker still come round."""
        return judge_heartbeats(
            {"poll loop": self._heartbeat, "worker": self._worker.heartbeat},
            time.monotonic(),
            self._settings.http.liveness_timeout_s,
        )

    def readiness(self) -> Health:
        """Tell whether readings can be judged: a broker answers and the group has been joined."""
        if not self._consumer.reachable:
            return Health(is_ok=False, reason="no broker answers")
        if not self._consumer.joined:
            return Health(is_ok=False, reason="waiting for the consumer group")
        return Health(is_ok=True, reason="model loaded, group joined")

    def run(self) -> None:
        """Work until `stop`; then drain, commit and leave the group.

        Raises:
            StreamVaeError: See `errors`; nothing uncommitted has been published.
        """
        self._worker.start()
        try:
            while not self._stopping:
                self._turn()
            self._settle_all()
            self._committer.commit_or_raise()
            self._consumer.close()
        except BaseException:
            # Others take the partitions over at once instead of after a session.
            self._consumer.abandon()
            self._committer.leave(_LAST_COMMIT_S)
            raise
        finally:
            self._worker.stop(timeout_s=1.0)
            self._restorer.close()
            self._producer.close()

    def _turn(self) -> None:
        """Go round once: take records in, bring finished work out."""
        self._heartbeat.beat(time.monotonic())
        if self._back_pressure.may_poll():
            wait_s = self._settings.worker.max_wait_ms / 1000
            records = self._consumer.poll(
                self._settings.kafka.poll_records,
                wait_s if self._restorer.is_idle else _RESTORE_WAIT_S,
            )
            if records is not None:
                self._take_in(records)
            self._settle_eof()
            if not self._restorer.is_idle:
                self._restore()
        for work, scores in self._worker.collect():
            self._decide(work, scores)
        saving = self._snapshots.next_slice()
        if saving is not None:
            self._worker.submit(saving, *self._no_windows, n_readings=0)
        self._maintenance.look(self._snapshots.live, self._snapshots.positions)
        self._committer.commit_if_due()
        self._recorder.tick()

    def _settle_eof(self) -> None:
        ends = self._consumer.take_eof_offsets()
        if ends:
            # Settled as soon as all before it is: the group's offsets stand at the end, past
            # transaction markers.
            self._snapshots.advance(ends)
            self._committer.ledger.settle(self._committer.ledger.track(ends))

    def _take_in(self, records: RecordBatch) -> None:
        ticket = self._committer.ledger.track(records.next_offsets())
        polled = self._ingest.take(records, ticket)
        self._snapshots.advance(polled.positions)
        self._submit(polled)

    def _submit(self, polled: PolledBatch) -> None:
        windows, times = polled.window_batch.windows, polled.window_batch.end_times
        # Those without a reading have cost their decoding.
        n_readings = max(len(polled.records), len(polled.readings))
        self._worker.submit(polled, windows, times, n_readings=n_readings)

    def _decide(self, work: PolledBatch | SnapshotJob, scores: Scores) -> None:
        """Judge what the worker has scored, and put its outputs in the outbox."""
        if isinstance(work, SnapshotJob):
            self._committer.add_saved(self._pipeline.complete(work.capture), work.positions)
            self._committer.add_checkpoints(work.checkpoints)
            return
        outcome = self._pipeline.decide(
            work.readings,
            work.window_batch,
            scores,
            datetime.now(UTC),
            replayed=work.ticket is None,
        )
        if work.ticket is not None:
            self._committer.add_outcome(work, work.ticket, outcome)

    def _settle_all(self) -> None:
        """Wait for the worker and decide everything it has."""
        while not self._worker.wait_idle(timeout_s=0.5):
            self._heartbeat.beat(time.monotonic())
        for work, scores in self._worker.collect():
            self._decide(work, scores)

    def _restore(self) -> None:
        """Bring partitions on their way back a bit further; let those that arrived go live."""
        if self._worker.readings_in_flight <= self._settings.worker.max_in_flight:
            again = self._restorer.poll(self._settings.kafka.poll_records)
            if again is not None:
                self._submit(self._ingest.take(again, None, self._restorer.read_since_ns(again)))
        ready = self._restorer.take_ready()
        if ready:
            self._settle_all()
            for restoration in ready:
                self._go_live(restoration)
            self._consumer.release({one.partition: one.begin for one in ready})
        now = time.monotonic()
        if not self._restorer.is_idle and now - self._progress_at > _PROGRESS_PERIOD_S:
            self._progress_at = now
            self._recorder.record(self._restorer.progress())

    def _evict(self, lacking: int) -> None:
        self._maintenance.evict(lacking, self._snapshots.live, self._snapshots.positions)

    def _go_live(self, done: Restoration) -> None:
        self._pipeline.replayed.forget({done.partition})
        self._snapshots.go_live(done)
        if done.committed is not None:
            self._committer.begin(done.partition, done.committed)
        else:
            # The group's offset is set by that, so that state can go along with it.
            ledger = self._committer.ledger
            ledger.settle(ledger.track({done.partition: done.begin}))
        memory = self._pipeline.store
        rows = memory.index.of_partitions({done.partition}).tolist()
        self._recorder.record(
            StateRestored(
                topic=self._topic,
                partition=done.partition,
                state=done.state,
                series=len(rows),
                series_discarded=len(done.unfit),
                detail=done.why_unfit if done.unfit else "",
                incidents_open=memory.n_open_incidents(rows),
                replayed=done.replayed,
                duration_s=time.monotonic() - done.began_at,
            )
        )

    # Group

    def _assigned(self, partitions: tuple[int, ...]) -> None:
        self._restorer.begin(partitions)
        state = "restoring" if self._settings.changelog_topic else "cold"
        self._recorder.record(
            PartitionsAssigned(topic=self._topic, partitions=partitions, state=state)
        )

    def _revoked(self, partitions: tuple[int, ...]) -> None:
        self._settle_all()
        self._snapshots.save_leaving(set(partitions))
        self._committer.commit_or_raise()
        self._recorder.record(
            PartitionsRevoked(
                topic=self._topic,
                partitions=partitions,
                series_released=self._forget(set(partitions)),
            )
        )

    def _lost(self, partitions: tuple[int, ...]) -> None:
        # What is in flight must pass through the pipeline before its series can be forgotten;
        # its outputs are dropped, since another member has these partitions now.
        self._settle_all()
        self._forget(set(partitions))
        self._recorder.record(PartitionsLost(topic=self._topic, partitions=partitions))

    def _forget(self, partitions: set[int]) -> int:
        """Drop everything of partitions that left; return how many series there were."""
        self._restorer.give_up(partitions)
        self._committer.drop(partitions)
        self._snapshots.forget(partitions)
        return self._pipeline.forget_partitions(partitions)
