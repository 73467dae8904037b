"""Tells a receiver again what fires, a batch at a time."""

from collections import deque
from collections.abc import Callable, Collection
from datetime import datetime

from stream_vae.core.alerts import AlertEvent
from stream_vae.events import AlertsResent, ForwardingFailed
from stream_vae.forwarding.backoff import Backoff
from stream_vae.forwarding.exchange import DeliveryError
from stream_vae.forwarding.incidents import KnownIncidents
from stream_vae.forwarding.parts import ForwardParts

_AT_ONCE = 100
"""A batch is one request, and the longest that events wait for a round of many."""


class Resender:
    """Goes round what fires, every `resend_s` of the receiver.

    A round is of ids: what has ended by its turn is not told to fire.

    Args:
        parts: Of the forwarder.
        known: What fires.
        backoff: Told of successes and failures.
        wants: Returns whether the receiver is told of an event.
    """

    def __init__(
        self,
        parts: ForwardParts,
        known: KnownIncidents,
        backoff: Backoff,
        wants: Callable[[AlertEvent], bool],
    ) -> None:
        self._parts = parts
        self._known = known
        self._backoff = backoff
        self._wants = wants
        self._begin_at = float("-inf")
        self._round: deque[str] = deque()
        """Incidents yet to be told."""

    def begin_soon(self) -> None:
        """Begin the next round as soon as this one is over."""
        self._begin_at = float("-inf")

    def turn(self, partitions: Collection[int], now: datetime) -> str:
        """Tell one batch, if it is time; return why the receiver did not take it, "" if it did.

        Args:
            partitions: Those of which it is known what fires.
            now: Wall clock.
        """
        parts = self._parts
        time = parts.clock.monotonic()
        resend_s = parts.receiver.resend_s
        if resend_s is None or not self._backoff.is_over(time):
            return ""
        if not self._round and time >= self._begin_at:
            self._round.extend(self._known.firing(partitions))
            self._begin_at = time + resend_s
        batch = self._next_batch()
        if not batch:
            return ""
        try:
            parts.receiver.resend([*batch.values()], now)
        except DeliveryError as exc:
            return self._failed(exc, batch)
        self._backoff.succeeded()
        for event in batch.values():
            self._known.note_resent(event)
        parts.events.record(AlertsResent(count=len(batch)))
        return ""

    def _next_batch(self) -> dict[str, AlertEvent]:
        """Take the next incidents of the round that still fire, with their newest events."""
        batch: dict[str, AlertEvent] = {}
        while self._round and len(batch) < _AT_ONCE:
            incident = self._round.popleft()
            event = self._known.firing_event(incident)
            if event is not None and self._wants(event):
                batch[incident] = event
        return batch

    def _failed(self, error: DeliveryError, batch: Collection[str]) -> str:
        clock = self._parts.clock
        if error.is_final:  # of some of the batch: it answers, and took the others
            self._backoff.succeeded()
            pause_s = max(self._begin_at - clock.monotonic(), 0.0)
        else:
            self._round.extendleft(reversed([*batch]))
            pause_s = self._backoff.failed(now=clock.monotonic(), asked_s=error.retry_after_s)
        self._parts.events.record(
            ForwardingFailed(
                detail=error.detail,
                failing_s=self._backoff.failing_s(clock.monotonic()),
                next_in_s=pause_s,
            )
        )
        return error.detail
