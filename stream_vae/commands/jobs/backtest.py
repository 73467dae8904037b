"""The production pipeline over labelled history, and what it is worth."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from stream_vae.commands.jobs.backtest_baselines import LearntBaselines, learn_baselines
from stream_vae.commands.jobs.backtest_facts import data_facts, model_facts, notes, realised
from stream_vae.commands.jobs.backtest_request import BacktestRequest
from stream_vae.commands.jobs.backtest_tables import detector_table, method_table
from stream_vae.commands.jobs.fault_tables import fault_tables
from stream_vae.commands.jobs.histories import read_history, to_batch
from stream_vae.commands.jobs.injected_faults import all_runs, inject_faults, normal_runs
from stream_vae.commands.jobs.input_files import text_format
from stream_vae.commands.jobs.offline import load_judging, make_folder, open_pipeline
from stream_vae.commands.jobs.terminal import TaskText, open_console
from stream_vae.core.model_spec import ModelSpec
from stream_vae.core.readings import ReadingBatch
from stream_vae.edges.files.bundle_files import load_bundle
from stream_vae.edges.files.label_files import Labels, read_labels
from stream_vae.edges.files.outputs import whole_file
from stream_vae.errors import ConfigError
from stream_vae.evaluate.backtest import Measurement, measure, n_replicates
from stream_vae.evaluate.history import History, run_history
from stream_vae.evaluate.intervals import LEVEL, Resampling
from stream_vae.evaluate.labelled import LabelledRows, label_rows
from stream_vae.evaluate.latent import LatentPlanes, LatentSample
from stream_vae.evaluate.report import BacktestReport, encode_report
from stream_vae.models.bundle import Bundle
from stream_vae.models.device import limit_threads
from stream_vae.models.latent import LatentEncoder
from stream_vae.models.provenance import FaultTrials
from stream_vae.pipeline.ruled_history import ruled_history
from stream_vae.settings import Settings, load_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """A finished backtest: the figures and all that they come from."""

    report: BacktestReport
    history: History
    labelled: LabelledRows
    labels: NDArray[np.int8]
    """(N,) 0 normal, 1 anomalous, -1 unlabelled."""
    spec: ModelSpec
    latent: LatentPlanes | None
    """None where no picture of it is wanted, or too few windows were scored."""


def run_backtest(
    request: BacktestRequest, flags: Mapping[str, object], config: Path | None
) -> None:
    """Print the figures of a backtest, and write the report if it is wanted."""
    load_settings(config, flags)  # a mistake of theirs is told before those of files
    if request.out is not None:
        make_folder(request.out, "--out")
    spec = load_bundle(request.bundle).spec
    console, files = open_console(), request.input_files
    settings = load_judging(spec, files, request.options, flags, config, console=console)
    limit_threads(settings.worker.threads)
    done = backtest(request, settings, console)
    console.print(detector_table(done.report))
    console.print(method_table(done.report))
    if done.report.faults is not None:
        for table in fault_tables(done.report.faults, is_apart=True):
            console.print(table)
    for note in done.report.notes:
        console.print(f"- {note}", highlight=False, soft_wrap=True)
    if request.out is not None:
        with whole_file(request.out / "report.json") as file:
            file.write(encode_report(done.report))
        if request.page:
            _write_page(done, settings, request.out / "report.html")
        console.print(f"See {request.out}", highlight=False)


def _write_page(done: Backtest, settings: Settings, path: Path) -> None:
    # matplotlib takes a second to import, and is not needed without a folder.
    from stream_vae.commands.jobs.backtest_page import report_page
    from stream_vae.commands.jobs.backtest_pictures import (
        history_pictures,
        latent_pictures,
        ranking_pictures,
    )

    pictures = chain(
        ranking_pictures(done.history, done.labelled),
        latent_pictures(done.latent),
        history_pictures(
            done.history, done.spec, max_gap=settings.detect.max_gap, labels=done.labels
        ),
    )
    with whole_file(path) as file:
        file.write(report_page(done.report, pictures))


def backtest(request: BacktestRequest, settings: Settings, console: Console) -> Backtest:
    """Run a backtest, with a progress bar.

    Raises:
        ConfigError: If the files, the bundle or the settings cannot be used.
    """
    model = load_bundle(request.bundle)
    readings = read_history(
        request.input_files,
        model.spec,
        request.label_column,
        options=request.options,
        settings=settings.input,
    )
    text = text_format(request.options, settings.input)
    labels = read_labels(readings, request.labels, text)
    batch = to_batch(readings)
    pipeline = open_pipeline(
        model,
        settings,
        capacity=len(set(batch.series)),
        instance="backtest",
        with_log_probability=_has_pictures(request),
    )
    columns = (TaskText(), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("baselines fitted", total=1)
        baselines = learn_baselines(request, model, settings, batch, labels)
        bar.update(task, completed=1)
        sample = _latent_sample(request, model, settings, labels)
        task = bar.add_task(f"{model.spec.judged} scored", total=len(batch))
        history = run_history(
            pipeline,
            batch,
            now=datetime.now(UTC),
            others=baselines.scores,
            sink=sample.see if sample is not None else None,
            on_progress=lambda count: bar.update(task, completed=count),
        )
        labelled = label_rows(history, labels.values, baselines.excluded)
        _check_judged(labelled)
        how = Measurement(
            window_length=model.spec.window_length,
            step_seconds=model.spec.step_seconds,
            replicates=request.replicates,
            point_adjusted=request.point_adjusted,
            seed=request.seed,
        )
        task = bar.add_task("resampled", total=n_replicates(history, how))
        detector, methods = measure(history, labelled, how, lambda: bar.advance(task))
    report = BacktestReport(
        model=model_facts(model, settings, pipeline),
        data=data_facts(readings, labelled, model.spec.judged),
        detector=detector,
        asked=pipeline.asked,
        realised=realised(history, model.spec),
        methods=methods,
        level=LEVEL,
        resampling=Resampling.of(labelled.series_bounds, how.window_length).description,
        replicates=how.replicates,
        baselines_trained_on=baselines.trained_on,
        notes=(*notes(labels, labelled, how), *baselines.notes),
        faults=_with_faults(request, model, settings, batch, labels, baselines, console),
    )
    return Backtest(
        report=report,
        history=history,
        labelled=labelled,
        labels=labels.values,
        spec=model.spec,
        latent=(
            sample.project(history, labels.values, seed=request.seed)
            if sample is not None
            else None
        ),
    )


def _with_faults(
    request: BacktestRequest,
    model: Bundle,
    settings: Settings,
    batch: ReadingBatch,
    labels: Labels,
    baselines: LearntBaselines,
    console: Console,
) -> FaultTrials | None:
    """Inject faults into the normal readings of which the baselines have seen none."""
    if not request.injected_faults:
        return None
    max_gap = settings.detect.max_gap
    ruled = ruled_history(model.spec, batch, max_gap)
    unseen = np.flatnonzero(~baselines.excluded[ruled.source])
    return inject_faults(
        model,
        settings,
        normal_runs(ruled.readings.take(unseen), labels.values[ruled.source[unseen]]),
        training=all_runs(ruled_history(model.spec, baselines.training, max_gap).readings),
        each=request.injected_faults,
        console=console,
    )


def _has_pictures(request: BacktestRequest) -> bool:
    return request.out is not None and request.page


def _latent_sample(
    request: BacktestRequest, model: Bundle, settings: Settings, labels: Labels
) -> LatentSample | None:
    if not _has_pictures(request):
        return None
    encoder = LatentEncoder(model, settings.worker.device)
    return LatentSample(labels.values, encoder.encode, np.random.default_rng(request.seed))


def _check_judged(labelled: LabelledRows) -> None:
    judged = labelled.is_anomalous[labelled.is_judged]
    if judged.all() or not judged.any():
        raise ConfigError(
            f"too little to rank: of the readings with a score, {int(judged.sum()):,} are labelled "
            f"anomalous and {int((~judged).sum()):,} normal; expected both. A series must fill a "
            "window before its readings have a score"
        )
