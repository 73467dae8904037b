"""A benchmark: every method on every part of a data set."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from stream_vae.evaluate.data_sets.methods import OnBatch, all_scores
from stream_vae.evaluate.data_sets.summaries import Result, measured
from stream_vae.evaluate.data_sets.task import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training of the model on a part of a data set, and the baselines beside it."""

    data: str
    """Name of the data set."""
    part: Part
    seed: int
    is_first: bool
    """Whether methods that draw nothing are run: once, not for each seed."""


def jobs_of(data: str, parts: Iterable[Part], seeds: Iterable[int]) -> Iterator[Job]:
    """Yield the jobs of a data set, seed by seed."""
    chosen = list(parts)
    for number, seed in enumerate(seeds):
        for part in chosen:
            yield Job(data=data, part=part, seed=seed, is_first=number == 0)


def run_job(job: Job, now: datetime, on_batch: OnBatch | None = None) -> list[Result]:
    """Return each method's figures on one part, baselines among the methods.

    Args:
        job: What to run.
        now: Time of training, with a time zone.
        on_batch: Called after each optimiser step of the model.

    Raises:
        InputFileError: If a file of the part cannot be read.
        ConfigError: If its data are too few to train on.
    """
    task = job.part.read()
    scores = all_scores(
        task, seed=job.seed, now=now, on_batch=on_batch, with_deterministic=job.is_first
    )
    return [measured(job.data, task, found, job.seed) for found in scores]
