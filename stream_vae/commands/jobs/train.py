"""From a history to a model bundle."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from stream_vae.commands.jobs.fault_tables import fault_tables
from stream_vae.commands.jobs.injected_faults import inject_faults, part_of
from stream_vae.commands.jobs.input_files import (
    TopicPeriod,
    is_of_logs,
    open_files,
)
from stream_vae.commands.jobs.judgeable import warn_of_unjudged
from stream_vae.commands.jobs.log_history import (
    LearntHistory,
    LearntLogs,
    of_logs,
    open_logs,
    read_logs,
    templates_before,
)
from stream_vae.commands.jobs.log_report import log_advice, log_rows
from stream_vae.commands.jobs.search import SearchOptions, search
from stream_vae.commands.jobs.terminal import open_console, styled, warn
from stream_vae.commands.jobs.train_closing import lacking, next_command, reliability
from stream_vae.commands.jobs.train_features import (
    declared_kinds,
    rule_texts,
    trained_features,
    with_rules,
)
from stream_vae.commands.jobs.train_progress import train_with_progress
from stream_vae.commands.jobs.train_report import report_table
from stream_vae.commands.options import FileOptions
from stream_vae.core.durations import describe_duration
from stream_vae.core.log_templates import LogSpec
from stream_vae.core.model_spec import ModelSpec
from stream_vae.edges.files.bundle_files import check_bundle_target, save_bundle
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.edges.files.training_data import (
    DataReport,
    SeriesArrays,
    in_order,
    to_training_series,
)
from stream_vae.errors import ConfigError
from stream_vae.inputs.log_lines.readers import log_format_name
from stream_vae.models.bundle import Bundle
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
    settings = load(overrides=flags).settings
    has_lines = is_of_logs(source, options, settings.input)
    if has_lines and log_format_name(settings.input) is None:
        # Only the files' names tell so; lines have other defaults than readings.
        settings = load(overrides={**flags, "input.format": "log_lines"}).settings
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
    history = _read(
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
    trained = _with_faults(trained, settings, series, console)
    if history.logs is not None:
        trained = _with_logs(trained, history.logs)
    save_bundle(trained.bundle, bundle)
    _tell(trained, history, data, series, settings, console)
    _tell_next(
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
    if not training.injected_faults or trained.bundle.training.folds:
        return trained
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


def _with_logs(trained: TrainedModel, logs: LearntLogs) -> TrainedModel:
    """Return the model with the templates that its features count, and with advice on them."""
    return replace(
        trained,
        bundle=of_logs(trained.bundle, logs.spec),
        report=log_advice(trained.report, logs),
    )


def _tell(
    trained: TrainedModel,
    history: LearntHistory,
    data: DataReport,
    series: Sequence[SeriesArrays],
    settings: Settings,
    console: Console,
) -> None:
    """Print the report of a training, what it finds of faults, and what is wrong with it."""
    spec, faults = trained.bundle.spec, trained.bundle.training.faults
    report = trained.report
    if settings.detect.score in report.calibration_quantiles:
        report = replace(report, score=settings.detect.score)
    console.print(
        report_table(
            data,
            report,
            spec.features,
            ignored_columns=history.readings.ignored_columns,
            notes=history.readings.notes,
            declared=history.choice.declared,
            label=history.choice.label,
            stride=1 if spec.has_events else settings.training.stride,
            has_steps=not spec.has_events,
            more=() if history.logs is None else log_rows(history.logs),
        )
    )
    if faults is not None:
        for table in fault_tables(faults):
            console.print(table)
    calibration = part_of(series, "calibration", settings.training)
    for text in (
        *lacking(settings.detect, spec),
        *warn_of_unjudged(calibration, spec, settings.detect),
        *_about_sessions(spec, settings),
    ):
        warn(console, text)
    longest = max(len(one.times) for one in series)
    length = f"{describe_duration(data.step_seconds * longest)} of readings"
    if spec.has_events:
        length = f"{data.rows:,} {'sessions' if spec.has_sessions else 'records'}"
    for line in reliability(trained.report.advice, faults, length=length):
        console.print(line, soft_wrap=True)


def _tell_next(console: Console, bundle: Bundle, folder: Path, command: str) -> None:
    console.print(
        styled(
            *("Bundle ", (str(folder), "bold"), f" version {bundle.spec.version[:12]}. "),
            "Next: ",
            (command, "cyan"),
        ),
        soft_wrap=True,
    )


def _read(
    source: list[Path] | TopicPeriod,
    choice: ColumnChoice,
    settings: Settings,
    options: FileOptions,
    step_seconds: float | None,
    *,
    before: Callable[[], LogSpec | None],
) -> LearntHistory:
    """Return the history: readings as they are, or the counts of lines.

    `before` gives the templates of an earlier training.
    """
    if log_format_name(settings.input) is not None:
        _check_windows(settings)
        return read_logs(
            lambda chosen: open_logs(source, chosen, options, settings),
            choice,
            settings,
            step_seconds=step_seconds,
            before=before(),
            now_ns=time.time_ns(),
        )
    if isinstance(source, TopicPeriod):
        # Imported here: training on files needs no Kafka client.
        from stream_vae.commands.jobs.topic_input import open_topic

        readings = open_topic(source, choice, settings).read()
    else:
        readings = open_files(source, choice, options, settings.input).read()
    return LearntHistory(readings=readings, choice=choice, step_seconds=step_seconds)


def _about_sessions(spec: ModelSpec, settings: Settings) -> Iterator[str]:
    """Yield what makes a model of sessions find less."""
    likelihood = settings.model.count_likelihood
    if spec.has_sessions and likelihood != "log_gaussian":
        yield (
            f"model.count_likelihood {likelihood}: a count then varies as much as its mean, so a "
            "line too few is usual; expected log_gaussian, as in the recipe `sessions`"
        )


def _check_windows(settings: Settings) -> None:
    """Refuse a window length that lines of logs do not have.

    Raises:
        ConfigError: If it is 1 without sessions, or not 1 with them.
    """
    length = settings.model.window_length
    if settings.input.sessions is not None and length != 1:
        raise ConfigError(
            f"model.window_length: found {length}, expected 1: with input.session_pattern or "
            "session_field each session is a window"
        )
    if settings.input.sessions is None and length == 1:
        raise ConfigError(
            "model.window_length: found 1 for lines of a log, expected 2 or more steps; to judge "
            "sessions, the lines of a request, block or job together, expected "
            "input.session_pattern or session_field"
        )
