"""Verdicts on readings."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Verdict(IntEnum):
    """The verdict on one reading. A reading that cannot be judged has its own verdict, not 0."""

    NORMAL = 0
    ANOMALOUS = 1
    WARMING_UP = 2
    """The series has not yet filled one window since it began, or since a gap."""
    UNSCORABLE = 3
    """Too little was observed, or the reading came too late for its step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictBatch:
    """One row per reading, in arrival order; `score` and the rest are NaN where there is none."""

    verdict: NDArray[np.int8]
    """(N,) of `Verdict`."""
    score: NDArray[np.float64]
    """(N,) higher = more anomalous."""
    threshold: NDArray[np.float64]
    """(N,) the threshold in force when the score was judged."""
    p_value: NDArray[np.float64]
    """(N,) probability of a score at least this high among admitted ones."""
