"""Streaming anomaly detection for Kafka with an LSTM seq2seq variational autoencoder.

For programs that consume alert events: `decode_alert` reads a record's value as an `AlertEvent`,
`AlertDeduplicator` recognises repeated events, `alert_schema` is their JSON Schema. These are
imported when they are first used, and none of them needs torch.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream_vae.core.alerts import AlertEvent
    from stream_vae.wire.alert_deduplicator import AlertDeduplicator
    from stream_vae.wire.alerts import alert_schema, decode_alert

__version__ = version("stream-vae")

__all__ = ["AlertDeduplicator", "AlertEvent", "__version__", "alert_schema", "decode_alert"]

_HOMES = {
    "AlertDeduplicator": "stream_vae.wire.alert_deduplicator",
    "AlertEvent": "stream_vae.core.alerts",
    "alert_schema": "stream_vae.wire.alerts",
    "decode_alert": "stream_vae.wire.alerts",
}


if not TYPE_CHECKING:  # or a type checker would believe in every misspelt name

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
