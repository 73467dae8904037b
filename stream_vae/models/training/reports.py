"""Reports of training: progress and the final result."""

from dataclasses import dataclass
from typing import Literal

AdviceKind = Literal[
    "gaps",
    "constant",
    "near_constant",
    "counter",
    "rhythm",
    "calendar",
    "short_history",
    "trimmed",
    "left_out_of_fused",
    "no_better_than_constant",
    "one_template",
    "mostly_rare_templates",
    "too_many_templates",
    "no_frequent_template",
    "mostly_covered_templates",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One thing found, and what to do about it."""

    kind: AdviceKind
    text: str
    feature: str | None = None
    series: str | None = None
    is_grave: bool = False
    """A bundle of which this is true is not to be relied on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """One optimiser step."""

    step: int
    """From 1."""
    steps: int
    """Planned in all; early stopping may end sooner."""
    epoch: int
    """From 1."""
    epochs: int
    reconstruction: float
    """Negative reconstruction log-probability, nats per observed value."""
    kl: float
    """KL to the prior, nats per observed value, before its weight."""
    kl_weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochReport:
    """One epoch ended. All figures are nats per observed value."""

    epoch: int
    """From 1."""
    epochs: int
    step: int
    steps: int
    reconstruction: float
    """Mean over the epoch's batches."""
    kl: float
    kl_weight: float
    """At the epoch's end."""
    validation_log_likelihood: float
    """Evidence lower bound on the validation part."""
    is_best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureReport:
    """One feature in the training data."""

    name: str
    observed_share: float
    """Of all rows."""
    is_constant: bool
    """All observed values of the training part are the same, or there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelReport:
    """What the labels of the history were good for."""

    normal: int
    """Rows labelled 0."""
    anomalous: int
    """Rows labelled 1."""
    without_supervised: str | None
    """Why the score `supervised` was not fitted; None: it was."""
    without_thresholds: str | None
    """Why there are no labelled thresholds; None: there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReport:
    """The result of a training."""

    rows: int
    series: int
    features: tuple[FeatureReport, ...]
    windows: dict[str, int]
    """Part (training, validation, calibration) -> windows."""
    parameters: int
    """Number of learned parameters."""
    history: tuple[EpochReport, ...]
    best_epoch: int
    validation_log_likelihood: float
    """Evidence lower bound of the kept weights, nats per observed value."""
    constant_log_likelihood: float
    """Log-likelihood of a constant Gaussian per feature (training mean and standard deviation,
    floored as the model's) on the same windows, nats per observed value."""
    score: str
    """The score that `auto` selects for this bundle."""
    calibration_quantiles: dict[str, dict[float, float]]
    """Score -> level -> quantile of the held-out scores."""
    labels: LabelReport
    folds: int = 0
    """Blocks that the calibration was cross-validated over; 0: it is of a held-out part."""
    advice: tuple[Advice, ...] = ()
    """What was found in the data and in the training."""
