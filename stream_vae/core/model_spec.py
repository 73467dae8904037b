"""A trained model as seen by everything outside the network."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.coverage import Coverage
from stream_vae.core.feature_rule import FeatureRule
from stream_vae.core.log_templates import LogSpec
from stream_vae.core.residuals import UsualResiduals
from stream_vae.core.scaling import Scaler

FeatureKind = Literal["numeric", "count", "binary", "categorical"]
"""What a feature's values are; its likelihood and its input to the network follow from it."""

Criterion = Literal["youden", "best_f1"]
"""What a threshold is best by on labelled data: Youden's index or F1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One measured quantity or property."""

    name: str
    unit: str = ""
    kind: FeatureKind = "numeric"
    categories: tuple[str, ...] = ()
    """Of a categorical feature: the K values seen in training. A reading holds the position of its
    value in them, or K for any other value (unseen)."""
    rule: FeatureRule | None = None
    """How it comes from what producers send; None: as it is."""

    @property
    def meaning(self) -> str:
        """What a stored value stands for: the name, and of a kind other than numeric all of it.

        >>> Feature(name="flow").meaning
        'flow'
        >>> Feature(name="city", kind="categorical", categories=("Bonn", "Kiel")).meaning
        'city (categorical: Bonn, Kiel)'
        >>> Feature(name="bytes", rule=FeatureRule(change="rate")).meaning
        'bytes (rate)'
        """
        told = [] if self.rule is None else [self.rule.text]
        if self.kind != "numeric":
            told.insert(0, ": ".join(filter(None, (self.kind, ", ".join(self.categories)))))
        return f"{self.name} ({'; '.join(told)})" if told else self.name


