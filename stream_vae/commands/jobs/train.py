"""From CSV files to a model bundle."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from stream_vae.commands.jobs.fault_tables import fault_tables
from stream_vae.commands.jobs.injected_faults import inject_faults, part_of
from stream_vae.commands.jobs.input_files import (
    TopicPeriod,
    is_of_logs,
    lines_format,
    open_files,
)
from stream_vae.commands.jobs.judgeable import warn_of_unjudged
from stream_vae.commands.jobs.log_history import (
    LearntHistory,
    of_logs,
    open_logs,
    read_logs,
    templates_before,
)
from stream_vae.commands.jobs.log_report import log_advice, log_rows
from stream_vae.commands.jobs.search import SearchOptions, search
from stream_vae.commands.jobs.terminal import TaskText, open_console, styled, warn
from stream_vae.commands.jobs.train_report import report_table
from stream_vae.commands.options import FileOptions
from stream_vae.core.durations import describe_duration
from stream_vae.core.excerpts import printable
from stream_vae.core.feature_rule import refuse_unfit, rules_of
from stream_vae.core.log_templates import LogSpec
from stream_vae.core.model_spec import Feature, FeatureKind, ModelSpec
from stream_vae.detect.config import DetectConfig
from stream_vae.edges.files.bundle_files import check_bundle_target, save_bundle
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.edges.files.training_data import (
    DataReport,
    SeriesArrays,
    in_order,
    to_training_series,
)
from stream_vae.errors import ConfigError
from stream_vae.models.bundle import Bundle
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.device import limit_threads
from stream_vae.models.training.fitting import Listeners
from stream_vae.models.training.reports import (
    BatchReport,
    EpochReport,
)
from stream_vae.models.training.search import draw_candidates
from stream_vae.models.training.train import TrainedModel
from stream_vae.models.training.train import train as fit_model
from stream_vae.models.training.training_windows import TrainingSeries
from stream_vae.settings import Settings, load_settings

_KINDS: Mapping[str, FeatureKind] = {kind: kind for kind in get_args(FeatureKind)}


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
    """Train a model on CSV files, write its bundle and print the report."""
    settings = load_settings(config=config, overrides=flags, secrets_dir=secrets_dir).settings
    limit_threads(settings.worker.threads)
    console = open_console()
    check_bundle_target(bundle, replace=force)
    choice = replace(
        choice,
        declared=_declared(settings.model.features, kinds),
        max_categories=settings.training.max_categories,
        is_events=settings.model.window_length == 1,
    )
    history = _read(
        source,
        choice,
        settings,
        options,
        step_seconds,
        before=lambda: templates_before(templates_of, bundle, console),
    )
    readings, choice, logs = history.readings, history.choice, history.logs
    readings = replace(readings, features=_with_rules(readings.features, settings, rules))
    if choice.is_events and step_seconds is None and settings.model.calendar is False:
        readings = in_order(readings)
    series, data = to_training_series(
        readings, history.step_seconds, max_gap=settings.detect.max_gap
    )
    fit = partial(
        train_with_progress,
        series,
        features=_features(data, units, choice, settings.training),
        step_seconds=data.step_seconds,
        training=settings.training,
        model_id=name or bundle.resolve().name,
        console=console,
    )
    architecture = settings.model.architecture
    if searching is None:
        trained = fit(architecture=architecture)
    else:
        # Trials are compared on windows that none of them has seen.
        fit = partial(fit, training=replace(settings.training, calibration="held_out"))
        trained = search(
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
    if settings.training.injected_faults and not trained.bundle.training.folds:
        trained = replace(trained, bundle=_with_faults(trained.bundle, settings, series, console))
    if logs is not None:
        report = log_advice(trained.report, logs)
        trained = replace(trained, bundle=of_logs(trained.bundle, logs.spec), report=report)
    save_bundle(trained.bundle, bundle)
    features = trained.bundle.spec.features
    console.print(
        report_table(
            data,
            trained.report,
            features,
            ignored_columns=readings.ignored_columns,
            notes=readings.notes,
            declared=choice.declared,
            label=choice.label,
            stride=1 if trained.bundle.spec.has_events else settings.training.stride,
            more=() if logs is None else log_rows(logs),
        )
    )
    if trained.bundle.training.faults is not None:
        for table in fault_tables(trained.bundle.training.faults):
            console.print(table)
    calibration = part_of(series, "calibration", settings.training)
    unjudged = warn_of_unjudged(calibration, trained.bundle.spec, settings.detect)
    for lacking in (*_lacking(settings.detect, trained.bundle.spec), *unjudged):
        warn(console, lacking)
    if grave := [one for one in trained.report.advice if one.is_grave]:
        length_s = data.step_seconds * max(len(one.times) for one in series)
        told = "; ".join(f"{one.kind.replace('_', ' ')}: {one.text}" for one in grave)
        console.print(
            styled(
                ("not to be relied on:", "bold red"),
                f" this bundle is of {describe_duration(length_s)} of readings ({told}). Alerts "
                "may be of anything: train on more before anyone is paged by them",
            ),
            soft_wrap=True,
        )
    with_config = f" --config {config}" if config else ""
    next_command = f"stream-vae score --bundle {bundle} --input FILE --output scores.csv"
    if isinstance(source, TopicPeriod):
        next_command = "stream-vae run"
    console.print(
        styled(
            *("Bundle ", (str(bundle), "bold"), f" version {trained.bundle.spec.version[:12]}. "),
            "Next: ",
            (f"{next_command}{with_config}", "cyan"),
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
    if is_of_logs(source, options, settings.input):
        _check_windows(settings)
        return read_logs(
            lambda chosen: open_logs(source, chosen, options, settings),
            choice,
            lines_format(settings.input),
            step_seconds=step_seconds,
            window_length=settings.model.window_length,
            masks=settings.training.masks,
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


def _with_faults(
    bundle: Bundle, settings: Settings, series: Sequence[SeriesArrays], console: Console
) -> Bundle:
    """Return the bundle with what it finds of faults injected into its calibration part."""
    training = settings.training
    faults = inject_faults(
        bundle,
        settings,
        part_of(series, "calibration", training),
        training=part_of(series, "training", training),
        each=training.injected_faults,
        console=console,
    )
    return replace(bundle, training=replace(bundle.training, faults=faults))


def _lacking(detect: DetectConfig, spec: ModelSpec) -> Iterator[str]:
    """Yield what the configuration asks for and this training could not give."""
    labels = "rows labelled 0 and 1 are needed for it, at the end of the history too"
    if detect.score != "auto" and detect.score not in spec.calibration:
        yield f"detect.score {detect.score}: not in this bundle; {labels}"
    score = spec.score if detect.score == "auto" else detect.score
    if detect.threshold.method == "labelled" and score not in spec.labelled_thresholds:
        yield f"detect.threshold.method labelled: no threshold for {score}; {labels}"


def train_with_progress(
    series: Iterable[SeriesArrays],
    *,
    features: list[Feature],
    step_seconds: float,
    architecture: ArchitectureConfig,
    training: TrainingConfig,
    model_id: str,
    console: Console,
    on_step: Callable[[], None] | None = None,
) -> TrainedModel:
    """Train and show a progress bar with the loss terms and the remaining time."""
    columns = (
        TaskText(),
        BarColumn(),
        MofNCompleteColumn(),
        TaskText("{task.fields[losses]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=not console.is_terminal) as bar:
        task = bar.add_task("training", total=None, losses="")
        validation = ""

        def on_batch(batch: BatchReport) -> None:
            if on_step is not None:
                on_step()
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

        def on_refit(share: float) -> None:
            nonlocal task
            what = f"refit without the worst {share:.1%}"
            console.print(f"{what} of the training windows, as training.trim asks")
            bar.remove_task(task)
            task = bar.add_task(what, total=None, losses="")

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
            listeners=Listeners(epoch=on_epoch, batch=on_batch, refit=on_refit),
        )


def _declared(settings: Mapping[str, FeatureKind], pairs: list[str]) -> dict[str, Feature]:
    """Return the declared kinds, those of flags over those of the settings."""
    kinds = dict(settings)
    for pair in pairs:
        # A name may hold the sign; a kind does not.
        name, found, kind = pair.rpartition("=")
        if not found or kind not in _KINDS:
            msg = f"--kind {pair!r}: expected FEATURE=KIND with a kind of {_listed(_KINDS)}"
            raise ConfigError(msg)
        kinds[name] = _KINDS[kind]
    return {name: Feature(name=name, kind=kind) for name, kind in kinds.items()}


def _with_rules(
    features: Sequence[Feature], settings: Settings, pairs: list[str]
) -> tuple[Feature, ...]:
    """Return the features with their rules, those of flags over those of the settings."""
    texts = dict(settings.input.rules)
    for pair in pairs:
        # A name may hold the sign; a rule does not.
        name, found, text = pair.rpartition("=")
        if not found:
            raise ConfigError(f"--rule {pair!r}: expected FEATURE=RULE, such as bytes_total=rate")
        texts[name] = text
    try:
        rules = rules_of(texts, [feature.name for feature in features])
        for feature in features:
            if feature.name in rules:
                is_event = settings.model.window_length == 1
                refuse_unfit(rules[feature.name], feature.kind, is_event=is_event)
    except ValueError as exc:
        raise ConfigError(f"--rule, input.rules: {exc}") from None
    return tuple(replace(feature, rule=rules.get(feature.name)) for feature in features)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(printable(name) for name in sorted(names))


def _features(
    data: DataReport, units: list[str], choice: ColumnChoice, training: TrainingConfig
) -> list[Feature]:
    features = {feature.name: feature for feature in data.features}
    unknown = sorted(set(choice.declared) - set(features))
    if unknown:
        raise ConfigError(
            f"model.features, --kind: found {printable(unknown[0])!r}, expected a feature of "
            f"{_listed(features)}"
        )
    if training.kinds == "auto":
        for name, kind in data.proposed_kinds.items():
            if name not in choice.declared:
                features[name] = replace(features[name], kind=kind)
    for pair in units:
        # A name may hold the sign; a unit does not.
        name, found, unit = pair.rpartition("=")
        if not found or name not in features:
            msg = f"--unit {pair!r}: expected FEATURE=UNIT with a feature of {_listed(features)}"
            raise ConfigError(msg)
        features[name] = replace(features[name], unit=unit)
    return list(features.values())
