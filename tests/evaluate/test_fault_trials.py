"""Faults injected into held-out history: what they are, what is found, and what is said of it."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from stream_vae.core.model_spec import Feature, Scores
from stream_vae.core.residuals import UsualResiduals
from stream_vae.core.scaling import Scaler
from stream_vae.detect.config import DetectConfig, TrackingConfig
from stream_vae.evaluate.fault_assessment import Plan, _other_methods, assess
from stream_vae.evaluate.fault_trials import FaultBench, HeldOut, Method, replay
from stream_vae.evaluate.fault_words import poisson_interval, verdicts
from stream_vae.evaluate.injection import KINDS, Injections, inject
from stream_vae.models.provenance import FaultKind, FaultTrials, MethodTrial
from tests.conftest import SCALER, STEP_NS, F, MeanSquareScorer, T, make_spec

WITHIN = 2 * T
NO_WINDOWS = np.empty((0, T, F), np.float32)


class BlindScorer(MeanSquareScorer):
    """Sees nothing of the last feature."""

    def score(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
        return super().score(np.where(np.arange(F) == F - 1, 0.0, values), end_times)


def make_faults(kind: FaultKind, size: float, n: int = 1, feature: int = 0) -> Injections:
    return Injections(
        place=np.arange(n),
        kind=np.full(n, KINDS.index(kind)),
        feature=np.full(n, feature),
        partner=np.full(n, 1),
        size=np.full(n, size),
        sign=np.full(n, -1.0),
    )


def make_history(n: int = 600, seed: int = 0) -> HeldOut:
    """Return noise in two parts."""
    return HeldOut(
        times=np.arange(n, dtype=np.int64) * STEP_NS,
        values=np.random.default_rng(seed).normal(size=(n, F)),
        is_anomalous=np.zeros(n, np.bool_),
        bounds=np.array([0, n // 3, n]),
    )


@pytest.mark.parametrize(
    ("kind", "size", "flow", "level"),
    [
        ("spike", 3, [np.nan, 14, 22, 24], [1.5, 2.5, 4, 5]),
        ("level shift", 3, [np.nan, 14, 16, 18], [1.5, 2.5, 4, 5]),
        ("drift", 3, [np.nan, 16, 16, 18], [1.5, 2.5, 4, 5]),
        ("stuck value", 3, [np.nan, 20, 20, 24], [1.5, 2.5, 4, 5]),
        ("swap", 2, [21, 23, 22, 24], [np.nan, 1, 4, 5]),
    ],
)
def test_each_fault_is_what_it_is_called(
    kind: FaultKind, size: float, flow: list[float], level: list[float]
) -> None:
    """By hand: downwards, the flow's standard deviation is 2, and its first value is missing."""
    found = inject(
        np.array([[[np.nan, 1.5], [20, 2.5], [22, 4], [24, 5]]]),
        make_faults(kind, size),
        scaler=Scaler(mean=np.array([20.0, 1.0]), std=np.array([2.0, 1.0])),
        features=(Feature(name="flow"), Feature(name="level")),
        rise=3,
    )
    np.testing.assert_allclose(found[0], np.stack([flow, level], axis=1), rtol=1e-6)


def test_a_fault_of_no_size_leaves_every_score_as_it_was() -> None:
    """A stretch begins with the state that the series had there. Control: a large one is found."""
    method = Method(spec=make_spec(), scorer=MeanSquareScorer(), config=DetectConfig())
    history = make_history()
    places = np.array([20, 100, 250, 570])
    usual = replay(method, history, places)
    bench = FaultBench(
        method=method,
        history=history,
        places=places,
        replayed=usual,
        scaler=SCALER,
        within=WITHIN,
    )
    nothing = bench.run(make_faults("level shift", 0.0, 4), to_the_end=True)
    before = [usual.score[place : place + WITHIN].max() for place in places]
    np.testing.assert_array_equal(nothing.peak, before)
    np.testing.assert_array_equal(nothing.is_found, usual.opens(places, WITHIN))
    assert usual.is_quiet(places, WITHIN).any()
    assert bench.run(make_faults("level shift", 20.0, 4)).is_found.all()


def test_a_feature_that_the_score_ignores_is_said_to_be_found_at_no_size() -> None:
    """Control: those of another feature are found, from a size on."""
    method = Method(spec=make_spec(), scorer=BlindScorer(), config=DetectConfig())
    found = assess(method, make_history(), NO_WINDOWS, Plan(each=3))
    smallest = {(one.feature, one.fault): one.smallest for one in found.sizes}
    assert smallest["f2", "level shift"] is None
    assert smallest["f0", "level shift"] is not None
    assert smallest["f0", "spike"] != 0.5
    assert all(
        one.largest_found == one.largest_tried or one.smallest is None for one in found.sizes
    )
    assert found.mixed == 60
    assert 0 < found.methods[0].found < found.mixed


def test_other_methods_are_opened_beside_a_detector_whose_tracking_is_set() -> None:
    """None of them tracks, and a setting that nothing uses is refused."""
    usual = UsualResiduals(**dict.fromkeys(("variance", "bias", "level"), np.zeros((1, F))))
    method = Method(
        spec=replace(make_spec(), tracking={"mean_square": usual}),
        scorer=MeanSquareScorer(),
        config=DetectConfig(tracking=TrackingConfig(readings=96)),
    )
    windows = np.random.default_rng(1).normal(size=(60, T, F)).astype(np.float32)
    others = _other_methods(method, make_history(300), windows, seed=0)
    assert others
    for other in others.values():
        other.open(1)


def test_too_short_a_history_is_said_to_be_too_short() -> None:
    method = Method(spec=make_spec(), scorer=MeanSquareScorer(), config=DetectConfig())
    found = assess(method, make_history(3 * T), NO_WINDOWS, Plan(each=1))
    assert not found.sizes
    words = dict(verdicts(found))
    assert f"no stretch of {T + WITHIN} held-out readings" in words["injected faults"]
    assert "too short a stretch" in words["false incidents"]


@pytest.mark.parametrize(
    ("ours", "best", "only_best", "words"),
    [
        (90, 40, 0, "finds more than the best of them, PCA"),
        (40, 90, 55, "PCA finds more"),
        (50, 48, 20, "no better than PCA"),
    ],
)
def test_the_verdict_is_of_the_paired_difference(
    ours: int, best: int, only_best: int, words: str
) -> None:
    trial = MethodTrial(name="", found=ours, average_precision=0.5, false_incidents=0)
    other = replace(trial, name="PCA", found=best, only_here=only_best)
    worse = replace(trial, name="1-NN", found=3)
    trials = FaultTrials(
        score="recency",
        threshold="fixed",
        within=WITHIN,
        each=10,
        readings=20_160,
        weeks=2.0,
        false_incidents=4,
        features=F,
        sizes=(),
        mixed=100,
        methods=(trial, worse, other),
    )
    said = dict(verdicts(trials))
    assert said["beside simpler methods"].startswith(words)
    assert "2 per series and week (95 %: 0.54 to 5.1)" in said["false incidents"]


def test_the_interval_of_a_count_is_near_the_exact_one() -> None:
    for count in (0, 1, 5, 40):
        low, high = poisson_interval(count)
        exact = chi2.ppf([0.025, 0.975], [2 * count, 2 * count + 2]) / 2
        np.testing.assert_allclose([low, high], np.nan_to_num(exact), rtol=0.03, atol=0.02)
