"""The daemon's own pipeline over files, without Kafka."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import (
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TimeElapsedColumn,
)

from stream_vae.commands.jobs.input_files import ReadingFiles, note_rows, open_files
from stream_vae.commands.jobs.offline import load_judging, make_folder, open_pipeline
from stream_vae.commands.jobs.rate_words import rate_rows
from stream_vae.commands.jobs.terminal import TaskText, open_console, warn
from stream_vae.commands.options import FileOptions
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.verdicts import Verdict
from stream_vae.detect.rates import realised_rates
from stream_vae.edges.files.bundle_files import load_bundle
from stream_vae.edges.files.csv_header import columns_of
from stream_vae.edges.files.csv_readings import CHUNK_ROWS
from stream_vae.edges.files.outputs import AlertsWriter, ScoresWriter, whole_file
from stream_vae.errors import ConfigError
from stream_vae.events import ReadingsJudged
from stream_vae.models.device import limit_threads
from stream_vae.pipeline.pipeline import Outcome, Pipeline, store_of_one
from stream_vae.pipeline.series_lifecycle import Changes, EvictionClass
from stream_vae.settings import load_settings


def score_files(
    bundle: Path,
    input_files: list[Path],
    output: Path,
    alerts: Path | None,
    flags: Mapping[str, object],
    config: Path | None,
    *,
    plot: Path | None = None,
    options: FileOptions = FileOptions(),  # noqa: B008 - frozen
) -> None:
    """Write one row per reading, and the alert events and pictures if they are wanted."""
    load_settings(config, flags)  # a mistake of theirs is told before those of files
    _check_folders(output, alerts)
    if plot is not None:
        make_folder(plot, "--plot")
    _refuse_same_files(input_files, [output, alerts] if alerts else [output])
    model = load_bundle(bundle)
    console = open_console(stderr=True)
    settings = load_judging(model.spec, input_files, options, flags, config, console=console)
    limit_threads(settings.worker.threads)
    one = store_of_one(model.spec, settings.detect, settings.input.assembly).series_bytes
    # New series of one batch must fit beside the known ones, for any budget.
    capacity = max(int(settings.state.memory_budget_mb * 2**20 / one), 2 * CHUNK_ROWS)
    pipeline = open_pipeline(model, settings, capacity=capacity, instance="score")
    readings = open_files(input_files, columns_of(model.spec), options, settings.input)
    counts = np.zeros(len(Verdict), np.int64)
    n_alerts = n_opened = n_late = n_leaps = n_forgotten = 0
    missing: Counter[tuple[str, str]] = Counter()
    with ExitStack() as stack:
        scores_file = ScoresWriter(stack.enter_context(whole_file(output)))
        alerts_file = AlertsWriter(stack.enter_context(whole_file(alerts))) if alerts else None
        bar = stack.enter_context(_progress(console))
        task = bar.add_task(f"{model.spec.judged} scored", total=None)
        for outcome, made_room in _outcomes(pipeline, readings.iter_batches()):
            steps = outcome.batch.scored
            deviation = np.full(len(steps.readings), np.nan)
            deviation[steps.window_batch.ready] = pipeline.told(outcome).largest_deviation
            scores_file.write(steps.readings, outcome.verdicts, deviation)
            counts += np.bincount(outcome.verdicts.verdict, minlength=len(Verdict))
            n_late += len(outcome.late)
            n_leaps += outcome.n_leaps
            missing.update(_missing_of(outcome))
            n_opened += sum(
                event.incidents_opened
                for event in outcome.events
                if isinstance(event, ReadingsJudged)
            )
            n_forgotten += sum(len(changes.forgotten) for changes in made_room)
            for event in chain(*(changes.alerts for changes in made_room), outcome.alerts):
                n_alerts += 1
                if alerts_file:
                    alerts_file.write(event)
            bar.update(task, completed=int(counts.sum()))
    tally = ", ".join(f"{counts[verdict]:,} {verdict.name}" for verdict in Verdict)
    console.print(
        f"{counts.sum():,} {model.spec.judged}: {tally}; {n_alerts} alert events; see {output}"
    )
    realised = realised_rates(
        judged=int(counts[Verdict.NORMAL] + counts[Verdict.ANOMALOUS]),
        anomalous=int(counts[Verdict.ANOMALOUS]),
        opened=n_opened,
        step_s=model.spec.step_seconds,
    )
    for title, text in rate_rows(pipeline.asked, realised):
        console.print(f"{title}: {text}")
    for title, text in note_rows(readings.notes, readings.ignored_columns):
        console.print(f"{title}: {text}", markup=False)
    _tell_of_missing(console, missing)
    _tell_of_leaps(console, n_leaps, settings.input.max_leap_steps)
    for text in _warnings(pipeline, readings, n_late=n_late, n_forgotten=n_forgotten):
        warn(console, text)
    if plot is not None:
        from stream_vae.commands.jobs.score_plots import plot_history

        plot_history(model, settings, input_files, plot, console, options=options)


def _missing_of(outcome: Outcome) -> dict[tuple[str, str], int]:
    """Return feature and why -> values that its rule made missing."""
    return {(one.feature, f"{one.reason}: {one.detail}"): one.count for one in outcome.missing}


def _tell_of_missing(console: Console, missing: Counter[tuple[str, str]]) -> None:
    for (feature, why), n in missing.most_common():
        console.print(f"missing by rule: {n:,} values of {feature}, {why}", markup=False)


def _tell_of_leaps(console: Console, n: int, longest: int) -> None:
    if n:
        warn(
            console,
            f"{n:,} readings leapt more than input.max_leap_steps ({longest}) ahead of their "
            "series, were not confirmed by the next one, and were not used",
        )


def _warnings(
    pipeline: Pipeline, readings: ReadingFiles, *, n_late: int, n_forgotten: int
) -> Iterator[str]:
    """Yield what is wrong with the files, or with how they were read."""
    if pipeline.complaint:
        yield pipeline.complaint
    if n_late:
        yield (
            f"{n_late:,} readings came after a later one of their series and were not scored, as "
            "the daemon would not; sort the file by time"
            + (" (unless an hour stands there twice, see above)" if readings.has_seam else "")
        )
    if n_forgotten:
        yield (
            f"{n_forgotten:,} times a series was forgotten, as the daemon would, to hold no more "
            f"than {pipeline.store.index.capacity:,}: raise state.memory_budget_mb"
        )


def _check_folders(output: Path, alerts: Path | None) -> None:
    for flag, path in (("--output", output), ("--alerts", alerts)):
        if path is not None and not path.parent.is_dir():
            raise ConfigError(f"{flag} {path}: found no folder {path.parent}, expected one")


def _outcomes(
    pipeline: Pipeline, batches: Iterable[ReadingBatch]
) -> Iterator[tuple[Outcome, list[Changes]]]:
    """Yield the outcome of each batch, and what was evicted for it; last that of what waited.

    Not of lines: a file ends within a step of each series, whose other lines the daemon would wait
    for.
    """
    topic = ""
    for batch in batches:
        now, topic = datetime.now(UTC), batch.topic
        made_room = _evict(pipeline, batch, now)
        yield pipeline.observe(batch, now), made_room
    if not pipeline.detector.spec.adds_up:
        yield pipeline.finish(topic, datetime.now(UTC)), []


def _evict(pipeline: Pipeline, batch: ReadingBatch, now: datetime) -> list[Changes]:
    """Evict the shortfall of a batch, in the order of `EvictionClass`."""
    index, changes = pipeline.store.index, []
    wanted = index.n_free + pipeline.shortfall(batch)
    for eviction_class in EvictionClass:
        lacking = wanted - index.n_free
        if lacking > 0:
            changes.append(pipeline.lifecycle.evict(lacking, {0}, batch.topic, now, eviction_class))
    return changes


def _refuse_same_files(inputs: list[Path], outputs: list[Path]) -> None:
    """Refuse an output that is also another output or an input.

    Raises:
        ConfigError: If there is one.
    """
    paths = [path.resolve() for path in (*inputs, *outputs)]
    for number, path in enumerate(outputs, start=len(inputs)):
        # A path that is not a file, such as /dev/null, loses nothing.
        if paths[number] in paths[:number] and (path.is_file() or not path.exists()):
            raise ConfigError(f"{path}: given twice; expected a file of its own for each output")


def _progress(console: Console) -> Progress:
    columns = (TaskText(), SpinnerColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
