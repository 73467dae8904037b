"""Features of an alert event, each as its kind is told."""

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertFeature, AlertLevel, AlertStep, LineDirection
from stream_vae.core.count_interval import central_interval
from stream_vae.core.event_time import utc
from stream_vae.core.log_templates import UNSEEN, LogSpec
from stream_vae.core.model_spec import Feature, ModelSpec
from stream_vae.core.step_offsets import NO_RECORD
from stream_vae.pipeline.explanation import FARTHEST, Explanation

_STEP_FIELDS = tuple(
    {field.name for field in fields(AlertStep)}
    & {field.name for field in fields(AlertFeature)} - {"deviation", "direction"}
)
_MOVED = 1.0
"""Expected standard deviations from which the mean of a window tells that a feature moved."""
_LEAPT = 3.0
"""The same of the few readings with which an incident opened."""


def build_features(
    spec: ModelSpec,
    explanation: Explanation,
    contribution: NDArray[np.float32],
    max_features: int,
    cause: str | None = None,
) -> tuple[AlertFeature, ...]:
    """Return the features that contribute most to a window's score, largest first.

    One that was not observed in the whole window contributes nothing and is not among them.

    Args:
        spec: With F features.
        explanation: Of the window.
        contribution: (F,) of the features to the score.
        max_features: Most features returned.
        cause: A feature that is one of them in any case.
    """
    share = contribution.astype(np.float64)
    is_observed = explanation.is_observed
    largest = [f for f in np.argsort(-share, kind="stable").tolist() if is_observed[f]]
    chosen = largest[:max_features]
    if all(spec.features[f].name != cause for f in chosen):
        named = [f for f in largest if spec.features[f].name == cause]
        chosen = [*chosen[: max_features - len(named)], *named]
    found = (alert_feature(spec.features[f], explanation, f, float(share[f])) for f in chosen)
    return tuple(found if spec.logs is None else (_of_lines(told, spec.logs) for told in found))


def with_places(
    told: Sequence[AlertFeature],
    spec: ModelSpec,
    explanation: Explanation,
    offsets: NDArray[np.int64] | None,
) -> tuple[AlertFeature, ...]:
    """Add where the worst steps of features begin and end, and where their records are.

    Args:
        told: Some of the F features.
        spec: The model.
        explanation: Of the window.
        offsets: (T, 2) of the first and last record of each step, -1 where there is none; None if
            they are not known.
    """
    position = {feature.name: f for f, feature in enumerate(spec.features)}
    # Scorers that tell of no other step than the newest explain it alone.
    newest = offsets if offsets is None else offsets[-len(explanation.times) :]
    width_ns = 0 if spec.has_events else round(spec.step_seconds * 1e9)

    def placed(one: AlertFeature) -> AlertFeature:
        if one.worst is None:
            return one
        t = int(explanation.worst_steps[position[one.name]])
        worst, begin = one.worst, int(explanation.times[t]) - width_ns // 2
        if width_ns:
            ends_at = utc(begin + width_ns)
            worst = replace(worst, starts_at=utc(max(begin, 0)), ends_at=ends_at)
        if newest is not None and newest[t, 0] != NO_RECORD:
            first, last = newest[t].tolist()
            worst = replace(worst, offset_start=first, offset_end=last)
        return replace(one, worst=worst)

    return tuple(map(placed, told))


def build_levels(
    features: Sequence[Feature],
    explanation: Explanation,
    leaps: Sequence[float | None],
    max_features: int,
) -> tuple[AlertLevel, ...]:
    """Return the features whose level moved away from what the model expects, farthest first.

    Levels are means over the steps at which the feature was observed. What the model expects of a
    window at the new level is drawn to that level, of one that has just left the old level hardly;
    a drift goes on after that. The larger of both distances is the nearer to the truth. Categories
    have no level.

    Args:
        features: F, of the model.
        explanation: Of a window at the new level, without what the detector has learnt since.
        leaps: (F,) see `Incident`; empty if not known.
        max_features: Most features returned.
    """
    found, moved = [], []
    for f, feature in enumerate(features):
        told = ~np.isnan(explanation.actual[:, f])
        after = explanation.level(f)
        if feature.kind == "categorical" or after is None:
            continue
        std = float(explanation.expected_std[told, f].mean())
        now = after - float(explanation.expected[told, f].mean())
        then = (leaps[f] if f < len(leaps) else None) or 0.0
        by = max(now, then, key=abs)
        level = AlertLevel(
            name=feature.name,
            unit=feature.unit,
            before=after - by,
            after=after,
            deviation=min(abs(by) / std, FARTHEST),
        )
        found.append(level)
        if abs(now) >= _MOVED * std or abs(then) >= _LEAPT * std:
            moved.append(level)
    found.sort(key=lambda level: -level.deviation)
    moved.sort(key=lambda level: -level.deviation)
    return tuple((moved or found[:1])[:max_features])


def alert_feature(
    feature: Feature, explanation: Explanation, f: int, contribution: float
) -> AlertFeature:
    """Return a feature at the newest step of a window and at its worst one.

    Args:
        feature: The feature.
        explanation: Of the window.
        f: Its position.
        contribution: Its share of the score.
    """
    worst = int(explanation.worst_steps[f])
    deviation = float(explanation.deviation[-1, f])
    return replace(
        _at(feature, explanation, -1, f),
        contribution=contribution,
        deviation=None if np.isnan(deviation) else deviation,
        worst=_step(feature, explanation, worst, f),
    )


def _of_lines(told: AlertFeature, logs: LogSpec) -> AlertFeature:
    """Add what a count of log lines counts, and what is wrong with it."""
    if told.worst is None:
        return told
    direction = _direction(told.name, told.worst)
    told = replace(told, direction=direction, worst=replace(told.worst, direction=direction))
    usual = logs.usual_template(told.name)
    if usual is None:
        return told
    return replace(told, template=usual.text, example=usual.example, example_from="training")


def _direction(name: str, at: AlertStep) -> LineDirection | None:
    if name == UNSEEN:
        return "unseen" if at.actual else None
    return "missing" if at.actual < at.expected else "too_many"


def _step(feature: Feature, explanation: Explanation, t: int, f: int) -> AlertStep | None:
    told = _at(feature, explanation, t, f)
    if told.actual is None:
        return None
    return AlertStep(
        at=utc(int(explanation.times[t])),
        deviation=float(explanation.deviation[t, f]),
        **{name: getattr(told, name) for name in _STEP_FIELDS},
    )


def _at(feature: Feature, explanation: Explanation, t: int, f: int) -> AlertFeature:
    """Return a feature at one step."""
    actual = explanation.actual[t, f]
    probability = None if explanation.probability is None else explanation.probability[t, f]
    return _of_kind(
        AlertFeature(
            name=feature.name,
            unit=feature.unit,
            actual=None if np.isnan(actual) else float(actual),
            expected=float(explanation.expected[t, f]),
            expected_std=float(explanation.expected_std[t, f]),
            contribution=0.0,
        ),
        feature,
        None if probability is None or np.isnan(probability) else float(probability),
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
