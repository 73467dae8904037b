"""The long-running daemon: poll, decode, assemble, score, decide, deliver, commit."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.health import Health, Heartbeat, judge_heartbeats
from stream_vae.core.ledger import OffsetLedger
from stream_vae.core.model_spec import Scorer, Scores
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import RecordBatch, Rejection
from stream_vae.core.windows import Assembly
from stream_vae.edges.kafka.input_consumer import InputConsumer
from stream_vae.edges.kafka.output_producer import OutputProducer
from stream_vae.errors import FencedError
from stream_vae.events import (
    AlertDelivered,
    BrokerReached,
    BrokerUnreachable,
    ConsumptionDelayed,
    ConsumptionPaused,
    ConsumptionResumed,
    Event,
    HistoryLost,
    PartitionsAssigned,
    PartitionsLost,
    PartitionsRevoked,
    ReadingsLate,
    RecordsConsumed,
    RecordsRejected,
    TransactionCommitted,
    UnknownFieldsIgnored,
    WindowsScored,
)
from stream_vae.outbox import Outbox
from stream_vae.pipeline import Pipeline
from stream_vae.settings import Settings
from stream_vae.wire.readings import ReadingDecoder
from stream_vae.worker import ScoringWorker

_PAUSE_AFTER_S = 0.5
_COMMIT_TRIES = 10
_COMMIT_PAUSE_S = 0.1


class Recorder(Protocol):
    """Where events go: logs and metrics."""

    def record(self, event: Event) -> None:
        """Take one event."""

    def tick(self) -> None:
        """Do what is due by the clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """One poll on its way through the worker."""

    ticket: int
    records: RecordBatch
    rejections: Sequence[Rejection]
    index: NDArray[np.int64]
    """(N,) position in `records` of each reading."""
    readings: ReadingBatch
    assembly: Assembly
    polled_at: float
    """Monotonic seconds."""


