"""Is the daemon alive? Pure answers to the question a cluster asks."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The answer to one probe."""

    is_ok: bool
    reason: str
    """What was found, for the person who reads the probe's answer."""


class Heartbeat:
    """When a loop last came round.

    Any thread may beat or ask: a float is written and read whole.

    >>> heartbeat = Heartbeat(10.0)
    >>> heartbeat.beat(12.0)
    >>> heartbeat.age(12.5)
    0.5
    """

    __slots__ = ("_last",)

    def __init__(self, now: float) -> None:
        self._last = now

    def beat(self, now: float) -> None:
        """Note that the loop came round at `now` (monotonic seconds)."""
        self._last = now

    def age(self, now: float) -> float:
        """Return the seconds since the last beat; never negative."""
        return max(0.0, now - self._last)


def judge_heartbeats(heartbeats: Mapping[str, Heartbeat], now: float, limit_s: float) -> Health:
    """Return the health of loops that must each come round within `limit_s`.

    >>> judge_heartbeats({"poll loop": Heartbeat(0.0)}, now=61.0, limit_s=60.0).reason
    'poll loop: no sign of life for 61.0 s, expected one every 60.0 s'
    """
    ages = {name: heartbeat.age(now) for name, heartbeat in heartbeats.items()}
    stuck = [
        f"{name}: no sign of life for {age:.1f} s, expected one every {limit_s:.1f} s"
        for name, age in ages.items()
        if age > limit_s
    ]
    if stuck:
        return Health(is_ok=False, reason="; ".join(stuck))
    seen = ", ".join(f"{name} {age:.1f} s ago" for name, age in ages.items())
    return Health(is_ok=True, reason=f"last seen: {seen}")
