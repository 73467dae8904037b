"""The AsyncAPI document of the topics that settings name."""

import json
from pathlib import Path

from stream_vae import __version__
from stream_vae.inputs.record_schema import record_schema
from stream_vae.settings import Settings, load_settings
from stream_vae.wire.asyncapi import Deployment, asyncapi_document


def document_text(config: Path | None, secrets_dir: Path | None) -> str:
    """Return it as JSON."""
    settings = load_settings(config=config, secrets_dir=secrets_dir).settings
    return json.dumps(asyncapi_document(deployment(settings)), indent=2, ensure_ascii=False)


def deployment(settings: Settings) -> Deployment:
    """Return what the settings say of topics and brokers."""
    kafka = settings.kafka
    return Deployment(
        detector=settings.detector.name,
        version=__version__,
        servers=[host.strip() for host in kafka.bootstrap_servers.split(",")],
        is_encrypted=kafka.security_protocol in {"SSL", "SASL_SSL"},
        group=kafka.group_id,
        input_topic=settings.input.topic,
        alerts_topic=settings.output.alerts_topic,
        dead_letter_topic=settings.output.dead_letter_topic,
        late_topic=settings.output.late_topic,
        state_topic=settings.changelog_topic,
        scores_topic=settings.output.scores_topic,
        input=record_schema(settings.input),
    )
