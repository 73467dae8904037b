"""What every threshold does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.columns import Columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """B scores compared with the threshold in force for each."""

    threshold: NDArray[np.float64]
    """(B,)"""
    p_value: NDArray[np.float64]
    """(B,) share of normal scores expected to be at least this high; in [1e-12, 1]."""
    limit: NDArray[np.float64]
    """(B,) p-value of a score at the threshold; in [1e-12, 1]."""
    anomalous: NDArray[np.bool_]
    """(B,)"""
    released: NDArray[np.int64]
    """Positions in 0..B at which a series has been anomalous so long that learning starts."""
    value: NDArray[np.float64] | None = None
    """(B,) what was compared with the threshold, where that is not the score itself."""

    def with_records(
        self, is_record: NDArray[np.bool_], probability: NDArray[np.float64]
    ) -> "Judgement":
        """Return the judgement with readings that are anomalous whatever their score.

        Args:
            is_record: (B,) whether the reading is one.
            probability: (B,) of one; its p-value, if that of the score is not lower.
        """
        p_value = np.minimum(self.p_value, np.minimum(probability, self.limit))
        return replace(
            self,
            p_value=np.where(is_record, p_value, self.p_value),
            anomalous=self.anomalous | is_record,
        )


def join(parts: Sequence[tuple[NDArray[np.int64], Judgement]]) -> Judgement:
    """Return the judgement of B scores of which each was judged in one part.

    Args:
        parts: Positions in 0..B, and their judgement.
    """
    if len(parts) == 1:
        return parts[0][1]
    order = np.argsort(np.concatenate([np.empty(0, np.int64), *(which for which, _ in parts)]))

    def column(of: Callable[[Judgement], NDArray[Any]], dtype: type) -> NDArray[Any]:
        return np.concatenate([np.empty(0, dtype), *(of(one) for _, one in parts)])[order]

    released = [which[one.released] for which, one in parts]
    return Judgement(
        threshold=column(lambda one: one.threshold, np.float64),
        p_value=column(lambda one: one.p_value, np.float64),
        limit=column(lambda one: one.limit, np.float64),
        anomalous=column(lambda one: one.anomalous, np.bool_),
        released=np.sort(np.concatenate([np.empty(0, np.int64), *released])),
    )


class Threshold(Protocol):
    """A limit for each series' scores, above which they are anomalous.

    A score is judged before anything is learnt from it, anomalous ones teach little, and the same
    scores give the same verdicts however they are cut into batches.
    """

    state: Columns
    """One row per series; the column `threshold` is the value in force."""

    @property
    def method(self) -> str:
        """Description of the threshold, for alert events."""
        ...

    @property
    def identity(self) -> str:
        """The method and those of its parameters that give its state another meaning."""
        ...

    @property
    def release_after(self) -> int:
        """Consecutive anomalous readings after which a new level is learnt; 0 if none ever is."""
        ...

    def start(self, rows: NDArray[np.int32]) -> None:
        """Initialise new series from the calibration."""
        ...

    def share_among(self, n_series: int) -> None:
        """Take note of how many series share what is asked of all of them together."""
        ...

    def in_force(self, row: int) -> float:
        """Return the threshold of a series."""
        ...

    def bounded(self, rows: NDArray[np.int32]) -> tuple[int, int]:
        """Return how many of these series have a threshold at its floor, and at its ceiling."""
        ...

    def judge(
        self, rows: NDArray[np.int32], scores: NDArray[np.float64], revises: NDArray[np.bool_]
    ) -> Judgement:
        """Judge B scores and learn from them.

        Args:
            rows: (B,) series; equal ones are adjacent, in arrival order.
            scores: (B,) finite.
            revises: (B,) the score replaces the one before it and is not learnt a second time.
        """
        ...
