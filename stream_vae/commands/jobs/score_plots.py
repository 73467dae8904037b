"""Pictures of scored files."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from stream_vae.commands.jobs.backtest_pictures import history_pictures, write_pictures
from stream_vae.commands.jobs.histories import read_history, to_batch
from stream_vae.commands.jobs.offline import open_pipeline
from stream_vae.commands.options import FileOptions
from stream_vae.evaluate.history import run_history
from stream_vae.models.bundle import Bundle
from stream_vae.settings import Settings


def plot_history(
    model: Bundle,
    settings: Settings,
    input_files: Sequence[Path],
    folder: Path,
    console: Console,
    *,
    options: FileOptions,
) -> None:
    """Write pictures of a few series, those with most incidents first."""
    readings = read_history(input_files, model.spec, options=options, settings=settings.input)
    batch = to_batch(readings)
    pipeline = open_pipeline(
        model,
        settings,
        capacity=len(set(batch.series)),
        instance="score",
        with_log_probability=True,
    )
    with console.status("drawing"):
        history = run_history(pipeline, batch, now=datetime.now(UTC))
        pictures = history_pictures(history, model.spec, max_gap=settings.detect.max_gap)
        n = write_pictures(pictures, folder)
    console.print(f"{n} pictures in {folder}", highlight=False)
