"""`stream-vae score`: the daemon's own pipeline over files, without Kafka."""

import math
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress

from stream_vae import __version__
from stream_vae.commands.options import ConfigOption, load_command_settings
from stream_vae.core.alerts import AlertDetector
from stream_vae.core.verdicts import Verdict
from stream_vae.edges.files.bundle_files import load_bundle
from stream_vae.edges.files.csv_readings import read_csv
from stream_vae.edges.files.outputs import AlertsWriter, ScoresWriter, whole_file
from stream_vae.models.device import limit_threads
from stream_vae.models.scoring import WindowScorer
from stream_vae.pipeline.alert_builder import Origin
from stream_vae.pipeline.pipeline import Pipeline

_BATCH_ROWS = 4096


def score(
    bundle: Annotated[Path, typer.Option(help="Model bundle written by train.")],
    input_files: Annotated[
        list[Path], typer.Option("--input", help="CSV file; repeat for more files.")
    ],
    output: Annotated[Path, typer.Option(help="Scores CSV to write.")],
    alerts: Annotated[
        Path | None, typer.Option(help="Alert events to write, one JSON object a line.")
    ] = None,
    config: ConfigOption = None,
    score_name: Annotated[
        str | None, typer.Option("--score", help="Overrides detect.score.")
    ] = None,
) -> None:
    """Score CSV files with a bundle: what the daemon would have said, reading by reading.

    One output row per input reading, in input order: series, timestamp, score, threshold, p_value
    and verdict (NORMAL, ANOMALOUS, WARMING_UP or UNSCORABLE).

    Example: stream-vae score --bundle bundle/ --input week.csv --output scores.csv
    """
    settings = load_command_settings(config, {"detect.score": score_name})
    limit_threads(settings.worker.threads)
    model = load_bundle(bundle)
    scorer = WindowScorer(
        model,
        score=settings.detect.score,
        device=settings.worker.device,
        samples=settings.worker.samples,
        max_batch=settings.worker.max_batch,
    )
    pipeline = Pipeline(
        model.spec,
        settings.detect,
        Origin(
            detector=AlertDetector(
                name=settings.detector.name, version=__version__, instance="score"
            ),
            labels=settings.detector.labels,
            links=settings.detector.links,
        ),
    )
    readings = read_csv(input_files, [feature.name for feature in model.spec.features])
    n_alerts = n_late = 0
    counts = np.zeros(len(Verdict), np.int64)
    console = Console(stderr=True)
    with ExitStack() as stack:
        scores_file = ScoresWriter(stack.enter_context(whole_file(output)))
        alerts_file = AlertsWriter(stack.enter_context(whole_file(alerts))) if alerts else None
        bar = stack.enter_context(Progress(console=console, transient=True))
        task = bar.add_task("scoring", total=math.ceil(len(readings) / _BATCH_ROWS))
        for batch in readings.iter_batches(_BATCH_ROWS):
            outcome = pipeline.observe(batch, scorer, datetime.now(UTC))
            scores_file.write(batch, outcome.verdicts)
            counts += np.bincount(outcome.verdicts.verdict, minlength=len(Verdict))
            n_late += len(outcome.late)
            for event in outcome.alerts:
                n_alerts += 1
                if alerts_file:
                    alerts_file.write(event)
            bar.advance(task)
    told = ", ".join(f"{counts[verdict]:,} {verdict.name}" for verdict in Verdict)
    console.print(f"{len(readings):,} readings: {told}; {n_alerts} alert events; see {output}")
    if n_late:
        console.print(
            f"[bold yellow]warning:[/] {n_late:,} readings came after a later one of their series "
            "and were not scored, as the daemon would not; sort the file by time"
        )
