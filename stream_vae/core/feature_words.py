"""What an alert event's feature was and should have been, in words."""

from dataclasses import fields, replace
from datetime import datetime

from stream_vae.core.alerts import AlertFeature, AlertStep
from stream_vae.core.durations import describe_duration
from stream_vae.core.excerpts import printable

_MORE = 1.01
"""Beyond rounding."""
_FAR = 100.0
_UNSEEN = "a value not seen in training"
_BESIDE = {
    "at",
    "deviation",
    "direction",
    "starts_at",
    "ends_at",
    "offset_start",
    "offset_end",
}
_OF_STEP = tuple(field.name for field in fields(AlertStep) if field.name not in _BESIDE)


def values_in_words(feature: AlertFeature, plus_minus: str = "±") -> str:
    """Return actual and expected value; text of the stream is escaped and bounded.

    ```
    24.3, expected 102 ± 1.1 L/s
    7, expected 1.5 (0 to 4)
    567, expected 0
    1, probability 0.003
    "nurse", probability 0.003, expected "clerk" (probability 0.7)
    ```
    """
    unit = f" {printable(feature.unit, 20)}" if feature.unit else ""
    if feature.kind == "categorical":
        return f"{_category(feature)}, expected {_expected_category(feature)}"
    actual = "not observed" if feature.actual is None else f"{feature.actual:.4g}"
    if feature.kind == "binary":
        if feature.actual_probability is None:
            return f"{actual}, expected 1 with probability {feature.expected:.2g}"
        return f"{actual}, probability {feature.actual_probability:.2g}"
    if feature.expected_low is not None and feature.expected_high is not None:
        if feature.expected_high == 0:
            return f"{actual}, expected 0{unit}"
        interval = f"({feature.expected_low:.4g} to {feature.expected_high:.4g})"
        return f"{actual}, expected {feature.expected:.4g} {interval}{unit}"
    return (
        f"{actual}, expected {feature.expected:.4g} {plus_minus} {feature.expected_std:.2g}{unit}"
    )


def worst_in_words(feature: AlertFeature, newest_at: datetime, plus_minus: str = "±") -> str:
    """Return the step that makes up most of a feature's contribution, and the newest beside it.

    Args:
        feature: The feature.
        newest_at: Start of the window's newest step.
        plus_minus: The sign before a standard deviation.

    ```
    24.3, expected 102 ± 1.1 L/s (70.6 sd off)
    900, expected 22.8 ± 0.87 (over 100 sd off) 5 min before the newest reading, 23.5
    ```
    """
    worst = feature.worst
    if worst is None:
        return values_in_words(feature, plus_minus)
    at_worst = replace(feature, **{name: getattr(worst, name) for name in _OF_STEP})
    words = values_in_words(at_worst, plus_minus)
    if feature.kind in {"numeric", "count"}:
        words += f" ({deviation_in_words(worst.deviation)} off)"
    if worst.at == newest_at:
        return words
    before = describe_duration((newest_at - worst.at).total_seconds())
    return f"{words} {before} before the newest reading, {_actual(feature)}"


def peak_in_words(peak: float, told: AlertFeature) -> list[str]:
    """Return how large an incident has been, if what is told of a feature does not show it.

    Severity is by the largest deviation of any feature since an incident began.
    """
    deviation = told.deviation or 0.0 if told.worst is None else told.worst.deviation
    is_shown = peak <= _MORE * deviation or deviation_in_words(peak) == deviation_in_words(
        deviation
    )
    return [] if is_shown else [f"peak {deviation_in_words(peak)} off"]


def deviation_in_words(deviation: float) -> str:
    """Return a distance in expected standard deviations.

    Beyond a hundred it tells nothing more: no such thing was ever seen.

    >>> [deviation_in_words(one) for one in (0.123, 7.857, 99.9, 1013.2)]
    ['0.123 sd', '7.86 sd', '99.9 sd', 'over 100 sd']
    """
    return f"over {_FAR:.0f} sd" if deviation > _FAR else f"{deviation:.3g} sd"


def _actual(feature: AlertFeature) -> str:
    if feature.kind == "categorical":
        return _category(replace(feature, actual_probability=None))
    return "not observed" if feature.actual is None else f"{feature.actual:.4g}"


def _category(feature: AlertFeature) -> str:
    if feature.actual is None:
        return "not observed"
    actual = _UNSEEN if feature.actual_category is None else _quoted(feature.actual_category)
    if feature.actual_probability is None:
        return actual
    return f"{actual}, probability {feature.actual_probability:.2g}"


def _expected_category(feature: AlertFeature) -> str:
    text = feature.expected_category
    expected = _UNSEEN if text is None else _quoted(text)
    if feature.expected_probability is None:
        return expected
    return f"{expected} (probability {feature.expected_probability:.2g})"


def _quoted(category: str) -> str:
    return f'"{printable(category, 60)}"'
