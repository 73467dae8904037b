"""Liveness from heartbeats, as pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The result of one probe."""

    is_ok: bool
    reason: str
    """For the person who reads the probe's response."""


class Heartbeat:
    """Time of a loop's latest iteration.

    Any thread may read or write it: assigning a float is atomic.

    >>> heartbeat = Heartbeat(10.0)
    >>> heartbeat.beat(12.0)
    >>> heartbeat.age(12.5)
    0.5
    """

    __slots__ = ("_last",)

    def __init__(self, now: float) -> None:
        self._last = now

    def beat(self, now: float) -> None:
        """Record an iteration of the loop at `now` (monotonic seconds)."""
        self._last = now

    def age(self, now: float) -> float:
        """Return the seconds since the last beat; never negative."""
        return max(0.0, now - self._last)


def judge_heartbeats(heartbeats: Mapping[str, Heartbeat], now: float, limit_s: float) -> Health:
    """Return the health of loops that must each beat every `limit_s` seconds.

    >>> judge_heartbeats({"poll loop": Heartbeat(0.0)}, now=61.0, limit_s=60.0).reason
    'poll loop: no heartbeat for 61.0 s, expected one every 60.0 s'
    """
    ages = {name: heartbeat.age(now) for name, heartbeat in heartbeats.items()}
    stuck = [
        f"{name}: no heartbeat for {age:.1f} s, expected one every {limit_s:.1f} s"
        for name, age in ages.items()
        if age > limit_s
    ]
    if stuck:
        return Health(is_ok=False, reason="; ".join(stuck))
    seen = ", ".join(f"{name} {age:.1f} s ago" for name, age in ages.items())
    return Health(is_ok=True, reason=f"last seen: {seen}")
