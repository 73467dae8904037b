"""Lines of observed clients, written to a file while they are wanted."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from stream_vae.edges.kafka.observed_clients import LogLine


class LineRecorder:
    """Writes lines to a file, and hands them on, while it is told to; others are dropped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._file: TextIO | None = None
        self._hand_on: Callable[[LogLine], None] = lambda _: None
        self.n = 0
        """Lines recorded since the last start."""

    def take(self, line: LogLine) -> None:
        """Record a line; called by all threads that write lines."""
        with self._lock:
            if self._file is not None:
                self._file.write(f"{line.text}\n")
                self._hand_on(line)
                self.n += 1

    @contextmanager
    def recording(
        self, path: Path, hand_on: Callable[[LogLine], None] = lambda _: None
    ) -> Iterator[None]:
        """Record until the end of the block, in the order in which lines are handed on."""
        with path.open("w", encoding="utf-8") as file:
            with self._lock:
                self._file, self._hand_on, self.n = file, hand_on, 0
            try:
                yield
            finally:
                with self._lock:
                    self._file = None
