"""What keeps the instance from judging readings, in words."""

from collections.abc import Iterator
from dataclasses import dataclass

from stream_vae.core.event_time import utc
from stream_vae.core.health import Condition
from stream_vae.core.ports import InputConsumer, OutputProducer, ScoringQueue
from stream_vae.daemon.back_pressure import BackPressure
from stream_vae.daemon.decoder_gate import DecoderGate
from stream_vae.daemon.lag_trend import LagTrend
from stream_vae.daemon.work_queue import Work
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.state.partitions import Phase
from stream_vae.state.restore import Restorer

STALLED_AFTER_S = 60.0
"""Without progress, of a partition with more to read."""
IDLE_AFTER_S = 60.0
"""Without a record, of an instance that has read all there is."""
UNJUDGED_AFTER_S = 300.0
"""Without a verdict, of an instance that gets records; at least."""
_LEAST_RECORDS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionStatus:
    """One input partition as it was last observed."""

    number: int
    phase: Phase
    position: int | None
    """Next offset to poll; None before it is live."""
    committed: int | None
    lag_records: int | None
    """Records not yet polled; None if that is not known."""
    lag_s: float | None
    """Age of the oldest of them, at most."""
    stalled_s: float
    """Seconds without progress although there is more to read."""
    restoring_s: float
    """Seconds since it was assigned, while its state is being restored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceProgress:
    """What the instance has done, as it was last observed."""

    partitions: tuple[PartitionStatus, ...] = ()
    no_record_s: float = 0.0
    """Since the newest record was polled, or the start."""
    no_verdict_s: float = 0.0
    """Since a reading was judged last, or the start."""
    records_since_verdict: int = 0

    @property
    def has_read_all(self) -> bool:
        """Whether all partitions are live and at their ends."""
        live = [one for one in self.partitions if one.phase is Phase.LIVE and one.lag_s == 0]
        return bool(live) and len(live) == len(self.partitions)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionSources:
    """The parts that know of them. What is read here, any thread may read."""

    consumer: InputConsumer
    producer: OutputProducer
    scoring: ScoringQueue[Work]
    back_pressure: BackPressure
    decoder_gate: DecoderGate
    restorer: Restorer
    pipeline: Pipeline
    lag_trend: LagTrend

    def current(self, progress: InstanceProgress) -> tuple[Condition, ...]:
        """Return what holds now, what weighs most first."""
        found = {
            **dict(self._of_input(progress)),
            **dict(self._of_progress(progress)),
            **dict(self._of_stream(progress)),
        }
        return tuple(Condition(code=code, detail=detail) for code, detail in found.items())

    def _of_input(self, progress: InstanceProgress) -> Iterator[tuple[str, str]]:
        # While outputs wait for a broker, the loop does not get to ask one for input.
        if not (self.consumer.reachable and self.producer.reachable):
            yield "broker_unreachable", "no broker answers"
        if not self.consumer.joined:
            yield "not_in_group", _not_in_group(self.consumer.out_since_ns)
        if self.decoder_gate.waiting_for:
            yield (
                "decoding_held",
                f"records are held back: waiting for {self.decoder_gate.waiting_for}",
            )
        waiting, complaint = self.restorer.waiting, self.restorer.complaint
        if complaint:
            numbers = {one.number for one in progress.partitions}
            is_all = bool(numbers) and numbers <= waiting.keys()
            yield "all_partitions_held" if is_all else "changelog_too_narrow", complaint

    def _of_progress(self, progress: InstanceProgress) -> Iterator[tuple[str, str]]:
        stalled = [one for one in progress.partitions if one.stalled_s >= STALLED_AFTER_S]
        stalled = [one for one in stalled if one.phase is Phase.LIVE]
        if stalled:
            yield (
                "partition_stalled",
                f"{_named(stalled)} stuck: nothing was read for "
                f"{max(one.stalled_s for one in stalled):.0f} s, and no "
                "broker has said that this is all",
            )
        if self.back_pressure.is_behind:
            yield (
                "worker_behind",
                f"the input is paused until the model has caught up: "
                f"{self.scoring.readings_in_flight} readings are in flight",
            )
        if self.lag_trend.complaint:
            yield "lag_growing", self.lag_trend.complaint
        if self.consumer.joined and not progress.partitions:
            yield "no_partitions", "no partition is assigned to this instance, it stands by"
        restoring = [one for one in progress.partitions if one.restoring_s > 0]
        if restoring:
            longest_s = max(one.restoring_s for one in restoring)
            yield "restoring", f"{_named(restoring)} being restored for {longest_s:.0f} s"
        if progress.has_read_all and progress.no_record_s >= IDLE_AFTER_S:
            yield (
                "input_idle",
                f"all input is read, no record has come for {progress.no_record_s:.0f} s",
            )

    def _of_stream(self, progress: InstanceProgress) -> Iterator[tuple[str, str]]:
        pipeline = self.pipeline
        if pipeline.unread.complaint:
            yield "nothing_read", pipeline.unread.complaint
        if pipeline.fit.missing_complaint:
            yield "features_not_observed", pipeline.fit.missing_complaint
        if pipeline.fit.step_complaint:
            yield "stream_step_differs", pipeline.fit.step_complaint
        if pipeline.line_fit.complaint:
            yield "lines_unknown", pipeline.line_fit.complaint
        if pipeline.unjudged.complaint:
            yield "nothing_judged", pipeline.unjudged.complaint
        elif not pipeline.unread.complaint and self._is_overdue(progress):
            yield (
                "nothing_judged",
                f"no reading has been judged for {progress.no_verdict_s:.0f} s, in which "
                f"{progress.records_since_verdict} records came",
            )

    def _is_overdue(self, progress: InstanceProgress) -> bool:
        limit_s = max(UNJUDGED_AFTER_S, self.pipeline.unjudged.told_after_s)
        enough = progress.records_since_verdict >= _LEAST_RECORDS
        return enough and progress.no_verdict_s >= limit_s


def _not_in_group(out_since_ns: int | None) -> str:
    if out_since_ns is None:
        return "waiting for the consumer group"
    return f"not in the group since {utc(out_since_ns).isoformat(timespec='seconds')}"


def _named(partitions: list[PartitionStatus]) -> str:
    numbers = ", ".join(str(one.number) for one in partitions)
    return f"partition {numbers} is" if len(partitions) == 1 else f"partitions {numbers} are"
