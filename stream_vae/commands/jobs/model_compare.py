"""Two bundles on the same history."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress
from rich.table import Table

from stream_vae.commands.jobs.histories import read_history, to_batch
from stream_vae.commands.jobs.offline import open_pipeline
from stream_vae.commands.jobs.terminal import TaskText, open_console
from stream_vae.core.excerpts import printable
from stream_vae.edges.files.bundle_files import load_bundle
from stream_vae.errors import InputFileError
from stream_vae.evaluate.agreement import Agreement, agreement
from stream_vae.evaluate.history import FoundIncident, History, run_history
from stream_vae.models.device import limit_threads
from stream_vae.pipeline.detector import score_name
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.settings import Settings, load_settings

_MOST_LISTED = 20
_WARM_UP = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One bundle's history."""

    name: str
    version: str
    score: str
    history: History
    seconds: float


def compare_bundles(
    first: Path, second: Path, input_files: Sequence[Path], config: Path | None
) -> None:
    """Print how far two bundles agree, and how fast each is."""
    settings = load_settings(config=config).settings
    limit_threads(settings.worker.threads)
    console = open_console()
    runs = [_run(bundle, input_files, settings, console) for bundle in (first, second)]
    found = agreement(runs[0].history, runs[1].history)
    console.print(_table(runs, found))
    console.print(_incident_table(found))


def _run(folder: Path, input_files: Sequence[Path], settings: Settings, console: Console) -> _Run:
    model = load_bundle(folder)
    try:
        batch = to_batch(read_history(input_files, model.spec, settings=settings.input))
    except InputFileError as exc:
        raise InputFileError(f"{exc} (read for bundle {folder})") from exc
    pipeline = open_pipeline(model, settings, capacity=len(set(batch.series)), instance="compare")
    _warm_up(pipeline)
    columns = (TaskText(), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("readings scored", total=len(batch))
        began = time.perf_counter()
        history = run_history(
            pipeline,
            batch,
            now=datetime.now(UTC),
            on_progress=lambda count: bar.update(task, completed=count),
        )
        seconds = time.perf_counter() - began
    return _Run(
        name=model.spec.id,
        version=model.spec.version,
        score=score_name(model.spec, settings.detect),
        history=history,
        seconds=seconds,
    )


def _warm_up(pipeline: Pipeline) -> None:
    """Score a batch of nothing: a network's first calls take many times as long as later ones."""
    spec = pipeline.detector.spec
    shape = (_WARM_UP, spec.window_length, len(spec.features))
    pipeline.detector.scorer.score(np.zeros(shape), np.zeros(_WARM_UP, np.int64))


def _table(runs: Sequence[_Run], found: Agreement) -> Table:
    a, b = runs
    table = Table("", "A", "B", "both", title="Two bundles on one history", title_justify="left")
    table.add_row("model", printable(a.name), printable(b.name), "")
    table.add_row("version", a.version[:12], b.version[:12], "")
    table.add_row("score", a.score, b.score, f"rank correlation {found.rank_correlation:.3f}")
    scored = (f"{int(run.history.is_judged.sum()):,}" for run in runs)
    table.add_row("readings with a score", *scored, f"{found.both_scored:,}")
    rows = (
        ("anomalous in it alone", found.anomalous_a, found.anomalous_b, found.anomalous_both),
        (
            "incidents in it alone",
            len(found.incidents_a),
            len(found.incidents_b),
            len(found.incidents_both),
        ),
    )
    for title, *counts in rows:
        table.add_row(title, *(f"{count:,}" for count in counts))
    speeds = (f"{len(run.history) / max(run.seconds, 1e-9):,.0f}" for run in runs)
    table.add_row("readings per second", *speeds, "after a first batch")
    return table


def _incident_table(found: Agreement) -> Table:
    table = Table("in", "series", "start", "end", "peak score", "features", title="Incidents")
    listed = [
        *(("A alone", one) for one in found.incidents_a),
        *(("B alone", one) for one in found.incidents_b),
        *(("both", one) for one in found.incidents_both),
    ]
    for where, one in listed[:_MOST_LISTED]:
        table.add_row(where, *_cells(one))
    if len(listed) > _MOST_LISTED:
        table.caption = f"and {len(listed) - _MOST_LISTED:,} more"
    return table


def _cells(one: FoundIncident) -> tuple[str, ...]:
    return (
        printable(one.series, 40),
        _time(one.started_at),
        _time(one.ended_at) if one.is_resolved else "still firing",
        f"{one.peak_score:.4g}",
        ", ".join(printable(name, 30) for name in one.features[:3]),
    )


def _time(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns / 1e9, UTC):%Y-%m-%d %H:%M:%S}Z"
