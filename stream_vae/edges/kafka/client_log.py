"""librdkafka's log messages, sent to a Python logger; its handlers limit repeats."""

import logging

CLIENT_LOG = logging.getLogger("stream_vae.edges.kafka.client")
"""Without it librdkafka writes to stderr, in its own format."""

# Without a handler, Python itself prints warnings to stderr.
CLIENT_LOG.addHandler(logging.NullHandler())

_NOT_OFFERED = "ConsumerGroupHeartbeatRequest not supported by broker"


class GroupProtocolLog:
    """Notes that a group's coordinator does not offer the protocol `consumer` (KIP-848).

    Brokers before 4.0 do not list its request among those they know. The client then asks for
    another coordinator for ever and raises no error: only its debug log of the group says why. It
    is a statement about the coordinator's own list, so a slow cluster is never mistaken.

    Args:
        keeps_debug: Whether the operator asked for the client's debug log; else it is dropped.
    """

    def __init__(self, *, keeps_debug: bool) -> None:
        self.is_refused = False
        """Whether a coordinator did not offer it."""
        self._least_level = logging.DEBUG if keeps_debug else logging.DEBUG + 1

    def log(self, level: int, template: str, *details: object) -> None:
        """Take one message, as `Logger.log`; what it calls is `CLIENT_LOG`."""
        if any(_NOT_OFFERED in str(each) for each in details):
            self.is_refused = True
        if level >= self._least_level:
            CLIENT_LOG.log(level, template, *details)
