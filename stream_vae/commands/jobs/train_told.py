"""What a training prints at its end."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from stream_vae.commands.jobs.fault_tables import fault_tables
from stream_vae.commands.jobs.injected_faults import part_of
from stream_vae.commands.jobs.judgeable import warn_of_unjudged
from stream_vae.commands.jobs.log_history import LearntHistory, LearntLogs, of_logs
from stream_vae.commands.jobs.log_report import absence_rows, log_advice, log_rows, with_absences
from stream_vae.commands.jobs.terminal import styled, warn
from stream_vae.commands.jobs.train_closing import lacking, reliability, why_no_faults
from stream_vae.commands.jobs.train_report import report_table
from stream_vae.core.durations import describe_duration
from stream_vae.core.model_spec import ModelSpec
from stream_vae.core.warm_up import first_alert
from stream_vae.edges.files.training_data import DataReport, SeriesArrays
from stream_vae.logs.log_steps import log_steps
from stream_vae.models.bundle import Bundle
from stream_vae.models.training.train import TrainedModel
from stream_vae.settings import LoadedSettings, Settings


def with_logs(
    trained: TrainedModel, logs: LearntLogs, series: Sequence[SeriesArrays], settings: Settings
) -> TrainedModel:
    """Return the model with the templates that its features count, and with advice on them."""
    spec = trained.bundle.spec
    bundle = with_absences(
        of_logs(trained.bundle, logs.spec),
        [(one.times, one.values) for one in part_of(series, "calibration", settings.training)],
        settings,
    )
    steps = log_steps(logs.times, spec.step_seconds)
    return TrainedModel(
        bundle=bundle, report=log_advice(trained.report, logs, steps), parts=trained.parts
    )


def tell_training(
    trained: TrainedModel,
    history: LearntHistory,
    data: DataReport,
    series: Sequence[SeriesArrays],
    loaded: LoadedSettings,
    console: Console,
) -> None:
    """Print the report of a training, what it finds of faults, and what is wrong with it."""
    settings = loaded.settings
    spec, faults = trained.bundle.spec, trained.bundle.training.faults
    score = spec.score if settings.detect.score == "auto" else settings.detect.score
    report = trained.report
    if score in report.calibration_quantiles:
        report = replace(report, score=score)
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
            more=()
            if history.logs is None
            else (*log_rows(history.logs), *absence_rows(spec, settings.detect)),
        )
    )
    if faults is not None:
        for table in fault_tables(faults):
            console.print(table)
    if why := why_no_faults(trained.bundle.training.folds, loaded):
        console.print(f"No faults were injected, and what the bundle finds is not told: {why}")
    calibration = part_of(series, "calibration", settings.training)
    for text in (
        *lacking(settings.detect, spec),
        *warn_of_unjudged(calibration, spec, settings.detect),
        *_about_sessions(spec, history.logs, settings),
    ):
        warn(console, text)
    longest = max(len(one.times) for one in series)
    length = f"{describe_duration(data.step_seconds * longest)} of readings"
    if spec.has_events:
        length = f"{data.rows:,} {'sessions' if spec.has_sessions else 'records'}"
    for line in reliability(trained.report.advice, faults, length=length):
        console.print(line, soft_wrap=True)


def tell_next(console: Console, bundle: Bundle, folder: Path, command: str) -> None:
    """Print what was written, from when on it alerts, and the command that follows."""
    console.print(
        styled(
            *("Bundle ", (str(folder), "bold"), f" version {bundle.spec.version[:12]}. "),
            f"The first alert can come {first_alert(bundle.spec)}. Next: ",
            (command, "cyan"),
        ),
        soft_wrap=True,
    )


def _about_sessions(spec: ModelSpec, logs: LearntLogs | None, settings: Settings) -> Iterator[str]:
    """Yield what makes a model of sessions find less."""
    likelihood = settings.model.count_likelihood
    if not spec.has_sessions:
        return
    if likelihood != "log_gaussian":
        yield (
            f"model.count_likelihood {likelihood}: a count then varies as much as its mean, so a "
            "line too few is usual; expected log_gaussian, as in the recipe `sessions`"
        )
    closed = dict(logs.closed or {}) if logs is not None else {}
    ends = settings.input.session_end_pattern
    n_closed = sum(closed.values())
    if ends is not None and n_closed and not closed.get("ended"):
        yield (
            f"input.session_end_pattern {ends!r} ended none of {n_closed:,} sessions: "
            "each waits for input.session_quiet_s without a line; the pattern is looked for in the "
            "message that input.message_pattern finds"
        )
