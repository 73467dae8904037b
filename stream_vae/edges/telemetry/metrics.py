"""Prometheus metrics: what is counted, by what name.

Base units, `_total` on counters, and no label whose values the stream can choose: a label per
series would let the number of keys decide how much memory the monitoring needs.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_WINDOWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_RESTORES = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
# Nats above the threshold; below 0 is normal.
_MARGINS = (-5.0, -2.0, -1.0, -0.5, -0.2, -0.1, 0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 100.0)


class Metrics:
    """All metrics of one daemon, registered in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        ProcessCollector(registry=registry)
        self._registry = registry
        self._stream()
        self._model()
        self._outputs()
        self._group()
        self._begin()

    def _begin(self) -> None:
        """Show known label values from the start, so that their first event is an increase."""
        for verdict in ("normal", "anomalous", "warming_up", "unscorable"):
            self.readings_judged.labels(verdict)
        for stage in ("decode", "assemble", "commit"):
            self.stage_seconds.labels(stage)
        for result in ("committed", "aborted"):
            self.transactions.labels(result)
        for change in ("assigned", "revoked", "lost"):
            self.rebalances.labels(change)
        for reason in ("idle", "memory"):
            self.series_forgotten.labels(reason)
        for status in ("firing", "resolved"):
            for severity in ("info", "warning", "critical"):
                self.alerts.labels(status, severity)
        self.broker_reachable.set(1)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"stream_vae_{name}", help_text, labels, registry=self._registry)

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(f"stream_vae_{name}", help_text, labels, registry=self._registry)

    def _histogram(
        self, name: str, help_text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(
            f"stream_vae_{name}", help_text, labels, buckets=buckets, registry=self._registry
        )

    def _stream(self) -> None:
        self.records_consumed = self._counter(
            "records_consumed_total", "Records polled from the input topic.", "topic"
        )
        self.bytes_consumed = self._counter(
            "bytes_consumed_total", "Bytes of the values of those records.", "topic"
        )
        self.records_rejected = self._counter(
            "records_rejected_total",
            "Records that are no reading and go to the dead-letter topic.",
            "topic",
            "reason",
        )
        self.history_lost = self._counter(
            "history_lost_records_total",
            "Input offsets that the topic dropped before they were read.",
            "topic",
        )
        self.late_readings = self._counter(
            "late_readings_total", "Readings older than their series' open step.", "topic"
        )
        self.unknown_fields = self._counter(
            "unknown_fields_total", "Field names seen that are no feature of the model.", "topic"
        )
        self.newest_event_time = self._gauge(
            "newest_event_timestamp_seconds", "Event time of the newest reading.", "topic"
        )
        self.stage_seconds = self._histogram(
            "stage_seconds", "Time of one step of the daemon's loop.", _SECONDS, "stage"
        )
        self.consumption_paused = self._gauge(
            "consumption_paused", "1 while the input is paused because the worker is behind."
        )
        self.consumption_pauses = self._counter(
            "consumption_pauses_total", "Times the input was paused."
        )

    def _model(self) -> None:
        self.daemon_info = self._gauge(
            "daemon_info", "1, with the daemon's version.", "version", "instance"
        )
        self.model_info = self._gauge(
            "model_info", "1, with the model that judges.", "id", "version", "device"
        )
        self.windows_scored = self._counter("windows_scored_total", "Windows scored.")
        self.batch_windows = self._histogram(
            "batch_windows", "Windows in one micro-batch.", _WINDOWS
        )
        self.inference_seconds = self._histogram(
            "inference_seconds", "Time of the model for one micro-batch.", _SECONDS, "device"
        )
        self.readings_judged = self._counter(
            "readings_judged_total", "Readings by verdict.", "verdict"
        )
        self.score_margin = self._histogram(
            "score_margin_nats",
            "Score minus threshold of a sample of the windows; above 0 is anomalous.",
            _MARGINS,
        )
        self.series_active = self._gauge("series_active", "Series held in memory.")
        self.series_capacity = self._gauge(
            "series_capacity", "Series that the memory budget holds."
        )
        self.series_forgotten = self._counter(
            "series_forgotten_total",
            "Series forgotten: idle for their time to live, or to make room in memory.",
            "reason",
        )
        self.drift_absorbed = self._counter(
            "drift_absorbed_total", "Series whose new level was learnt as normal."
        )
        self.drift_detected = self._counter(
            "drift_detected_total", "Times the scores of all series moved."
        )

    def _outputs(self) -> None:
        self.alerts = self._counter("alerts_total", "Alert events committed.", "status", "severity")
        self.alert_latency = self._histogram(
            "alert_latency_seconds", "From consuming a reading to its committed alert.", _SECONDS
        )
        self.incidents_active = self._gauge("incidents_active", "Incidents firing now.")
        self.dead_letters = self._counter("dead_letters_total", "Dead letters committed.")
        self.late_records = self._counter("late_records_total", "Late records committed.")
        self.state_records = self._counter(
            "state_records_total", "Records of series' state committed to the changelog."
        )
        self.state_bytes = self._counter("state_bytes_total", "Bytes of the values of those.")
        self.transactions = self._counter(
            "transactions_total", "Kafka transactions by result.", "result"
        )

    def _group(self) -> None:
        self.rebalances = self._counter(
            "rebalances_total", "Changes of this instance's partitions.", "event"
        )
        self.restore_seconds = self._histogram(
            "restore_seconds", "From being assigned a partition to going live.", _RESTORES
        )
        self.records_replayed = self._counter(
            "records_replayed_total", "Input records read again to bring state up to date.", "topic"
        )
        self.partitions_assigned = self._gauge("partitions_assigned", "Partitions held now.")
        self.partitions_live = self._gauge(
            "partitions_live", "Partitions held whose state is back."
        )
        self.consumer_lag = self._gauge(
            "consumer_lag_records", "Input records not yet polled.", "topic", "partition"
        )
        self.broker_reachable = self._gauge(
            "broker_reachable", "0 while no broker answers, else 1."
        )
