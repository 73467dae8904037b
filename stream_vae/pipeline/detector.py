"""A detector: model, score, tracker, threshold and drift, identified by a version."""

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import ModelSpec, Scorer
from stream_vae.core.score_names import unusable_score
from stream_vae.core.state_layout import Stage, StatePart
from stream_vae.detect.config import DetectConfig, TrackingConfig
from stream_vae.detect.drift import DriftWatch
from stream_vae.detect.threshold.factory import build_threshold
from stream_vae.detect.threshold.threshold import Judgement, Threshold, join
from stream_vae.detect.tracking import ResidualTracker
from stream_vae.errors import ConfigError
from stream_vae.pipeline.scored_batch import JudgedBatch, ScoredBatch

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
        self.threshold = build_threshold(config, spec, score, capacity)
        self.version = detector_version(spec, score, self.threshold.identity)
        """Identifies its scores, thresholds and state."""
        self._tracker = build_tracker(config.tracking, spec, score, capacity)
        self.parts = _parts(self.threshold, self._tracker)
        """Its parts of each series' state."""
        self._drift = DriftWatch()

    def judge(self, scored: ScoredBatch) -> JudgedBatch:
        """Judge scores of this detector, and learn from them.

        A score that is tracked takes the value that it has for its series.
        """
        batch, scores = scored.window_batch, scored.scores
        rows, revises = batch.rows[batch.ready], batch.revises
        if self._tracker is None:
            judged = self.threshold.judge(rows, scores.value, revises)
            return JudgedBatch(scored=scored, judged=judged)
        assert scores.evidence is not None  # noqa: S101 -- the scorer gives it with such a score
        value, contribution = np.empty(len(rows)), np.empty_like(scores.contribution)
        bias = np.empty(scores.evidence.shape[:-1], np.float32)
        parts: list[tuple[NDArray[np.int64], Judgement]] = []
        for which in self._tracker.blocks(rows, revises):
            of, evidence = rows[which], scores.evidence[which]
            value[which], contribution[which] = self._tracker.score(of, evidence)
            bias[which] = self._tracker.bias(of)
            judged = self.threshold.judge(of, value[which], revises[which])
            parts.append((which, judged))
            self._tracker.learn(of, evidence, revises[which])
            # What the threshold calls a new level is one for the tracker: faults show at it.
            self._tracker.recentre(of[judged.released], evidence[judged.released])
        tracked = replace(scores, value=value, contribution=contribution)
        return JudgedBatch(scored=replace(scored, scores=tracked), judged=join(parts), bias=bias)

    def watch_drift(self, scores: NDArray[np.float64]) -> tuple[float, float] | None:
        """Add (B,) scores; return their mean before and after, if a change is detected."""
        return self._drift.update(float(scores.mean())) if len(scores) else None


def detector_parts(spec: ModelSpec, config: DetectConfig) -> tuple[StatePart, ...]:
    """Return the parts that a detector adds to a series' state, with room for one series.

    Raises:
        ConfigError: If the bundle is not calibrated for the score, or has no labelled threshold
            where one is wanted.
    """
    score = score_name(spec, config)
    return _parts(
        build_threshold(config, spec, score, 1),
        build_tracker(config.tracking, spec, score, 1),
    )


def build_tracker(
    config: TrackingConfig, spec: ModelSpec, score: str, capacity: int
) -> ResidualTracker | None:
    """Return what tracks a score; None if it is not tracked."""
    usual = spec.tracking.get(score)
    return None if usual is None else ResidualTracker(usual, config, capacity)


def _parts(threshold: Threshold, tracker: ResidualTracker | None) -> tuple[StatePart, ...]:
    parts = [StatePart(name="threshold", stage=Stage.DECIDED, columns=threshold.state)]
    if tracker is not None:
        parts.append(StatePart(name="tracking", stage=Stage.DECIDED, columns=tracker.state))
    return tuple(parts)


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
