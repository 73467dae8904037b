"""A detector: model, score, threshold and drift, identified by a version."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import ModelSpec, Scorer
from stream_vae.core.score_names import unusable_score
from stream_vae.core.state_layout import Phase, StatePart
from stream_vae.detect.config import DetectConfig
from stream_vae.detect.drift import DriftWatch
from stream_vae.detect.threshold.base import Judgement, Threshold
from stream_vae.detect.threshold.factory import build_threshold
from stream_vae.errors import ConfigError
from stream_vae.pipeline.scored_batch import ScoredBatch

DEFAULT_CAPACITY = 65_536

_VERSION_BYTES = 8


class Detector:
    """Scores windows and judges the scores; windows and incidents belong to the pipeline.

    Args:
        spec: The model's inputs and calibration.
        scorer: The model on its device.
        config: See `DetectConfig`.
        capacity: Series; memory is used only for those ever allocated.

    Raises:
        ConfigError: If the bundle has no calibration for the score, or no labelled threshold where
            one is wanted.
    """

    def __init__(
        self,
        spec: ModelSpec,
        scorer: Scorer,
        config: DetectConfig,
        capacity: int = DEFAULT_CAPACITY,
    ) -> None:
        self.spec = spec
        self.scorer = scorer
        self.capacity = capacity
        score = score_name(spec, config)
        self.threshold = build_threshold(config.threshold, spec, score, capacity)
        self.version = detector_version(spec, score, self.threshold.identity)
        """Identifies its scores, thresholds and state."""
        self.parts = _parts(self.threshold)
        """Its parts of each series' state."""
        self._drift = DriftWatch()

    def judge(self, scored: ScoredBatch) -> Judgement:
        """Judge scores of this detector, and learn from the normal ones."""
        batch = scored.window_batch
        rows = batch.rows[batch.ready]
        return self.threshold.judge(rows, scored.scores.value, batch.revises)

    def watch_drift(self, scores: NDArray[np.float64]) -> tuple[float, float] | None:
        """Add (B,) scores; return their mean before and after, if a change is detected."""
        return self._drift.update(float(scores.mean())) if len(scores) else None


def detector_parts(spec: ModelSpec, config: DetectConfig) -> tuple[StatePart, ...]:
    """Return the parts that a detector adds to a series' state, with room for one series.

    Raises:
        ConfigError: If the bundle is not calibrated for the score, or has no labelled threshold
            where one is wanted.
    """
    return _parts(build_threshold(config.threshold, spec, score_name(spec, config), 1))


def _parts(threshold: Threshold) -> tuple[StatePart, ...]:
    return (StatePart(name="threshold", phase=Phase.DECIDED, columns=threshold.state),)


def score_name(spec: ModelSpec, config: DetectConfig) -> str:
    """Return the score in use.

    Raises:
        ConfigError: If the bundle is not calibrated for it.
    """
    score = spec.score if config.score == "auto" else config.score
    if score not in spec.calibration:
        raise ConfigError(f"detect.{unusable_score(score, spec.calibration)}")
    return score


def detector_version(spec: ModelSpec, score: str, threshold: str) -> str:
    """Return the version of a model, score and threshold's identity, in hexadecimal digits."""
    identity = f"{spec.version}:{score}:{threshold}"
    return hashlib.sha256(identity.encode()).digest()[:_VERSION_BYTES].hex()
