"""An outage is told, not shouted."""

import logging

from stream_vae.edges.kafka.client_log import REPEAT_S, RepeatFilter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def make_record(message: str) -> logging.LogRecord:
    return logging.LogRecord("client", logging.ERROR, "client.py", 1, message, None, None)


def test_a_message_is_told_again_only_after_a_while() -> None:
    clock = Clock()
    repeats = RepeatFilter(clock)

    assert repeats.filter(make_record("broker 1: refused (after 3ms)"))
    clock.now = REPEAT_S - 1
    assert not repeats.filter(make_record("broker 1: refused (after 17ms)"))
    clock.now = REPEAT_S
    assert repeats.filter(make_record("broker 1: refused (after 3ms)"))


def test_another_message_is_told_at_once() -> None:
    repeats = RepeatFilter(Clock())

    assert repeats.filter(make_record("refused"))
    assert repeats.filter(make_record("authentication failed"))


def test_memory_is_bounded_however_many_kinds_there_are() -> None:
    repeats = RepeatFilter(Clock())

    for i in range(5000):
        assert repeats.filter(make_record("x" * i))

    assert len(repeats._told_at) <= 1000
