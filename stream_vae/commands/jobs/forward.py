"""The forwarder, from its flags on."""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from stream_vae.commands.jobs.serving import serve_until_stopped
from stream_vae.daemon.forward import start_forwarder
from stream_vae.daemon.service import Role, Service
from stream_vae.edges.kafka.properties import verify_properties
from stream_vae.edges.receivers.build import build_receiver
from stream_vae.edges.telemetry.forward_recorder import ForwardRecorder
from stream_vae.edges.telemetry.logs import build_logger
from stream_vae.settings import LoadedSettings, load_settings


def serve_forwarder(
    flags: Mapping[str, object], config: Path | None, secrets_dir: Path | None
) -> None:
    """Run a forwarder until it is asked to stop."""
    serve_until_stopped(
        lambda: load_settings(config=config, overrides=flags, secrets_dir=secrets_dir), _service
    )


def _service(loaded: LoadedSettings) -> Service:
    settings = loaded.settings
    build_receiver(settings.forward)  # its settings are refused before the port is bound
    verify_properties(settings.kafka)
    role = Role(
        recorder=partial(ForwardRecorder, receiver=str(settings.forward.to)),
        starting="waiting for brokers and topics",
        has_page=False,
    )
    return Service(loaded, build_logger(settings.logging, sys.stdout), start_forwarder, role)
