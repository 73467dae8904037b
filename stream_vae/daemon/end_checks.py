"""Asks brokers whether partitions are read to their ends, in a small part of the loop's time."""

from collections.abc import Collection

from stream_vae.core.ports import Clock, InputConsumer

_MOST_S = 0.25  # of one check, but for the last question; a broker that hangs makes it a second
_REST = 3.0  # seconds between two checks, for each that the first one took
_NEVER = (False, -float("inf"))


class EndChecks:
    """Asks for one partition after another: the quick ones first, and who has waited longest.

    A series without a reading is told of only where its partition was read to its end. While a
    broker hangs, each question about its partitions takes a second.

    Args:
        consumer: Of the input.
        clock: The time.
    """

    def __init__(self, consumer: InputConsumer, clock: Clock) -> None:
        self._consumer = consumer
        self._clock = clock
        self._last: dict[int, tuple[bool, float]] = {}
        """Partition -> whether its last question took long, and when that was."""
        self._ask_at = -float("inf")

    def at_end(self, partitions: Collection[int]) -> set[int]:
        """Return those of which a broker confirms it now; the others are asked for later."""
        began = now = self._clock.monotonic()
        if began < self._ask_at:
            return set()
        found: set[int] = set()
        for one in sorted(partitions, key=lambda one: self._last.get(one, _NEVER)):
            asked_at = now
            if asked_at - began > _MOST_S:
                break
            if self._consumer.is_at_end(one):
                found.add(one)
            now = self._clock.monotonic()
            self._last[one] = now - asked_at > _MOST_S, asked_at
        self._ask_at = now + _REST * (now - began)
        return found
