"""`stream-vae run`: the daemon."""

from pathlib import Path
from typing import Annotated

import typer

from stream_vae.commands.options import ConfigOption, SecretsOption


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
    from stream_vae.commands.jobs.run import serve

    serve({"bundle.path": bundle}, config, secrets_dir)