def numeric_features(names: Iterable[str]) -> tuple[Feature, ...]:
    """Return numeric features of these names, without units."""
    return tuple(Feature(name=name) for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """Identity, inputs and calibration of one model bundle."""

    id: str
    """Operator's name for the model."""
    version: str
    """Content hash of the weights and architecture."""
    trained_at: datetime
    features: tuple[Feature, ...]
    window_length: int
    """T, in steps."""
    step_seconds: float
    """Width of the time grid; readings snap down to their step."""
    scaler: Scaler
    score: str
    """Name of the default score."""
    calibration: dict[str, NDArray[np.float64]]
    """Score name -> evenly spaced quantiles (0 .. 1) of held-out scores, ascending."""
    labelled_thresholds: Mapping[str, Mapping[Criterion, float]] = field(default_factory=dict)
    """Score name -> the threshold that each criterion chose on labelled data the network was not
    fitted to; empty where there were no labels of both kinds."""
    tracking: Mapping[str, UsualResiduals] = field(default_factory=dict)
    """Of each score that is tracked, what its members' residuals usually are."""
    coverage: Mapping[str, Coverage] = field(default_factory=dict)
    """Score -> how it depends on the share of a window that is missing; empty in bundles of earlier
    releases, and of scores whose threshold is their own."""
    cycle_steps: int = 0
    """Of the longest rhythm found in the training data; 0 if there is none."""
    logs: LogSpec | None = None
    """Of a model of logs: what its features count; None of every other."""

    @property
    def adds_up(self) -> bool:
        """Whether readings are counts that add up to those of their step."""
        return self.logs is not None and not self.has_sessions

    @property
    def has_sessions(self) -> bool:
        """Whether readings are sessions of logs, each a window."""
        return self.logs is not None and self.has_events

    @property
    def judged(self) -> str:
        """What is judged, in the plural."""
        return "sessions" if self.has_sessions else "readings"

    @property
    def without_rules(self) -> "ModelSpec":
        """The same model, of readings after the rules."""
        return replace(self, features=tuple(replace(one, rule=None) for one in self.features))

    @property
    def has_events(self) -> bool:
        """Whether readings are events: windows of one step, without order in time."""
        return self.window_length == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedWindows:
    """What a model expected at every step of B windows, in the network's units.

    Of a feature that is scaled, the mean and standard deviation; of a categorical one the likeliest
    code and the probability of all others.
    """

    expected: NDArray[np.float32]
    """(B, T, F)"""
    spread: NDArray[np.float32]
    """(B, T, F) > 0"""
    step_weight: NDArray[np.float32]
    """(T,) how much of the score a residual of each step makes up, beside the others."""
    log_probability: NDArray[np.float32] | None = None
    """(B, T, F) of the actual values, nats, for categorical features; None without such."""
    residuals: tuple[NDArray[np.float32], ...] = ()
    """(B, T, F) of each member of the model beside the network: what was observed less what it
    expected, 0 where nothing was observed. Empty unless the score is of several members."""

    def cut(self, begin: int, end: int) -> "ExpectedWindows":
        """Return those of some consecutive windows, without copying."""
        logs = self.log_probability
        return ExpectedWindows(
            expected=self.expected[begin:end],
            spread=self.spread[begin:end],
            step_weight=self.step_weight,
            log_probability=None if logs is None else logs[begin:end],
            residuals=tuple(residual[begin:end] for residual in self.residuals),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of B windows and their explanation at each window's newest step."""

    value: NDArray[np.float64]
    """(B,) higher = more anomalous; always finite."""
    contribution: NDArray[np.float32]
    """(B, F) share of each feature in the score; >= 0, rows sum to 1."""
    expected: NDArray[np.float64]
    """(B, F) the decoder's mean, in input units; of a categorical feature the likeliest code."""
    expected_std: NDArray[np.float64]
    """(B, F) the decoder's standard deviation, in input units; of a categorical feature the
    probability of all other categories."""
    probability: NDArray[np.float64] | None = None
    """(B, F) of the actual value of a categorical feature, NaN for other kinds and where it was not
    observed; None without such features."""
    evidence: NDArray[np.float32] | None = None
    """(B, K, F, 2) mean and energy of the residuals of each member, see `UsualResiduals`; NaN where
    a feature was not observed. Of a score that is tracked, whose `value` and `contribution` are
    those about what is usual of all series; None for the others."""
    missing: NDArray[np.float32] | None = None
    """(B,) share of each window that was not observed, steps weighted as in the score; None from a
    scorer that does not tell."""
    log_probability: NDArray[np.float64] | None = None
    """(B, F) of the actual values, nats in scaled units, NaN where not observed; None unless the
    scorer was asked for it."""
    windows: tuple[ExpectedWindows, ...] = ()
    """All steps of the windows, in chunks as they were computed: copying them would cost time that
    only an alert is worth. Empty from a scorer that tells of the newest step alone."""

    def expected_window(self, b: int) -> ExpectedWindows | None:
        """Return all steps of one window, as a batch of one; None if the scorer did not tell."""
        for chunk in self.windows:
            if b < len(chunk.expected):
                return chunk.cut(b, b + 1)
            b -= len(chunk.expected)
        return None

    def newest_residuals(self, at: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        """Return (A, F) of each member beside the network, at the newest step of some windows.

        Args:
            at: (A,) positions of the windows, ascending.
        """
        found: list[tuple[NDArray[np.float32], ...]] = []
        begin = 0
        for chunk in self.windows:
            first, last = np.searchsorted(at, (begin, begin + len(chunk.expected)))
            if first < last:
                inside = at[first:last] - begin
                found.append(tuple(residual[inside, -1] for residual in chunk.residuals))
            begin += len(chunk.expected)
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]

    def split(self, sizes: list[int]) -> "list[Scores]":
        """Cut into consecutive parts of these sizes, which sum to B."""
        ends = np.cumsum(sizes)
        return [
            Scores(
                value=self.value[a:b],
                contribution=self.contribution[a:b],
                expected=self.expected[a:b],
                expected_std=self.expected_std[a:b],
                probability=None if self.probability is None else self.probability[a:b],
                evidence=None if self.evidence is None else self.evidence[a:b],
                missing=None if self.missing is None else self.missing[a:b],
                log_probability=(
                    None if self.log_probability is None else self.log_probability[a:b]
                ),
                windows=_cut(self.windows, int(a), int(b)),
            )
            for a, b in zip(ends - sizes, ends, strict=True)
        ]


def _cut(chunks: tuple[ExpectedWindows, ...], begin: int, end: int) -> tuple[ExpectedWindows, ...]:
    found: list[ExpectedWindows] = []
    at = 0
    for chunk in chunks:
        first, last = max(begin - at, 0), min(end - at, len(chunk.expected))
        if first < last:
            found.append(chunk.cut(first, last))
        at += len(chunk.expected)
    return tuple(found)


class Scorer(Protocol):
    """Anything that scores windows; safe to call from one thread at a time."""

    def score(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
        """Score windows.

        Args:
            values: (B, T, F) in input units; NaN = not observed. The scorer scales them.
            end_times: (B,) start of the newest step, nanoseconds since 1970.
        """
        ...
