"""Prometheus metrics and their names.

Base units, `_total` on counters, and no label whose values come from the stream: with a label per
series the monitoring's memory would grow with the number of keys. Every metric has the label
`detector`, so that dashboards can distinguish several daemons.
"""

from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from stream_vae.core.health import CONDITIONS

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_WINDOWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_RESTORES = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
# In the score's unit, above the threshold; below 0 is normal.
_MARGINS = (-5.0, -2.0, -1.0, -0.5, -0.2, -0.1, 0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 100.0)

DETECTOR_LABEL = "detector"

Metric = TypeVar("Metric", Counter, Gauge, Histogram)


class Family(Generic[Metric]):
    """The series of one metric by its labels, without the detector's.

    The client allocates and locks in each look-up; here it is one dictionary, which offsets the
    cost of the additional label. Not thread-safe: the recorder has a lock.

    Args:
        metric: Its first label is the detector's.
        detector: The value of that label.
    """

    __slots__ = ("_by_labels", "_detector", "_metric")

    def __init__(self, metric: Metric, detector: str) -> None:
        self._metric: Metric = metric
        self._detector = detector
        self._by_labels: dict[tuple[str, ...], Metric] = {}

    def labels(self, *values: str) -> Metric:
        """Return the series with these values, in the order the labels were declared in."""
        found = self._by_labels.get(values)
        if found is None:
            found = self._by_labels[values] = self._metric.labels(self._detector, *values)
        return found

    def remove(self, *values: str) -> None:
        """Remove the series with these values, if there is one."""
        if self._by_labels.pop(values, None) is not None:
            self._metric.remove(self._detector, *values)


