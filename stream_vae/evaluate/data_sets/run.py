"""A benchmark: every method on every part of a data set."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from stream_vae.evaluate.data_sets.methods import OnBatch, all_scores
from stream_vae.evaluate.data_sets.summaries import Result, measured
from stream_vae.evaluate.data_sets.task import Task


def run_benchmark(  # noqa: PLR0913 - what, how often, when and who listens
    data: str,
    tasks: Iterable[Task],
    *,
    seeds: int,
    now: datetime,
    on_start: Callable[[Task, int], None] | None = None,
    on_batch: OnBatch | None = None,
) -> Iterator[Result]:
    """Yield each method's figures on each task, baselines among the methods.

    Args:
        data: Name of the data set.
        tasks: Read one at a time.
        seeds: How many, from 0; each trains anew.
        now: Time of training, with a time zone.
        on_start: Called before each task and seed.
        on_batch: Called after each optimiser step of the model.

    Raises:
        ConfigError: If a task's data are too few to train on.
    """
    for task in tasks:
        for seed in range(seeds):
            if on_start is not None:
                on_start(task, seed)
            for found in all_scores(task, seed=seed, now=now, on_batch=on_batch):
                yield measured(data, task, found, seed)
