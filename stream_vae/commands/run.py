"""`stream-vae run`: the daemon."""

import logging
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from stream_vae.commands.options import ConfigOption, SecretsOption
from stream_vae.daemon.service import Model, Service
from stream_vae.edges.files.bundle_files import load_bundle
from stream_vae.edges.kafka.properties import verify_properties
from stream_vae.edges.telemetry.logs import LibraryHandler, build_logger
from stream_vae.inputs.formats import build_decoder
from stream_vae.models.device import limit_threads
from stream_vae.models.scoring import WindowScorer
from stream_vae.settings import load_settings


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
    settings = loaded.settings
    trained = load_bundle(settings.bundle.path)
    verify_properties(settings.kafka)
    decoder = build_decoder([feature.name for feature in trained.spec.features], settings.input)
    limit_threads(settings.worker.threads)
    scorer = WindowScorer(
        trained,
        score=settings.detect.score,
        device=settings.worker.device,
        samples=settings.worker.samples,
        max_batch=settings.worker.max_batch,
    )
    logger = build_logger(settings.logging, sys.stdout)
    logging.getLogger().addHandler(
        LibraryHandler(logger, settings.logging.summary_period_s, time.monotonic)
    )
    model = Model(
        spec=trained.spec,
        scorer=scorer,
        score=scorer.score_name,
        device=str(scorer.device),
    )
    Service(loaded, model, decoder, logger).serve()
