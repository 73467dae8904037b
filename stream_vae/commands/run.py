"""`stream-vae run`: the daemon."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from stream_vae.commands.options import ConfigOption, SecretsOption
from stream_vae.daemon.service import Loop, Service, Surroundings
from stream_vae.edges.files.bundle_folder import require_bundle
from stream_vae.edges.kafka.properties import verify_properties
from stream_vae.edges.telemetry.logs import build_logger
from stream_vae.settings import load_settings

_HEAVY = "stream_vae.daemon.start"


def run(
    config: ConfigOption = None,
    secrets_dir: SecretsOption = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Model bundle; overrides bundle.path.")
    ] = None,
) -> None:
    """Run the daemon: consume readings, score windows, publish alert events.

    Alerts, dead letters, late readings and the input's offsets are committed in one Kafka
    transaction. SIGTERM or Ctrl-C drains, commits and exits 0; a second one exits at once.

    Example: stream-vae run --config configs/sensors.yaml
    """
    loaded = load_settings(
        config=config, overrides={"bundle.path": bundle}, secrets_dir=secrets_dir
    )
    Service(loaded, build_logger(loaded.settings.logging, sys.stdout), _start).serve()


def _start(around: Surroundings) -> Loop | None:
    settings = around.loaded.settings
    require_bundle(settings.bundle.path)
    verify_properties(settings.kafka)
    # Importing torch takes seconds; by now the port is bound and probes are answered.
    heavy: Any = import_module(_HEAVY)
    loop: Loop | None = heavy.start_loop(around)
    return loop
