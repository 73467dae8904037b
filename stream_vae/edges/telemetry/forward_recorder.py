"""Log lines and metrics of a forwarder."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from stream_vae import events
from stream_vae.edges.telemetry.event_log import EventLog, Faces
from stream_vae.edges.telemetry.logs import Logger
from stream_vae.edges.telemetry.metrics import DETECTOR_LABEL
from stream_vae.edges.telemetry.repeats import Line

_LATENCIES = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
_NAMES = (DETECTOR_LABEL, "receiver")


class ForwardMetrics:
    """All metrics of one forwarder, registered in `registry`.

    Args:
        registry: Where they are shown.
        detector: The detector's name, a label of each.
        receiver: Kind of the receiver, a label of each.
    """

    def __init__(self, registry: CollectorRegistry, detector: str, receiver: str) -> None:
        self._registry = registry
        self._of = (detector, receiver)
        self.info = Gauge(
            "stream_vae_forward_info",
            "1, with the forwarder's version.",
            (*_NAMES, "version"),
            registry=registry,
        )
        self.delivered = self._counter("alerts_delivered_total", "Events the receiver took.")
        self.passed_over = self._counter(
            "alerts_passed_over_total",
            "Events the receiver is not told: of kind, severity or detector, past or skipped.",
        )
        self.dead_letters = Counter(
            "stream_vae_forward_dead_letters_total",
            "Events given up, by reason.",
            (*_NAMES, "reason"),
            registry=registry,
        )
        self.failures = self._counter("failures_total", "Attempts that failed and are repeated.")
        self.resent = self._counter("alerts_resent_total", "Firing alerts told again.")
        self.latency = Histogram(
            "stream_vae_forward_latency_seconds",
            "From Kafka's time of an event to its delivery.",
            _NAMES,
            buckets=_LATENCIES,
            registry=registry,
        ).labels(*self._of)
        self.firing = self._gauge("incidents_firing", "Incidents that fire.")
        self.waiting = self._gauge("alerts_waiting", "Events polled and not delivered.")
        self.behind = self._gauge("behind_seconds", "Age of the oldest event not delivered.")
        self.failing = self._gauge(
            "failing_seconds", "Time since the first failure in a row; 0 after a success."
        )
        self.lag = self._gauge("lag_records", "Events not yet polled.")
        self.heartbeat = self._gauge("heartbeat_timestamp_seconds", "Latest iteration of the loop.")
        self.broker_reachable = self._gauge(
            "broker_reachable", "0 while no broker answers, else 1."
        )
        self.broker_reachable.set(1)

    def of_reason(self, reason: str) -> Counter:
        """Return the counter of dead letters of a reason."""
        return self.dead_letters.labels(*self._of, reason)

    def show_version(self, version: str) -> None:
        """Export the version."""
        self.info.labels(*self._of, version).set(1)

    def _counter(self, name: str, help_text: str) -> Counter:
        metric = Counter(f"stream_vae_forward_{name}", help_text, _NAMES, registry=self._registry)
        return metric.labels(*self._of)

    def _gauge(self, name: str, help_text: str) -> Gauge:
        metric = Gauge(f"stream_vae_forward_{name}", help_text, _NAMES, registry=self._registry)
        return metric.labels(*self._of)


@dataclass(slots=True, kw_only=True)
class _Period:
    """Counts since the last summary line."""

    delivered: int = 0
    passed_over: int = 0
    failures: int = 0
    dead_letters: int = 0
    resent: int = 0


class ForwardRecorder(EventLog):
    """Log lines and metrics of a forwarder.

    Args:
        registry: For the metrics; a recorder needs one of its own.
        logger: For the lines.
        detector: The detector's name, a label of each metric.
        receiver: Kind of the receiver, another.
        summary_period_s: Time between two summary lines.
        clock: Monotonic seconds.
    """

    def __init__(  # noqa: PLR0913 -- each is a choice of its owner
        self,
        registry: CollectorRegistry,
        logger: Logger,
        *,
        detector: str,
        receiver: str,
        summary_period_s: float,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(logger, summary_period_s=summary_period_s, clock=clock)
        ProcessCollector(registry=registry)
        self._metrics = ForwardMetrics(registry, detector, receiver)
        for reason in ("not_an_alert", "receiver_refused", "receiver_unavailable"):
            self._metrics.of_reason(reason)
        self._period = _Period()
        self._seen: events.ForwarderObserved | None = None

    def _list_faces(self) -> Faces:
        return {
            **self._life_cycle(),
            events.ForwarderStarted: self._forwarder_started,
            events.SettingsLoaded: self._trace,
            events.ConsumptionDelayed: self._warn_sparingly,
            events.PartitionsAssigned: self._inform,
            events.PartitionsRevoked: self._inform,
            events.PartitionsLost: self._warn,
            events.MembershipLost: self._warn_sparingly,
            events.MemberReplaced: self._warn,
            events.MembershipRegained: self._inform,
            events.RecordsLost: self._warn,
            events.TransactionAborted: self._warn_sparingly,
            events.AlertsCaughtUp: self._inform,
            events.AlertsSkipped: self._alerts_skipped,
            events.AlertForwarded: self._alert_forwarded,
            events.AlertsPassedOver: self._alerts_passed_over,
            events.ForwardingFailed: self._forwarding_failed,
            events.AlertUndeliverable: self._alert_undeliverable,
            events.AlertsResent: self._alerts_resent,
            events.ForwarderObserved: self._observed,
        }

    def _summarise(self, now: float) -> None:
        seen = {} if self._seen is None else asdict(self._seen)
        seen.pop("heartbeat", None)
        period_s = round(now - self._period_began, 3)
        self._write(Line("info", "summary", {"period_s": period_s, **asdict(self._period), **seen}))
        self._period = _Period()

    def _forwarder_started(self, event: events.ForwarderStarted) -> None:
        self._begin()
        self._metrics.show_version(event.version)
        self._inform(event)

    def _show_reachable(self, *, is_reachable: bool) -> None:
        self._metrics.broker_reachable.set(is_reachable)

    def _alert_forwarded(self, event: events.AlertForwarded) -> None:
        self._period.delivered += 1
        self._metrics.delivered.inc()
        self._metrics.latency.observe(event.latency_s)
        self._inform(event)

    def _alerts_passed_over(self, event: events.AlertsPassedOver) -> None:
        self._count_passed_over(event.count)
        self._inform_sparingly(event, kind=event.reason, count=event.count)

    def _alerts_skipped(self, event: events.AlertsSkipped) -> None:
        self._count_passed_over(event.records)
        self._inform(event)

    def _count_passed_over(self, count: int) -> None:
        self._period.passed_over += count
        self._metrics.passed_over.inc(count)

    def _forwarding_failed(self, event: events.ForwardingFailed) -> None:
        self._period.failures += 1
        self._metrics.failures.inc()
        self._warn_sparingly(event)

    def _alert_undeliverable(self, event: events.AlertUndeliverable) -> None:
        self._period.dead_letters += 1
        self._metrics.of_reason(event.reason).inc()
        self._warn_sparingly(event, kind=event.reason)

    def _alerts_resent(self, event: events.AlertsResent) -> None:
        self._period.resent += event.count
        self._metrics.resent.inc(event.count)

    def _observed(self, event: events.ForwarderObserved) -> None:
        self._seen = event
        self._metrics.firing.set(event.firing)
        self._metrics.waiting.set(event.waiting)
        self._metrics.behind.set(event.behind_s)
        self._metrics.failing.set(event.failing_s)
        self._metrics.lag.set(event.lag_records)
        self._metrics.heartbeat.set(event.heartbeat)
