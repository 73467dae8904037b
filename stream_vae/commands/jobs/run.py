"""The daemon, from its flags on."""

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from stream_vae import __version__
from stream_vae.commands.jobs.serving import serve_until_stopped
from stream_vae.daemon.service import Service
from stream_vae.daemon.surroundings import Loop, Surroundings
from stream_vae.edges.files.bundle_folder import require_bundle
from stream_vae.edges.kafka.properties import verify_properties
from stream_vae.edges.telemetry.logs import build_logger
from stream_vae.events import DaemonStarting
from stream_vae.settings import LoadedSettings, load_settings

_HEAVY = "stream_vae.daemon.start"


def serve(flags: Mapping[str, object], config: Path | None, secrets_dir: Path | None) -> None:
    """Run the daemon until it is asked to stop."""
    serve_until_stopped(
        lambda: load_settings(config=config, overrides=flags, secrets_dir=secrets_dir), _service
    )


def _service(loaded: LoadedSettings) -> Service:
    return Service(loaded, build_logger(loaded.settings.logging, sys.stdout), _start)


def _start(around: Surroundings) -> Loop | None:
    settings = around.loaded.settings
    require_bundle(settings.bundle.path)
    verify_properties(settings.kafka)
    around.events.record(
        DaemonStarting(
            version=__version__, config=around.loaded.config, group=settings.kafka.group_id
        )
    )
    # Importing torch takes seconds; the port is already bound and probes are answered.
    heavy: Any = import_module(_HEAVY)
    loop: Loop | None = heavy.start_loop(around)
    return loop
