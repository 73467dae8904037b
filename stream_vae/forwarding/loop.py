"""The loop of a forwarder: poll alert events, tell the receiver, commit."""

from datetime import UTC, datetime, timedelta

from stream_vae.core.health import Health, judge_heartbeats
from stream_vae.errors import FencedError
from stream_vae.events import (
    ForwarderObserved,
    PartitionsAssigned,
    PartitionsLost,
    PartitionsRevoked,
)
from stream_vae.forwarding.backoff import Backoff
from stream_vae.forwarding.deliverer import Deliverer, Outcome
from stream_vae.forwarding.incidents import KnownIncidents
from stream_vae.forwarding.parts import ForwardParts, ForwardPlan
from stream_vae.forwarding.places import Places
from stream_vae.forwarding.queue import EventQueue
from stream_vae.forwarding.resender import Resender

_POLL_S = 0.1
_DELIVERING_S = 0.5
"""After so long the events delivered are committed, and brokers heard."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ForwardLoop:
    """Delivers the events of a topic to one receiver, at least once. One thread runs `run`.

    The group's offset of a partition is the event to deliver next, committed with dead letters in
    one transaction; the note beside it tells which events before it are among these. What fires,
    which a receiver may have to be told again, is read from the topic itself: an assigned partition
    is read from its oldest record, and what lies before the offset is noted but not delivered. So a
    restart and a rebalance need no state but the topic and the offsets.

    No wait is longer than one request: while a receiver fails, the loop goes on polling, and
    fetches no more once enough events wait.

    Args:
        config: See `ForwardPlan`.
        parts: See `ForwardParts`.
    """

    def __init__(self, config: ForwardPlan, parts: ForwardParts) -> None:
        self._config = config
        self._parts = parts
        self._stopping = False
        self._known = KnownIncidents(config.max_ended)
        self._queue = EventQueue()
        self._places = Places(config, parts.consumer, self._known, parts.events)
        self._backoff = Backoff(parts.chance)
        self._deliverer = Deliverer(config, parts, self._known, self._backoff)
        self._resender = Resender(parts, self._known, self._backoff, self._deliverer.wants)
        self._failure = ""
        self._seen = self._observed()
        """As of the last iteration; other threads read it."""

    def stop(self) -> None:
        """Ask `run` to return; safe from another thread."""
        self._stopping = True

    def liveness(self) -> Health:
        """Return whether the loop has a recent heartbeat."""
        return judge_heartbeats(
            {"poll loop": self._parts.heartbeat},
            self._parts.clock.monotonic(),
            self._config.liveness_timeout_s,
        )

    def readiness(self) -> Health:
        """Return whether events can be read, and whether the receiver takes them."""
        consumer = self._parts.consumer
        if not (consumer.reachable and self._parts.producer.reachable):
            return Health(is_ok=False, reason="no broker answers")
        if not consumer.joined:
            return Health(is_ok=False, reason=f"not in the group {self._config.group!r}")
        failing_s = self._backoff.failing_s(self._parts.clock.monotonic())
        if failing_s:
            reason = f"{self._config.receiver} fails for {failing_s:.0f} s: {self._failure}"
            return Health(is_ok=True, reason=reason, is_degraded=True)
        return Health(is_ok=True, reason="group joined, receiver takes events")

    def status(self) -> dict[str, object]:
        """Return what the forwarder does, for `/statusz`."""
        seen = self._seen
        return {
            "receiver": self._config.receiver,
            "group": self._config.group,
            "partitions": dict(self._places.shown),
            "firing": seen.firing,
            "waiting": seen.waiting,
            "behind_s": round(seen.behind_s, 3),
            "failing_s": round(seen.failing_s, 3),
            "failure": self._failure if seen.failing_s else "",
        }

    def run(self) -> None:
        """Run until `stop`; then commit what was delivered, and leave the group.

        Raises:
            StreamVaeError: See `errors`; what was delivered and not committed is delivered again.
        """
        try:
            self.start()
            while not self._stopping:
                self.turn()
            self._commit()
            self._parts.consumer.close()
        finally:
            self._parts.consumer.abandon()
            self._parts.producer.close()

    def start(self) -> None:
        """Join the group."""
        self._parts.consumer.subscribe(self)

    def turn(self) -> None:
        """Run one iteration."""
        parts = self._parts
        parts.heartbeat.beat(parts.clock.monotonic())
        records = parts.consumer.poll(self._config.poll_records, _POLL_S)
        if records is not None:
            self._queue.add(self._places.take(records))
        self._places.reach_ends(self._queue.partitions())
        self._places.find()
        self._deliver()
        self._resend()
        self._commit()
        self._regulate()
        self._seen = self._observed()
        parts.events.record(self._seen)
        parts.events.tick()

    # The group's listener, within `poll`

    def partitions_assigned(self, partitions: tuple[int, ...]) -> None:
        """Find out where to go on."""
        self._places.assigned(partitions)
        self._parts.events.record(
            PartitionsAssigned(topic=self._config.topic, partitions=partitions, state="restoring")
        )

    def partitions_revoked(self, partitions: tuple[int, ...]) -> None:
        """Commit what was delivered, and leave the rest to another instance."""
        self._commit()
        self._drop(partitions)
        self._parts.events.record(
            PartitionsRevoked(topic=self._config.topic, partitions=partitions, series_released=0)
        )

    def partitions_lost(self, partitions: tuple[int, ...]) -> None:
        """Leave them to another instance."""
        self._drop(partitions)
        self._parts.events.record(PartitionsLost(topic=self._config.topic, partitions=partitions))

    def _drop(self, partitions: tuple[int, ...]) -> None:
        self._places.drop(partitions)
        self._queue.drop(partitions)
        self._deliverer.drop(partitions)
        self._known.forget(partitions)

    # One iteration

    def _deliver(self) -> None:
        clock = self._parts.clock
        until = clock.monotonic() + _DELIVERING_S
        while self._queue.first is not None and not self._stopping:
            now = clock.monotonic()
            if now >= until or not self._backoff.is_over(now):
                return
            waiting = self._queue.first
            self._parts.heartbeat.beat(now)
            outcome = self._deliverer.attempt(waiting, self._now())
            if outcome is Outcome.RETRY:
                self._failure = self._deliverer.failure
                return
            self._queue.pop()
            self._places.settle(waiting.partition, waiting.offset + 1)
            if outcome is Outcome.DELIVERED:
                self._backoff.wait(clock.monotonic() + self._parts.receiver.pause_s)

    def _resend(self) -> None:
        """Tell the receiver again some of what fires, if it is time."""
        if self._places.take_caught_up():
            self._resender.begin_soon()
        self._parts.heartbeat.beat(self._parts.clock.monotonic())
        failure = self._resender.turn(self._places.current, self._now())
        self._failure = failure or self._failure

    def _commit(self) -> None:
        """Commit what was delivered; refused, it is tried again while the partitions are held."""
        offsets = self._places.settled
        records = self._deliverer.dead_letters
        if not offsets and not records:
            return
        parts = self._parts
        try:
            membership = parts.consumer.membership()
        except FencedError:  # it is about to hear that its partitions are lost
            return
        given_up = {partition: self._known.given_up(partition) for partition in offsets}
        if not parts.producer.commit(
            records, self._config.topic, offsets, membership, given_up=given_up
        ):
            return
        self._places.committed(offsets)
        self._deliverer.dead_letters = []

    def _regulate(self) -> None:
        consumer, most = self._parts.consumer, self._config.max_waiting
        if len(self._queue) >= most and not consumer.paused:
            consumer.pause()
        elif len(self._queue) < most // 2 and consumer.paused:
            consumer.resume()

    def _observed(self) -> ForwarderObserved:
        clock = self._parts.clock
        first = self._queue.first
        now_ns = clock.time_ns()
        behind_ns = 0 if first is None else max(now_ns - first.time_ns, 0)
        return ForwarderObserved(
            firing=self._known.n_firing(self._places.current),
            waiting=len(self._queue),
            behind_s=behind_ns / 1e9,
            failing_s=self._backoff.failing_s(clock.monotonic()),
            lag_records=sum(self._parts.consumer.lag().values()),
            heartbeat=now_ns / 1e9,
        )

    def _now(self) -> datetime:
        return _EPOCH + timedelta(microseconds=self._parts.clock.time_ns() // 1000)
