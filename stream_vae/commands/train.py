"""`stream-vae train`: from files or a topic to a model bundle."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from stream_vae.commands.options import (
    INPUT_PANEL,
    ConfigOption,
    FileOptions,
    SecretsOption,
    names_of,
    refuse_not_finite,
    with_file_options,
)
from stream_vae.edges.files.csv_header import LABEL, ColumnChoice
from stream_vae.errors import ConfigError

_LONGEST_STEP_S = 366 * 86_400.0


@with_file_options
def train(
    *,
    bundle: Annotated[Path, typer.Option(help="Folder to write the model bundle to.")],
    input_files: Annotated[
        list[Path] | None,
        typer.Option(
            "--input",
            help="File of normal operation (CSV, Parquet, records, logs); repeat for more.",
        ),
    ] = None,
    from_topic: Annotated[
        str | None,
        typer.Option(
            help="Topic of normal operation instead, read by the daemon's decoder (`input`)."
        ),
    ] = None,
    bootstrap: Annotated[
        str | None,
        typer.Option(help="host:port of some brokers; overrides kafka.bootstrap_servers."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Only records of the topic at or after this Kafka time (RFC 3339)."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Only records of the topic before this Kafka time.")
    ] = None,
    config: ConfigOption = None,
    secrets_dir: SecretsOption = None,
    seed: Annotated[
        int | None, typer.Option(help="Overrides training.seed; same seed, same model.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The model's id in alert events (default: folder name).")
    ] = None,
    step_seconds: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=_LONGEST_STEP_S,
            callback=refuse_not_finite,
            help="Width of the time grid (default: inferred).",
        ),
    ] = None,
    unit: Annotated[
        list[str] | None, typer.Option(help="FEATURE=UNIT, shown in alerts; repeat for more.")
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="FEATURE=KIND (numeric, count, binary, categorical); repeat for more. Overrides "
            "model.features."
        ),
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            help="FEATURE=RULE, kept in the bundle; a pattern such as 'cpu.*' names several; "
            "repeat for more. rate or difference: of a counter, resets seen; hold:SECONDS: the "
            "last value stands so long; scale:FACTOR; with commas between several. Overrides "
            "input.rules."
        ),
    ] = None,
    label: Annotated[
        str,
        typer.Option(help="Column of 0 and 1, where there is one: never an input of the network."),
    ] = LABEL,
    search: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            help="Try so many settings (window length, sizes, score), then smaller sets of "
            "members, and keep the best.",
        ),
    ] = None,
    search_by: Annotated[
        Literal["likelihood", "labels"],
        typer.Option(
            help="likelihood: held-out, per value, then calibration; labels: average precision on "
            "labelled validation rows."
        ),
    ] = "likelihood",
    trial_seconds: Annotated[
        float,
        typer.Option(
            min=1,
            max=86_400,
            callback=refuse_not_finite,
            help="Longest fit of one trial; beyond it is stopped and not compared.",
        ),
    ] = 600.0,
    injected_faults: Annotated[
        int | None,
        typer.Option(
            min=0, help="Overrides training.injected_faults; 0: the report tells nothing of faults."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the bundle that is there.")
    ] = False,
    templates_of: Annotated[
        Path | None,
        typer.Option(
            metavar="BUNDLE",
            help="Logs: templates that this bundle has too keep the names they have there "
            "(default: the bundle that --force replaces).",
        ),
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option(
            help="Columns that are the features: A,B; repeat for more. Default: all that have no "
            "other role.",
            rich_help_panel=INPUT_PANEL,
        ),
    ] = None,
    files: FileOptions,
) -> None:
    """Train a model on files or a topic and write its bundle.

    Files are CSV, Parquet, or records and JSON lines as the daemon reads them (`--format`);
    `--from-topic` reads a topic with the daemon's decoder.

    A CSV has a header, a column `timestamp` (RFC 3339 or epoch), optionally `series` and `label`
    (0, 1 or empty; the network never sees it, the score `supervised` and labelled thresholds are
    fitted to it, and windows with a 1 are left out of the calibration); every other column is a
    feature: numeric, or categorical if it is text. Exports of spreadsheets, Grafana, InfluxDB and
    databases are read with the options of input files. Rows of one series and step are merged cell
    by cell. Each series is split in time order into training, validation and a held-out tail that
    calibrates the threshold. With model.window_length 1 rows are events and need no timestamp.

    The report ends with what the model finds of faults injected into the calibration part, beside a
    constant model, PCA and the nearest training window, and with its false incidents there.

    Example: stream-vae train --input pumps.csv --bundle bundle/ --unit flow=L/s
    """
    if search is None and search_by == "labels":
        msg = "--search-by: found labels without --search, expected --search N beside it"
        raise ConfigError(msg)
    if (from_topic is None) == (not input_files):
        raise ConfigError("expected --input FILE or --from-topic TOPIC, one of them")
    if from_topic is None and (since, until, bootstrap) != (None, None, None):
        raise ConfigError("--since, --until, --bootstrap: expected --from-topic beside them")
    from stream_vae.commands.jobs.input_files import TopicPeriod
    from stream_vae.commands.jobs.search import SearchOptions
    from stream_vae.commands.jobs.train import train_bundle

    train_bundle(
        input_files or []
        if from_topic is None
        else TopicPeriod(topic=from_topic, since=since, until=until),
        bundle,
        ColumnChoice(label=label, features=names_of(features) or None, refuse_labels=True),
        {
            "training.seed": seed,
            "training.injected_faults": injected_faults,
            "kafka.bootstrap_servers": bootstrap,
        },
        config,
        secrets_dir,
        name=name,
        step_seconds=step_seconds,
        units=unit or [],
        kinds=kind or [],
        rules=rule or [],
        force=force,
        templates_of=templates_of,
        options=files,
        searching=None
        if search is None
        else SearchOptions(
            trials=search, trial_seconds=trial_seconds, by_labels=search_by == "labels"
        ),
    )
