import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_vae.detect.config import ThresholdConfig
from stream_vae.detect.threshold import AdaptiveThreshold, Judgement
from tests.suites import fewer_examples

CALIBRATION = np.quantile(np.random.default_rng(0).normal(size=50_000), np.linspace(0, 1, 1001))


def make_threshold(n_series: int = 1, **overrides: float) -> AdaptiveThreshold:
    threshold = AdaptiveThreshold(ThresholdConfig(**overrides), CALIBRATION, n_series)  # type: ignore[arg-type]  # one dict of int and float fields
    threshold.start(np.arange(n_series, dtype=np.int32))
    return threshold


def judge(threshold: AdaptiveThreshold, scores: NDArray[np.float64], row: int = 0) -> Judgement:
    n = len(scores)
    return threshold.judge(np.full(n, row, np.int32), scores, np.zeros(n, np.bool_))


def test_a_new_series_starts_from_the_calibration() -> None:
    """The 99.9th percentile of a standard normal is 3.09."""
    judged = judge(make_threshold(), np.array([0.0]))
    assert 2.8 < judged.threshold[0] < 3.6


def test_an_anomaly_does_not_teach_the_threshold() -> None:
    """Control: the same number of normal scores does move it."""
    calm, alarmed = make_threshold(), make_threshold()
    judge(alarmed, np.full(500, 50.0))
    judge(calm, np.full(500, 2.5))
    start = judge(make_threshold(), np.array([0.0])).threshold[0]
    assert judge(alarmed, np.array([0.0])).threshold[0] == start
    assert judge(calm, np.array([0.0])).threshold[0] != start


def test_a_permanent_change_is_absorbed_after_the_release_and_told_once() -> None:
    threshold = make_threshold(release_after=200)
    scores = np.random.default_rng(1).normal(size=600) + 30
    judged = judge(threshold, scores)
    assert judged.anomalous[:200].all()
    assert judged.released.tolist() == [199]
    assert judged.anomalous[-300:].mean() < 0.01


def test_a_change_shorter_than_the_release_stays_anomalous_to_its_end() -> None:
    """Control for the test above."""
    judged = judge(make_threshold(release_after=200), np.full(199, 30.0))
    assert judged.anomalous.all()
    assert len(judged.released) == 0


def test_a_revision_is_judged_but_not_learnt_twice() -> None:
    once, twice = make_threshold(refresh_every=1), make_threshold(refresh_every=1)
    for score in np.random.default_rng(2).normal(size=300):
        judge(once, np.array([score]))
        twice.judge(np.zeros(2, np.int32), np.array([score, score]), np.array([False, True]))
    probe = np.array([0.1])
    assert judge(once, probe).threshold[0] == judge(twice, probe).threshold[0]


@fewer_examples(2)
@given(
    seed=st.integers(0, 2**32 - 1),
    cuts=st.lists(st.integers(1, 70), min_size=1, max_size=20),
    refresh_every=st.integers(1, 20),
)
def test_verdicts_do_not_depend_on_how_scores_are_batched(
    seed: int, cuts: list[int], refresh_every: int
) -> None:
    generator = np.random.default_rng(seed)
    rows = np.sort(generator.integers(0, 3, size=400)).astype(np.int32)
    scores = generator.normal(size=400) + 9 * (generator.random(400) < 0.2)
    revises = generator.random(400) < 0.1
    config = {"refresh_every": refresh_every, "release_after": 25, "window": 100}
    whole = make_threshold(3, **config).judge(rows, scores, revises)
    threshold = make_threshold(3, **config)
    parts: list[Judgement] = []
    begin, cut = 0, 0
    while begin < 400:
        end = begin + cuts[cut % len(cuts)]
        parts.append(threshold.judge(rows[begin:end], scores[begin:end], revises[begin:end]))
        begin, cut = end, cut + 1
    for name in ("threshold", "p_value", "anomalous"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, name))
