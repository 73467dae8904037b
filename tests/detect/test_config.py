"""Combinations of a threshold's settings that contradict each other are refused with advice."""

from typing import Any

import pytest

from stream_vae.detect.config import ThresholdConfig


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"method": "fixed"}, "value: found nothing, expected a number with method fixed"),
        ({"value": 3.0}, "value: found 3.0, which method auto does not use; .*method fixed"),
        (
            {"method": "mean_sd", "quantile": 0.99},
            "quantile: found 0.99, which method mean_sd does not use; .*percentile or pot",
        ),
        ({"method": "labelled", "window": 200}, "window: found 200, which method labelled does"),
        ({"method": "pot", "criterion": "best_f1"}, "criterion: found best_f1, .*method labelled"),
        ({"method": "pot", "quantile": 0.98}, "quantile: found 0.98, expected more than 0.98"),
        (
            {"method": "pot", "window": 100, "refresh_every": 101},
            r"refresh_every: found 101, expected at most window \(100\)",
        ),
    ],
    ids=str,
)
def test_a_contradiction_is_refused(found: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ThresholdConfig(**found)


@pytest.mark.parametrize(
    "sound",
    [
        {"method": "fixed", "value": 0.0},
        {"method": "fixed", "value": 3.0, "window": 5000},  # the default says nothing
        {"method": "mean_sd", "standard_deviations": 3, "window": 200},
        {"method": "labelled", "criterion": "best_f1"},
        {"method": "pot", "quantile": 0.9999, "peaks": 50, "window": 100, "refresh_every": 100},
    ],
    ids=str,
)
def test_what_fits_together_is_accepted(sound: dict[str, Any]) -> None:
    """Control for the test above."""
    ThresholdConfig(**sound)