class Metrics:
    """All metrics of one daemon, registered in `registry`.

    Args:
        registry: Where they are shown.
        detector: The detector's name, a label of each.
    """

    def __init__(self, registry: CollectorRegistry, detector: str) -> None:
        ProcessCollector(registry=registry)
        self._registry = registry
        self._detector = detector
        self._stream()
        self._model()
        self._series()
        self._outputs()
        self._group()
        self._begin()

    def forget_partition(self, topic: str, partition: str) -> None:
        """Remove what is told of an input partition."""
        for family in (
            self.consumer_lag,
            self.consumer_lag_seconds,
            self.partition_stalled,
            self.partition_restoring,
        ):
            family.remove(topic, partition)

    def _begin(self) -> None:
        """Export known label values from the start, so that their first event is an increase."""
        for code in CONDITIONS:
            self.condition.labels(code).set(0)
        for verdict in ("normal", "anomalous", "warming_up", "unscorable", "late"):
            self.readings_judged.labels(verdict)
        for stage in ("decode", "assemble", "commit"):
            self.stage_duration.labels(stage)
        for result in ("committed", "aborted"):
            self.transactions.labels(result)
        for change in ("assigned", "revoked", "lost"):
            self.rebalances.labels(change)
        for reason in ("idle", "memory", "moved"):
            self.series_evicted.labels(reason)
        for status in ("firing", "resolved"):
            for severity in ("info", "warning", "critical"):
                for kind in ("anomaly", "silence"):
                    self.alerts.labels(status, severity, kind)
        self.alerts.labels("resolved", "info", "drift")
        self.broker_reachable.set(1)

    def _counters(self, name: str, help_text: str, *labels: str) -> Family[Counter]:
        names = (DETECTOR_LABEL, *labels)
        metric = Counter(f"stream_vae_{name}", help_text, names, registry=self._registry)
        return Family(metric, self._detector)

    def _gauges(self, name: str, help_text: str, *labels: str) -> Family[Gauge]:
        names = (DETECTOR_LABEL, *labels)
        metric = Gauge(f"stream_vae_{name}", help_text, names, registry=self._registry)
        return Family(metric, self._detector)

    def _histograms(
        self, name: str, help_text: str, buckets: tuple[float, ...], *labels: str
    ) -> Family[Histogram]:
        names = (DETECTOR_LABEL, *labels)
        metric = Histogram(
            f"stream_vae_{name}", help_text, names, buckets=buckets, registry=self._registry
        )
        return Family(metric, self._detector)

    def _counter(self, name: str, help_text: str) -> Counter:
        return self._counters(name, help_text).labels()

    def _gauge(self, name: str, help_text: str) -> Gauge:
        return self._gauges(name, help_text).labels()

    def _histogram(self, name: str, help_text: str, buckets: tuple[float, ...]) -> Histogram:
        return self._histograms(name, help_text, buckets).labels()

    def _stream(self) -> None:
        self.records_consumed = self._counters(
            "records_consumed_total", "Records polled from the input topic.", "topic"
        )
        self.bytes_consumed = self._counters(
            "bytes_consumed_total", "Bytes of the values of those records.", "topic"
        )
        self.records_rejected = self._counters(
            "records_rejected_total",
            "Records that are no reading and go to the dead-letter topic.",
            "topic",
            "reason",
        )
        self.offset_mismatches = self._counters(
            "offset_mismatches_total",
            "Partitions whose group offset, saved state and input contradicted each other.",
            "reason",
        )
        self.records_lost = self._counters(
            "records_lost_total",
            "Input offsets that the topic dropped before they were read.",
            "topic",
        )
        self.late_readings = self._counters(
            "late_readings_total", "Readings older than their series' open step.", "topic"
        )
        self.local_times_doubtful = self._counters(
            "local_times_doubtful_total",
            "Times without an offset in an hour that stands there twice, or that never was.",
            "topic",
            "reason",
        )
        self.cells_unreadable = self._counters(
            "cells_unreadable_total",
            "Values that could not be read, or are missing by the rule of their feature.",
            "feature",
            "reason",
        )
        self.records_without_feature = self._counters(
            "records_without_feature_total",
            "Records that name none of the model's features.",
            "topic",
        )
        self.log_lines = self._counters(
            "log_lines_total",
            "Lines of logs: known by their template, unseen, empty, or continuing one.",
            "topic",
            "kind",
        )
        self.log_lines_cut = self._counters(
            "log_lines_cut_total", "Lines of logs longer than input.max_line_bytes.", "topic"
        )
        self.log_characters_replaced = self._counters(
            "log_characters_replaced_total",
            "Characters of logs that stand for bytes which were not UTF-8.",
            "topic",
        )
        self.log_lines_without_session = self._counters(
            "log_lines_without_session_total",
            "Lines of logs that tell no key of a session, where sessions are judged.",
            "topic",
        )
        self.sessions_closed = self._counters(
            "sessions_closed_total", "Sessions of logs that were closed, by why.", "topic", "reason"
        )
        self.sessions_open = self._gauge("sessions_open", "Sessions of logs that are open.")
        self.unknown_fields = self._counters(
            "unknown_fields_total", "Field names seen that are no feature of the model.", "topic"
        )
        self.series_split = self._counters(
            "series_split_total", "Series that have begun in a further partition.", "topic"
        )
        self.feature_values = self._counters(
            "feature_values_total", "Values observed, by the model's features.", "feature"
        )
        self.feature_values_missing = self._counters(
            "feature_values_missing_total",
            "Readings without a value of a feature, by the model's features.",
            "feature",
        )
        self.records_since_reading = self._gauge(
            "records_since_reading", "Records since the last one that gave a reading."
        )
        self.features_not_observed = self._gauge(
            "features_not_observed", "The model's features that no reading has had since the start."
        )
        self.readings_since_judged = self._gauge(
            "readings_since_judged", "Readings since the last one that could be judged."
        )
        self.stream_step = self._gauges(
            "stream_step_seconds",
            "Usual event time between two readings of a series (median).",
            "topic",
        )
        self.newest_event_time = self._gauges(
            "newest_event_timestamp_seconds", "Event time of the newest reading.", "topic"
        )
        self.stage_duration = self._histograms(
            "stage_duration_seconds", "Time of one step of the daemon's loop.", _SECONDS, "stage"
        )
        self.consumption_paused = self._gauge(
            "consumption_paused", "1 while the input is paused because the worker is behind."
        )
        self.decoding_held = self._gauge(
            "decoding_held", "1 while records are held back that cannot be decoded yet."
        )
        self.consumption_pauses = self._counter(
            "consumption_pauses_total", "Times the input was paused."
        )

    def _model(self) -> None:
        self.build_info = self._gauges(
            "build_info", "1, with the daemon's version.", "version", "instance_id"
        )
        self.model_info = self._gauges(
            "model_info", "1, with the model that judges.", "model_id", "model_version", "device"
        )
        self.model_trained = self._gauge(
            "model_trained_timestamp_seconds", "When the model that judges was trained."
        )
        self.windows_scored = self._counter("windows_scored_total", "Windows scored.")
        self.batch_size = self._histogram(
            "inference_batch_size", "Windows in one micro-batch.", _WINDOWS
        )
        self.inference_duration = self._histograms(
            "inference_duration_seconds",
            "Time of the model for one micro-batch.",
            _SECONDS,
            "device",
        )
        self.readings_judged = self._counters(
            "readings_judged_total", "Readings by verdict.", "verdict"
        )
        self.score_margin = self._histogram(
            "score_margin",
            "Score minus threshold of a sample of the windows; above 0 is anomalous.",
            _MARGINS,
        )
        self.above_threshold = self._gauges(
            "readings_above_threshold_ratio",
            "Share of scored readings above the threshold: as asked, and since the start.",
            "of",
        )
        self.incidents_opened = self._counter(
            "incidents_opened_total", "Incidents of anomalous readings that opened."
        )
        self.incident_rate = self._gauges(
            "incidents_per_series_second",
            "Incidents of a series in event time: as budgeted, and since the start.",
            "of",
        )
        self.thresholds_released = self._counter(
            "thresholds_released_total", "Series whose new level was learnt as normal."
        )
        self.drift_detected = self._counter(
            "drift_detected_total", "Times the scores of all series moved."
        )

    def _series(self) -> None:
        self.series_active = self._gauge("series_active", "Series held in memory.")
        self.series_capacity = self._gauge(
            "series_capacity", "Series that the memory budget holds."
        )
        self.series_blind = self._gauge(
            "series_blind", "Series that send readings of which none can be judged."
        )
        self.series_repeated = self._gauge(
            "series_in_several_partitions", "Keys that stand in several partitions."
        )
        self.thresholds_bounded = self._gauges(
            "thresholds_bounded",
            "Series whose threshold is held at its floor or ceiling.",
            "bound",
        )
        self.series_evicted = self._counters(
            "series_evicted_total",
            "Series evicted: idle for their time to live, to make room, or moved elsewhere.",
            "reason",
        )
        self.incidents_open = self._gauge("incidents_open", "Incidents that are firing now.")

    def _outputs(self) -> None:
        self.alerts = self._counters(
            "alerts_total", "Alert events committed.", "status", "severity", "kind"
        )
        self.alert_latency = self._histogram(
            "alert_latency_seconds", "From consuming a reading to its committed alert.", _SECONDS
        )
        self.dead_letters = self._counter("dead_letters_total", "Dead letters committed.")
        self.late_records = self._counter("late_records_total", "Late records committed.")
        self.score_records = self._counter("score_records_total", "Scores committed.")
        self.changelog_records = self._counter(
            "changelog_records_total", "Records of series' state committed to the changelog."
        )
        self.changelog_bytes = self._counter(
            "changelog_bytes_total", "Bytes of the values of those."
        )
        self.transactions = self._counters(
            "transactions_total", "Kafka transactions by result.", "result"
        )

    def _group(self) -> None:
        self.rebalances = self._counters(
            "rebalances_total", "Changes of this instance's partitions.", "event"
        )
        self.page_failures = self._counter(
            "page_failures_total", "Unexpected errors of the live page: it ends with the first."
        )
        self.members_replaced = self._counter(
            "members_replaced_total", "Clients replaced since the group refused their member."
        )
        self.restore_duration = self._histogram(
            "restore_duration_seconds", "From being assigned a partition to going live.", _RESTORES
        )
        self.records_replayed = self._counters(
            "records_replayed_total", "Input records read again to bring state up to date.", "topic"
        )
        self.partitions_assigned = self._gauge("partitions_assigned", "Partitions held now.")
        self.partitions_live = self._gauge(
            "partitions_live", "Partitions held whose state is back."
        )
        self.consumer_lag = self._gauges(
            "consumer_lag_records", "Input records not yet polled.", "topic", "partition"
        )
        self.consumer_lag_seconds = self._gauges(
            "consumer_lag_seconds",
            "Age of the oldest input record not yet polled, at most.",
            "topic",
            "partition",
        )
        self.partition_stalled = self._gauges(
            "partition_stalled_seconds",
            "Time for which a partition with unread records has not advanced.",
            "topic",
            "partition",
        )
        self.partition_restoring = self._gauges(
            "partition_restoring_seconds",
            "Time since a partition was assigned, until its state is back.",
            "topic",
            "partition",
        )
        self.heartbeat = self._gauges(
            "heartbeat_timestamp_seconds", "Latest iteration of a loop.", "loop"
        )
        self.condition = self._gauges(
            "condition",
            "1 while it keeps the instance from judging readings, else 0.",
            "condition",
        )
        self.broker_reachable = self._gauge(
            "broker_reachable", "0 while no broker answers, else 1."
        )
