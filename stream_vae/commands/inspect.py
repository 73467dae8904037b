"""`stream-vae inspect`: what a topic or a file of records holds, and what reads it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from stream_vae.commands.options import ConfigOption, SecretsOption
from stream_vae.errors import ConfigError


def inspect(
    *,
    topic: Annotated[
        str | None, typer.Option(help="Topic to look at; overrides input.topic.")
    ] = None,
    bootstrap: Annotated[
        str | None,
        typer.Option(help="host:port of some brokers; overrides kafka.bootstrap_servers."),
    ] = None,
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input",
            help="File to look at instead: records, JSON lines, CSV, or lines of a log.",
            show_default=False,
        ),
    ] = None,
    file_format: Annotated[
        Literal["csv", "records", "jsonl", "parquet", "log"] | None,
        typer.Option("--format", help="Of the file, as for train. Default: found."),
    ] = None,
    records: Annotated[
        int,
        typer.Option(
            min=1,
            max=1_000_000,
            help="Look at so many at most; at the times of a log's lines in all of a file.",
        ),
    ] = 5000,
    oldest: Annotated[
        bool, typer.Option("--oldest/--newest", help="Begin with the oldest records kept.")
    ] = False,
    seconds: Annotated[
        float, typer.Option(min=1, max=3600, help="Read for so long at most.")
    ] = 30.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of text.")
    ] = False,
    config: ConfigOption = None,
    secrets_dir: SecretsOption = None,
) -> None:
    """Say what a topic or a file holds, and print a configuration that reads it.

    Looks at some records of each partition, or of the file, joins no group and changes nothing. The
    proposal is proven on them by the daemon's own decoder; how many it reads, and why it does not
    read others, is told. TLS and passwords come from the configuration, as for `run`.

    Example: stream-vae inspect --bootstrap localhost:9092 --topic metrics
    """
    if input_file is not None and (topic is not None or bootstrap is not None):
        raise ConfigError("--input: found --topic or --bootstrap beside it; expected one source")
    from stream_vae.commands.jobs.inspect import inspect_file, inspect_topic

    if input_file is not None:
        inspect_file(
            input_file, file_format, config, n_records=records, seconds=seconds, as_json=as_json
        )
        return
    inspect_topic(
        {"kafka.bootstrap_servers": bootstrap, "input.topic": topic},
        config,
        secrets_dir,
        n_records=records,
        oldest=oldest,
        seconds=seconds,
        as_json=as_json,
    )
