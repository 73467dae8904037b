"""The peaks-over-threshold method on drawn scores, against a direct reading of its paper."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from stream_vae.detect.config import ThresholdConfig
from stream_vae.detect.threshold.pot import PotThreshold

Numbers = NDArray[np.float64]
Anomalous = NDArray[np.bool_]


def make_threshold(law: Any, n_series: int = 1, **options: float) -> PotThreshold:
    calibration = law.ppf(np.linspace(1e-5, 1 - 1e-5, 1001))
    options = {"quantile": 0.999, "window": 1000, "refresh_every": 16} | options
    config = ThresholdConfig(method="pot", **options)  # type: ignore[arg-type]  # floats and ints
    threshold = PotThreshold(config, calibration, n_series)
    threshold.start(np.arange(n_series, dtype=np.int32))
    return threshold


def judge(threshold: PotThreshold, scores: NDArray[np.float64]) -> tuple[Numbers, Anomalous]:
    """Return thresholds and verdicts of scores that come in polls of 200."""
    parts = [
        threshold.judge(np.zeros(len(part), np.int32), part, np.zeros(len(part), np.bool_))
        for part in np.split(scores, range(200, len(scores), 200))
    ]
    return (
        np.concatenate([part.threshold for part in parts]),
        np.concatenate([part.anomalous for part in parts]),
    )


@pytest.mark.parametrize(
    ("law", "low", "high"),
    [
        (stats.expon(), 3e-4, 3e-3),
        (stats.genpareto(0.2), 3e-4, 3e-3),
        (stats.norm(), 5e-5, 2e-3),  # a tail lighter than exponential: fewer, as for `percentile`
    ],
    ids=["exponential", "heavy", "light"],
)
def test_about_one_score_in_a_thousand_is_beyond(law: Any, low: float, high: float) -> None:
    """Of 60 series, after 600 scores of each."""
    threshold = make_threshold(law, n_series=60)
    rows = np.repeat(np.arange(60, dtype=np.int32), 200)
    for poll in range(3):
        scores = law.rvs(size=len(rows), random_state=poll)
        threshold.judge(rows, scores, np.zeros(len(rows), np.bool_))
    assert low < law.sf(threshold.state["threshold"]).mean() < high


def test_with_a_refresh_at_every_score_it_is_the_papers_algorithm() -> None:
    """DSPOT as printed, fitted by scipy, as long as no peak is forgotten."""
    law = stats.genpareto(0.2)
    threshold = make_threshold(law, window=100, peaks=50, refresh_every=1, quantile=0.99)
    state = threshold.state
    window = state["scores"][0].astype(np.float64).tolist()
    peaks = state["peaks"][0].astype(np.float64).tolist()
    level = threshold.in_force(0) - beyond(peaks, 50 / 0.02) - np.mean(window)
    n = 50 / 0.02
    for drawn in law.rvs(size=400, random_state=12):
        aimed = 0.01 * np.exp(-state["shift"][0])
        expected = np.mean(window) + level + beyond(peaks, n, aimed)
        most = state["centre"][0] + state["headroom"][0]
        [in_force], [anomalous] = judge(threshold, np.array([drawn]))
        assert in_force == pytest.approx(expected, rel=2e-3)
        # Anomalous ones are admitted within the quota, of which the paper knows nothing.
        score = min(drawn, most) if anomalous else drawn
        n += 1
        if score - np.mean(window) > level:
            peaks.append(score - np.mean(window) - level)
            peaks.pop(0)
            n *= 50 / 51
        window = [*window[1:], score]


def beyond(peaks: list[float], n: float, risk: float = 0.01) -> float:
    """Return z_q above the level."""
    shape, scale = fitted(tuple(peaks))
    return float(scale / shape * ((risk * n / len(peaks)) ** -shape - 1))


@cache
def fitted(peaks: tuple[float, ...]) -> tuple[float, float]:
    """Return shape and scale, the shape kept within [0, 0.5]."""
    shape, _, scale = stats.genpareto.fit(peaks, floc=0)
    if shape < 0:
        return 1e-9, float(np.mean(peaks))
    if shape > 0.5:
        return 0.5, float(np.mean(peaks)) / 2
    return float(shape), float(scale)


def test_a_slow_drift_is_followed_and_a_fault_upon_it_is_found() -> None:
    """Control: against the threshold of the start, the end of the drift is anomalous."""
    law = stats.expon()
    scores = law.rvs(size=4000, random_state=13) + np.linspace(0, 10, 4000)
    scores[3500:3510] += 15
    in_force, anomalous = judge(make_threshold(law, window=300), scores)
    assert anomalous[3500:3510].all()
    assert np.delete(anomalous, np.s_[3500:3510]).mean() < 0.004
    assert (scores[-500:] > in_force[0]).mean() > 0.5


def test_memory_does_not_grow() -> None:
    threshold = make_threshold(stats.expon())
    assert threshold.state.row.itemsize < 4 * (1000 + 200) + 200
    judge(threshold, stats.expon().rvs(size=12_000, random_state=14))
    assert threshold.state["represented"][0] == pytest.approx(200 / 0.02, rel=0.4)