class Daemon:
    """Joins the edges to the pipeline. One thread runs `run`; the worker has its own.

    Every poll is tracked in a ledger until its outputs are ready. Outputs and the offsets of their
    input are then committed in one transaction, so that a crash at any point repeats or loses
    nothing that consumers can see.

    Args:
        settings: Checked settings.
        scorer: The model on its device.
        pipeline: Windows, thresholds and incidents.
        decoder: Bytes to readings.
        producer: Opened transactional producer.
        recorder: Takes events.
        device: Named in events.
    """

    def __init__(  # noqa: PLR0913 -- the composition root hands over one part of each kind
        self,
        settings: Settings,
        *,
        scorer: Scorer,
        pipeline: Pipeline,
        decoder: ReadingDecoder,
        producer: OutputProducer,
        recorder: Recorder,
        device: str,
    ) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._decoder = decoder
        self._producer = producer
        self._recorder = recorder
        self._ledger = OffsetLedger()
        self._outbox = Outbox(
            settings.detector.name,
            {
                "alerts": settings.output.alerts_topic,
                "dead_letters": settings.output.dead_letter_topic,
                "late": settings.output.late_topic,
            },
        )
        self._heartbeat = Heartbeat(time.monotonic())
        self._stopping = False
        self._committed_at = time.monotonic()
        self._had_room_at = time.monotonic()
        self._worker: ScoringWorker[_Taken] = ScoringWorker(
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
            self._commit_surely()
            self._consumer.close()
        except BaseException:
            # Others take the partitions over at once instead of after a session.
            self._consumer.abandon()
            raise
        finally:
            self._worker.stop(timeout_s=1.0)
            self._producer.close()

    def _turn(self) -> None:
        """Go round once: take records in, bring finished work out."""
        self._heartbeat.beat(time.monotonic())
        if self._may_poll():
            records = self._consumer.poll(
                self._settings.kafka.poll_records, self._settings.worker.max_wait_ms / 1000
            )
            if records is not None:
                self._take_in(records)
            ends = self._consumer.take_ends()
            if ends:
                # Settled as soon as all before it is: the group's offsets stand at the end, past
                # transaction markers, and a group that began with the latest record knows where.
                self._ledger.settle(self._ledger.track(ends))
        for taken, scores in self._worker.collect():
            self._decide(taken, scores)
        overdue = time.monotonic() - self._committed_at >= self._settings.kafka.commit_interval_s
        if self._outbox.alerts or overdue:
            self._commit()
        self._recorder.tick()

    def _take_in(self, records: RecordBatch) -> None:
        """Decode and window a poll and hand it to the worker."""
        started = time.perf_counter()
        decoded = self._decoder.decode(records, time.time_ns())
        decoded_at = time.perf_counter()
        assembly = self._pipeline.assemble(decoded.readings)
        assembled_at = time.perf_counter()
        ends = dict(zip(records.partitions.tolist(), (records.offsets + 1).tolist(), strict=True))
        taken = _Taken(
            ticket=self._ledger.track(ends),
            records=records,
            rejections=decoded.rejections,
            index=decoded.index,
            readings=decoded.readings,
            assembly=assembly,
            polled_at=time.monotonic(),
        )
        self._worker.submit(taken, assembly.windows, assembly.end_times, n_readings=len(records))
        times = decoded.readings.times
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

    def _decide(self, taken: _Taken, scores: Scores) -> None:
        """Judge what the worker has scored, and put its outputs in the outbox."""
        outcome = self._pipeline.decide(taken.readings, taken.assembly, scores, datetime.now(UTC))
        for event in outcome.events:
            self._recorder.record(event)
        for alert in outcome.alerts:
            self._outbox.add_alert(alert, taken.polled_at)
        for rejection in taken.rejections:
            self._outbox.add_dead_letter(taken.records, rejection)
        self._tell_rejected(taken)
        for i in taken.index[outcome.late].tolist():
            late = Rejection(index=i, reason="late", detail="older than its series' open step")
            self._outbox.add_late(taken.records, late)
        if len(outcome.late):
            example = taken.readings.series[int(outcome.late[0])]
            self._recorder.record(
                ReadingsLate(
                    topic=taken.records.topic, count=len(outcome.late), example_series=example
                )
            )
        self._ledger.settle(taken.ticket)

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

    def _commit(self) -> bool:
        """Commit what is settled; tell whether the group still stood when it was."""
        self._committed_at = time.monotonic()
        offsets = self._ledger.committable()
        if not offsets:
            return True
        started = time.perf_counter()
        if not self._producer.commit(
            self._outbox.records(), self._settings.input.topic, offsets, self._consumer
        ):
            return False
        self._ledger.committed(offsets)
        self._tell_committed(time.perf_counter() - started)
        self._outbox.clear()
        return True

    def _tell_committed(self, duration_s: float) -> None:
        now = time.monotonic()
        for alert in self._outbox.alerts:
            self._recorder.record(
                AlertDelivered(
                    incident_id=alert.event.incident_id,
                    sequence=alert.event.sequence,
                    status=alert.event.status,
                    severity=alert.event.severity,
                    series=alert.event.series.key,
                    score=alert.event.score,
                    threshold=alert.event.threshold,
                    latency_s=now - alert.polled_at,
                )
            )
        self._recorder.record(
            TransactionCommitted(
                alerts=len(self._outbox.alerts),
                dead_letters=len(self._outbox.dead_letters),
                late=len(self._outbox.late),
                duration_s=duration_s,
                lag_records=self._consumer.lag(),
                incidents_open=self._pipeline.n_open_incidents,
            )
        )

    def _commit_surely(self) -> None:
        """Commit what is settled while the partitions are still ours, or fail.

        Raises:
            FencedError: If the group no longer takes the offsets; the next owner starts from the
                last ones it took.
        """
        for _ in range(_COMMIT_TRIES):
            if self._commit():
                return
            time.sleep(_COMMIT_PAUSE_S)
        msg = "the group refuses this member's offsets; what was uncommitted is left to others"
        raise FencedError(msg)

    def _settle_all(self) -> None:
        """Wait for the worker and decide everything it has."""
        while not self._worker.wait_idle(timeout_s=0.5):
            self._heartbeat.beat(time.monotonic())
        for taken, scores in self._worker.collect():
            self._decide(taken, scores)

    def _assigned(self, partitions: tuple[int, ...]) -> None:
        self._recorder.record(
            PartitionsAssigned(
                topic=self._settings.input.topic, partitions=partitions, state="cold"
            )
        )

    def _revoked(self, partitions: tuple[int, ...]) -> None:
        self._settle_all()
        self._commit_surely()
        self._ledger.revoke(partitions)
        forgotten = self._pipeline.forget(set(partitions))
        self._recorder.record(
            PartitionsRevoked(
                topic=self._settings.input.topic,
                partitions=partitions,
                series_forgotten=forgotten,
            )
        )

    def _lost(self, partitions: tuple[int, ...]) -> None:
        # What is in flight must pass through the pipeline before its series can be forgotten;
        # its outputs are dropped, since another member has these partitions now.
        self._settle_all()
        self._ledger.revoke(partitions)
        self._outbox.drop(partitions)
        self._pipeline.forget(set(partitions))
        self._recorder.record(
            PartitionsLost(topic=self._settings.input.topic, partitions=partitions)
        )

    def _history_lost(self, partition: int, wanted: int, oldest: int) -> None:
        self._recorder.record(
            HistoryLost(
                topic=self._settings.input.topic,
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
