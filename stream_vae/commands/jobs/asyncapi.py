"""The AsyncAPI document of the topics that settings name."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stream_vae import __version__
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.inputs.record_schema import record_schema
from stream_vae.settings import Settings, load_settings
from stream_vae.wire.asyncapi import Deployment, asyncapi_document

_SASL_TYPES = {
    "PLAIN": "plain",
    "SCRAM-SHA-256": "scramSha256",
    "SCRAM-SHA-512": "scramSha512",
    "GSSAPI": "gssapi",
}


def document_text(config: Path | None, secrets_dir: Path | None) -> str:
    """Return it as JSON."""
    settings = load_settings(config=config, secrets_dir=secrets_dir, needs_secrets=False).settings
    return json.dumps(asyncapi_document(deployment(settings)), indent=2, ensure_ascii=False)


def deployment(settings: Settings) -> Deployment:
    """Return what the settings say of topics and brokers."""
    kafka = settings.kafka
    return Deployment(
        detector=settings.detector.name,
        version=__version__,
        servers=[host.strip() for host in kafka.bootstrap_servers.split(",")],
        is_encrypted=kafka.security_protocol in {"SSL", "SASL_SSL"},
        security=_security(kafka),
        group=kafka.group_id,
        input_topic=settings.input.topic,
        alerts_topic=settings.output.alerts_topic,
        dead_letter_topic=settings.output.dead_letter_topic,
        late_topic=settings.output.late_topic,
        state_topic=settings.changelog_topic,
        scores_topic=settings.output.scores_topic,
        input=record_schema(settings.input),
    )


def _security(kafka: KafkaConfig) -> Mapping[str, Any] | None:
    """Return AsyncAPI's security scheme of the brokers, as far as settings of ours name it."""
    if kafka.security_protocol == "SSL" and kafka.ssl_certificate_location is not None:
        return {"type": "X509", "description": "Mutual TLS: a certificate of the client's own."}
    if kafka.sasl_mechanism is None:
        return None
    described = f"SASL {kafka.sasl_mechanism}"
    if kafka.sasl_mechanism != "OAUTHBEARER":
        return {"type": _SASL_TYPES[kafka.sasl_mechanism], "description": described}
    scopes = (kafka.sasl_oauthbearer_scope or "").split()
    if kafka.sasl_oauthbearer_token_endpoint_url is None:
        return {"type": "http", "scheme": "bearer", "description": described}
    flow = {
        "tokenUrl": kafka.sasl_oauthbearer_token_endpoint_url,
        "availableScopes": dict.fromkeys(scopes, "Asked for by the client."),
    }
    return {
        "type": "oauth2",
        "description": described,
        "flows": {"clientCredentials": flow},
        "scopes": scopes,
    }
