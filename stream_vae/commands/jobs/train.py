"""From a history to a model bundle."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from stream_vae.commands.jobs.injected_faults import inject_faults, part_of
from stream_vae.commands.jobs.input_files import TopicPeriod, is_of_logs
from stream_vae.commands.jobs.log_history import templates_before
from stream_vae.commands.jobs.search import SearchOptions, search
from stream_vae.commands.jobs.terminal import open_console
from stream_vae.commands.jobs.train_closing import next_command, why_no_faults
from stream_vae.commands.jobs.train_features import (
    declared_kinds,
    rule_texts,
    trained_features,
    with_rules,
)
from stream_vae.commands.jobs.train_history import read_training_history
from stream_vae.commands.jobs.train_progress import train_with_progress
from stream_vae.commands.jobs.train_told import tell_next, tell_training, with_logs
from stream_vae.commands.options import FileOptions
from stream_vae.edges.files.bundle_files import check_bundle_target, save_bundle
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.edges.files.training_data import (
    SeriesArrays,
    in_order,
    to_training_series,
)
from stream_vae.inputs.log_lines.readers import log_format_name
from stream_vae.models.device import limit_threads
from stream_vae.models.training.search import draw_candidates
from stream_vae.models.training.train import TrainedModel
from stream_vae.settings import Settings, load_settings


def train_bundle(
    source: list[Path] | TopicPeriod,
    bundle: Path,
    choice: ColumnChoice,
    flags: Mapping[str, object],
    config: Path | None,
    secrets_dir: Path | None = None,
    *,
    name: str | None,
    step_seconds: float | None,
    units: list[str],
    kinds: list[str],
    rules: list[str],
    force: bool,
    searching: SearchOptions | None = None,
    templates_of: Path | None = None,
    options: FileOptions = FileOptions(),  # noqa: B008 - frozen
) -> None:
    """Train a model on a history, write its bundle and print the report."""
    load = partial(load_settings, config=config, secrets_dir=secrets_dir)
    loaded = load(overrides=flags)
    settings = loaded.settings
    has_lines = is_of_logs(source, options, settings.input)
    if has_lines and log_format_name(settings.input) is None:
        # Only the files' names tell so; lines have other defaults than readings.
        loaded = load(overrides={**flags, "input.format": "log_lines"})
        settings = loaded.settings
    limit_threads(settings.worker.threads)
    console = open_console()
    check_bundle_target(bundle, replace=force)
    texts = rule_texts(settings, rules, of_logs=has_lines)
    is_event = settings.model.window_length == 1
    choice = replace(
        choice,
        declared=declared_kinds(settings, kinds),
        max_categories=settings.training.max_categories,
        is_events=is_event,
    )
    history = read_training_history(
        source,
        choice,
        settings,
        options,
        step_seconds,
        before=lambda: templates_before(templates_of, bundle, console),
    )
    readings = history.readings
    readings = replace(readings, features=with_rules(readings.features, texts, is_event=is_event))
    if is_event and step_seconds is None and settings.model.calendar is False:
        readings = in_order(readings)
    history = replace(history, readings=readings)
    series, data = to_training_series(
        readings, history.step_seconds, max_gap=settings.detect.max_gap
    )
    features = trained_features(
        data,
        units,
        history.choice.declared,
        proposes_kinds=settings.training.kinds == "auto",
    )
    trained = _fitted(
        series,
        settings,
        searching,
        partial(
            train_with_progress,
            series,
            features=features,
            step_seconds=data.step_seconds,
            training=settings.training,
            model_id=name or bundle.resolve().name,
            console=console,
        ),
        console,
    )
    if not why_no_faults(trained.bundle.training.folds, loaded):
        trained = _with_faults(trained, settings, series, console)
    if history.logs is not None:
        trained = with_logs(trained, history.logs, series, settings)
    save_bundle(trained.bundle, bundle)
    tell_training(trained, history, data, series, loaded, console)
    tell_next(
        console,
        trained.bundle,
        bundle,
        next_command(
            bundle, settings.bundle.path, config, of_topic=isinstance(source, TopicPeriod)
        ),
    )


def _fitted(
    series: Sequence[SeriesArrays],
    settings: Settings,
    searching: SearchOptions | None,
    fit: Callable[..., TrainedModel],
    console: Console,
) -> TrainedModel:
    """Return the model with the architecture of the settings, or the best that a search finds.

    Args:
        series: That it is fitted to.
        settings: Of the training.
        searching: How to search; None: not at all.
        fit: `train_with_progress`, but for the architecture.
        console: Told of the trials.
    """
    architecture = settings.model.architecture
    if searching is None:
        return fit(architecture=architecture)
    # Trials are compared on windows that none of them has seen.
    fit = partial(fit, training=replace(settings.training, calibration="held_out"))
    return search(
        draw_candidates(
            searching.trials,
            architecture=architecture,
            training=settings.training,
            longest=max(len(one.times) for one in series),
        ),
        lambda tried, on_step: fit(architecture=tried, on_step=on_step),
        architecture=architecture,
        options=searching,
        console=console,
    )


def _with_faults(
    trained: TrainedModel, settings: Settings, series: Sequence[SeriesArrays], console: Console
) -> TrainedModel:
    """Return the model with what it finds of faults injected into its calibration part."""
    training = settings.training
    bundle = trained.bundle
    faults = inject_faults(
        bundle,
        settings,
        part_of(series, "calibration", training),
        training=part_of(series, "training", training),
        each=training.injected_faults,
        console=console,
    )
    return replace(
        trained, bundle=replace(bundle, training=replace(bundle.training, faults=faults))
    )
