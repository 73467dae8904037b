"""Adaptive percentile threshold per series (config first, state below)."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Lt


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdConfig:
    """How high a score must be, judged by the series' own recent scores."""

    quantile: Annotated[float, Gt(0.5), Lt(1.0)] = 0.999
    """Share of normal scores below the threshold; 0.999 asks for 1 false reading in 1,000."""

    window: Annotated[int, Ge(100)] = 1000
    """Admitted scores remembered per series; 4 bytes each."""

    refresh_every: Annotated[int, Ge(1)] = 16
    """Admitted scores between two refreshes of the threshold."""

    release_after: Annotated[int, Ge(1)] = 1000
    """Consecutive anomalous readings after which a series' new level is learnt as normal, so that
    a permanent change cannot lock it into alarm."""
