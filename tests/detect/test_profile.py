"""Settings that the number of features decides, and the rule for values never had."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.detect.config import DetectConfig, IncidentConfig, ThresholdConfig, TrackingConfig
from stream_vae.detect.profile import in_profile
from stream_vae.detect.value_range import ValueRange
from tests.conftest import make_spec

MANY = make_spec()
ONE = replace(MANY, features=MANY.features[:1])


def test_one_feature_decides_what_is_left_open_and_several_decide_otherwise() -> None:
    one, many = (in_profile(DetectConfig(), spec) for spec in (ONE, MANY))
    assert (one.profile, many.profile) == ("univariate", "multivariate")
    assert (one.threshold.method, many.threshold.method) == ("likelihood", "percentile")
    assert (one.range_margin, many.range_margin) == (0.05, 0.0)
    assert (one.incident.cooldown_s, many.incident.cooldown_s) == (4 * ONE.window_length, 0.0)
    assert (one.incident.open_after, many.incident.open_after) == (1, 2)
    assert in_profile(one, MANY) == replace(one, threshold=one.threshold)  # nothing is left open


@pytest.mark.parametrize(
    "asked",
    [
        DetectConfig(threshold=ThresholdConfig(quantile=0.999)),
        DetectConfig(budget="1 per series per week"),
        DetectConfig(profile="multivariate"),
    ],
)
def test_whoever_asks_for_a_rate_gets_the_percentile_and_its_rules(asked: DetectConfig) -> None:
    found = in_profile(asked, ONE)
    assert found.threshold.method == "percentile"
    assert (found.range_margin, found.incident.cooldown_s) == (0.0, 0.0)
    assert found.incident.open_after == 2


def test_what_is_set_stays() -> None:
    incident = IncidentConfig(cooldown_s=0.0)
    config = DetectConfig(profile="univariate", range_margin=0.0, incident=incident)
    found = in_profile(config, MANY)
    assert (found.range_margin, found.incident.cooldown_s) == (0.0, 0.0)
    assert found.threshold.method == "likelihood"
    events = replace(ONE, window_length=1)
    assert in_profile(DetectConfig(), events).profile == "multivariate"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"tracking": TrackingConfig(readings=100)}, "tracking: found readings"),
        ({"threshold": ThresholdConfig(release_after=500)}, "threshold.release_after: found 500"),
    ],
)
def test_a_profile_is_not_undone_by_what_it_does_not_use(wrong: Any, says: str) -> None:
    """Control: `auto` has no likelihood to undo, and whoever names a rate has asked for another."""
    with pytest.raises(ValueError, match=f"{says}.*the likelihood of profile univariate"):
        DetectConfig(profile="univariate", **wrong)
    assert in_profile(DetectConfig(**wrong), MANY).threshold.method == "percentile"
    asked = ThresholdConfig(quantile=0.999, release_after=500)
    found = in_profile(DetectConfig(profile="univariate", threshold=asked), ONE)
    assert found.threshold.method == "percentile"


def leaves(
    values: NDArray[np.float64], *, scale: float = 1.0, cut: int = 10_000
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return what a range says of two features of one series in another's company."""
    found = ValueRange(0.05, np.array([1.0, scale]), 3)
    found.state.begin(np.arange(3, dtype=np.int32))
    n = len(values)
    rows, none = np.full(n, 2, np.int32), np.zeros(n, np.bool_)
    found.leaves(rows[:1] - 1, values[:1] * 0 + 1e6, none[:1])
    parts = [
        found.leaves(rows[at : at + cut], values[at : at + cut], none[at : at + cut])
        for at in range(0, n, cut)
    ]
    return np.concatenate([one for one, _ in parts]), np.concatenate([one for _, one in parts])


def test_a_range_as_wide_as_numbers_go_is_left_by_nothing() -> None:
    values = np.tile([[-1.7e308, 0.0], [1.7e308, 0.0]], (150, 1))
    with np.errstate(over="raise"):
        assert not leaves(values)[0].any()


def test_a_value_beyond_all_before_it_leaves_the_range_once_and_however_it_is_cut() -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (700, 2))
    values[100, 0] = 50.0  # too early to say
    values[400, 1], values[500, 1], values[550, 1] = 60.0, 60.0, 62.0  # the last within 5 %
    values[450, 1] = np.nan
    values[600, 0] = -9.0
    outside, probability = leaves(values)
    assert np.flatnonzero(outside).tolist() == [400, 600]
    assert probability[400] == 2 / 401
    np.testing.assert_array_equal(leaves(values, cut=97)[0], outside)
    assert np.flatnonzero(leaves(values, scale=np.nan)[0]).tolist() == [600]  # one has no range
