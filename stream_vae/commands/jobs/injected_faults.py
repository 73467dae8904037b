"""What a bundle finds of faults injected into history, with the settings of a run."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

from stream_vae.commands.jobs.offline import build_scorer
from stream_vae.commands.jobs.terminal import TaskText
from stream_vae.core.readings import ReadingBatch
from stream_vae.edges.files.training_data import SeriesArrays, rows_by_series
from stream_vae.evaluate.comparison import cut_windows
from stream_vae.evaluate.fault_assessment import Plan, assess
from stream_vae.evaluate.fault_trials import HeldOut, Method
from stream_vae.models.bundle import Bundle
from stream_vae.models.config import TrainingConfig
from stream_vae.models.provenance import FaultTrials
from stream_vae.models.training.training_windows import ANOMALOUS, UNLABELLED, part_rows
from stream_vae.settings import Settings

_MOST_READINGS = 20_000
"""Of the history that is run: two weeks of one-minute steps."""
_MOST_WINDOWS = 5_000
"""That the methods beside the model are fitted to."""


def inject_faults(
    model: Bundle,
    settings: Settings,
    held_out: Iterable[SeriesArrays],
    *,
    training: Iterable[SeriesArrays],
    each: int,
    console: Console,
) -> FaultTrials:
    """Return what a bundle finds, with a progress bar.

    Args:
        model: The bundle.
        settings: Its score, threshold and incidents are those of a daemon with these settings.
        held_out: History after the rules of its features that the model was not fitted to; at most
            20,000 readings are used.
        training: History for the methods that it is compared with; also so many.
        each: Faults of each kind, feature and size.
        console: Where the bar is shown.
    """
    spec = model.spec.without_rules
    method = Method(spec=spec, scorer=build_scorer(model, settings), config=settings.detect)
    columns = (TaskText(), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("faults injected", total=None)
        learnt = _together(model, [*training])
        windows = cut_windows(
            spec,
            settings.detect,
            learnt.readings(np.arange(len(learnt)), learnt.series()),
            rng=np.random.default_rng(model.noise_seed),
            most=_MOST_WINDOWS,
        )
        return assess(
            method,
            _together(model, [*held_out]),
            windows,
            Plan(
                each=each,
                by_range=model.training.config.scaling == "min_max",
                seed=model.noise_seed,
            ),
            lambda done, total: bar.update(task, completed=done, total=total),
        )


def part_of(
    series: Iterable[SeriesArrays], part: str, training: TrainingConfig
) -> Iterator[SeriesArrays]:
    """Yield one part of each series of the training data."""
    for one in series:
        yield _rows_of(one, part_rows(len(one.times), training)[part])


def normal_runs(batch: ReadingBatch, labels: NDArray[np.int8]) -> Iterator[SeriesArrays]:
    """Yield the runs of each series' readings between those that are labelled anomalous.

    Args:
        batch: N readings.
        labels: (N,) 0 normal, 1 anomalous, -1 unlabelled.
    """
    for key, rows in zip(*rows_by_series(batch.series), strict=True):
        ordered = rows[np.argsort(batch.times[rows], kind="stable")]
        is_anomalous = labels[ordered] == ANOMALOUS
        for run in np.split(ordered, np.flatnonzero(is_anomalous)):
            normal = run[labels[run] != ANOMALOUS]
            yield SeriesArrays(key=key, times=batch.times[normal], values=batch.values[normal])


def all_runs(batch: ReadingBatch) -> Iterator[SeriesArrays]:
    """Yield each series' readings, of none of which a label is known."""
    return normal_runs(batch, np.full(len(batch), UNLABELLED, np.int8))


def _rows_of(one: SeriesArrays, rows: slice) -> SeriesArrays:
    labels = None if one.labels is None else one.labels[rows]
    return replace(one, times=one.times[rows], values=one.values[rows], labels=labels)


def _together(model: Bundle, series: Sequence[SeriesArrays]) -> HeldOut:
    """Return the ends of series, the share of each as equal as can be."""
    T, F = model.spec.window_length, len(model.spec.features)
    none = SeriesArrays(key="", times=np.empty(0, np.int64), values=np.empty((0, F)))
    usable = sorted((one for one in series if len(one.times) >= T), key=lambda one: len(one.times))
    kept = [none]
    room = _MOST_READINGS
    for at, one in enumerate(usable):
        n = min(len(one.times), max(room // (len(usable) - at), T))
        if n <= room:
            kept.append(_rows_of(one, slice(len(one.times) - n, None)))
            room -= n
    labels = [np.zeros(len(one.times)) if one.labels is None else one.labels for one in kept]
    return HeldOut(
        times=np.concatenate([one.times for one in kept]),
        values=np.concatenate([one.values for one in kept]),
        is_anomalous=np.concatenate(labels) == ANOMALOUS,
        bounds=np.cumsum([len(one.times) for one in kept]),
    )
