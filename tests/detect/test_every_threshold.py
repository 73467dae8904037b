"""The laws that every threshold keeps, whatever its method."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from stream_vae.core.columns import Columns
from stream_vae.core.model_spec import ModelSpec, Scores
from stream_vae.core.residuals import UsualResiduals
from stream_vae.detect.config import DetectConfig, ThresholdConfig, ThresholdMethod
from stream_vae.detect.tail import LEAST_P
from stream_vae.detect.threshold.factory import build_threshold
from stream_vae.detect.threshold.likelihood import LikelihoodThreshold
from stream_vae.detect.threshold.openings import OpeningCounter, OpeningRule, opening_fields
from stream_vae.detect.threshold.percentile import PercentileThreshold, ReadingBudget
from stream_vae.detect.threshold.threshold import Judgement, Threshold
from tests.conftest import make_spec
from tests.suites import fewer_examples

CALIBRATION = np.quantile(np.random.default_rng(0).normal(size=50_000), np.linspace(0, 1, 1001))
FIELDS = ("threshold", "p_value", "limit", "anomalous")

METHODS: Mapping[str, Mapping[str, Any]] = {
    "percentile": {"quantile": 0.999},
    "mean_sd": {"standard_deviations": 3.5},
    "likelihood": {"short_mean": 1},
    "fixed": {"value": 3.5},
    "labelled": {"criterion": "best_f1"},
    "pot": {"peaks": 100, "quantile": 0.999},
    "budget": {"method": "percentile"},
}
BUDGET = "1 per series per week"
"""Of readings of a minute: one in 10,080, that 1 in 840 is first taken to be above for."""
LEARNT = ("percentile", "mean_sd", "pot", "budget")
UNTAUGHT = ("fixed", "labelled")

every_method = pytest.mark.parametrize("method", METHODS)
every_learnt = pytest.mark.parametrize("method", LEARNT)


def make_labelled_spec(calibration: NDArray[np.float64]) -> ModelSpec:
    return replace(
        make_spec(),
        calibration={"mean_square": calibration},
        labelled_thresholds={"mean_square": {"youden": 3.0, "best_f1": 3.4}},
    )


def config_of(method: str, learning: Mapping[str, float]) -> DetectConfig:
    options = {"method": method, **METHODS[method], **learning}
    return DetectConfig(
        threshold=ThresholdConfig(**options), budget=BUDGET if method == "budget" else ""
    )


def make_threshold(method: str, n_series: int = 1, **learning: float) -> Threshold:
    """Return a threshold of `n_series` new series; `learning` is of those that learn."""
    return make_calibrated(method, CALIBRATION, learning, n_series)


def make_calibrated(
    method: str, calibration: NDArray[np.float64], learning: Mapping[str, float], n_series: int = 1
) -> Threshold:
    config = config_of(method, learning if method in LEARNT else {})
    spec = replace(make_labelled_spec(calibration), step_seconds=60.0)
    threshold = build_threshold(config, spec, "mean_square", n_series)
    threshold.start(np.arange(n_series, dtype=np.int32))
    return threshold


def judge(threshold: Threshold, scores: NDArray[np.float64], row: int = 0) -> Judgement:
    n = len(scores)
    return threshold.judge(np.full(n, row, np.int32), scores, np.zeros(n, np.bool_))


def judge_unlearnt(threshold: Threshold, scores: NDArray[np.float64]) -> Judgement:
    n = len(scores)
    return threshold.judge(np.zeros(n, np.int32), scores, np.ones(n, np.bool_))


def test_every_method_of_the_settings_is_held_to_the_laws() -> None:
    assert {*METHODS, "auto"} == {*get_args(ThresholdMethod), "budget"}


@every_method
def test_a_new_series_starts_from_the_calibration(method: str) -> None:
    """The 99.9th percentile of a standard normal is 3.09, and no setting here is far from it."""
    threshold = make_threshold(method)
    judged = judge(threshold, np.array([0.0, 2.0, 9.0]))
    assert 2.8 < judged.threshold[0] < 4.0
    assert judged.anomalous.tolist() == [False, False, True]
    assert threshold.in_force(0) == judged.threshold[0]


@every_method
def test_a_score_is_judged_before_it_is_learnt(method: str) -> None:
    """Where every score refreshes, each is held against the threshold that the last one left."""
    threshold = make_threshold(method, refresh_every=1)
    for score in np.random.default_rng(3).normal(size=60):
        in_force = threshold.in_force(0)
        judged = judge(threshold, np.array([score]))
        assert judged.threshold[0] == in_force
        compared = score if judged.value is None else judged.value[0]
        assert judged.anomalous[0] == (compared > in_force)


@every_learnt
@pytest.mark.parametrize("size", [1.0, 50.0, 1e9])
@pytest.mark.parametrize("length", [30, 900])
def test_a_fault_hardly_raises_the_bar_for_the_next(method: str, size: float, length: int) -> None:
    """Of whatever size, and shorter than the release; control: a level shift learnt raises it."""
    calm, faulty = make_threshold(method), make_threshold(method)
    before, after = np.split(np.random.default_rng(2).normal(size=4000), 2)
    for threshold in (calm, faulty):
        judge(threshold, before)
    start = faulty.in_force(0)
    judge(faulty, start + np.full(length, size))
    for threshold in (calm, faulty):
        judge(threshold, after)
    assert faulty.in_force(0) - calm.in_force(0) < 1.0
    judge(faulty, np.full(3000, start + 5))
    assert faulty.in_force(0) > start + 4


@pytest.mark.parametrize("method", UNTAUGHT)
def test_nothing_teaches_a_threshold_that_does_not_learn(method: str) -> None:
    """A permanent change stays anomalous, and no release is told."""
    threshold = make_threshold(method)
    start = threshold.in_force(0)
    judged = judge(threshold, np.full(3000, 30.0))
    assert judged.anomalous.all()
    assert len(judged.released) == 0
    assert threshold.release_after == 0
    judge(threshold, np.full(3000, 2.0))
    assert threshold.in_force(0) == start


@every_learnt
def test_a_permanent_change_is_absorbed_after_the_release_and_told_once(method: str) -> None:
    threshold = make_threshold(method, release_after=200, window=300)
    scores = np.random.default_rng(1).normal(size=1200) + 30
    judged = judge(threshold, scores)
    assert judged.anomalous[:200].all()
    assert judged.released.tolist() == [199]
    assert judged.anomalous[-300:].mean() < 0.02
    assert threshold.release_after == 200


@every_learnt
def test_a_new_anomaly_at_an_absorbed_level_is_found(method: str) -> None:
    """What a release taught does not leave the threshold high for ever."""
    threshold = make_threshold(method, release_after=200, window=300)
    judge(threshold, np.random.default_rng(1).normal(size=2000) + 30)
    assert judge(threshold, np.full(5, 60.0)).anomalous.all()


@pytest.mark.parametrize("method", [*LEARNT, *UNTAUGHT])
def test_a_change_shorter_than_the_release_stays_anomalous_to_its_end(method: str) -> None:
    """Control for the tests above."""
    judged = judge(make_threshold(method, release_after=200), np.full(199, 30.0))
    assert judged.anomalous.all()
    assert len(judged.released) == 0


@every_method
def test_a_revision_is_judged_but_not_learnt_twice(method: str) -> None:
    once, twice = (make_threshold(method, refresh_every=1) for _ in range(2))
    for score in np.random.default_rng(2).normal(size=60):
        judge(once, np.array([score]))
        twice.judge(np.zeros(2, np.int32), np.array([score, score]), np.array([False, True]))
    assert once.in_force(0) == twice.in_force(0)


@every_method
@fewer_examples(4)
@given(
    seed=st.integers(0, 2**32 - 1),
    cuts=st.lists(st.integers(1, 70), min_size=1, max_size=20),
    refresh_every=st.integers(1, 20),
)
def test_verdicts_do_not_depend_on_how_scores_are_batched(
    method: str, seed: int, cuts: list[int], refresh_every: int
) -> None:
    generator = np.random.default_rng(seed)
    rows = np.sort(generator.integers(0, 3, size=200)).astype(np.int32)
    scores = generator.normal(size=200) + 9 * (generator.random(200) < 0.2)
    revises = generator.random(200) < 0.1
    learning = {"refresh_every": refresh_every, "release_after": 25, "window": 100}
    at_once = make_threshold(method, 3, **learning)
    whole = at_once.judge(rows, scores, revises)
    threshold = make_threshold(method, 3, **learning)
    parts: list[Judgement] = []
    begin, cut = 0, 0
    while begin < 200:
        end = begin + cuts[cut % len(cuts)]
        parts.append(threshold.judge(rows[begin:end], scores[begin:end], revises[begin:end]))
        begin, cut = end, cut + 1
    for name in FIELDS:
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, name))
    series = np.arange(3, dtype=np.int32)
    assert threshold.state.save(series).tobytes() == at_once.state.save(series).tobytes()


@every_method
def test_no_series_depends_on_the_company_it_is_judged_in(method: str) -> None:
    generator = np.random.default_rng(4)
    rows = np.repeat(np.arange(5, dtype=np.int32), 80)
    scores = generator.normal(size=400) * np.repeat([1, 0.1, 2, 1, 5], 80)
    revises = np.zeros(400, np.bool_)
    together = make_threshold(method, 5, refresh_every=4).judge(rows, scores, revises)
    for row in range(5):
        alone = judge(make_threshold(method, 5, refresh_every=4), scores[rows == row], row)
        for name in FIELDS:
            np.testing.assert_array_equal(
                getattr(alone, name), getattr(together, name)[rows == row]
            )


@every_method
@pytest.mark.parametrize("at", [1, 137, 250])
def test_a_restored_series_goes_on_exactly(method: str, at: int) -> None:
    """Saved in the middle of a block and of an alarm, loaded into another row of another table."""
    generator = np.random.default_rng(at)
    scores = generator.normal(size=500)
    scores[130:145] += 20
    learning = {"refresh_every": 7, "release_after": 12, "window": 100}
    first, second = make_threshold(method, **learning), make_threshold(method, 4, **learning)
    judge(first, scores[:at])
    saved = first.state.save(np.array([0], np.int32))
    second.state.load(np.array([3], np.int32), np.frombuffer(saved.tobytes(), second.state.row))
    one, other = judge(first, scores[at:]), judge(second, scores[at:], row=3)
    for name in (*FIELDS, "released"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert first.state.save(np.array([0])).tobytes() == second.state.save(np.array([3])).tobytes()


@every_learnt
def test_state_of_a_slower_refresh_is_gone_on_with(method: str) -> None:
    """More scores may be pending in it than a refresh waits for now."""
    slow, fast = make_threshold(method, refresh_every=16), make_threshold(method, refresh_every=4)
    scores = np.random.default_rng(3).normal(size=40)
    judge(slow, scores[:12])
    rows = np.zeros(1, np.int32)
    fast.state.load(rows, slow.state.save(rows))
    assert np.isfinite(judge(fast, scores[12:]).threshold).all()


@every_method
@fewer_examples(4)
@given(
    calibration=arrays(np.float64, 101, elements=st.floats(-1e6, 1e6)),
    scores=arrays(np.float64, 150, elements=st.floats(-1e9, 1e9)),
)
def test_any_scores_give_finite_thresholds_and_probabilities(
    method: str, calibration: NDArray[np.float64], scores: NDArray[np.float64]
) -> None:
    learning = {"window": 100, "refresh_every": 5, "release_after": 10}
    threshold = make_calibrated(method, np.sort(calibration), learning)
    judged = judge(threshold, scores)
    assert np.isfinite(judged.threshold).all()
    for p in (judged.p_value, judged.limit):
        assert ((p >= LEAST_P) & (p <= 1)).all()
    for name in threshold.state.row.names or ():
        assert np.isfinite(threshold.state[name][0]).all(), name


@every_method
def test_equal_scores_are_normal(method: str) -> None:
    """A series that stands still, at whatever level below the threshold, does not alarm."""
    judged = judge(make_threshold(method, refresh_every=1, window=100), np.full(250, 2.0))
    assert not judged.anomalous.any()


@every_method
def test_a_higher_score_never_has_a_higher_p_value(method: str) -> None:
    threshold = make_threshold(method)
    judge(threshold, np.random.default_rng(9).normal(size=1000))
    ladder = np.linspace(-6, 12, 300)
    judged = judge_unlearnt(threshold, ladder)
    assert (np.diff(judged.p_value) <= 1e-12).all()
    assert judged.p_value[0] > 0.9
    assert judged.p_value[-1] < 1e-4


@every_method
def test_a_score_is_anomalous_where_its_p_value_is_below_that_of_the_threshold(
    method: str,
) -> None:
    threshold = make_threshold(method)
    judge(threshold, np.random.default_rng(9).normal(size=1000))
    low, high = 0.0, 60.0
    for _ in range(20):
        middle = (low + high) / 2
        is_above = judge_unlearnt(threshold, np.array([middle])).anomalous[0]
        low, high = (low, middle) if is_above else (middle, high)
    judged = judge_unlearnt(threshold, np.array([low - 0.01, high + 0.01]))
    assert judged.anomalous.tolist() == [False, True]
    assert (judged.p_value < judged.limit).tolist() == [False, True]


@every_method
def test_p_values_of_fresh_scores_are_about_uniform(method: str) -> None:
    """Scores of the calibration's law: a tenth of them lies below 0.1, a half below 0.5."""
    threshold = make_threshold(method)
    fresh = np.random.default_rng(10).normal(size=4000)
    p = judge(threshold, fresh).p_value[1000:]
    for level in (0.1, 0.5, 0.9):
        assert np.mean(p < level) == pytest.approx(level, abs=0.04)


