"""Where librdkafka's own messages go: a Python logger, each kind of message once in a while."""

import logging
import re
import time
from collections.abc import Callable

REPEAT_S = 30.0
"""A client that cannot connect says so several times a second; told again after so long."""

_MOST_REMEMBERED = 1000
_NUMBER = re.compile(r"\d+")


class RepeatFilter(logging.Filter):
    """Lets a message through once per `REPEAT_S`; numbers in it do not make it another one.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._told_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the message is news."""
        now = self._clock()
        kind = _NUMBER.sub("#", record.getMessage())
        if now - self._told_at.get(kind, -REPEAT_S) < REPEAT_S:
            return False
        if len(self._told_at) >= _MOST_REMEMBERED:
            self._told_at.clear()
        self._told_at[kind] = now
        return True


CLIENT_LOG = logging.getLogger("stream_vae.edges.kafka.client")
"""Without it librdkafka would write to stderr, past every log format."""

CLIENT_LOG.addFilter(RepeatFilter())
# Where nobody asked for logs, Python itself would print warnings to stderr.
CLIENT_LOG.addHandler(logging.NullHandler())
