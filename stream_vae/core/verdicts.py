"""What is said of each reading."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Verdict(IntEnum):
    """The answer for one reading. Not being able to judge is an answer of its own, never a zero."""

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
