"""A training as it is seen: losses, and the time that remains."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from stream_vae.commands.jobs.terminal import TaskText
from stream_vae.core.model_spec import Feature
from stream_vae.edges.files.training_data import SeriesArrays
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.training.fitting import Listeners
from stream_vae.models.training.reports import BatchReport, EpochReport
from stream_vae.models.training.train import TrainedModel, train
from stream_vae.models.training.training_windows import TrainingSeries


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

        return train(
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
