"""Figures of a method on one file, and over the files of a data set."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stream_vae.detect.config import ThresholdConfig
from stream_vae.detect.tail import fit_tail
from stream_vae.detect.threshold.learnt import first_scores
from stream_vae.evaluate.data_sets.methods import MethodScores
from stream_vae.evaluate.data_sets.nab_rule import (
    NabCount,
    NabFile,
    best_over_cuts,
    normalised,
)
from stream_vae.evaluate.data_sets.single_series import detected
from stream_vae.evaluate.data_sets.task import Task
from stream_vae.evaluate.metrics import average_precision, best_f1, roc_auc
from stream_vae.evaluate.vus import vus_pr
from stream_vae.models.training.calibration import QUANTILE_LEVELS

_NAB_CUTS = 400
_LOG_ODDS = "supervised"
"""The score whose cut, even odds, is its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkRow:
    """One line of `--json`."""

    data: str
    file: str
    method: str
    score: str
    seed: int
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A row and the scores behind it, for figures over several files."""

    row: BenchmarkRow
    test: NDArray[np.float64]
    """(B,) scores, or what a detector made of them."""
    is_anomalous: NDArray[np.bool_]
    """(B,)"""
    is_detected: NDArray[np.bool_] | None
    """(B,) at the cut, or the readings that open an incident; None without a cut."""
    judged_from: int


def measured(data: str, task: Task, found: MethodScores, seed: int) -> Result:
    """Return a method's figures on one task."""
    judged = slice(task.judged_from, None)
    labels = task.is_anomalous[judged]
    scores, metrics = found.test, _ranking(labels, found.test[judged], task)
    is_detected = None
    if task.detect is not None:
        made = detected(task, found, task.detect)
        scores, is_detected = made.value, made.opened
    elif found.reference is not None:
        is_detected = scores >= _cut(task, found.score, found.reference)
        metrics |= at_cut(labels, is_detected[judged], task.settings.prevalence)
    return Result(
        row=BenchmarkRow(
            data=data,
            file=task.file,
            method=found.method,
            score=found.score,
            seed=seed,
            metrics=metrics,
        ),
        test=scores,
        is_anomalous=task.is_anomalous,
        is_detected=is_detected,
        judged_from=task.judged_from,
    )


def at_cut(
    is_anomalous: NDArray[np.bool_],
    is_detected: NDArray[np.bool_],
    prevalence: float | None = None,
) -> dict[str, float]:
    """Return accuracy, precision, recall, F1, and false and missed alarms, all as fractions.

    False alarms (`far`) are of the normal rows, missed ones (`mar`) of the anomalous rows. Without
    an anomalous row recall, F1 and missed alarms are left out, and so on. With a prevalence, normal
    rows count as many times as gives anomalous ones that share.
    """
    hits = int((is_anomalous & is_detected).sum())
    missed = int(is_anomalous.sum()) - hits
    weight, normal = 1.0, float(len(is_anomalous) - hits - missed)
    if prevalence is not None and normal:
        weight = (1 - prevalence) / prevalence * (hits + missed) / normal
    false, normal = weight * (int(is_detected.sum()) - hits), weight * normal
    shares = {
        "accuracy": (hits + normal - false, hits + missed + normal),
        "precision": (hits, hits + false),
        "recall": (hits, hits + missed),
        "f1": (2 * hits, 2 * hits + false + missed),
        "far": (false, normal),
        "mar": (missed, hits + missed),
    }
    return {name: part / whole for name, (part, whole) in shares.items() if whole}


def mean_over_files(results: Sequence[Result]) -> dict[str, float]:
    """Return the mean of each figure over the files that have it."""
    names = dict.fromkeys(name for result in results for name in result.row.metrics)
    return {
        name: float(np.mean([r.row.metrics[name] for r in results if name in r.row.metrics]))
        for name in names
    }


