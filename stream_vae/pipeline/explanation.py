"""What a window's values were, beside what the model expected, step by step.

There is one rule for what a reader is told to have been expected, be it in an alert, in a picture
or in a file of scores, see `_told`. Windows are explained one by one, when an incident changes;
`newest_readings` is for batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.count_size import count_size
from stream_vae.core.incidents import cause_of
from stream_vae.core.log_templates import LINES
from stream_vae.core.model_spec import Feature, ModelSpec
from stream_vae.core.residuals import UsualResiduals
from stream_vae.detect.tail import LEAST_P
from stream_vae.pipeline.scored_batch import JudgedBatch, ScoredBatch

_NETWORK = 0
"""The first member of a model."""

FARTHEST = 1e300
"""Deviations end here, so that they are numbers in JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The steps of one window, or the newest alone where the scorer tells of no other.

    Arrays are (T, F), input units; NaN where a value was not observed.
    """

    times: NDArray[np.int64]
    """(T,) starts of the steps, nanoseconds since 1970."""
    actual: NDArray[np.float64]
    expected: NDArray[np.float64]
    """Of every cell, observed or not."""
    expected_std: NDArray[np.float64]
    """Of every cell."""
    deviation: NDArray[np.float64]
    """See `deviations`."""
    size: NDArray[np.float64]
    """See `sizes`."""
    probability: NDArray[np.float64] | None
    """Of the actual category; NaN for features of other kinds. None without such features."""
    part: NDArray[np.float64]
    """What each cell makes up of its feature's contribution, in any unit."""

    @property
    def is_observed(self) -> NDArray[np.bool_]:
        """(F,) whether a feature was observed at any step."""
        return np.asarray(~np.isnan(self.actual).all(axis=0))

    @property
    def worst_steps(self) -> NDArray[np.int64]:
        """(F,) the step with the largest part of each feature, the newest of equal ones."""
        part = np.where(np.isnan(self.part), -1.0, self.part)[::-1]
        return np.asarray(len(part) - 1 - part.argmax(axis=0), np.int64)

    def leaps_since(self, step: int) -> tuple[float | None, ...]:
        """Return by how much each feature was above the expected; None if it was not observed.

        Args:
            step: Start of the first step of the mean, nanoseconds since 1970.
        """
        above = (self.actual - self.expected)[self.times >= step]
        return tuple(_mean(above[:, f]) for f in range(above.shape[1]))

    def level(self, f: int) -> float | None:
        """Return the mean of what was observed of a feature; None if nothing was."""
        return _mean(self.actual[:, f])

    @property
    def newest_deviation(self) -> float:
        """The largest deviation at the newest step; 0 if nothing was observed."""
        return float(np.nan_to_num(self.deviation[-1]).max())

    @property
    def largest_deviation(self) -> float:
        """The largest deviation in the window; 0 if nothing was observed."""
        return float(np.nan_to_num(self.deviation).max())

    @property
    def largest_size(self) -> float:
        """The largest size at steps that the score judges; 0 if nothing was observed.

        Others of the window may be of an earlier incident.
        """
        return float(np.where(self.part > 0, self.size, 0.0).max())

    def about_newest(self, f: int) -> "Explanation":
        """Return the same with the newest step as the worst one of a feature."""
        part = self.part.copy()
        part[:-1, f] = 0.0
        return replace(self, part=part)

    def causes(self, features: Sequence[Feature], leading: int, least: float) -> list[str]:
        """Return what the window tells of, see `cause_of`.

        That is the feature that leads, and what else is off: much so at any step, or half as much
        at the newest.

        Args:
            features: F, of the model.
            leading: The feature told of first.
            least: Size of what is off.
        """
        size, is_above = np.nan_to_num(self.size), self.is_above
        is_off = size >= least
        is_off[-1] |= size[-1] >= least / 2
        first = cause(
            features[leading], is_above=bool(is_above[self.worst_steps[leading], leading])
        )
        others = [
            cause(features[f], is_above=above)
            for above in (True, False)
            for f in np.flatnonzero((is_off & (is_above == above)).any(axis=0)).tolist()
        ]
        return [first, *others]

    def is_off(
        self, features: Sequence[Feature], causes: Sequence[str], steps: int, least: float
    ) -> bool:
        """Return whether something that deviated is still not as expected.

        Args:
            features: F, of the model.
            causes: What it was, see `cause_of`; those of other models tell nothing.
            steps: The newest ones, over which a mean is taken, so that chance evens out.
            least: Deviation in such a mean, in the direction of the cause.
        """
        # Deviances of rare lines would not even out: none is nearer to few than one is.
        signed = np.where(self.is_above, self.deviation, -self.deviation)[-steps:]
        for f, one in enumerate(features):
            mean = _mean(signed[:, f]) or 0.0
            is_off = abs(mean) >= least
            if is_off and cause(one, is_above=mean > 0) in causes:
                return True
        return False

    @property
    def is_above(self) -> NDArray[np.bool_]:
        """(T, F) whether a value is above the expected."""
        return np.asarray(self.actual > self.expected)


