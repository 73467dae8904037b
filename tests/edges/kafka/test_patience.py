"""Requests that wait for a broker: what is told meanwhile, and what ends the wait."""

from collections.abc import Callable

import pytest

from stream_vae.edges.kafka import deadline
from stream_vae.edges.kafka.patience import answered, answered_unless
from stream_vae.errors import KafkaUnavailableError
from stream_vae.events import BrokerReached, BrokerUnreachable
from tests.memory_kafka.clock import ManualClock
from tests.recorded_events import RecordedEvents


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """The time that deadlines go by."""
    found = ManualClock()
    monkeypatch.setattr(deadline, "time", found)
    return found


def ask_until(clock: ManualClock, seconds: float) -> Callable[[], str]:
    """Return a request that is answered after some time."""
    ends = clock.monotonic() + seconds

    def ask() -> str:
        if clock.monotonic() < ends:
            raise KafkaUnavailableError("no leader")
        return "answer"

    return ask


def told(events: RecordedEvents) -> list[str]:
    assert len(events.of(BrokerReached)) == bool(events.of(BrokerUnreachable))
    return [one.detail for one in events.of(BrokerUnreachable)]


@pytest.mark.parametrize("seconds", [0.0, 0.7, 5.0])
def test_a_wait_is_told_of_and_that_of_a_start_once_it_lasts(
    clock: ManualClock, seconds: float
) -> None:
    """A topic that was just made has no leaders yet."""
    events, of_start = RecordedEvents(), RecordedEvents()
    assert answered(ask_until(clock, seconds), 60.0, events) == "answer"
    assert answered_unless(lambda: False, ask_until(clock, seconds), 60.0, of_start) == "answer"
    assert set(told(events)) == ({"no leader"} if seconds else set())
    assert set(told(of_start)) == ({"no leader"} if seconds > 1 else set())


def test_a_wait_ends_at_its_deadline_with_the_last_reason(clock: ManualClock) -> None:
    with pytest.raises(KafkaUnavailableError, match="gave up after 60 s: no leader"):
        answered(ask_until(clock, 120.0), 60.0, RecordedEvents())
    with pytest.raises(KafkaUnavailableError, match="gave up after 60 s: no leader"):
        answered_unless(lambda: False, ask_until(clock, 120.0), 60.0, RecordedEvents())


def test_who_is_to_stop_waits_no_longer_and_does_not_begin_to(clock: ManualClock) -> None:
    """Control: with an answer in time there is one."""
    events, begin = RecordedEvents(), clock.monotonic()

    def is_late() -> bool:
        return clock.monotonic() >= begin + 10.0

    assert answered_unless(is_late, ask_until(clock, 5.0), 60.0, events) == "answer"
    assert answered_unless(is_late, ask_until(clock, 55.0), 60.0, events) is None
    assert clock.monotonic() < begin + 11.0
    assert answered_unless(lambda: True, ask_until(clock, 0.0), 60.0, events) is None
