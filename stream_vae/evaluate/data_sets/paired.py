"""By how much one method is better than each other one, over the files of a data set."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.evaluate.data_sets.summaries import BenchmarkRow
from stream_vae.evaluate.intervals import Interval, interval_of

_REPLICATES = 10_000
_FEWEST_FILES = 2
FEW_FILES = 10
"""Below it a percentile interval is markedly too narrow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """What the reference has more of a figure than another method, on the same files."""

    data: str
    figure: str
    reference: str
    """`METHOD, SCORE` that the others are taken from."""
    method: str
    score: str
    files: int
    """On which both have the figure."""
    mean: float
    """Over the files, of the mean over seeds; positive: the reference is better."""
    interval: Interval | None
    """95 %, percentile bootstrap over the files; None of a single file."""


def paired_differences(
    rows: Sequence[BenchmarkRow], *, reference: tuple[str, str], figure: str, seed: int
) -> Iterator[PairedDifference]:
    """Yield the reference's differences from the other methods, in the order of the rows.

    Files differ far more from each other than methods do on one file, so files are drawn, with
    replacement, and not the two methods apart.

    Args:
        rows: Of one data set.
        reference: Method and score.
        figure: Which of the metrics.
        seed: Of the draws.

    References:
        Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.
    """
    by_method = _by_method(rows, figure)
    ours = by_method.pop(reference, {})
    for (method, score), theirs in by_method.items():
        shared = [file for file in ours if file in theirs]
        if not shared:
            continue
        differences = np.array([np.mean(ours[one]) - np.mean(theirs[one]) for one in shared])
        yield PairedDifference(
            data=rows[0].data,
            figure=figure,
            reference=", ".join(reference),
            method=method,
            score=score,
            files=len(shared),
            mean=float(differences.mean()),
            interval=_interval(differences, np.random.default_rng(seed)),
        )


def _by_method(
    rows: Sequence[BenchmarkRow], figure: str
) -> dict[tuple[str, str], dict[str, list[float]]]:
    """Return the figure of each method by file, one value a seed."""
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in rows:
        if figure in row.metrics:
            of_method = found.setdefault((row.method, row.score), {})
            of_method.setdefault(row.file, []).append(row.metrics[figure])
    return found


def _interval(differences: NDArray[np.float64], rng: np.random.Generator) -> Interval | None:
    n = len(differences)
    if n < _FEWEST_FILES:
        return None
    return interval_of(differences[rng.integers(0, n, (_REPLICATES, n))].mean(axis=1))