@every_method
def test_the_method_is_told_in_words_and_the_identity_differs_from_all_others(method: str) -> None:
    threshold = make_threshold(method)
    assert 10 < len(threshold.method) <= 200
    others = [make_threshold(other) for other in METHODS if other != method]
    assert threshold.identity not in [other.identity for other in others]
    assert threshold.method not in [other.method for other in others]


@every_learnt
def test_a_ring_that_reaches_further_back_has_another_identity(method: str) -> None:
    """Its scores are every second, third, ... one; control: a cycle that fits changes nothing."""
    config = config_of(method, {"window": 100})
    spec = make_labelled_spec(CALIBRATION)
    plain, fitting, doubled, tripled = (
        build_threshold(config, replace(spec, cycle_steps=steps), "mean_square", 1).identity
        for steps in (0, 100, 200, 300)
    )
    assert plain == fitting
    assert len({plain, doubled, tripled}) == 3


@pytest.mark.parametrize("method", ["percentile", "pot"])
@pytest.mark.parametrize("law", ["white", "autoregressive", "seasonal"])
def test_as_many_readings_as_asked_are_above_the_threshold(method: str, law: str) -> None:
    """Of 20 stationary series: the sample is not censored."""
    n, length, window = 20, 5000, 2000
    scores = drawn(law, n, length)
    threshold = make_threshold(method, n, window=window, refresh_every=64, quantile=0.99)
    rows = np.repeat(np.arange(n, dtype=np.int32), length)
    judged = threshold.judge(rows, scores.ravel(), np.zeros(n * length, np.bool_))
    share = judged.anomalous.reshape(n, length)[:, window:].mean()
    assert 0.007 < share < 0.013


