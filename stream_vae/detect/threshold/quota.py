"""How many of a series' rejected scores are learnt all the same."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.columns import Columns
from stream_vae.detect.threshold.runs import Runs

QUOTA_FIELDS: Final = (("quota_read", "<i8"), ("quota_spent", "<i4"), ("quota_renewed", "?"))

_LEAST_BLOCK = 5000
_LEAST_ADMITTED = 20
"""Rejected scores that are admitted at once: more than most excursions of a normal series have. At
1 in 100 they are 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """A bucket that lets some rejected scores through and is refilled in time.

    Scores above the threshold that were never learnt would leave a truncated sample, whose quantile
    sinks: the threshold would be exceeded ever more often. So rejected scores are admitted at twice
    the share that is asked for, which an anomaly of any length can use but not exceed.

    The bucket is refilled whole after as many readings as it stands for, so that how much is in it
    is a count within a block of readings.
    """

    read: NDArray[np.int64]
    """(S,) readings of the block so far; a full block is followed by a new one."""
    spent: NDArray[np.int32]
    """(S,) rejected scores in them."""
    renewed: NDArray[np.bool_]
    """(S,) whether a block has begun since this was last set to false."""
    block: int
    """Readings."""
    size: int
    """Rejected scores admitted in a block."""

    @classmethod
    def within(cls, state: Columns, share: float) -> "Quota":
        """Return the quota kept in the columns `QUOTA_FIELDS`.

        Args:
            state: Of a threshold.
            share: Of normal scores above the threshold, as asked.
        """
        size = max(_LEAST_ADMITTED, round(2 * share * _LEAST_BLOCK))
        return cls(
            read=state["quota_read"],
            spent=state["quota_spent"],
            renewed=state["quota_renewed"],
            block=max(1, round(size / (2 * share))),
            size=size,
        )

    def admits(
        self,
        rows: NDArray[np.int32],
        runs: Runs,
        counted: NDArray[np.bool_],
        rejected: NDArray[np.bool_],
    ) -> "Admission":
        """Return what the quota says of B readings, without taking from it.

        Args:
            rows: (B,) series; equal ones adjacent.
            runs: Of the series.
            counted: (B,) readings that are no revision.
            rejected: (B,) scores that ask for admission; all counted.
        """
        read = self.read[rows] + runs.cumulative(counted.astype(np.int64))
        number = np.maximum(read - 1, 0) // self.block
        blocks = Runs.of(rows, number)
        spent = blocks.cumulative(rejected.astype(np.int64))
        spent += np.where(number == 0, self.spent[rows], 0)
        return Admission(
            admitted=rejected & (spent <= self.size),
            read=read - number * self.block,
            spent=spent,
            renewed=number > 0,
        )

    def take(self, rows: NDArray[np.int32], at: NDArray[np.int64], admission: "Admission") -> None:
        """Keep the state after the positions `at`, the last of each of some series."""
        self.read[rows[at]] = admission.read[at]
        self.spent[rows[at]] = np.minimum(admission.spent[at], self.size)
        self.renewed[rows[at]] |= admission.renewed[at]


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Of B readings."""

    admitted: NDArray[np.bool_]
    """(B,) rejected scores that are learnt."""
    read: NDArray[np.int64]
    """(B,) of their block, with the reading itself."""
    spent: NDArray[np.int64]
    """(B,) rejected scores of the block, with the reading's own."""
    renewed: NDArray[np.bool_]
    """(B,) whether the block has begun among the B."""
