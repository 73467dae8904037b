"""The poll loop: poll, decode, assemble, score, decide, deliver, commit."""

from dataclasses import dataclass

from stream_vae.core.health import Health, Heartbeat, judge_conditions, judge_heartbeats
from stream_vae.core.ports import Clock, InputConsumer, OutputProducer, ScoringQueue, Telemetry
from stream_vae.core.records import RecordBatch
from stream_vae.daemon.back_pressure import BackPressure
from stream_vae.daemon.decoder_gate import DecoderGate
from stream_vae.daemon.ingest import Ingest
from stream_vae.daemon.live_page import LivePage
from stream_vae.daemon.maintenance import SeriesMaintenance
from stream_vae.daemon.status import StatusBoard
from stream_vae.daemon.work_queue import Work, WorkQueue
from stream_vae.delivery.committer import Committer
from stream_vae.events import (
    IncidentsAdopted,
    PartitionsAssigned,
    PartitionsLost,
    PartitionsRevoked,
    StateRestored,
)
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.pipeline.series_lifecycle import Changes
from stream_vae.state.partitions import Partition, PartitionTable, Phase
from stream_vae.state.restore import Restorer
from stream_vae.state.snapshots import SnapshotWriter

_PROGRESS_PERIOD_S = 5.0
_RESTORE_WAIT_S = 0.002
_LAST_COMMIT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopConfig:
    """Polling and liveness settings of the loop."""

    topic: str
    """The input topic."""
    poll_records: int
    max_wait_s: float
    """Longest wait for the records of one poll."""
    max_in_flight: int
    """Readings beyond which nothing is replayed until the worker has caught up."""
    liveness_timeout_s: float
    keeps_state: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopParts:
    """The parts of the loop; see `build.build_loop`."""

    consumer: InputConsumer
    producer: OutputProducer
    scoring: ScoringQueue[Work]
    work: WorkQueue
    back_pressure: BackPressure
    decoder_gate: DecoderGate
    ingest: Ingest
    pipeline: Pipeline
    partitions: PartitionTable
    restorer: Restorer
    snapshots: SnapshotWriter
    maintenance: SeriesMaintenance
    committer: Committer
    status: StatusBoard
    page: LivePage | None
    """None where no live page is served."""
    events: Telemetry
    heartbeat: Heartbeat
    clock: Clock


