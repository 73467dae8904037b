"""Whether this member is in the group, even without partitions."""

import struct
import time
from contextlib import suppress

from confluent_kafka import Consumer

from stream_vae.core.event_time import utc
from stream_vae.core.ports import EventSink
from stream_vae.events import MembershipLost, MembershipRegained

_PREFIX = b"CGMDv2:"
LEAST_LIMIT_S = 10.0
"""A new member needs a moment to get in."""
_ASK_PAUSE_S = 1.0
_TELL_PAUSE_S = 5.0
# While a classic group shares out its partitions anew, its members may have no generation.
_GRACE_S = 2.0
_JOINS_WITHIN_S = 30.0


class MembershipWatch:
    """Asks again and again whether a member is in the group, and tells how long it is not.

    The client rejoins by itself after it was fenced; but a coordinator may refuse the same member
    for ever (KAFKA-19233), of which the client tells nobody.

    Args:
        group: For events.
        limit_s: Seconds out of the group, while brokers answer, after which the client must be
            replaced; at least `LEAST_LIMIT_S`.
        events: Receives `MembershipLost` every few seconds, and `MembershipRegained`.
    """

    def __init__(self, group: str, limit_s: float, events: EventSink) -> None:
        self._group = group
        self.allow(limit_s)
        self._events = events
        self._has_been = False
        self._out_at: float | None = None  # monotonic, as the next ones
        self._out_ns = time.time_ns()
        self._counted_from = self._asked_at = self._told_at = -float("inf")
        self._waits_from: float | None = None

    def allow(self, limit_s: float) -> None:
        """Set how long it may be out of the group, as `limit_s` of a new watch does."""
        self._limit_s = max(limit_s, LEAST_LIMIT_S)

    @property
    def joined(self) -> bool:
        """Whether it is a member, as far as is known."""
        return self._has_been and self._out_s(time.monotonic()) <= _GRACE_S

    @property
    def out_since_ns(self) -> int | None:
        """Wall clock since when it is no member, or for long was none; None if it is one."""
        return None if self.joined or self._out_at is None else self._out_ns

    def enter(self) -> None:
        """Note that it is a member."""
        now = time.monotonic()
        if self._out_s(now) > _GRACE_S:
            self._events.record(MembershipRegained(group=self._group, out_s=self._out_s(now)))
        self._has_been, self._out_at = True, None

    def must_replace(self, client: Consumer, *, is_reachable: bool) -> bool:
        """Ask the client, at most once a second; return whether it must be replaced.

        Args:
            client: The member.
            is_reachable: Whether a broker answers: else time does not count.
        """
        now = time.monotonic()
        if self._has_been and now < self._asked_at + _ASK_PAUSE_S:
            return False
        self._asked_at = now
        with suppress(RuntimeError):  # while there is no membership
            if is_member(client.consumer_group_metadata()):
                self.enter()
                return False
        if not self._has_been:
            self._wait(now, is_reachable=is_reachable)
            return False
        if self._out_at is None:
            self._out_at, self._out_ns = now, time.time_ns()
            self._counted_from, self._told_at = now, -float("inf")
        if not is_reachable:
            self._counted_from = now
        self._tell(now)
        return now - self._counted_from > self._limit_s

    def replaced(self) -> float:
        """Begin to count anew; return the seconds out of the group so far."""
        now = time.monotonic()
        self._counted_from = now
        return self._out_s(now)

    def _wait(self, now: float, *, is_reachable: bool) -> None:
        """Tell that it has not got in for long, though brokers answer; nobody else says why."""
        if self._waits_from is None or not is_reachable:
            self._waits_from, self._out_ns, self._out_at = now, time.time_ns(), None
        if now - self._waits_from >= _JOINS_WITHIN_S:
            self._out_at = self._waits_from
            self._tell(now)

    def _tell(self, now: float) -> None:
        if self.joined or now < self._told_at + _TELL_PAUSE_S:
            return
        self._told_at = now
        self._events.record(
            MembershipLost(
                group=self._group,
                since=utc(self._out_ns).isoformat(timespec="seconds"),
                out_s=self._out_s(now),
                replaced_after_s=self._limit_s if self._has_been else None,
            )
        )

    def _out_s(self, now: float) -> float:
        return 0.0 if self._out_at is None else now - self._out_at


def is_member(group_metadata: object) -> bool:
    """Return whether the client's group metadata is that of a joined member.

    The client reports only assignments with partitions: in the protocol `consumer` (KIP-848) a
    member without partitions gets no callback. But its serialised group metadata starts with the
    generation, or member epoch: negative at first, 0 while the group refuses it, positive once it
    has joined. Asking the brokers instead needs an administrative call, during which librdkafka can
    abort the process if the network fails (its issue 4605).

    Args:
        group_metadata: False for an unknown format.

    >>> [is_member(_PREFIX + struct.pack("=i", epoch)) for epoch in (-1, 0, 1)]
    [False, False, True]
    """
    if not isinstance(group_metadata, bytes) or not group_metadata.startswith(_PREFIX):
        return False
    generation: int = struct.unpack_from("=i", group_metadata, len(_PREFIX))[0]
    return generation > 0