def test_as_many_incidents_as_budgeted_are_opened() -> None:
    """Of 20 stationary series together, once each has learnt how its excursions cluster."""
    n, length, learning, per_reading = 20, 4000, 1500, 0.004
    budget = ReadingBudget(per_reading=per_reading, words="some", rule=OpeningRule())
    threshold = PercentileThreshold(ThresholdConfig(window=1000), CALIBRATION, n, budget=budget)
    series = np.arange(n, dtype=np.int32)
    threshold.start(series)
    rows = np.repeat(series, length)
    scores = drawn("autoregressive", n, length)
    judged = threshold.judge(rows, scores.ravel(), np.zeros(n * length, np.bool_))
    state = Columns(np.zeros((), np.dtype([*opening_fields("of")])), n)
    opened = OpeningCounter.within(state, "of", OpeningRule()).observe(rows, judged.anomalous)
    realised = opened.reshape(n, length)[:, learning:].mean()
    assert realised == pytest.approx(per_reading, rel=0.2)


def drawn(law: str, n: int, length: int) -> NDArray[np.float64]:
    """Return (n, length) scores, each standard normal by itself."""
    noise = np.random.default_rng(5).normal(size=(length, n))
    if law == "seasonal":
        phase = np.arange(length)[:, None] / 50
        return np.asarray((np.sqrt(1.8) * 0.9 * np.sin(2 * np.pi * phase) + noise).T / 1.35)
    for t in range(1, length if law == "autoregressive" else 0):
        noise[t] = 0.9 * noise[t - 1] + np.sqrt(1 - 0.81) * noise[t]
    return noise.T


