"""`stream-vae config`: check, show and describe settings. Nothing is started or contacted."""

import json
from typing import Annotated, Literal

import typer

from stream_vae.commands.options import ConfigOption, SecretsOption

app = typer.Typer(
    name="config",
    help="Check, show and describe settings; nothing is started or contacted.",
    add_completion=False,
    no_args_is_help=True,
)


@app.command()
def check(config: ConfigOption = None, secrets_dir: SecretsOption = None) -> None:
    """Check the settings; exit 2 with a list of all errors if they cannot be used."""
    from stream_vae.edges.kafka.properties import verify_properties
    from stream_vae.edges.receivers.build import build_receiver
    from stream_vae.settings import load_settings
    from stream_vae.settings.sources import is_default

    loaded = load_settings(config=config, secrets_dir=secrets_dir)
    verify_properties(loaded.settings.kafka)
    if loaded.settings.forward.to is not None:  # else a flag of `forward` names it
        build_receiver(loaded.settings.forward)
    n_set = sum(not is_default(origin) for origin in loaded.origins.values())
    typer.echo(f"settings can be used: {n_set} set, {len(loaded.origins) - n_set} defaults")


@app.command()
def show(
    config: ConfigOption = None,
    secrets_dir: SecretsOption = None,
    output_format: Annotated[
        Literal["yaml", "json"], typer.Option("--format", help="How to print them.")
    ] = "yaml",
) -> None:
    """Print the effective settings, secrets masked, with the origin of each."""
    from stream_vae.settings import load_settings, to_json, to_yaml

    loaded = load_settings(config=config, secrets_dir=secrets_dir)
    typer.echo(to_yaml(loaded) if output_format == "yaml" else to_json(loaded))


@app.command()
def schema() -> None:
    """Print the JSON Schema of the YAML file, for editors and CI."""
    typer.echo(schema_text())


@app.command()
def asyncapi(config: ConfigOption = None, secrets_dir: SecretsOption = None) -> None:
    """Print the AsyncAPI 3.0 document of the topics: what their records are, and who writes them.

    It names the topics and brokers of the settings. What a reading holds beyond them is the
    producer's matter, and the bundle's.

    Example: stream-vae config asyncapi --config stream-vae.yaml > asyncapi.json
    """
    from stream_vae.commands.jobs.asyncapi import document_text

    typer.echo(document_text(config, secrets_dir))


@app.command(hidden=True)
def table() -> None:
    """Print all settings as a Markdown table (the README's)."""
    from stream_vae.settings import markdown_table

    typer.echo(markdown_table())


def schema_text() -> str:
    """Return the JSON Schema as it is kept in `configs/stream-vae.schema.json`."""
    from stream_vae.settings import Settings

    content = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Settings.model_json_schema(),
    }
    return json.dumps(content, indent=2, ensure_ascii=False)