class PollLoop:
    """Consumes records and delivers outputs. One thread runs `run`; the worker has its own.

    Every poll is tracked in a ledger until its outputs are ready. Outputs, state and the offsets
    of their input are then committed in one transaction, so that a crash at any point repeats or
    loses nothing that consumers can see.

    An assigned partition is held until its state is restored: loaded from the changelog, and
    brought up to the committed offset by replaying the input since then, outputs suppressed.
    The loop is the group's `RebalanceListener`.

    Args:
        config: See `LoopConfig`.
        parts: See `LoopParts`.
    """

    def __init__(self, config: LoopConfig, parts: LoopParts) -> None:
        self._config = config
        self._parts = parts
        self._stopping = False
        self._progress_at = parts.clock.monotonic()

    def stop(self) -> None:
        """Ask `run` to drain, commit and return; safe from a signal handler."""
        self._stopping = True

    def liveness(self) -> Health:
        """Return whether the poll loop and the worker have recent heartbeats."""
        return judge_heartbeats(
            {"poll loop": self._parts.heartbeat, "worker": self._parts.scoring.heartbeat},
            self._parts.clock.monotonic(),
            self._config.liveness_timeout_s,
        )

    def readiness(self) -> Health:
        """Return whether readings can be judged, and what is wrong although they can."""
        return judge_conditions(self._parts.status.conditions)

    def status(self) -> dict[str, object]:
        """Return what the instance does, for `/statusz`."""
        page = self._parts.page
        shown = {} if page is None else {"page": page.status()}
        return {**self._parts.status.report(), **shown}

    @property
    def page(self) -> LivePage | None:
        """What the live page shows; None if none is served."""
        return self._parts.page

    def run(self) -> None:
        """Run until `stop`; then drain, commit and leave the group.

        Raises:
            StreamVaeError: See `errors`; nothing uncommitted has been published.
        """
        try:
            self.start()
            while not self._stopping:
                self.turn()
            self.drain()
        except BaseException:
            self.give_up()
            raise
        finally:
            self.close()

    def start(self) -> None:
        """Join the group."""
        self._parts.scoring.start()
        self._parts.consumer.subscribe(self)

    def drain(self) -> None:
        """Commit everything polled, and leave the group."""
        self._parts.work.settle()
        self._parts.committer.commit_or_raise()
        self._parts.consumer.close()

    def give_up(self) -> None:
        """Leave the group after a failure, so that partitions are reassigned at once."""
        self._parts.consumer.abandon()
        self._parts.committer.leave(_LAST_COMMIT_S)

    def close(self) -> None:
        """Close the worker and the clients."""
        self._parts.scoring.stop(timeout_s=1.0)
        self._parts.restorer.close()
        self._parts.maintenance.close()
        self._parts.producer.close()

    def turn(self) -> None:
        """Run one iteration: ingest records, deliver finished work."""
        parts = self._parts
        parts.heartbeat.beat(parts.clock.monotonic())
        if parts.back_pressure.may_poll():
            is_restoring = not parts.partitions.all_live
            records = parts.consumer.poll(
                self._config.poll_records,
                _RESTORE_WAIT_S if is_restoring else self._config.max_wait_s,
            )
            if records is not None and parts.back_pressure.admits(records):
                self._ingest(records)
            self._settle_eof()
            if not parts.partitions.all_live or parts.restorer.is_extending:
                self._restore()
        parts.work.decide_finished()
        snapshot = parts.snapshots.next_slice()
        if snapshot is not None:
            parts.work.submit_snapshot(snapshot)
        parts.maintenance.tick()
        parts.maintenance.advance(self._config.poll_records)
        parts.committer.commit_if_due()
        parts.status.tick()
        if parts.page is not None:
            parts.page.tick()
        parts.events.tick()

    def _ingest(self, records: RecordBatch) -> None:
        ledger = self._parts.committer.ledger
        polled = self._parts.ingest.take(records, ledger.track(records.next_offsets()))
        self._parts.partitions.advance(polled.positions)
        self._parts.work.submit(polled)
        self._parts.status.saw(records)

    def _settle_eof(self) -> None:
        """Advance the group's offsets to the ends reached, past transaction markers."""
        ends = self._parts.consumer.take_eof_offsets()
        if ends:
            # Settled as soon as all before it is.
            self._parts.partitions.advance(ends)
            ledger = self._parts.committer.ledger
            ledger.settle(ledger.track(ends))

    def _restore(self) -> None:
        """Advance the restoration of partitions; take restored ones live."""
        parts = self._parts
        if parts.scoring.readings_in_flight <= self._config.max_in_flight:
            again = parts.decoder_gate.replayed(
                lambda: parts.restorer.poll(self._config.poll_records)
            )
            if again is not None:
                since_ns = parts.restorer.read_since_ns(again)
                parts.work.submit(parts.ingest.take(again, None, since_ns))
        replayed = parts.partitions.within(Phase.REPLAYED)
        if replayed and not parts.decoder_gate.holds_replayed:
            parts.work.settle()
            for partition in replayed:
                self._go_live(partition)
            parts.consumer.release({one.number: one.begin for one in replayed})
        now = parts.clock.monotonic()
        if not parts.partitions.all_live and now - self._progress_at > _PROGRESS_PERIOD_S:
            self._progress_at = now
            parts.events.record(parts.restorer.progress())

    def _go_live(self, one: Partition) -> None:
        parts, found = self._parts, one.restoration
        parts.pipeline.replayed.forget({one.number})
        one.phase, one.position = Phase.LIVE, one.begin
        parts.snapshots.go_live(one)
        self._save_adopted(one)
        if one.begin != found.group_offset:
            # The group's offset is set by that, so that state can go along with it.
            ledger = parts.committer.ledger
            ledger.settle(ledger.track({one.number: one.begin}))
        store = parts.pipeline.store
        rows = store.index.of_partitions({one.number}).tolist()
        parts.events.record(
            StateRestored(
                topic=self._config.topic,
                partition=one.number,
                state=found.state,
                series=len(rows),
                series_discarded=len(found.unfit),
                detail=found.why_unfit if found.unfit else "",
                mismatch=found.mismatch,
                incidents_open=store.n_open_incidents(rows),
                replayed=found.replayed,
                duration_s=parts.clock.monotonic() - one.assigned_at,
            )
        )

    def _save_adopted(self, one: Partition) -> None:
        """Save incidents that were found elsewhere than in the changelog, with its first record."""
        parts, store = self._parts, self._parts.pipeline.store
        rows = {name: store.index.find(name) for name in one.restoration.adopted}
        incidents = {n: store.incidents_of(row) for n, row in rows.items() if row is not None}
        if incidents:
            parts.events.record(
                IncidentsAdopted(
                    topic=self._config.topic, partition=one.number, count=len(incidents)
                )
            )
            now = parts.clock.monotonic()
            parts.committer.add_changes(Changes(incidents=incidents), {one.number: one.begin}, now)

    # Group

    def partitions_assigned(self, partitions: tuple[int, ...]) -> None:
        """Hold assigned partitions until their state is restored."""
        self._parts.partitions.assign(partitions, self._parts.clock.monotonic())
        state = "restoring" if self._config.keeps_state else "cold"
        self._parts.events.record(
            PartitionsAssigned(topic=self._config.topic, partitions=partitions, state=state)
        )

    def partitions_revoked(self, partitions: tuple[int, ...]) -> None:
        """Commit the settled work of partitions being revoked, then drop them."""
        parts = self._parts
        parts.work.settle()
        parts.snapshots.save_leaving(set(partitions))
        parts.committer.commit_or_raise()
        parts.events.record(
            PartitionsRevoked(
                topic=self._config.topic,
                partitions=partitions,
                series_released=self._forget(set(partitions)),
            )
        )

    def partitions_lost(self, partitions: tuple[int, ...]) -> None:
        """Drop partitions that another member may own, with their uncommitted work."""
        # Work in flight must pass through the pipeline before its series can be dropped.
        self._parts.work.settle()
        self._forget(set(partitions))
        self._parts.events.record(PartitionsLost(topic=self._config.topic, partitions=partitions))

    def _forget(self, partitions: set[int]) -> int:
        """Drop all state of revoked partitions; return how many series there were."""
        parts = self._parts
        parts.restorer.cancel(partitions)
        parts.decoder_gate.forget(partitions)
        parts.committer.drop(partitions)
        parts.snapshots.leave(partitions)
        parts.partitions.leave(partitions)
        return parts.pipeline.forget_partitions(partitions)