@every_learnt
def test_after_an_idle_stretch_the_usual_is_not_anomalous(method: str) -> None:
    """A plant stands still for longer than the ring; control: idle alone would sink the bar."""
    threshold = make_threshold(method, window=500)
    start = threshold.in_force(0)
    judge(threshold, np.random.default_rng(6).normal(-8, 0.1, size=3000))
    assert start - 2 < threshold.in_force(0) < start
    working = judge(threshold, np.random.default_rng(7).normal(size=3000))
    assert working.anomalous.mean() < 0.01


def likelihood_of_members(n_series: int = 1) -> LikelihoodThreshold:
    usual = UsualResiduals(
        variance=np.ones((2, 1)), bias=np.zeros((2, 1)), level=np.log([[0.6], [1250.1]])
    )
    threshold = LikelihoodThreshold(
        ThresholdConfig(method="likelihood"), CALIBRATION, n_series, usual=usual
    )
    threshold.start(np.arange(n_series, dtype=np.int32))
    return threshold


def judge_roots(
    threshold: LikelihoodThreshold, roots: NDArray[np.float64], rows: NDArray[np.int32]
) -> Judgement:
    """Judge windows of which (B, 2) members' residuals have these root mean squares."""
    n = len(roots)
    energy = (roots**2).astype(np.float32)[..., None, None]
    scores = Scores(
        value=np.zeros(n),
        contribution=np.ones((n, 1), np.float32),
        expected=np.zeros((n, 1)),
        expected_std=np.ones((n, 1)),
        evidence=np.concatenate((np.zeros_like(energy), energy), axis=3),
    )
    return threshold.judge_members(rows, scores, np.zeros(n, np.bool_))


