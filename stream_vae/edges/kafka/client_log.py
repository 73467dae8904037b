"""librdkafka's log messages, sent to a Python logger; its handlers limit repeats."""

import logging
import re

CLIENT_LOG = logging.getLogger("stream_vae.edges.kafka.client")
"""Without it librdkafka writes to stderr, in its own format."""

# Without a handler, Python itself prints warnings to stderr.
CLIENT_LOG.addHandler(logging.NullHandler())

_NOT_OFFERED = "ConsumerGroupHeartbeatRequest not supported by broker"


_OTHER_ID = re.compile(r"Topic (\S+) changed id from (\S+) to (\S+)")
_NO_ID = "A" * 22  # what the client knows at first, and brokers before 2.8 tell


class ConsumerLog:
    """Notes what only the client's debug log tells of a group and of topics.

    That a group's coordinator does not offer the protocol `consumer` (KIP-848): brokers before 4.0
    do not list its request among those they know. The client then asks for another coordinator for
    ever and raises no error; its log of the group (`cgrp`) is a statement about the coordinator's
    own list, so a slow cluster is never mistaken.

    That a topic was deleted and made anew: the client goes on in the new one by itself, and its log
    of metadata says so before the first record of it is polled. Asking the brokers for the id
    instead needs an administrative call, during which librdkafka can abort the process if the
    network fails (its issue 4605).

    Args:
        keeps_debug: Whether the operator asked for the client's debug log; else it is dropped.
    """

    def __init__(self, *, keeps_debug: bool) -> None:
        self.is_refused = False
        """Whether a coordinator did not offer the protocol."""
        self.topic_ids: dict[str, str] = {}
        """Topic -> its id, as far as brokers tell of any."""
        self._least_level = logging.DEBUG if keeps_debug else logging.DEBUG + 1

    def log(self, level: int, template: str, *details: object) -> None:
        """Take one message, as `Logger.log`; what it calls is `CLIENT_LOG`."""
        for text in map(str, details):
            if _NOT_OFFERED in text:
                self.is_refused = True
            found = _OTHER_ID.search(text)
            if found is not None and found[3] != _NO_ID:
                self.topic_ids[found[1]] = found[3]
        if level >= self._least_level:
            CLIENT_LOG.log(level, template, *details)
