"""Where librdkafka's own messages go: a Python logger; who asks for them limits repeats."""

import logging

CLIENT_LOG = logging.getLogger("stream_vae.edges.kafka.client")
"""Without it librdkafka would write to stderr, past every log format."""

# Where nobody asked for logs, Python itself would print warnings to stderr.
CLIENT_LOG.addHandler(logging.NullHandler())
