"""Features of an alert event, each as its kind is told."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertFeature
from stream_vae.core.count_interval import central_interval
from stream_vae.core.model_spec import Feature, Scores


def build_features(
    features: tuple[Feature, ...],
    actual: NDArray[np.float64],
    scores: Scores,
    b: int,
    max_features: int,
) -> tuple[AlertFeature, ...]:
    """Return the features that contribute most to a window's score, largest first.

    Args:
        features: F, of the model.
        actual: (F,) values of the newest step.
        scores: Of a batch.
        b: The window's position in it.
        max_features: Most features returned.
    """
    contribution = scores.contribution[b].astype(np.float64)
    largest = np.argsort(-contribution, kind="stable")[:max_features]
    probability = None if scores.probability is None else scores.probability[b]
    return tuple(
        _of_kind(
            AlertFeature(
                name=features[f].name,
                unit=features[f].unit,
                actual=None if np.isnan(actual[f]) else float(actual[f]),
                expected=float(scores.expected[b, f]),
                expected_std=float(scores.expected_std[b, f]),
                contribution=float(contribution[f]),
            ),
            features[f],
            None if probability is None or np.isnan(probability[f]) else float(probability[f]),
        )
        for f in largest.tolist()
    )


def _of_kind(told: AlertFeature, feature: Feature, probability: float | None) -> AlertFeature:
    """Add what the kind has beyond mean and standard deviation."""
    match feature.kind:
        case "count":
            low, high = central_interval(told.expected, told.expected_std)
            return replace(told, kind="count", expected_low=low, expected_high=high)
        case "binary":
            of_one = min(max(told.expected, 0.0), 1.0)
            return replace(
                told,
                kind="binary",
                actual_probability=(
                    None if told.actual is None else of_one if told.actual else 1 - of_one
                ),
                expected_probability=max(of_one, 1 - of_one),
            )
        case "categorical":
            return replace(
                told,
                kind="categorical",
                actual_category=_text(told.actual, feature),
                actual_probability=None if told.actual is None else probability,
                expected_category=_text(told.expected, feature),
                # The spread of a category is the probability of all others.
                expected_probability=min(max(1 - told.expected_std, 0.0), 1.0),
            )
        case _:
            return told


def _text(code: float | None, feature: Feature) -> str | None:
    """Return the category of a code; None for an unseen one, or none at all."""
    if code is None or not 0 <= round(code) < len(feature.categories):
        return None
    return feature.categories[round(code)]
