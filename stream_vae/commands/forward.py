"""`stream-vae forward`: alert events to receivers outside Kafka."""

from typing import Annotated

import typer

from stream_vae.commands.options import ConfigOption, SecretsOption
from stream_vae.edges.receivers.config import ReceiverKind


def forward(
    to: Annotated[
        ReceiverKind | None, typer.Option(help="What receives the events; overrides forward.to.")
    ] = None,
    config: ConfigOption = None,
    secrets_dir: SecretsOption = None,
) -> None:
    """Forward alert events to Alertmanager, a webhook, Slack, PagerDuty or Grafana.

    Each event is delivered at least once, those of an incident in their order; a repetition has the
    same key, by which the receiver drops it. What was delivered is kept as offsets of a consumer
    group in Kafka. A receiver that fails is tried again, ever more seldom; what it refuses goes to
    the dead-letter topic. SIGTERM or Ctrl-C commits and exits 0.

    Example: stream-vae forward --config sensors.yaml --to alertmanager
    """
    from stream_vae.commands.jobs.forward import serve_forwarder

    serve_forwarder({"forward.to": to}, config, secrets_dir)
