"""Handles SIGTERM and SIGINT at once, even if the main thread is blocked."""

import signal
import socket
import threading
from collections.abc import Callable

_STOPPING = (signal.SIGTERM, signal.SIGINT)


def handle_stop_signals(on_signal: Callable[[int], None]) -> None:
    """Call `on_signal`, in a thread of its own, for each SIGTERM and SIGINT from now on.

    Python runs signal handlers in the main thread, between two bytecode instructions, and a call of
    the Kafka client may block that for seconds. The interpreter's wake-up descriptor gets the
    signal's number at once. Call this from the main thread.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    for number in _STOPPING:
        # Without a handler the signal would end the process before the descriptor is read.
        signal.signal(number, lambda *_: None)

    def listen() -> None:
        with reader, writer:
            while numbers := reader.recv(64):
                for number in numbers:
                    if number in _STOPPING:
                        on_signal(number)

    threading.Thread(target=listen, name="stop-signals", daemon=True).start()