def pooled_rows(results: Sequence[Result]) -> dict[str, float]:
    """Return the figures at the cut over the rows of all files, and the mean of the others."""
    judged = [
        (one.is_anomalous[one.judged_from :], one.is_detected[one.judged_from :])
        for one in results
        if one.is_detected is not None
    ]
    if len(judged) < len(results):
        return mean_over_files(results)
    labels, found = (np.concatenate(one) for one in zip(*judged, strict=True))
    return {**mean_over_files(results), **at_cut(labels, found)}


def nab_scores(results: Sequence[Result]) -> dict[str, float]:
    """Return the scores of NAB's standard profile, with and without a look at labels."""
    files = [NabFile(r.is_anomalous, judged_from=r.judged_from) for r in results]
    total = NabCount(raw=0.0, windows=0)
    for one, result in zip(files, results, strict=True):
        if result.is_detected is not None:
            total += one.count(result.is_detected)
    values = [result.test for result in results]
    cuts = np.quantile(np.concatenate(values), np.linspace(0.8, 1.0, _NAB_CUTS))
    return {
        **mean_over_files(results),
        "nab_standard": normalised(total),
        "nab_standard_cut_on_labels": best_over_cuts(files, values, np.append(cuts, np.inf)),
    }


def two_groups(scores: NDArray[np.float64]) -> float:
    """Return the cut that divides scores into the two groups that differ most from each other.

    Positive scores are distances; of these the logarithms are divided, or a few far ones would be a
    group of their own.

    References:
        Otsu (1979), A Threshold Selection Method from Gray-Level Histograms, IEEE SMC 9.
    """
    are_distances = bool(scores.min() > 0)
    ranked = np.sort(np.log(scores) if are_distances else scores)
    below = np.arange(1, len(ranked))
    total = np.cumsum(ranked)
    low, high = total[:-1] / below, (total[-1] - total[:-1]) / (len(ranked) - below)
    best = int((below * (len(ranked) - below) * (high - low) ** 2).argmax())
    cut = float((ranked[best] + ranked[best + 1]) / 2)
    return math.exp(cut) if are_distances else cut


def first_threshold(reference: NDArray[np.float64], quantile: float) -> float:
    """Return the threshold with which the daemon's percentile begins, from held-out scores."""
    window = ThresholdConfig(method="percentile", quantile=quantile).window
    scores = first_scores(np.quantile(reference, QUANTILE_LEVELS), window)
    return float(fit_tail(scores[None], quantile).threshold[0])


def _cut(task: Task, score: str, reference: NDArray[np.float64]) -> float:
    if score == _LOG_ODDS:
        return 0.0
    if task.settings.cut == "held_out":
        middle, high = np.quantile(reference, (0.5, task.settings.cut_quantile))
        return float(middle + task.settings.cut_factor * (high - middle))
    if task.settings.cut == "threshold":
        return first_threshold(reference, task.settings.cut_quantile)
    if task.settings.cut == "training_labels" and task.history_labels is not None:
        return best_f1(task.history_labels, reference)[1]
    return two_groups(reference)


def _ranking(
    labels: NDArray[np.bool_], scores: NDArray[np.float64], task: Task
) -> dict[str, float]:
    """Return the figures that need no cut; none where all rows are alike."""
    if labels.all() or not labels.any():
        return {}
    if task.settings.prevalence is not None:  # on which the others depend
        return {"roc_auc": roc_auc(labels, scores)}
    measures: dict[str, Callable[[NDArray[np.bool_], NDArray[np.float64]], float]] = {
        "average_precision": average_precision,
        "roc_auc": roc_auc,
        "best_f1": lambda is_anomalous, values: best_f1(is_anomalous, values)[0],
    }
    if task.vus_buffer is not None:
        measures["vus_pr"] = partial(vus_pr, max_buffer=task.vus_buffer)
    return {name: measure(labels, scores) for name, measure in measures.items()}
