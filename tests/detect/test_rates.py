"""How often is asked, and how often it came."""

import pytest

from stream_vae.detect.config import DetectConfig, ThresholdConfig
from stream_vae.detect.rates import Rates, asked_rates, realised_rates


@pytest.mark.parametrize(
    ("budget", "per_week"),
    [
        ("1 per series per week", 1.0),
        ("3 per fleet per day", 3 * 7 / 10),
        ("3 per fleet of 200 per day", 3 * 7 / 200),
    ],
)
def test_a_budget_asks_each_of_ten_series_for_its_share(budget: str, per_week: float) -> None:
    asked = asked_rates(DetectConfig(budget=budget), n_series=10)
    assert asked.incidents_per_series_week == pytest.approx(per_week)
    assert asked.above is None


def test_a_quantile_asks_for_readings_and_a_value_for_nothing() -> None:
    asked = asked_rates(DetectConfig(threshold=ThresholdConfig(method="percentile")), n_series=1)
    assert asked.above_per_1000 == pytest.approx(20.0)
    fixed = ThresholdConfig(method="fixed", value=3.0)
    nothing = Rates(above=None, incidents=None)
    assert asked_rates(DetectConfig(threshold=fixed), n_series=1) == nothing


def test_no_rate_is_told_of_no_reading_and_none_in_time_of_events_without_a_time() -> None:
    assert realised_rates(judged=0, anomalous=0, opened=0, step_s=60.0).above is None
    timeless = realised_rates(judged=1000, anomalous=5, opened=2, step_s=1e-6)
    assert (timeless.above, timeless.incidents) == (0.005, None)
    timed = realised_rates(judged=2 * 10_080, anomalous=5, opened=3, step_s=60.0)
    assert timed.incidents_per_series_week == pytest.approx(1.5)
