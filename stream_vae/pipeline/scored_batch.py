"""Readings between windowing and verdict."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import Scores
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.windows import WindowBatch
from stream_vae.detect.threshold.threshold import Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredBatch:
    """Readings whose windows have been scored."""

    readings: ReadingBatch
    """Each with all values of its step."""
    decided_at: NDArray[np.int64]
    """(N,) offset of the record by which each is judged."""
    window_batch: WindowBatch
    scores: Scores
    """Of its windows."""
    detector: str
    """Version of the detector that scored them."""
    marks: NDArray[np.int64] | None = None
    """(N,) of logs: see `UnseenExamples`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedBatch:
    """A scored batch with its judgement."""

    scored: ScoredBatch
    judged: Judgement
    """Of its scores."""
    bias: NDArray[np.float32] | None = None
    """(B, K, F) in force for each: what the series' tracker adds to what each member of the model
    expects, scaled units. None of a score that is not tracked."""
    gain: NDArray[np.float32] | None = None
    """(B, K, F) in force for each: the factor of its energies, 1 as in training. None as `bias`."""
