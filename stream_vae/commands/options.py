"""Options that several commands share."""

import math
from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="YAML file (default: what STREAM_VAE_CONFIG names)."),
]
SecretsOption = Annotated[
    Path | None,
    typer.Option(
        "--secrets-dir",
        help="Folder with one file per secret (default: what STREAM_VAE_SECRETS_DIR names).",
    ),
]


def refuse_not_finite(value: float | None) -> float | None:
    """Return a flag's number; NaN and infinity pass the parser's own bounds.

    Raises:
        BadParameter: If it is one of these.
    """
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"found {value}, expected a finite number")
    return value
