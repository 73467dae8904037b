"""librdkafka's log messages, sent to a Python logger; its handlers limit repeats."""

import logging

CLIENT_LOG = logging.getLogger("stream_vae.edges.kafka.client")
"""Without it librdkafka writes to stderr, in its own format."""

# Without a handler, Python itself prints warnings to stderr.
CLIENT_LOG.addHandler(logging.NullHandler())
