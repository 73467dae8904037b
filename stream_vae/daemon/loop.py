"""The long-running daemon: poll, decode, assemble, score, decide, deliver, commit."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.health import Health, Heartbeat, judge_heartbeats
from stream_vae.core.model_spec import ModelSpec, Scorer, Scores
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import RecordBatch, Rejection
from stream_vae.core.windows import Assembly
from stream_vae.daemon.changelog import ChangelogWriter
from stream_vae.daemon.delivery import Delivery, Recorder
from stream_vae.daemon.restoring import Restoration, Restorer
from stream_vae.daemon.sweep import Sweep
from stream_vae.daemon.worker import ScoringWorker
from stream_vae.edges.kafka.broker_watch import BrokerWatch
from stream_vae.edges.kafka.input_consumer import InputConsumer
from stream_vae.edges.kafka.output_producer import OutputProducer
from stream_vae.edges.kafka.range_reader import RangeReader
from stream_vae.edges.kafka.topic_ends import TopicEnds
from stream_vae.events import (
    BrokerReached,
    BrokerUnreachable,
    ConsumptionDelayed,
    ConsumptionPaused,
    ConsumptionResumed,
    HistoryLost,
    PartitionsAssigned,
    PartitionsLost,
    PartitionsRevoked,
    ReadingsLate,
    RecordsConsumed,
    RecordsRejected,
    SeriesForgotten,
    StateRestored,
    UnknownFieldsIgnored,
    WindowsScored,
)
from stream_vae.pipeline.line import Pipeline
from stream_vae.pipeline.series_memory import Capture
from stream_vae.pipeline.upkeep import Changes
from stream_vae.settings import Settings
from stream_vae.wire.readings import ReadingDecoder
from stream_vae.wire.snapshots import Checkpoint

_PAUSE_AFTER_S = 0.5
_UPKEEP_PERIOD_S = 1.0
_PROGRESS_PERIOD_S = 5.0
_RESTORE_WAIT_S = 0.002
_ROOM_SHARE = 100
_MOST_SAVED_ON_LEAVING = 20_000  # series; some seconds. What is not saved is read again.


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """One poll on its way through the worker."""

    ticket: int | None
    """Of the ledger; None if it was read again."""
    records: RecordBatch
    rejections: Sequence[Rejection]
    index: NDArray[np.int64]
    """(N,) position in `records` of each reading."""
    readings: ReadingBatch
    assembly: Assembly
    positions: Mapping[int, int]
    """Input partition -> offset behind its last record."""
    polled_at: float
    """Monotonic seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Saving:
    """Series to be saved, behind the polls that they hold."""

    capture: Capture
    positions: Mapping[int, int]
    checkpoints: Mapping[int, Checkpoint]


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
        decoder: ReadingDecoder,
        producer: OutputProducer,
        changelog: str | None,
        recorder: Recorder,
        device: str,
    ) -> None:
        self._settings = settings
        self._topic = settings.input.topic
        self._pipeline = pipeline
        self._decoder = decoder
        self._producer = producer
        self._recorder = recorder
        self._heartbeat = Heartbeat(time.monotonic())
        self._stopping = False
        self._had_room_at = self._kept_up_at = self._progress_at = time.monotonic()
        self._positions: dict[int, int] = {}
        self._live: set[int] = set()
        self._unmarked: set[int] = set()
        self._checkpoints: dict[int, int] = {}
        shape = pipeline.memory.shape
        self._no_windows = (
            np.empty((0, shape.length, shape.n_features), np.float32),
            np.empty(0, np.int64),
        )
        self._sweep = Sweep(settings.state.snapshot_interval_s, time.monotonic())
        self._worker: ScoringWorker[_Taken | _Saving] = ScoringWorker(
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
            on_history_lost=self._history_lost,
            on_wait=self._waiting,
            on_back=self._reached,
            on_delay=self._delayed,
        )
        writer = None
        if changelog is not None:
            writer = ChangelogWriter(changelog, spec, score, pipeline.memory.shape)
        self._keeps_state = changelog is not None
        self._delivery = Delivery(
            settings,
            consumer=self._consumer,
            producer=producer,
            changelog=writer,
            recorder=recorder,
        )
        self._restorer = Restorer(
            settings,
            ends=None if changelog is None else TopicEnds(settings.kafka, changelog),
            consumer=self._consumer,
            pipeline=pipeline,
            spec=spec,
            score=score,
            changelog_reader=None if changelog is None else self._reader(changelog),
            input_reader=self._reader(settings.input.topic),
            make_room=self._make_room,
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
            self._delivery.commit_surely()
            self._consumer.close()
        except BaseException:
            # Others take the partitions over at once instead of after a session.
            self._consumer.abandon()
            raise
        finally:
            self._worker.stop(timeout_s=1.0)
            self._restorer.close()
            self._producer.close()

    def _turn(self) -> None:
        """Go round once: take records in, bring finished work out."""
        self._heartbeat.beat(time.monotonic())
        if self._may_poll():
            wait_s = self._settings.worker.max_wait_ms / 1000
            records = self._consumer.poll(
                self._settings.kafka.poll_records,
                wait_s if self._restorer.is_idle else _RESTORE_WAIT_S,
            )
            if records is not None:
                self._take_in(records)
            self._take_ends()
            if not self._restorer.is_idle:
                self._restore()
        for work, scores in self._worker.collect():
            self._decide(work, scores)
        self._save_changed()
        self._look_after()
        self._delivery.commit_if_due()
        self._recorder.tick()

    def _take_ends(self) -> None:
        ends = self._consumer.take_ends()
        if ends:
            # Settled as soon as all before it is: the group's offsets stand at the end, past
            # transaction markers, and a group that began with the latest record knows where.
            self._positions.update(ends)
            self._mark(ends)
            self._delivery.ledger.settle(self._delivery.ledger.track(ends))

    def _take_in(self, records: RecordBatch, *, again: bool = False) -> None:
        """Decode and window a poll and hand it to the worker.

        Args:
            records: At least one.
            again: They were committed before and only bring state up to date.
        """
        started = time.perf_counter()
        now_ns = self._restorer.clock_ns(records) if again else time.time_ns()
        decoded = self._decoder.decode(records, now_ns)
        decoded_at = time.perf_counter()
        readings = decoded.readings
        if again:
            readings = self._pipeline.replayed.unseen(readings)
        lacking = self._pipeline.lack_of_room(readings)
        if lacking:
            self._make_room(lacking)
        assembly = self._pipeline.assemble(readings)
        assembled_at = time.perf_counter()
        ends = dict(zip(records.partitions.tolist(), (records.offsets + 1).tolist(), strict=True))
        if not again:
            firsts = dict(
                zip(records.partitions[::-1].tolist(), records.offsets[::-1].tolist(), strict=True)
            )
            self._mark(firsts)
            self._positions.update(ends)
        taken = _Taken(
            ticket=None if again else self._delivery.ledger.track(ends),
            records=records,
            rejections=decoded.rejections,
            index=decoded.index,
            readings=readings,
            assembly=assembly,
            positions=ends,
            polled_at=time.monotonic(),
        )
        self._worker.submit(taken, assembly.windows, assembly.end_times, n_readings=len(records))
        if again:
            return
        times = readings.times
        self._recorder.record(
            RecordsConsumed(
                topic=records.topic,
                records=len(records),
                bytes=sum(len(value) for value in records.values if value is not None),
                decode_s=decoded_at - started,
                assemble_s=assembled_at - decoded_at,
                last_event_time_s=float(times.max()) / 1e9 if len(times) else None,
            )
        )
        if decoded.unknown_fields:
            self._recorder.record(
                UnknownFieldsIgnored(topic=records.topic, fields=decoded.unknown_fields)
            )

    def _decide(self, work: _Taken | _Saving, scores: Scores) -> None:
        """Judge what the worker has scored, and put its outputs in the outbox."""
        if isinstance(work, _Saving):
            self._delivery.add_saved(self._pipeline.complete(work.capture), work.positions)
            self._delivery.add_checkpoints(work.checkpoints)
            return
        outcome = self._pipeline.decide(
            work.readings,
            work.assembly,
            scores,
            datetime.now(UTC),
            replayed=work.ticket is None,
        )
        if work.ticket is None:
            return
        for event in outcome.events:
            self._recorder.record(event)
        self._delivery.add_changes(outcome.changes, work.positions, work.polled_at)
        for rejection in work.rejections:
            self._delivery.outbox.add_dead_letter(work.records, rejection)
        self._tell_rejected(work)
        for i in work.index[outcome.late].tolist():
            late = Rejection(index=i, reason="late", detail="older than its series' open step")
            self._delivery.outbox.add_late(work.records, late)
        if len(outcome.late):
            example = work.readings.series[int(outcome.late[0])]
            self._recorder.record(
                ReadingsLate(
                    topic=work.records.topic, count=len(outcome.late), example_series=example
                )
            )
        self._delivery.ledger.settle(work.ticket)

    def _tell_rejected(self, taken: _Taken) -> None:
        by_reason: dict[str, list[Rejection]] = {}
        for rejection in taken.rejections:
            by_reason.setdefault(rejection.reason, []).append(rejection)
        for reason, group in by_reason.items():
            first = group[0]
            self._recorder.record(
                RecordsRejected(
                    topic=taken.records.topic,
                    reason=reason,
                    count=len(group),
                    example_partition=int(taken.records.partitions[first.index]),
                    example_offset=int(taken.records.offsets[first.index]),
                    example_detail=first.detail,
                )
            )

    def _may_poll(self) -> bool:
        """Tell whether to poll now; if the worker is behind, wait a moment or pause fetching.

        Catching up on a backlog, the worker is always behind, but moves on: then a wait of some
        milliseconds is enough. Pausing throws away what the client has fetched ahead, and fetching
        again takes half a second, so it is kept for a worker that does not come round for long.
        """
        waiting, limit = self._worker.readings_in_flight, self._settings.worker.max_in_flight
        if self._consumer.paused:
            if waiting <= limit // 2:
                self._consumer.resume()
                self._recorder.record(ConsumptionResumed(readings_in_flight=waiting))
            return True
        now = time.monotonic()
        if waiting <= limit:
            self._had_room_at = now
            return True
        if now - self._had_room_at > _PAUSE_AFTER_S:
            self._consumer.pause()
            self._recorder.record(ConsumptionPaused(readings_in_flight=waiting))
            return True
        self._worker.wait_finished(self._settings.worker.max_wait_ms / 1000)
        return False

    def _settle_all(self) -> None:
        """Wait for the worker and decide everything it has."""
        while not self._worker.wait_idle(timeout_s=0.5):
            self._heartbeat.beat(time.monotonic())
        for work, scores in self._worker.collect():
            self._decide(work, scores)

    # State of the series

    def _save_changed(self) -> None:
        """Save the next slice of the series that have changed; note when a round is over."""
        if not self._keeps_state:
            return
        now, index = time.monotonic(), self._pipeline.memory.index
        if self._sweep.is_due(now):
            at = {
                p: Checkpoint(offset=self._positions[p], clock_ns=time.time_ns())
                for p in self._live
                if p in self._positions
            }
            self._sweep.begin(now, index.changed_rows(self._live), at)
        rows = self._sweep.take(now)
        checkpoints = self._sweep.finish() or {}
        moved = {p: c for p, c in checkpoints.items() if self._checkpoints.get(p) != c.offset}
        rows = rows[index.changed[rows]]  # some may have been saved or forgotten since
        if len(rows) or moved:
            self._checkpoints.update({p: c.offset for p, c in moved.items()})
            work = _Saving(
                capture=self._pipeline.capture(rows),
                positions=dict(self._positions),
                checkpoints=moved,
            )
            self._worker.submit(work, *self._no_windows, n_readings=0)

    def _save_leaving(self, partitions: set[int]) -> None:
        """Save what has changed of partitions that leave, unless that would take too long."""
        rows = self._pipeline.memory.index.changed_rows(partitions)
        if not self._keeps_state or len(rows) > _MOST_SAVED_ON_LEAVING:
            return
        saved = self._pipeline.complete(self._pipeline.capture(rows))
        self._delivery.add_saved(saved, self._positions)
        known = partitions & self._positions.keys()
        self._delivery.add_checkpoints({p: self._checkpoint(self._positions[p]) for p in known})

    def _mark(self, offsets: Mapping[int, int]) -> None:
        """Say from where partitions new to the group would have to be read again."""
        for partition in self._unmarked & offsets.keys():
            self._unmarked.discard(partition)
            checkpoint = self._checkpoint(offsets[partition])
            self._checkpoints[partition] = checkpoint.offset
            self._delivery.add_checkpoints({partition: checkpoint})

    def _restore(self) -> None:
        """Bring partitions on their way back a bit further; let those that arrived go live."""
        if self._worker.readings_in_flight <= self._settings.worker.max_in_flight:
            again = self._restorer.poll(self._settings.kafka.poll_records)
            if again is not None:
                self._take_in(again, again=True)
        ready = self._restorer.take_ready()
        if ready:
            self._settle_all()
            for restoration in ready:
                self._go_live(restoration)
        now = time.monotonic()
        if not self._restorer.is_idle and now - self._progress_at > _PROGRESS_PERIOD_S:
            self._progress_at = now
            self._recorder.record(self._restorer.progress())

    def _go_live(self, done: Restoration) -> None:
        partition = done.partition
        self._pipeline.replayed.forget({partition})
        if done.committed is not None:
            self._delivery.begin(partition, done.committed)
        begin = done.begin if done.committed is None else done.committed
        self._live.add(partition)
        if begin is not None:
            self._positions[partition] = begin
        if not done.knows_model:
            self._delivery.add_model(partition)
        if done.checkpoint is not None:
            self._checkpoints[partition] = done.checkpoint.offset
        else:
            self._unmarked.add(partition)
            if begin is not None:
                self._mark({partition: begin})
        self._consumer.release(partition, done.begin)
        self._recorder.record(
            StateRestored(
                topic=self._topic,
                partition=partition,
                state=done.state,
                series=done.series,
                replayed=done.replayed,
                duration_s=time.monotonic() - done.began_at,
            )
        )

    def _make_room(self, lacking: int) -> None:
        """Forget at least so many series; some more, so that it need not be done every time."""
        memory = self._pipeline.memory
        wanted = max(lacking, memory.index.capacity // _ROOM_SHARE)
        now = datetime.now(UTC)
        changes = self._pipeline.upkeep.make_room(wanted, self._topic, now)
        self._publish(changes, "memory")
        if len(changes.forgotten) < lacking:
            self._settle_all()  # then none is in use
            rest = lacking - len(changes.forgotten)
            self._publish(self._pipeline.upkeep.make_room(rest, self._topic, now), "memory")

    def _look_after(self) -> None:
        """Once a second: forget series that are gone for good, tell of those that fell silent."""
        if time.monotonic() - self._kept_up_at < _UPKEEP_PERIOD_S:
            return
        self._kept_up_at = time.monotonic()
        upkeep, now, now_ns = self._pipeline.upkeep, datetime.now(UTC), time.time_ns()
        lag = self._consumer.lag()
        # While there is more to be read, nobody can say that a series has stopped.
        caught_up = {p for p in self._live if lag.get(p) == 0}
        idle_since = now_ns - round(self._settings.state.series_ttl_s * 1e9)
        self._publish(upkeep.expire(idle_since, caught_up, self._topic, now), "idle")
        suspects = upkeep.overdue(now_ns, caught_up)
        if suspects:
            # The client may not have been told of the newest records: the broker is asked.
            at_end = {p for p in suspects if self._consumer.is_at_end(p)}
            self._publish(upkeep.watch_silence(now_ns, at_end, self._topic, now), "")

    def _publish(self, changes: Changes, reason: str) -> None:
        self._delivery.add_changes(changes, self._positions, time.monotonic())
        if changes.forgotten:
            self._recorder.record(
                SeriesForgotten(
                    count=len(changes.forgotten),
                    reason=reason,
                    example_series=changes.forgotten[0][1],
                )
            )

    def _checkpoint(self, offset: int) -> Checkpoint:
        return Checkpoint(offset=offset, clock_ns=time.time_ns())

    # Group

    def _assigned(self, partitions: tuple[int, ...]) -> None:
        self._consumer.hold(partitions)
        self._restorer.begin(partitions)
        state = "restoring" if self._keeps_state else "cold"
        self._recorder.record(
            PartitionsAssigned(topic=self._topic, partitions=partitions, state=state)
        )

    def _revoked(self, partitions: tuple[int, ...]) -> None:
        self._settle_all()
        self._save_leaving(self._live & set(partitions))
        self._delivery.commit_surely()
        self._recorder.record(
            PartitionsRevoked(
                topic=self._topic,
                partitions=partitions,
                series_forgotten=self._forget(set(partitions)),
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
        self._delivery.drop(partitions)
        self._sweep.drop(partitions)
        self._live -= partitions
        self._unmarked -= partitions
        for partition in partitions:
            self._positions.pop(partition, None)
            self._checkpoints.pop(partition, None)
        return self._pipeline.forget_partitions(partitions)

    def _reader(self, topic: str) -> RangeReader:
        watch = BrokerWatch(
            f"reading {topic!r}",
            self._settings.kafka.broker_deadline_s,
            on_wait=lambda detail: self._waiting(detail, watch.out_s),
            on_back=self._reached,
        )
        return RangeReader(self._settings.kafka, topic, watch)

    def _history_lost(self, partition: int, wanted: int, oldest: int) -> None:
        self._recorder.record(
            HistoryLost(
                topic=self._topic,
                partition=partition,
                wanted_offset=wanted,
                oldest_offset=oldest,
            )
        )

    def _waiting(self, detail: str, waited_s: float) -> None:
        deadline = self._settings.kafka.broker_deadline_s
        self._recorder.record(
            BrokerUnreachable(detail=detail, waited_s=waited_s, deadline_s=deadline)
        )

    def _delayed(self, detail: str, waited_s: float) -> None:
        deadline = self._settings.kafka.broker_deadline_s
        self._recorder.record(
            ConsumptionDelayed(detail=detail, waited_s=waited_s, deadline_s=deadline)
        )

    def _reached(self, waited_s: float) -> None:
        self._recorder.record(BrokerReached(waited_s=waited_s))
