"""`stream-vae feed`: publishes CSV files as readings, and lines of logs."""

from pathlib import Path
from typing import Annotated

import typer

from stream_vae.commands.options import ConfigOption, SecretsOption, refuse_not_finite


def feed(
    *,
    input_files: Annotated[
        list[Path],
        typer.Option("--input", help="CSV file, or .log (.gz is unpacked); repeat for more files."),
    ],
    bootstrap: Annotated[
        str | None,
        typer.Option(help="host:port of some brokers; overrides kafka.bootstrap_servers."),
    ] = None,
    topic: Annotated[
        str | None, typer.Option(help="Topic to publish to; overrides input.topic.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            callback=refuse_not_finite, help="Readings per second; unset, as fast as it goes."
        ),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(
            callback=refuse_not_finite,
            help="Times faster than the timestamps say; 60 plays an hour a minute.",
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Series of files without a column `series`; unset, the file's name."),
    ] = None,
    config: ConfigOption = None,
    secrets_dir: SecretsOption = None,
) -> None:
    """Publish CSV files to a topic as readings, to try the daemon on any broker.

    One record per row: the series is the Kafka key, the value a JSON object of timestamp and
    features (empty cells are left out, `label` is not published), or what the configuration's
    `input` section says. Rows go out in file order; with --speed, in the order of their
    timestamps. Lines of logs (.log, or any file where `input.format` is of logs) go out as they
    are, the file's name as their key. Ends when every record is acknowledged.

    Example: stream-vae feed --input week.csv --bootstrap localhost:9092 --topic readings --rate 100

    Example: stream-vae feed --input week.csv --config sensors.yaml --speed 3600
    """
    from stream_vae.commands.jobs.feed import publish_files

    publish_files(
        input_files,
        {"kafka.bootstrap_servers": bootstrap, "input.topic": topic},
        config,
        secrets_dir,
        rate=rate,
        speed=speed,
        key=key,
    )
