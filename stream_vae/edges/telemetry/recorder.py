"""Turns each event of the daemon into a log line and metrics; nothing else writes either."""

import math
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry

from stream_vae import events
from stream_vae.core.counter_changes import COUNTER_RESET, FIRST_VALUE
from stream_vae.core.health import CONDITIONS
from stream_vae.detect.rates import Rates, realised_rates
from stream_vae.edges.telemetry.event_log import EventLog, Faces, line_of
from stream_vae.edges.telemetry.logs import Logger
from stream_vae.edges.telemetry.metrics import Metrics
from stream_vae.edges.telemetry.repeats import Line
from stream_vae.edges.telemetry.summary import Period

# An observation costs 1.4 us, so only a sample of a poll's margins is observed.
_MARGINS_OBSERVED = 16
_USUAL_OF_COUNTERS = {FIRST_VALUE, COUNTER_RESET}  # counted, but no reason to warn


class Recorder(EventLog):
    """Log lines and metrics of the daemon.

    Nothing is logged per reading: frequent events are only counted, and summarised in one line per
    period.

    Args:
        registry: For the metrics; a recorder needs one of its own.
        logger: For the lines.
        detector: The detector's name, a label of each metric.
        summary_period_s: Time between two summary lines.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        logger: Logger,
        *,
        detector: str,
        summary_period_s: float,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(logger, summary_period_s=summary_period_s, clock=clock)
        self._metrics = Metrics(registry, detector)
        self._period = Period()
        self._judged = self._anomalous = self._opened = 0  # since the start
        self._topics: dict[int, str] = {}  # partition held -> its topic
        self._lag: dict[int, int] = {}

    def _list_faces(self) -> Faces:
        return {
            **self._life_cycle(),
            events.DaemonStarting: self._inform,
            events.DaemonStarted: self._daemon_started,
            events.SettingsLoaded: self._trace,
            events.PageFailed: self._page_failed,
            events.ConsumptionDelayed: self._warn_sparingly,
            events.PartitionsAssigned: self._partitions_assigned,
            events.OffsetMismatched: self._offset_mismatched,
            events.IncidentsAdopted: self._inform,
            events.IncidentsNotLookedFor: self._incidents_not_looked_for,
            events.RestoreProgressed: self._inform,
            events.StateRestored: self._state_restored,
            events.ChangelogTooNarrow: self._changelog_too_narrow,
            events.ChangelogExtended: self._inform,
            events.KeySearchUnfinished: self._warn_sparingly,
            events.SeriesCounted: self._series_counted,
            events.SeriesEvicted: self._series_evicted,
            events.InstanceObserved: self._instance_observed,
            events.PartitionsRevoked: self._partitions_revoked,
            events.PartitionsLost: self._partitions_lost,
            events.MembershipLost: self._warn_sparingly,
            events.MemberReplaced: self._member_replaced,
            events.MembershipRegained: self._inform,
            events.RecordsLost: self._records_lost,
            events.ConsumptionPaused: self._consumption_paused,
            events.ConsumptionResumed: self._consumption_resumed,
            events.DecodingHeld: self._decoding_held,
            events.DecodingContinued: self._decoding_continued,
            events.RecordsConsumed: self._records_consumed,
            events.RecordsRejected: self._records_rejected,
            events.ReadingsLate: self._readings_late,
            events.LocalTimesDoubtful: self._local_times_doubtful,
            events.StreamMeasured: self._stream_measured,
            events.CellsUnreadable: self._cells_unreadable,
            events.RecordsWithoutFeature: self._records_without_feature,
            events.LinesRead: self._lines_read,
            events.LinesOdd: self._lines_odd,
            events.SessionsClosed: self._sessions_closed,
            events.SessionsClosedEarly: self._sessions_closed_early,
            events.UnseenTemplates: self._warn_sparingly,
            events.UnknownFieldsIgnored: self._unknown_fields_ignored,
            events.SeriesSplit: self._series_split,
            events.FeaturesNotObserved: self._features_not_observed,
            events.StreamStepDiffered: self._warn_sparingly,
            events.WindowsScored: self._windows_scored,
            events.ReadingsJudged: self._readings_judged,
            events.NothingJudged: self._warn_sparingly,
            events.NothingRead: self._warn_sparingly,
            events.ThresholdReleased: self._threshold_released,
            events.DriftDetected: self._drift_detected,
            events.AlertDelivered: self._alert_delivered,
            events.TransactionCommitted: self._transaction_committed,
            events.TransactionAborted: self._transaction_aborted,
        }

    def _summarise(self, now: float) -> None:
        duration_s = now - self._period_began
        lag_records = sum(self._lag.values())
        self._write(Line("info", "summary", self._period.fields(duration_s, lag_records)))
        self._period = self._period.next()

    # Life cycle

    def _daemon_started(self, event: events.DaemonStarted) -> None:
        self._begin()
        self._metrics.build_info.labels(event.version, event.instance).set(1)
        self._metrics.model_trained.set(event.model_trained_s)
        self._metrics.model_info.labels(event.model_id, event.model_version, event.device).set(1)
        self._inform(event)

    def _page_failed(self, event: events.PageFailed) -> None:
        self._metrics.page_failures.inc()
        self._write(line_of("error", event))

    def _show_reachable(self, *, is_reachable: bool) -> None:
        self._metrics.broker_reachable.set(is_reachable)

    # Group

    def _partitions_assigned(self, event: events.PartitionsAssigned) -> None:
        self._topics.update(dict.fromkeys(event.partitions, event.topic))
        self._count_rebalance("assigned")
        self._inform(event)

    def _state_restored(self, event: events.StateRestored) -> None:
        self._metrics.restore_duration.observe(event.duration_s)
        self._metrics.records_replayed.labels(event.topic).inc(event.replayed)
        if event.series_discarded and not event.mismatch:
            self._warn(event)
        else:
            self._inform(event)

    def _series_counted(self, event: events.SeriesCounted) -> None:
        self._period.series_active = event.series
        self._period.incidents_open = event.incidents_open
        self._metrics.series_active.set(event.series)
        self._metrics.series_capacity.set(event.capacity)
        self._metrics.incidents_open.set(event.incidents_open)
        self._metrics.partitions_live.set(event.partitions_live)
        self._metrics.series_blind.set(event.blind)
        self._metrics.series_repeated.set(event.repeated)
        self._metrics.thresholds_bounded.labels("floor").set(event.at_floor)
        self._metrics.thresholds_bounded.labels("ceiling").set(event.at_ceiling)

    def _instance_observed(self, event: events.InstanceObserved) -> None:
        self._show_lag(event.lag_records)
        for family, by_partition in (
            (self._metrics.consumer_lag_seconds, event.lag_seconds),
            (self._metrics.partition_stalled, event.stalled_s),
            (self._metrics.partition_restoring, event.restoring_s),
        ):
            for partition, seconds in by_partition.items():
                if partition in self._topics:
                    family.labels(event.topic, str(partition)).set(seconds)
        for loop, beat in event.beats.items():
            self._metrics.heartbeat.labels(loop).set(beat)
        for code in CONDITIONS:
            self._metrics.condition.labels(code).set(code in event.conditions)

    def _series_evicted(self, event: events.SeriesEvicted) -> None:
        self._metrics.series_evicted.labels(event.reason).inc(event.count)
        self._warn_sparingly(event, kind=event.reason, count=event.count)

    def _changelog_too_narrow(self, event: events.ChangelogTooNarrow) -> None:
        self._show_lag(event.lag_records)
        self._warn_sparingly(event)

    def _partitions_revoked(self, event: events.PartitionsRevoked) -> None:
        self._give_up(event.partitions)
        self._count_rebalance("revoked")
        self._inform(event)

    def _partitions_lost(self, event: events.PartitionsLost) -> None:
        self._give_up(event.partitions)
        self._count_rebalance("lost")
        self._warn(event)

    def _member_replaced(self, event: events.MemberReplaced) -> None:
        self._metrics.members_replaced.inc()
        self._warn(event)

    def _offset_mismatched(self, event: events.OffsetMismatched) -> None:
        self._metrics.offset_mismatches.labels(event.reason).inc(event.count)
        self._warn(event)

    def _incidents_not_looked_for(self, event: events.IncidentsNotLookedFor) -> None:
        if event.is_first:
            self._inform(event)
        else:
            self._warn(event)

    def _records_lost(self, event: events.RecordsLost) -> None:
        lost = max(event.oldest_offset - event.wanted_offset, 0)
        self._metrics.records_lost.labels(event.topic).inc(lost)
        self._warn(event)

    def _count_rebalance(self, kind: str) -> None:
        self._metrics.rebalances.labels(kind).inc()
        self._metrics.partitions_assigned.set(len(self._topics))

    def _give_up(self, partitions: tuple[int, ...]) -> None:
        for partition in partitions:
            topic = self._topics.pop(partition, None)
            self._lag.pop(partition, None)
            if topic is not None:
                # A stale lag would look like unprocessed records.
                self._metrics.forget_partition(topic, str(partition))

    # Input

    def _consumption_paused(self, event: events.ConsumptionPaused) -> None:
        self._period.pauses += 1
        self._metrics.consumption_pauses.inc()
        self._metrics.consumption_paused.set(1)
        self._warn_sparingly(event)

    def _consumption_resumed(self, event: events.ConsumptionResumed) -> None:
        self._metrics.consumption_paused.set(0)
        self._trace(event)

    def _decoding_held(self, event: events.DecodingHeld) -> None:
        self._metrics.decoding_held.set(1)
        self._warn_sparingly(event)

    def _decoding_continued(self, event: events.DecodingContinued) -> None:
        self._metrics.decoding_held.set(0)
        self._inform(event)

    def _records_consumed(self, event: events.RecordsConsumed) -> None:
        self._period.records += event.records
        self._metrics.records_consumed.labels(event.topic).inc(event.records)
        self._metrics.bytes_consumed.labels(event.topic).inc(event.bytes)
        self._metrics.records_since_reading.set(event.since_reading)
        self._metrics.stage_duration.labels("decode").observe(event.decode_s)
        self._metrics.stage_duration.labels("assemble").observe(event.assemble_s)
        if event.last_event_time_s is not None:
            self._metrics.newest_event_time.labels(event.topic).set(event.last_event_time_s)

    def _records_rejected(self, event: events.RecordsRejected) -> None:
        self._period.rejected += event.count
        self._metrics.records_rejected.labels(event.topic, event.reason).inc(event.count)
        self._warn_sparingly(event, kind=event.reason, count=event.count)

    def _readings_late(self, event: events.ReadingsLate) -> None:
        self._metrics.late_readings.labels(event.topic).inc(event.count)
        self._warn_sparingly(event, count=event.count)

    def _local_times_doubtful(self, event: events.LocalTimesDoubtful) -> None:
        self._metrics.local_times_doubtful.labels(event.topic, event.reason).inc(event.count)
        self._warn_sparingly(event, kind=event.reason, count=event.count)

    def _cells_unreadable(self, event: events.CellsUnreadable) -> None:
        self._metrics.cells_unreadable.labels(event.feature, event.reason).inc(event.count)
        if event.reason not in _USUAL_OF_COUNTERS:
            kind = f"{event.feature} {event.reason}"
            self._warn_sparingly(event, kind=kind, count=event.count)

    def _records_without_feature(self, event: events.RecordsWithoutFeature) -> None:
        self._metrics.records_without_feature.labels(event.topic).inc(event.count)
        self._warn_sparingly(event, count=event.count)

    def _lines_read(self, event: events.LinesRead) -> None:
        for kind in ("known", "unseen", "empty", "continuation"):
            if n := getattr(event, kind):
                self._metrics.log_lines.labels(event.topic, kind).inc(n)
        self._metrics.log_lines_cut.labels(event.topic).inc(event.cut)
        self._metrics.log_characters_replaced.labels(event.topic).inc(event.replaced)
        if event.without_session:
            self._metrics.log_lines_without_session.labels(event.topic).inc(event.without_session)

    def _lines_odd(self, event: events.LinesOdd) -> None:
        self._warn_sparingly(event, kind=event.reason, count=event.count)

    def _sessions_closed(self, event: events.SessionsClosed) -> None:
        for reason, count in event.closed.items():
            self._metrics.sessions_closed.labels(event.topic, reason).inc(count)
        self._metrics.sessions_open.set(event.open)

    def _sessions_closed_early(self, event: events.SessionsClosedEarly) -> None:
        self._warn_sparingly(event, count=event.count)

    def _stream_measured(self, event: events.StreamMeasured) -> None:
        for feature, count in event.feature_values.items():
            self._metrics.feature_values.labels(feature).inc(count)
            self._metrics.feature_values_missing.labels(feature).inc(event.readings - count)
        if event.step_s is not None:
            self._metrics.stream_step.labels(event.topic).set(event.step_s)

    def _features_not_observed(self, event: events.FeaturesNotObserved) -> None:
        self._metrics.features_not_observed.set(event.features_missing)
        if event.features_missing:
            self._warn_sparingly(event)
        else:
            self._inform(event)

    def _unknown_fields_ignored(self, event: events.UnknownFieldsIgnored) -> None:
        self._metrics.unknown_fields.labels(event.topic).inc(len(event.fields))
        self._warn_sparingly(event, count=len(event.fields))

    def _series_split(self, event: events.SeriesSplit) -> None:
        self._metrics.series_split.labels(event.topic).inc(event.series)
        self._warn_sparingly(event, count=event.series)

    # Model and decision

    def _windows_scored(self, event: events.WindowsScored) -> None:
        self._period.windows += event.windows
        self._period.inference_s.append(event.inference_s)
        self._metrics.windows_scored.inc(event.windows)
        self._metrics.batch_size.observe(event.windows)
        self._metrics.inference_duration.labels(event.device).observe(event.inference_s)

    def _readings_judged(self, event: events.ReadingsJudged) -> None:
        counts = {
            "normal": event.normal,
            "anomalous": event.anomalous,
            "warming_up": event.warming_up,
            "unscorable": event.unscorable,
            "late": event.late,
        }
        self._period.readings += sum(counts.values())
        self._period.anomalous += event.anomalous
        self._period.warming_up += event.warming_up
        self._period.unscorable += event.unscorable
        for verdict, count in counts.items():
            self._metrics.readings_judged.labels(verdict).inc(count)
        self._metrics.readings_since_judged.set(event.since_judged)
        every = max(1, len(event.score_margins) // _MARGINS_OBSERVED)
        for margin in event.score_margins[::every]:
            if math.isfinite(margin):
                self._metrics.score_margin.observe(margin)
        self._show_rates(event)

    def _show_rates(self, event: events.ReadingsJudged) -> None:
        self._judged += event.normal + event.anomalous
        self._anomalous += event.anomalous
        self._opened += event.incidents_opened
        self._metrics.incidents_opened.inc(event.incidents_opened)
        realised = realised_rates(
            judged=self._judged,
            anomalous=self._anomalous,
            opened=self._opened,
            step_s=event.step_s,
        )
        asked = Rates(above=event.above_asked, incidents=event.incidents_asked)
        for of, rates in (("asked", asked), ("realised", realised)):
            if rates.above is not None:
                self._metrics.above_threshold.labels(of).set(rates.above)
            if rates.incidents is not None:
                self._metrics.incident_rate.labels(of).set(rates.incidents)

    def _threshold_released(self, event: events.ThresholdReleased) -> None:
        self._metrics.thresholds_released.inc()
        self._warn_sparingly(event)

    def _drift_detected(self, event: events.DriftDetected) -> None:
        self._metrics.drift_detected.inc()
        self._warn_sparingly(event)

    # Output

    def _alert_delivered(self, event: events.AlertDelivered) -> None:
        self._period.alerts += 1
        self._metrics.alerts.labels(event.status, event.severity, event.kind).inc()
        self._metrics.alert_latency.observe(event.latency_s)
        self._inform(event)

    def _transaction_committed(self, event: events.TransactionCommitted) -> None:
        self._period.transactions += 1
        self._period.dead_letters += event.dead_letters
        self._period.late += event.late
        self._metrics.changelog_records.inc(event.state_records)
        self._metrics.changelog_bytes.inc(event.state_bytes)
        self._metrics.transactions.labels("committed").inc()
        self._metrics.stage_duration.labels("commit").observe(event.duration_s)
        self._metrics.dead_letters.inc(event.dead_letters)
        self._metrics.late_records.inc(event.late)
        self._metrics.score_records.inc(event.scores)
        self._show_lag(event.lag_records)

    def _show_lag(self, lag_records: Mapping[int, int]) -> None:
        for partition, lag in lag_records.items():
            topic = self._topics.get(partition)
            if topic is not None:
                self._lag[partition] = lag
                self._metrics.consumer_lag.labels(topic, str(partition)).set(lag)

    def _transaction_aborted(self, event: events.TransactionAborted) -> None:
        self._metrics.transactions.labels("aborted").inc()
        self._warn_sparingly(event)
