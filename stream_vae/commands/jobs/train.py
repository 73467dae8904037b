"""From CSV files to a model bundle."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from stream_vae.core.excerpts import printable
from stream_vae.core.model_spec import Feature
from stream_vae.edges.files.bundle_files import check_bundle_target, save_bundle
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.edges.files.csv_readings import CsvReadings, read_csv
from stream_vae.edges.files.training_data import DataReport, SeriesArrays, to_training_series
from stream_vae.errors import ConfigError
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.device import limit_threads
from stream_vae.models.training.reports import BatchReport, EpochReport, TrainingReport
from stream_vae.models.training.train import TrainedModel
from stream_vae.models.training.train import train as fit_model
from stream_vae.models.training.training_windows import TrainingSeries
from stream_vae.settings import load_settings

_LISTED_FEATURES = 8


def train_bundle(
    input_files: list[Path],
    bundle: Path,
    choice: ColumnChoice,
    flags: Mapping[str, object],
    config: Path | None,
    *,
    name: str | None,
    step_seconds: float | None,
    units: list[str],
    force: bool,
) -> None:
    """Train a model on CSV files, write its bundle and print the report."""
    settings = load_settings(config=config, overrides=flags).settings
    limit_threads(settings.worker.threads)
    console = Console()
    check_bundle_target(bundle, replace=force)
    readings = read_csv(input_files, choice)
    series, data = to_training_series(readings, step_seconds)
    trained = train_with_progress(
        series,
        features=_features(data.features, units),
        step_seconds=data.step_seconds,
        architecture=settings.model,
        training=settings.training,
        model_id=name or bundle.resolve().name,
        console=console,
    )
    save_bundle(trained.bundle, bundle)
    console.print(report_table(data, trained.report, _not_trained_on(readings, choice.label)))
    console.print(
        f"Bundle [bold]{bundle}[/] version {trained.bundle.spec.version[:12]}. Next: "
        f"[cyan]stream-vae score --bundle {bundle} --input FILE --output scores.csv[/]"
    )


def train_with_progress(
    series: Iterable[SeriesArrays],
    *,
    features: list[Feature],
    step_seconds: float,
    architecture: ArchitectureConfig,
    training: TrainingConfig,
    model_id: str,
    console: Console,
) -> TrainedModel:
    """Train and show a progress bar with the loss terms and the remaining time."""
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[losses]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=not console.is_terminal) as bar:
        task = bar.add_task("training", total=None, losses="")
        validation = ""

        def on_batch(batch: BatchReport) -> None:
            losses = f"reconstruction {batch.reconstruction:.3f} KL {batch.kl:.3f}{validation}"
            bar.update(task, total=batch.steps, completed=batch.step, losses=losses)

        def on_epoch(epoch: EpochReport) -> None:
            nonlocal validation
            validation = f" held-out log-likelihood {epoch.validation_log_likelihood:.3f}"
            if not console.is_terminal:
                console.print(
                    f"epoch {epoch.epoch}/{epoch.epochs}: reconstruction "
                    f"{epoch.reconstruction:.3f} KL {epoch.kl:.3f}{validation}"
                )

        return fit_model(
            [
                TrainingSeries(key=s.key, times=s.times, values=s.values, labels=s.labels)
                for s in series
            ],
            features=features,
            step_seconds=step_seconds,
            architecture=architecture,
            training=training,
            model_id=model_id,
            now=datetime.now(UTC),
            progress=on_epoch,
            on_batch=on_batch,
        )


def report_table(
    data: DataReport, report: TrainingReport, not_trained_on: tuple[str, ...] = ()
) -> Table:
    """Return the closing report of a training."""
    table = Table(title="Training report", show_header=False, title_justify="left")
    table.add_row("rows", f"{data.rows:,} in {data.series:,} series")
    if data.snapped_rows:
        table.add_row("rows off the grid, snapped down", f"{data.snapped_rows:,}")
    step = f"{data.step_seconds:g} s{' (inferred)' if data.step_is_inferred else ''}"
    table.add_row("step", f"{step}, {data.missing_steps:,} steps missing")
    handled = {
        "unsorted rows, sorted": data.unsorted_rows,
        "duplicate steps, later row kept": data.duplicate_rows,
        "missing cells": sum(data.missing_cells.values()),
        "infinite cells, taken as missing": sum(data.infinite_cells.values()),
    }
    for what, count in handled.items():
        if count:
            table.add_row(what, f"{count:,}")
    table.add_row("features", f"{len(data.features)}: {', '.join(map(printable, data.features))}")
    if not_trained_on:
        table.add_row("columns not trained on", ", ".join(map(printable, not_trained_on)))
    if data.constant_features:
        table.add_row("constant features", _shortened(data.constant_features))
    if data.mostly_missing_features:
        table.add_row("mostly missing features", _shortened(data.mostly_missing_features))
    if data.uneven_features:
        advice = "levels differ between series, yet one scale serves all: train one bundle a kind"
        table.add_row("uneven features", f"{_shortened(data.uneven_features)} ({advice})")
    windows = ", ".join(f"{part} {count:,}" for part, count in report.windows.items())
    table.add_row("windows", windows)
    table.add_row("epochs", f"{len(report.history)}, best {report.best_epoch}")
    table.add_row(
        "validation log-likelihood",
        f"{report.validation_log_likelihood:.3f} nats per value "
        f"(constant model {report.constant_log_likelihood:.3f})",
    )
    quantiles = report.calibration_quantiles[report.score]
    table.add_row(
        f"calibration, score {report.score}",
        "  ".join(f"q{level:g} {value:.3f}" for level, value in quantiles.items()),
    )
    return table


def _not_trained_on(readings: CsvReadings, label: str) -> tuple[str, ...]:
    return (*((label,) if readings.labels is not None else ()), *readings.ignored_columns)


def _shortened(names: tuple[str, ...]) -> str:
    rest = len(names) - _LISTED_FEATURES
    more = f" and {rest} more" if rest > 0 else ""
    return f"{len(names)}: {', '.join(names[:_LISTED_FEATURES])}{more}"


def _features(names: tuple[str, ...], units: list[str]) -> list[Feature]:
    features = {name: Feature(name=name) for name in names}
    for pair in units:
        name, found, unit = pair.partition("=")
        if not found or name not in features:
            msg = f"--unit {pair!r}: expected FEATURE=UNIT with a feature of {sorted(features)}"
            raise ConfigError(msg)
        features[name] = replace(features[name], unit=unit)
    return list(features.values())