@pytest.mark.parametrize("method", ["percentile", "fixed"])
def test_a_threshold_that_is_held_at_a_bound_is_counted_there(method: str) -> None:
    """Calmer than the calibration, it is held at its floor; often far above, at its ceiling."""
    threshold = make_threshold(method, 2, window=100, refresh_every=10)
    calm, wild = np.array([0], np.int32), np.array([1], np.int32)
    assert threshold.bounded(np.array([0, 1], np.int32)) == (0, 0)
    noise = np.random.default_rng(5).normal(size=1000)
    judge(threshold, 0.01 * noise - 5.0)
    assert threshold.bounded(calm) == ((1, 0) if method in LEARNT else (0, 0))
    at_ceiling = 0
    for part in np.array_split(np.where(noise > 1.2, 4.0, noise), 20):
        judge(threshold, part, 1)
        at_ceiling += threshold.bounded(wild)[1]
    assert (at_ceiling > 0) == (method in LEARNT)


def test_a_likelihood_is_high_where_the_members_agree() -> None:
    """Each by its own measure; control: one of them alone, by as much, is outvoted."""
    usual = np.random.default_rng(11).normal((1.0, 50.0), (0.1, 5.0), (3000, 2))
    agree, alone = np.tile([1.2, 60.0], (5, 1)), np.tile([1.2, 50.0], (5, 1))
    rows = np.repeat(np.arange(2, dtype=np.int32), 3005)
    threshold = likelihood_of_members(2)
    roots = np.concatenate((usual, agree, usual, alone))
    judged = judge_roots(threshold, roots, rows)
    assert judged.anomalous[3004]
    assert not judged.anomalous[-5:].any()
    assert judged.anomalous[1000:3000].mean() < 0.005
    again = likelihood_of_members(2)  # and the same however it is cut
    parts = [
        judge_roots(again, roots[at : at + 701], rows[at : at + 701]) for at in range(0, 6010, 701)
    ]
    for name in ("p_value", "limit", "anomalous"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(judged, name))


def test_a_likelihood_takes_a_tenth_of_its_past_to_get_used_to_a_level() -> None:
    threshold = make_threshold("likelihood")
    judge(threshold, np.random.default_rng(12).normal(size=6000))
    judged = judge(threshold, np.full(3000, 30.0))
    assert judged.anomalous[:400].all()
    assert not judged.anomalous[1500:].any()
