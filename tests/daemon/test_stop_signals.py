"""Signals are the service's while it works, and the process's again afterwards."""

import signal
import threading
from collections.abc import Iterator

import pytest

from stream_vae.daemon.stop_signals import handling_stop_signals
from tests.limits import slowness

STOPPING = [signal.SIGTERM, signal.SIGINT]


@pytest.fixture(params=STOPPING)
def handled_here(request: pytest.FixtureRequest) -> Iterator[tuple[signal.Signals, list[int]]]:
    """A signal, and the times that the process's own handler was called for it."""
    called: list[int] = []
    before = signal.signal(request.param, lambda number, _: called.append(number))
    yield request.param, called
    signal.signal(request.param, before)


def test_the_process_handles_its_signals_again_once_the_service_has_ended(
    handled_here: tuple[signal.Signals, list[int]],
) -> None:
    number, handled = handled_here
    told, arrived = list[int](), threading.Event()

    def on_signal(number: int) -> None:
        told.append(number)
        arrived.set()

    def serve() -> None:
        with handling_stop_signals(on_signal):
            signal.raise_signal(number)
            assert arrived.wait(10 * slowness())
            raise LookupError

    with pytest.raises(LookupError):
        serve()
    assert (told, handled) == ([number], [])
    signal.raise_signal(number)
    assert (told, handled) == ([number], [number])
    assert signal.set_wakeup_fd(-1) == -1
