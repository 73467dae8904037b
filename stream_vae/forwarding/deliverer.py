"""One attempt to deliver one event, and what becomes of it."""

from collections.abc import Collection
from datetime import datetime
from enum import Enum

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.records import OutputRecord, Rejection
from stream_vae.errors import AlertDecodeError
from stream_vae.events import (
    AlertForwarded,
    AlertsPassedOver,
    AlertUndeliverable,
    ForwardingFailed,
)
from stream_vae.forwarding.backoff import Backoff
from stream_vae.forwarding.exchange import DeliveryError
from stream_vae.forwarding.incidents import KnownIncidents
from stream_vae.forwarding.parts import ForwardParts, ForwardPlan
from stream_vae.forwarding.queue import WaitingRecord
from stream_vae.forwarding.receivers import Delivery
from stream_vae.wire.alerts import decode_alert
from stream_vae.wire.rejections import rejection_headers

GROUP_HEADER = "forward.group"
"""Of a dead letter: the group that could not deliver it. Redriven, the event is for that alone."""

_LARGEST_ASIDE_BYTES = 900_000
"""Of a dead letter: what every topic accepts that takes a producer's batch."""

_SEVERITIES = ("info", "warning", "critical")
_NS = 1e9


class Outcome(Enum):
    """What became of an event."""

    DELIVERED = "delivered"
    SETTLED = "settled"
    """Passed over, or a dead letter."""
    RETRY = "retry"


class Deliverer:
    """Delivers events one by one.

    Args:
        config: Of the forwarder.
        parts: Of the forwarder.
        known: Told of every event that is settled.
        backoff: Told of successes and failures.
    """

    def __init__(
        self,
        config: ForwardPlan,
        parts: ForwardParts,
        known: KnownIncidents,
        backoff: Backoff,
    ) -> None:
        self._config = config
        self._parts = parts
        self._known = known
        self._backoff = backoff
        self.dead_letters: list[OutputRecord] = []
        """To publish with the next commit."""
        self.failure = ""
        """Why the last attempt failed."""

    def wants(self, event: AlertEvent) -> bool:
        """Return whether the receiver is told of such an event."""
        config = self._config
        is_enough = _SEVERITIES.index(event.severity) >= _SEVERITIES.index(config.min_severity)
        return (
            is_enough and config.concerns(event.detector.name) and self._parts.receiver.wants(event)
        )

    def drop(self, partitions: Collection[int]) -> None:
        """Drop the dead letters of partitions that were lost before a commit."""
        self.dead_letters = [one for one in self.dead_letters if one.partition not in partitions]

    def attempt(self, waiting: WaitingRecord, now: datetime) -> Outcome:
        """Try once."""
        try:
            event = decode_alert(waiting.value or b"")
        except AlertDecodeError as exc:
            return self._give_up(waiting, "not_an_alert", str(exc))
        reason = self._why_not(event, waiting)
        if reason:
            if self._config.concerns(event.detector.name):
                self._known.note(event, waiting.partition)
            self._parts.events.record(
                AlertsPassedOver(
                    reason=reason,
                    count=1,
                    example_incident_id=event.incident_id,
                    example_sequence=event.sequence,
                )
            )
            return Outcome.SETTLED
        delivery = Delivery(
            event=event,
            value=waiting.value or b"",
            before=self._known.told_event(event.incident_id),
        )
        waiting.attempts += 1
        try:
            self._parts.receiver.deliver(delivery, now)
        except DeliveryError as exc:
            outcome = self._failed(waiting, exc)
        else:
            self._backoff.succeeded()
            self._report(event, waiting)
            self._known.note_told(event, waiting.partition)
            outcome = Outcome.DELIVERED
        if outcome is Outcome.SETTLED:
            self._known.note_given_up(
                event.incident_id,
                event.sequence,
                partition=waiting.partition,
                offset=waiting.offset,
            )
        if outcome is not Outcome.RETRY:
            self._known.note(event, waiting.partition)
        return outcome

    def _why_not(self, event: AlertEvent, waiting: WaitingRecord) -> str:
        """Return why the receiver is not told of an event; "" if it is."""
        if any(
            name == GROUP_HEADER and value != self._config.group.encode()
            for name, value in waiting.headers
        ):
            return "for_another_group"
        if self._known.is_past(event, waiting.partition):
            return "later_event_told"
        return "" if self.wants(event) else "not_wanted"

    def _failed(self, waiting: WaitingRecord, error: DeliveryError) -> Outcome:
        self.failure = error.detail
        if error.is_final:
            self._backoff.succeeded()  # it answers: of this event it has had enough
            return self._give_up(waiting, "receiver_refused", error.detail)
        now = self._parts.clock.monotonic()
        pause_s = self._backoff.failed(now=now, asked_s=error.retry_after_s)
        failing_s = self._backoff.failing_s(now)
        self._parts.events.record(
            ForwardingFailed(detail=error.detail, failing_s=failing_s, next_in_s=pause_s)
        )
        if failing_s < self._config.retry_s:
            return Outcome.RETRY
        detail = f"{waiting.attempts} attempts, no success for {failing_s:.0f} s: {error.detail}"
        return self._give_up(waiting, "receiver_unavailable", detail)

    def _give_up(self, waiting: WaitingRecord, reason: str, detail: str) -> Outcome:
        config = self._config
        kept = [(name, value) for name, value in waiting.headers if name != GROUP_HEADER]
        key, value = waiting.key, waiting.value
        size = len(key or b"") + len(value or b"")
        if size > _LARGEST_ASIDE_BYTES:  # no event of a daemon: its headers will do
            key, value = None, None
            kept = [("dlq.omitted", f"{size} bytes".encode())]
        headers = rejection_headers(
            [(GROUP_HEADER, config.group.encode()), *kept],
            Rejection(index=0, reason=reason, detail=detail),
            topic=config.topic,
            partition=waiting.partition,
            offset=waiting.offset,
            detector=config.name,
        )
        self.dead_letters.append(
            OutputRecord(
                topic=config.dead_letter_topic,
                key=key,
                value=value,
                headers=headers,
                partition=waiting.partition,
            )
        )
        self._parts.events.record(
            AlertUndeliverable(
                reason=reason,
                detail=detail,
                topic=config.topic,
                partition=waiting.partition,
                offset=waiting.offset,
            )
        )
        return Outcome.SETTLED

    def _report(self, event: AlertEvent, waiting: WaitingRecord) -> None:
        late_ns = max(self._parts.clock.time_ns() - waiting.time_ns, 0)
        self._parts.events.record(
            AlertForwarded(
                incident_id=event.incident_id,
                sequence=event.sequence,
                status=event.status,
                severity=event.severity,
                series=event.series.key,
                attempts=waiting.attempts,
                latency_s=late_ns / _NS,
            )
        )
