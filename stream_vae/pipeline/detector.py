"""A detector: model, score, tracker, threshold and drift, identified by a version."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import ModelSpec, Scorer
from stream_vae.core.score_names import LIKELIHOOD_SCORE, unusable_score
from stream_vae.core.state_layout import Stage, StatePart
from stream_vae.detect.config import DetectConfig, TrackingConfig
from stream_vae.detect.drift import DriftWatch
from stream_vae.detect.profile import in_profile
from stream_vae.detect.threshold.factory import build_threshold
from stream_vae.detect.threshold.likelihood import LikelihoodThreshold
from stream_vae.detect.threshold.threshold import Judgement, Threshold, join
from stream_vae.detect.tracking import ResidualTracker
from stream_vae.detect.value_range import ValueRange
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
        config = in_profile(config, spec)
        score = score_name(spec, config)
        stages = _Stages.of(config, spec, score, capacity)
        self.usual = spec.tracking.get(score)
        """What the residuals of the model's members usually are; None if the score needs none."""
        self.threshold = stages.threshold
        self.version = detector_version(spec, score, self.threshold.identity)
        """Identifies its scores, thresholds and state."""
        self.method = stages.method
        """Description of what makes a reading anomalous, for alert events."""
        self._tracker, self._range = stages.tracker, stages.range
        self._coverage = spec.coverage.get(score)
        self.parts = stages.parts
        """Its parts of each series' state."""
        self._drift = DriftWatch()

    def judge(self, scored: ScoredBatch) -> JudgedBatch:
        """Judge scores of this detector, and learn from them.

        A score that is tracked takes the value that it has for its series, that of a window which
        was not observed whole the value that it would have had, and one of which a likelihood is
        judged that of the likelihood.
        """
        judged = self._compared(scored)
        if self._range is None:
            return judged
        batch = scored.window_batch
        outside, probability = self._range.leaves(
            batch.rows[batch.ready], batch.windows[:, -1], batch.revises
        )
        return replace(judged, judged=judged.judged.with_records(outside, probability))

    def _compared(self, scored: ScoredBatch) -> JudgedBatch:
        """Return the scores with what the threshold says of them."""
        batch, scores = scored.window_batch, scored.scores
        rows, revises = batch.rows[batch.ready], batch.revises
        if isinstance(self.threshold, LikelihoodThreshold):
            adjusted = replace(scores, value=self._as_observed(scores.value, scores.missing))
            judged = self.threshold.judge_members(rows, adjusted, revises)
            assert judged.value is not None  # noqa: S101 -- a likelihood always is another value
            likely = replace(scores, value=judged.value)
            return JudgedBatch(scored=replace(scored, scores=likely), judged=judged)
        if self._tracker is None:
            adjusted = replace(scores, value=self._as_observed(scores.value, scores.missing))
            judged = self.threshold.judge(rows, adjusted.value, revises)
            return JudgedBatch(scored=replace(scored, scores=adjusted), judged=judged)
        assert scores.evidence is not None  # noqa: S101 -- the scorer gives it with such a score
        value, contribution = np.empty(len(rows)), np.empty_like(scores.contribution)
        bias = np.empty(scores.evidence.shape[:-1], np.float32)
        gain = np.empty_like(bias)
        parts: list[tuple[NDArray[np.int64], Judgement]] = []
        for which in self._tracker.blocks(rows, revises):
            of, evidence = rows[which], scores.evidence[which]
            found, contribution[which] = self._tracker.score(of, evidence)
            missing = None if scores.missing is None else scores.missing[which]
            value[which] = self._as_observed(found, missing)
            bias[which], gain[which] = self._tracker.bias(of), self._tracker.gain(of)
            judged = self.threshold.judge(of, value[which], revises[which])
            parts.append((which, judged))
            # What the threshold calls a new level is one for the tracker: faults show at it.
            self._tracker.recentre(of[judged.released])
            self._tracker.learn(of, evidence, revises[which], judged.anomalous)
        tracked = replace(scores, value=value, contribution=contribution)
        return JudgedBatch(
            scored=replace(scored, scores=tracked), judged=join(parts), bias=bias, gain=gain
        )

    def _as_observed(
        self, value: NDArray[np.float64], missing: NDArray[np.float32] | None
    ) -> NDArray[np.float64]:
        """Return (B,) scores as if the windows had been observed whole."""
        if self._coverage is None or missing is None:
            return value
        return self._coverage.adjusted(value, missing)

    def watch_drift(self, scores: NDArray[np.float64]) -> tuple[float, float] | None:
        """Add (B,) scores; return their mean before and after, if a change is detected."""
        return self._drift.update(float(scores.mean())) if len(scores) else None