def cause(feature: Feature, *, is_above: bool) -> str:
    """Return what an incident can be of, see `cause_of`: of numbers it has no direction.

    Once a fault is over they often are off in the other one, as what was expected followed it.
    """
    return cause_of(feature.name, is_above=is_above or feature.unit != LINES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a score that is tracked is about, for one window or for B of them."""

    usual: UsualResiduals
    """Of the K members of the model."""
    bias: NDArray[np.float32]
    """(..., K, F) what the series' tracker adds to what each member expects, scaled units."""
    gain: NDArray[np.float32]
    """(..., K, F) its factor of their energies, 1 as in training."""

    def of(self, at: int | NDArray[np.int64]) -> "Reference":
        """Return that of one or some of B windows."""
        return Reference(usual=self.usual, bias=self.bias[at], gain=self.gain[at])

    def untaught(self) -> "Reference":
        """Return that of a window as if its series had taught the tracker nothing."""
        bias = self.usual.bias.astype(np.float32)
        return Reference(usual=self.usual, bias=bias, gain=np.ones_like(bias))


def reference_of(batch: JudgedBatch, usual: UsualResiduals | None) -> Reference | None:
    """Return what the tracked scores of a batch are about; None if they are not tracked.

    Args:
        batch: Of B windows.
        usual: Of the members; None of a score that is not tracked.
    """
    bias, gain = batch.bias, batch.gain
    if usual is None:
        return None
    if bias is None or gain is None:  # members are judged one by one, about what is usual
        shape = (len(batch.scored.scores.value), *usual.bias.shape)
        bias = np.broadcast_to(usual.bias.astype(np.float32), shape)
        gain = np.broadcast_to(np.ones(1, np.float32), shape)
    return Reference(usual=usual, bias=bias, gain=gain)


def explain(
    spec: ModelSpec, scored: ScoredBatch, b: int, reference: Reference | None = None
) -> Explanation:
    """Return the explanation of a scored window.

    Args:
        spec: The model.
        scored: Contains the window.
        b: Its position.
        reference: Of that window; None of a score that is not tracked.
    """
    scores, scaler = scored.scores, spec.scaler
    windows = scores.expected_window(b)
    end = scored.window_batch.end_times[b]
    if windows is None:
        actual = scored.readings.values[scored.window_batch.ready[b]][None]
        network = (scores.expected[b][None], scores.expected_std[b][None])
        expected, std = _told(spec, network, actual, [], reference)
        probability = None if scores.probability is None else scores.probability[b][None]
        deviation = deviations(spec.features, actual, expected, std, probability)
        return Explanation(
            times=np.array([end]),
            actual=actual,
            expected=expected,
            expected_std=std,
            deviation=deviation,
            size=sizes(spec.features, actual, expected, std, deviation),
            probability=probability,
            part=deviation,
        )
    actual = scored.window_batch.windows[b]
    spread = windows.spread[0].astype(np.float64)
    expected = scaler.inverse(windows.expected[0])
    network = (expected, scaler.inverse_spread(spread, expected))
    residuals = [residual[0] for residual in windows.residuals]
    expected, std = _told(spec, network, actual, residuals, reference)
    logs = windows.log_probability
    probability = None if logs is None else _of_categories(spec.features, actual, logs[0])
    deviation = deviations(spec.features, actual, expected, std, probability)
    # The score knows values as the network sees them, clipped: beyond, size does not change parts.
    distance = np.abs(scaler.transform(actual) - scaler.transform(expected))
    if reference is None:
        distance = distance / spread
    distance = np.where(_are(spec.features, "binary", "categorical"), deviation, distance)
    age = np.arange(spec.window_length - 1, -1, -1)
    return Explanation(
        times=end - age * round(spec.step_seconds * 1e9),
        actual=actual,
        expected=expected,
        expected_std=std,
        deviation=deviation,
        size=sizes(spec.features, actual, expected, std, deviation),
        probability=probability,
        part=windows.step_weight[:, None] * distance**2,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewestReadings:
    """The newest steps of A windows."""

    expected: NDArray[np.float64]
    """(A, F) input units."""
    expected_std: NDArray[np.float64]
    """(A, F) input units."""
    deviation: NDArray[np.float64]
    """(A, F) see `deviations`."""
    size: NDArray[np.float64]
    """(A, F) see `sizes`."""
    is_above: NDArray[np.bool_]
    """(A, F) whether a value is above the expected."""

    @property
    def largest_deviation(self) -> NDArray[np.float64]:
        """(A,) over the features; 0 if nothing was observed."""
        return np.asarray(np.nan_to_num(self.deviation).max(axis=1))


def newest_readings(
    spec: ModelSpec,
    scored: ScoredBatch,
    at: NDArray[np.int64],
    reference: Reference | None = None,
) -> NewestReadings:
    """Return the newest steps of some windows, as `explain` tells them.

    Args:
        spec: The model.
        scored: Contains the windows.
        at: (A,) their positions, ascending.
        reference: Of those windows; None of a score that is not tracked.
    """
    scores = scored.scores
    actual = scored.readings.values[scored.window_batch.ready[at]]
    network = (scores.expected[at], scores.expected_std[at])
    expected, std = _told(spec, network, actual, scores.newest_residuals(at), reference)
    probability = None if scores.probability is None else scores.probability[at]
    deviation = deviations(spec.features, actual, expected, std, probability)
    return NewestReadings(
        expected=expected,
        expected_std=std,
        deviation=deviation,
        size=sizes(spec.features, actual, expected, std, deviation),
        is_above=actual > expected,
    )


def _told(
    spec: ModelSpec,
    network: tuple[NDArray[np.float64], NDArray[np.float64]],
    actual: NDArray[np.float64],
    residuals: Sequence[NDArray[np.float32]],
    reference: Reference | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (..., F) expected values and standard deviations.

    Of a tracked score the expected value is the mean of what its members expect, each with what the
    series' tracker has learnt, as the score is the mean of theirs; members that are worse than a
    constant have no part in either. The standard deviation is the mean of how far held-out readings
    were from each. So the band of a feature is one from reading to reading, whichever member finds
    it unusual, and as wide as readings scatter: what the network says of its own uncertainty has a
    floor, and is up to several times as wide. Of other scores, and of binary features, whose
    probabilities it alone knows, both are the network's.

    Args:
        spec: The model.
        network: Both, of the network.
        actual: (..., F) in input units.
        residuals: (..., F) of each other member, scaled units.
        reference: Of the same windows.
    """
    if reference is None:
        return network
    scaler, bias = spec.scaler, reference.bias
    expected = scaler.moved(network[0], bias[..., _NETWORK, :])
    weight = reference.usual.weight
    if residuals:
        scaled = scaler.transform(actual)
        moved = [
            scaled - residual + bias[..., k, :] for k, residual in enumerate(residuals, start=1)
        ]
        ours = scaler.transform(expected)
        # One after the other: a matrix product rounds by how many windows there are.
        together = np.zeros(ours.shape)
        for share, one in zip(weight.tolist(), (ours, *moved), strict=True):
            together += share * one
        # Where nothing was observed the others expect what the network does.
        expected = np.where(np.isnan(actual), expected, scaler.inverse(together.astype(np.float32)))
    spread = (weight[:, None] * reference.usual.spread / np.sqrt(reference.gain)).sum(axis=-2)
    std = scaler.inverse_spread(np.broadcast_to(spread, expected.shape), expected)
    is_binary = _are(spec.features, "binary")
    return np.where(is_binary, network[0], expected), np.where(is_binary, network[1], std)


def deviations(
    features: Sequence[Feature],
    actual: NDArray[np.float64],
    expected: NDArray[np.float64],
    expected_std: NDArray[np.float64],
    probability: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """Return (..., F) distances of actual from expected in expected standard deviations, unclipped.

    Categories and binary values have no such distance: theirs is that of a normal value about as
    improbable, the square root of -2 ln p. NaN where a value was not observed.

    Args:
        features: F, of the model.
        actual: (..., F) in input units.
        expected: (..., F) in input units.
        expected_std: (..., F) in input units.
        probability: (..., F) of the actual categories; None without categorical features.
    """
    with np.errstate(over="ignore"):  # infinitely far is far enough
        distance = np.abs(actual - expected) / expected_std
    is_binary = _are(features, "binary")
    if is_binary.any():
        of_one = np.clip(expected, 0, 1)
        of_actual = np.where(actual >= 0.5, of_one, 1 - of_one)
        told = np.where(np.isnan(actual), np.nan, of_actual)
        distance = np.where(is_binary, _surprise(told), distance)
    if probability is not None:
        is_code = _are(features, "categorical")
        distance = np.where(is_code, _surprise(probability), distance)
    return np.asarray(np.minimum(distance, FARTHEST))


def sizes(
    features: Sequence[Feature],
    actual: NDArray[np.float64],
    expected: NDArray[np.float64],
    expected_std: NDArray[np.float64],
    deviation: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return (..., F) how large deviations are, on one scale for all kinds: severity goes by it.

    That of a normal value's standard deviations. Deviations are on it but those of counts, which
    `count_size` puts there.

    Args:
        features: F, of the model.
        actual: (..., F) in input units.
        expected: (..., F) in input units.
        expected_std: (..., F) in input units.
        deviation: (..., F) see `deviations`.
    """
    is_count = _are(features, "count")
    if not is_count.any():
        return deviation
    size = deviation.copy()
    of_counts = (values[..., is_count] for values in (actual, expected, expected_std))
    size[..., is_count] = np.minimum(count_size(*of_counts), FARTHEST)
    return size


def _mean(values: NDArray[np.float64]) -> float | None:
    """Return the mean of those that are not NaN; None if all are."""
    told = values[~np.isnan(values)]
    # Each is divided first: the sum of the largest numbers there are is no number.
    return float((told / len(told)).sum()) if len(told) else None


def _surprise(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(np.maximum(-2 * np.log(np.maximum(probability, LEAST_P)), 0)))


def _of_categories(
    features: Sequence[Feature], actual: NDArray[np.float64], logs: NDArray[np.float32]
) -> NDArray[np.float64]:
    told = _are(features, "categorical") & ~np.isnan(actual)
    return np.where(told, np.exp(logs.astype(np.float64)).clip(0, 1), np.nan)


def _are(features: Sequence[Feature], *kinds: str) -> NDArray[np.bool_]:
    """Return (F,) whether the features are of one of these kinds."""
    return np.array([feature.kind in kinds for feature in features])
