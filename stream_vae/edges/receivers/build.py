"""From the settings to a receiver."""

import base64

from stream_vae.edges.receivers.config import ForwardConfig
from stream_vae.edges.receivers.http_exchange import HttpExchange
from stream_vae.errors import ConfigError
from stream_vae.forwarding.receivers import (
    AlertmanagerReceiver,
    GrafanaReceiver,
    PagerDutyReceiver,
    Receiver,
    SlackReceiver,
    WebhookReceiver,
)
from stream_vae.wire.receivers.webhook import webhook_keys


def build_receiver(config: ForwardConfig) -> Receiver:
    """Return the receiver of the settings.

    Raises:
        ConfigError: If something is missing, or a file cannot be read.
    """
    if missing := config.missing():
        raise ConfigError("; ".join(missing))
    secret = "" if config.secret is None else config.secret.get_secret_value()
    exchange = HttpExchange(
        config.whole_url,
        _credentials(config),
        timeout_s=config.timeout_s,
        ssl_ca_location=config.ssl_ca_location,
        secrets=secret.split(),
    )
    if config.to == "alertmanager":
        return AlertmanagerReceiver(
            exchange=exchange, labels=config.labels, resend_after_s=config.resend_s
        )
    if config.to == "webhook":
        return WebhookReceiver(exchange=exchange, keys=webhook_keys(secret))
    if config.to == "slack":
        return SlackReceiver(exchange=exchange)
    if config.to == "pagerduty":
        return PagerDutyReceiver(exchange=exchange, labels=config.labels, routing_key=secret)
    return GrafanaReceiver(exchange=exchange, labels=config.labels)


def _credentials(config: ForwardConfig) -> dict[str, str]:
    if config.secret is None or config.to not in {"alertmanager", "grafana"}:
        return {}
    secret = config.secret.get_secret_value()
    if config.user is None:
        return {"Authorization": f"Bearer {secret}"}
    pair = base64.b64encode(f"{config.user}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}