def detector_parts(spec: ModelSpec, config: DetectConfig) -> tuple[StatePart, ...]:
    """Return the parts that a detector adds to a series' state, with room for one series.

    Raises:
        ConfigError: If the bundle is not calibrated for the score, or has no labelled threshold
            where one is wanted.
    """
    config = in_profile(config, spec)
    return _Stages.of(config, spec, score_name(spec, config), 1).parts


def build_tracker(
    config: TrackingConfig, spec: ModelSpec, score: str, capacity: int
) -> ResidualTracker | None:
    """Return what tracks a score; None if it is not tracked."""
    usual = spec.tracking.get(score)
    return None if usual is None else ResidualTracker(usual, config, capacity)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stages:
    """What a score goes through until it is judged."""

    threshold: Threshold
    tracker: ResidualTracker | None
    range: ValueRange | None

    @classmethod
    def of(cls, config: DetectConfig, spec: ModelSpec, score: str, capacity: int) -> "_Stages":
        """Return the stages of settings with nothing left open."""
        threshold = build_threshold(config, spec, score, capacity)
        has_tracker = not isinstance(threshold, LikelihoodThreshold)
        tracker = build_tracker(config.tracking, spec, score, capacity) if has_tracker else None
        if tracker is None and config.tracking.changes:
            raise ConfigError(_unused_tracking(config, spec, score))
        margin = config.range_margin or 0.0
        return cls(
            threshold=threshold,
            tracker=tracker,
            range=ValueRange(margin, _scale(spec), capacity) if margin else None,
        )

    @property
    def method(self) -> str:
        """Description, for alert events."""
        of_range = "" if self.range is None else f"; or {self.range.method}"
        return f"{self.threshold.method}{of_range}"

    @property
    def parts(self) -> tuple[StatePart, ...]:
        """Of each series' state."""
        found = {
            "threshold": self.threshold,
            "tracking": self.tracker,
            "range": self.range,
        }
        return tuple(
            StatePart(name=name, stage=Stage.DECIDED, columns=stage.state)
            for name, stage in found.items()
            if stage is not None
        )


def _scale(spec: ModelSpec) -> NDArray[np.float64]:
    """Return (F,) standard deviations in input units: 0 if of logarithms, NaN if of no quantity."""
    is_quantity = [one.kind in {"numeric", "count"} for one in spec.features]
    of_logs = np.array(spec.scaler.transforms or ("linear",) * len(spec.features)) == "log1p"
    return np.where(is_quantity, np.where(of_logs, 0.0, spec.scaler.std), np.nan)


def _unused_tracking(config: DetectConfig, spec: ModelSpec, score: str) -> str:
    names = ", ".join(sorted(spec.tracking))
    other = f"detect.score one of {names}" if names else "another bundle"
    return (
        f"detect.tracking: found {config.tracking.changes}, which the score {score!r} does not "
        f"use; expected it unset, or {other}"
    )


def score_name(spec: ModelSpec, config: DetectConfig) -> str:
    """Return the score in use.

    Raises:
        ConfigError: If the bundle is not calibrated for it.
    """
    score = spec.score if config.score == "auto" else config.score
    if config.score == "auto" and in_profile(config, spec).threshold.method == "likelihood":
        score = LIKELIHOOD_SCORE if LIKELIHOOD_SCORE in spec.calibration else score
    if score not in spec.calibration:
        raise ConfigError(f"detect.{unusable_score(score, spec.calibration)}")
    return score


def first_threshold(spec: ModelSpec, config: DetectConfig, score: str) -> float:
    """Return the threshold that a new series begins with.

    Raises:
        ConfigError: See `build_threshold`.
    """
    threshold = build_threshold(in_profile(config, spec), spec, score, 1)
    threshold.start(np.zeros(1, np.int32))
    return threshold.in_force(0)


def detector_version(spec: ModelSpec, score: str, threshold: str) -> str:
    """Return the version of a model, score and threshold's identity, in hexadecimal digits."""
    identity = f"{spec.version}:{score}:{threshold}"
    return hashlib.sha256(identity.encode()).digest()[:_VERSION_BYTES].hex()
