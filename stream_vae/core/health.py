"""Liveness from heartbeats, and what keeps an instance from its work, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The result of one probe."""

    is_ok: bool
    reason: str
    """For the person who reads the probe's response."""
    is_degraded: bool = False
    """Whether, although it is ok, something is wrong that the reason names."""

    @property
    def status(self) -> str:
        """One word: `ok`, `degraded` or `failed`."""
        if not self.is_ok:
            return "failed"
        return "degraded" if self.is_degraded else "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Why an instance does not judge readings, or not all of them."""

    code: str
    """A stable name, one of `CONDITIONS`."""
    detail: str
    """What was found, and what to do where a person must."""


CONDITIONS: Mapping[str, str] = {
    "broker_unreachable": "blocking",
    "not_in_group": "blocking",
    "decoding_held": "blocking",
    "all_partitions_held": "blocking",
    "changelog_too_narrow": "fault",
    "partition_stalled": "fault",
    "worker_behind": "fault",
    "lag_growing": "fault",
    "nothing_read": "fault",
    "nothing_judged": "fault",
    "features_not_observed": "fault",
    "stream_step_differs": "fault",
    "lines_unknown": "fault",
    "no_partitions": "idle",
    "restoring": "idle",
    "input_idle": "idle",
}
"""Code -> what it means: `blocking`, no reading can be judged, and the instance is not ready;
`fault`, something is wrong that no restart mends; `idle`, there is a reason to do nothing."""


def judge_conditions(conditions: Sequence[Condition]) -> Health:
    """Return the readiness of an instance with these conditions.

    >>> judge_conditions([Condition(code="input_idle", detail="no record for 70 s")]).status
    'ok'
    >>> judge_conditions([Condition(code="nothing_read", detail="none")]).status
    'degraded'
    >>> judge_conditions([Condition(code="broker_unreachable", detail="no broker answers")])
    Health(is_ok=False, reason='no broker answers', is_degraded=False)
    """
    blocking = [one.detail for one in conditions if CONDITIONS[one.code] == "blocking"]
    if blocking:
        return Health(is_ok=False, reason=blocking[0])
    return Health(
        is_ok=True,
        reason="; ".join(["model loaded, group joined", *(one.detail for one in conditions)]),
        is_degraded=any(CONDITIONS[one.code] == "fault" for one in conditions),
    )


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
