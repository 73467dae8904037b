"""Training with several settings, of which the best is kept."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from stream_vae.commands.jobs.train_report import tried_table
from stream_vae.errors import ConfigError
from stream_vae.evaluate.metrics import average_precision
from stream_vae.models.bundle import Bundle
from stream_vae.models.config import ArchitectureConfig
from stream_vae.models.provenance import Candidate, Tried
from stream_vae.models.scores.tracked import Fused
from stream_vae.models.training.calibration import score_labelled, score_windows
from stream_vae.models.training.member_sets import judged_by_validation, smaller_sets, with_members
from stream_vae.models.training.search import (
    applied,
    as_best,
    best_of,
    best_set_of,
    calibration_error,
)
from stream_vae.models.training.train import TrainedModel
from stream_vae.models.training.training_windows import ANOMALOUS, WindowSet

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


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledScores:
    """Scores of the validation part's labelled rows that end a window."""

    rows: NDArray[np.int64]
    """(W, 2) position of the series and time of each row."""
    scores: NDArray[np.float64]
    """(W,)"""
    is_anomalous: NDArray[np.bool_]
    """(W,)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """A result, and what it takes to compare it by labels."""

    tried: Tried
    labelled: LabelledScores | None = None


def search(
    candidates: Sequence[Candidate],
    fit: Fit,
    *,
    architecture: ArchitectureConfig,
    options: SearchOptions,
    console: Console,
) -> TrainedModel:
    """Try every candidate, print what was tried, and return the best model.

    Its bundle keeps the table.

    Raises:
        ConfigError: If no trial ended in time, or labels are missing that are to decide.
    """
    if all(candidate.window_length == 1 for candidate in candidates):
        console.print("window_length 1: events stay events, windows are not searched")
    trials: list[_Trial] = []
    best, best_at = None, -1
    for at, candidate in enumerate(candidates):
        console.print(f"trial {at + 1}/{len(candidates)}: {_in_words(candidate)}")
        model, trial = _try(candidate, fit, architecture, options)
        trials.append(trial)
        if model is not None and _best_of(trials, options) == at:
            best, best_at = model, at
    chosen = _best_of(trials, options)
    if best_at != chosen:
        # A later trial can make an earlier one the best again: it moves the likeliest.
        console.print(f"trial {chosen + 1} is the best again, and is fitted once more")
        best = _try(candidates[chosen], fit, architecture, options)[0]
    if best is None:
        raise ConfigError("search: the best trial did not end in time again, expected it to")
    if (candidates[chosen].score or best.bundle.spec.score) == Fused.name:
        best, sets = _best_members(best, trials[chosen], options, console)
        chosen = chosen if sets.kept == 0 else len(trials) + sets.kept - 1
        trials += sets.trials
    tried = _compared(trials, by_labels=options.by_labels)
    bundle = as_best(best.bundle, tried, chosen)
    console.print(tried_table(bundle.training.search))
    return replace(best, bundle=bundle, report=replace(best.report, score=bundle.spec.score))


@dataclass(frozen=True, slots=True, kw_only=True)
class _MemberSets:
    """What came of smaller sets of members."""

    trials: list[_Trial]
    kept: int
    """0: the set that was asked for; else the place among the trials, from 1."""


def _best_members(
    model: TrainedModel, asked: _Trial, options: SearchOptions, console: Console
) -> tuple[TrainedModel, _MemberSets]:
    """Return the model with the best set of its members; the network is not fitted again."""
    trials: list[_Trial] = []
    for names in smaller_sets(model.bundle.training.config):
        console.print(f"the same network with members {names}")
        candidate = replace(asked.tried.candidate, score=None, members=names)
        trials.append(_judged(model, judged_by_validation(model, names), candidate, options))
    tried = _compared([asked, *trials], by_labels=options.by_labels)
    kept = best_set_of(tried, by_labels=options.by_labels)
    chosen = tried[kept].candidate.members
    if chosen is not None:
        model = with_members(model, chosen)
    return model, _MemberSets(trials=trials, kept=kept)


def average_precisions(trials: Sequence[LabelledScores | None]) -> list[float | None]:
    """Return the average precision of each trial on the rows that all of them scored.

    Longer windows begin later: trials that leave no anomalous row in common are not compared, the
    one with the fewest rows first.
    """
    compared = [at for at, one in enumerate(trials) if one is not None]
    while compared:
        found = {at: _rows_of(trials[at]) for at in compared}
        common = set.intersection(*(set(rows) for rows in found.values()))
        chosen = {at: [row in common for row in rows] for at, rows in found.items()}
        precisions = {at: _precision(trials[at], chosen[at]) for at in compared}
        if None not in precisions.values():
            return [precisions.get(at) for at in range(len(trials))]
        compared.remove(min(compared, key=lambda at: (len(found[at]), -at)))
    return [None] * len(trials)


def _rows_of(labelled: LabelledScores | None) -> list[tuple[int, int]]:
    return [] if labelled is None else [(one[0], one[1]) for one in labelled.rows.tolist()]


def _precision(labelled: LabelledScores | None, chosen: list[bool]) -> float | None:
    if labelled is None or not labelled.is_anomalous[chosen].any():
        return None
    return average_precision(labelled.is_anomalous[chosen], labelled.scores[chosen])


def _compared(trials: Sequence[_Trial], *, by_labels: bool) -> list[Tried]:
    """Return the results, by labels on the same rows; those without any are out."""
    if not by_labels:
        return [one.tried for one in trials]
    precisions = average_precisions([one.labelled for one in trials])
    return [
        Tried(candidate=one.tried.candidate)
        if precision is None
        else replace(one.tried, average_precision=precision)
        for one, precision in zip(trials, precisions, strict=True)
    ]


def _best_of(trials: Sequence[_Trial], options: SearchOptions) -> int:
    return best_of(_compared(trials, by_labels=options.by_labels), by_labels=options.by_labels)


def _try(
    candidate: Candidate, fit: Fit, architecture: ArchitectureConfig, options: SearchOptions
) -> tuple[TrainedModel | None, _Trial]:
    ends_at = time.monotonic() + options.trial_seconds

    def check_time() -> None:
        if time.monotonic() > ends_at:
            raise _OutOfTimeError

    failed = _Trial(tried=Tried(candidate=candidate))
    try:
        model = fit(applied(candidate, architecture), check_time)
    except _OutOfTimeError:
        return None, failed
    except ConfigError:
        # Drawn settings may not suit the data (gaps, divergence); those that were given must.
        if candidate.score is None:
            raise
        return None, failed
    bundle = model.bundle
    if (candidate.score or bundle.spec.score) == Fused.name:
        # The members know the validation part, and would find all of it normal.
        bundle = judged_by_validation(model, bundle.training.config.members)
    trial = _judged(model, bundle, candidate, options)
    labelled = trial.labelled
    if labelled is not None and not labelled.is_anomalous.any():
        if candidate.score is not None:  # a longer window ends after the labelled rows
            return None, failed
        raise ConfigError(
            "--search-by labels: found no row labelled 1 in the validation part, expected some;"
            " give more labelled rows, or search by likelihood"
        )
    return model, trial


def _judged(
    model: TrainedModel, bundle: Bundle, candidate: Candidate, options: SearchOptions
) -> _Trial:
    """Return what the validation part says of a model, of whose network this bundle is."""
    name, windows = candidate.score or bundle.spec.score, model.validation
    return _Trial(
        tried=Tried(
            candidate=candidate,
            log_likelihood=model.report.validation_log_likelihood,
            calibration_error=calibration_error(
                np.asarray(bundle.spec.calibration[name]), score_windows(bundle, windows, name)
            ),
        ),
        labelled=_labelled(bundle, windows, name) if options.by_labels else None,
    )


def _labelled(bundle: Bundle, windows: WindowSet, name: str) -> LabelledScores:
    which, scores = score_labelled(bundle, windows, name)
    newest = windows.starts[which] + windows.window_length - 1
    return LabelledScores(
        rows=np.stack([windows.series_of_steps()[newest], windows.times[newest]], axis=1),
        scores=scores,
        is_anomalous=windows.newest_labels()[which] == ANOMALOUS,
    )


def _in_words(candidate: Candidate) -> str:
    return (
        f"window_length {candidate.window_length}, hidden_size {candidate.hidden_size}, "
        f"latent_size {candidate.latent_size}, score {candidate.score or 'auto'}"
    )
