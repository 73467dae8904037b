"""A loop that stands still is noticed; one that moves is left alone."""

import pytest

from stream_vae.core.health import Heartbeat, judge_heartbeats


def test_age_counts_from_the_last_beat() -> None:
    heartbeat = Heartbeat(100.0)
    assert heartbeat.age(103.0) == 3.0
    heartbeat.beat(104.0)
    assert heartbeat.age(104.5) == 0.5


def test_age_is_never_negative() -> None:
    """Another thread may have beaten after `now` was read."""
    assert Heartbeat(100.0).age(99.0) == 0.0


@pytest.mark.parametrize(("age", "is_ok"), [(0.0, True), (60.0, True), (60.5, False)])
def test_the_limit_itself_is_still_alive(age: float, *, is_ok: bool) -> None:
    heartbeats = {"poll loop": Heartbeat(0.0)}
    assert judge_heartbeats(heartbeats, now=age, limit_s=60.0).is_ok is is_ok


def test_one_stuck_loop_is_enough_and_is_named() -> None:
    heartbeats = {"poll loop": Heartbeat(100.0), "worker": Heartbeat(20.0)}
    health = judge_heartbeats(heartbeats, now=101.0, limit_s=60.0)
    assert not health.is_ok
    assert health.reason == "worker: no heartbeat for 81.0 s, expected one every 60.0 s"
