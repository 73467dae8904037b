"""Training with several settings, of which the best is kept."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from rich.console import Console
from rich.table import Table

from stream_vae.errors import ConfigError
from stream_vae.evaluate.metrics import average_precision
from stream_vae.models.config import ArchitectureConfig
from stream_vae.models.training.calibration import score_windows
from stream_vae.models.training.search import (
    Candidate,
    Tried,
    best_of,
    calibration_error,
    with_score,
)
from stream_vae.models.training.train import TrainedModel
from stream_vae.models.training.training_windows import ANOMALOUS, UNLABELLED

Fit = Callable[[ArchitectureConfig, Callable[[], None]], TrainedModel]
"""From an architecture, and what to call at each step, to a model."""


class _OutOfTimeError(Exception):
    """A trial took longer than it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """How settings are searched."""

    trials: int
    trial_seconds: float
    """A trial that is not fitted by then is stopped, and not compared."""
    by_labels: bool


def search(
    candidates: Sequence[Candidate],
    fit: Fit,
    *,
    architecture: ArchitectureConfig,
    options: SearchOptions,
    console: Console,
) -> TrainedModel:
    """Try every candidate, print what was tried, and return the best model.

    Raises:
        ConfigError: If no trial ended in time, or labels are missing that are to decide.
    """
    tried: list[Tried] = []
    best: TrainedModel | None = None
    for number, candidate in enumerate(candidates, start=1):
        console.print(f"trial {number}/{len(candidates)}: {_in_words(candidate)}")
        model, result = _try(candidate, fit, architecture, options)
        tried.append(result)
        if model is not None and best_of(tried, by_labels=options.by_labels) == number - 1:
            best = model
    chosen = best_of(tried, by_labels=options.by_labels)
    # A later trial can make an earlier one the best again: it moves the likeliest.
    if best is None or _candidate_of(best) != _sizes(tried[chosen].candidate):
        best = _try(tried[chosen].candidate, fit, architecture, options)[0]
    console.print(_table(tried, chosen))
    if best is None:
        raise ConfigError("search: the best trial did not end in time again, expected it to")
    score = tried[chosen].candidate.score
    return best if score is None else _rescored(best, score)


def _try(
    candidate: Candidate, fit: Fit, architecture: ArchitectureConfig, options: SearchOptions
) -> tuple[TrainedModel | None, Tried]:
    ends_at = time.monotonic() + options.trial_seconds

    def check_time() -> None:
        if time.monotonic() > ends_at:
            raise _OutOfTimeError

    try:
        model = fit(candidate.applied(architecture), check_time)
    except _OutOfTimeError:
        return None, Tried(candidate=candidate)
    except ConfigError:
        # Drawn settings may not suit the data (gaps, divergence); those that were given must.
        if candidate.score is None:
            raise
        return None, Tried(candidate=candidate)
    name = candidate.score or model.bundle.spec.score
    scores, labels = score_windows(model.bundle, model.validation, name)
    known = labels != UNLABELLED
    precision = None
    if options.by_labels:
        if not (labels == ANOMALOUS).any():
            if candidate.score is not None:  # a longer window ends after the labelled rows
                return None, Tried(candidate=candidate)
            raise ConfigError(
                "--search-by labels: found no row labelled 1 in the validation part, expected some;"
                " give more labelled rows, or search by likelihood"
            )
        precision = average_precision(labels[known] == ANOMALOUS, scores[known])
    return model, Tried(
        candidate=candidate,
        log_likelihood=model.report.validation_log_likelihood,
        calibration_error=calibration_error(
            np.asarray(model.bundle.spec.calibration[name]), scores
        ),
        average_precision=precision,
    )


def _rescored(model: TrainedModel, score: str) -> TrainedModel:
    return replace(
        model,
        bundle=with_score(model.bundle, score),
        report=replace(model.report, score=score),
    )


def _sizes(candidate: Candidate) -> tuple[int, int, int]:
    return candidate.window_length, candidate.hidden_size, candidate.latent_size


def _candidate_of(model: TrainedModel) -> tuple[int, int, int]:
    shape = model.bundle.architecture
    return shape.window_length, shape.hidden_size, shape.latent_size


def _in_words(candidate: Candidate) -> str:
    return (
        f"window_length {candidate.window_length}, hidden_size {candidate.hidden_size}, "
        f"latent_size {candidate.latent_size}, score {candidate.score or 'auto'}"
    )


def _table(tried: Sequence[Tried], chosen: int) -> Table:
    table = Table(title="Tried", title_justify="left")
    for column in ("window", "hidden", "latent", "score", "nats per value", "calibration", "AP"):
        table.add_column(column)
    table.add_column("")
    for at, one in enumerate(tried):
        stopped = "did not end" if one.log_likelihood is None else ""
        table.add_row(
            *map(str, _sizes(one.candidate)),
            one.candidate.score or "auto",
            stopped or f"{one.log_likelihood:.3f}",
            "" if one.calibration_error is None else f"off by {one.calibration_error:.3f}",
            "" if one.average_precision is None else f"{one.average_precision:.3f}",
            "kept" if at == chosen else "",
        )
    return table
