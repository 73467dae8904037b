"""Handles SIGTERM and SIGINT at once, even if the main thread is blocked."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_STOPPING = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def handling_stop_signals(on_signal: Callable[[int], None]) -> Iterator[None]:
    """Call `on_signal`, in a thread of its own, for each SIGTERM and SIGINT within the context.

    Python runs signal handlers in the main thread, between two bytecode instructions, and a call of
    the Kafka client may block that for seconds. The interpreter's wake-up descriptor gets the
    signal's number at once. Enter this from the main thread. Afterwards the signals are handled as
    before: a process may do something else once its service has ended.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def listen() -> None:
        with reader:
            while numbers := reader.recv(64):
                for number in numbers:
                    if number in _STOPPING:
                        on_signal(number)

    threading.Thread(target=listen, name="stop-signals", daemon=True).start()
    with writer:
        woken_before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        # Without a handler the signal would end the process before the descriptor is read.
        before = {number: signal.signal(number, lambda *_: None) for number in _STOPPING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(woken_before)
