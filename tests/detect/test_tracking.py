"""The laws of a tracked score: what it forgets, when, and what it never does."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_vae.core.residuals import UsualResiduals
from stream_vae.detect.config import TrackingConfig
from stream_vae.detect.tracking import BLOCK, ResidualTracker

K, F = 2, 3
CONFIG = TrackingConfig(readings=160)  # a tenth of a bias in each block
ROW = np.zeros(1, np.int32)

Evidence = NDArray[np.float32]


def evidence_of(n: int, *, bias: float = 0.0, seed: int = 0) -> Evidence:
    """Return (n, K, F, 2) of residuals about a bias in feature 0, of deviation 0.5."""
    rng = np.random.default_rng(seed)
    residual = rng.normal(0, 0.5, (n, K, F, 8))
    residual[:, :, 0] += bias
    found = np.stack([residual.mean(axis=-1), (residual**2).mean(axis=-1)], axis=-1)
    return found.astype(np.float32)


USUAL = UsualResiduals.of(evidence_of(4000, seed=1), np.full((K, F), 0.25))


def tracker_of(config: TrackingConfig = CONFIG, capacity: int = 4) -> ResidualTracker:
    tracker = ResidualTracker(USUAL, config, capacity)
    tracker.state.begin(np.arange(capacity, dtype=np.int32))
    return tracker


def run(
    tracker: ResidualTracker,
    evidence: Evidence,
    *,
    rows: NDArray[np.int32] | None = None,
    revises: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Return scores as the detector asks for them."""
    rows = np.zeros(len(evidence), np.int32) if rows is None else rows
    revises = np.zeros(len(evidence), np.bool_) if revises is None else revises
    value = np.full(len(evidence), np.nan)
    for which in tracker.blocks(rows, revises):
        value[which], _ = tracker.score(rows[which], evidence[which])
        tracker.learn(rows[which], evidence[which], revises[which])
    return value


def level_of(value: NDArray[np.float64]) -> float:
    return float(np.median(value[-50:]))


NORMAL = level_of(run(tracker_of(), evidence_of(500, seed=2)))
"""Score of normal windows."""
OFFSET = level_of(run(tracker_of(), evidence_of(50, bias=1.5)))
"""Score at once of windows that are 1.5 off in one feature."""


@pytest.mark.parametrize(
    ("against_constant", "fused"),
    [((0.9, 1.1), [0]), ((1.1, 0.9), [1]), ((1.3, 1.2), [1]), ((0.9, 1.0), [0, 1])],
    ids=["the second is worse", "the first is", "both are", "neither is"],
)
def test_a_member_worse_than_a_constant_is_not_scored_and_the_best_always_is(
    against_constant: tuple[float, float], fused: list[int]
) -> None:
    rows, evidence = np.zeros(50, np.int32), evidence_of(50, seed=3)
    usual = replace(USUAL, against_constant=np.array(against_constant))
    found = []
    for one, which in [(usual, [0, 1]), *((member(k), [k]) for k in fused)]:
        tracker = ResidualTracker(one, CONFIG, 1)
        tracker.state.begin(ROW)
        found.append(tracker.score(rows, evidence[:, which]))
    (value, shares), *of_each = found
    assert value == pytest.approx(np.mean([one for one, _ in of_each], axis=0))
    assert shares == pytest.approx(np.mean([one for _, one in of_each], axis=0), abs=1e-6)


def member(k: int) -> UsualResiduals:
    return UsualResiduals(
        variance=USUAL.variance[[k]], bias=USUAL.bias[[k]], level=USUAL.level[[k]]
    )


def test_a_constant_offset_is_forgotten_in_as_many_readings_as_it_is_far() -> None:
    """1.5 deviations at one in 160 readings: after 240, not after half of them."""
    value = run(tracker_of(), evidence_of(400, bias=1.5))
    halfway = NORMAL + 0.5 * (OFFSET - NORMAL)
    assert level_of(value[:60]) > halfway
    assert level_of(value[240:]) == pytest.approx(NORMAL, abs=0.1 * (OFFSET - NORMAL))


def test_a_lasting_fault_of_five_is_never_whole_forgotten() -> None:
    """The bounds leave it far above normal for ever, and hardly touched in a fifth of the time."""
    value = run(tracker_of(), evidence_of(3000, bias=5.0))
    fault = level_of(run(tracker_of(), evidence_of(50, bias=5.0)))
    assert level_of(value[:32]) > fault - 0.15
    assert level_of(value) > NORMAL + 0.3 * (fault - NORMAL)
    assert level_of(value) > OFFSET


def test_a_fault_at_a_followed_level_scores_as_one_at_the_old_level() -> None:
    tracker = tracker_of()
    run(tracker, evidence_of(400, bias=1.5))
    above = run(tracker_of(), evidence_of(40, bias=4.0, seed=3))[:BLOCK]
    followed = run(tracker, evidence_of(40, bias=5.5, seed=3))[:BLOCK]
    assert np.median(followed) == pytest.approx(np.median(above), abs=0.2)


@given(scale=st.floats(0, 1e4), bias=st.floats(-1e4, 1e4), seed=st.integers(0, 99))
def test_state_stays_within_its_bounds_and_scores_finite(
    scale: float, bias: float, seed: int
) -> None:
    tracker = tracker_of()
    found = run(tracker, np.float32(scale) * evidence_of(300, bias=bias, seed=seed))
    assert np.isfinite(found).all()
    assert (np.abs(tracker.state["bias"] - USUAL.bias) <= CONFIG.max_bias + 1e-5).all()
    lift = tracker.state["level"] - USUAL.level
    assert (lift >= -1e-5).all()
    assert (lift <= np.log(CONFIG.max_energy) + 1e-5).all()


def test_a_faster_rate_forgets_no_later() -> None:
    """Time until a constant offset scores as at half its height, over rates."""
    times = []
    for readings in (40, 80, 160, 320, 640):
        value = run(tracker_of(replace(CONFIG, readings=readings)), evidence_of(1600, bias=1.5))
        below = np.flatnonzero(value < NORMAL + 0.5 * (OFFSET - NORMAL))
        times.append(int(np.quantile(below, 0.02)))
    assert times == sorted(times)
    assert times[-1] > 4 * times[0]


@given(cuts=st.lists(st.integers(1, 90), max_size=4), seed=st.integers(0, 99))
def test_the_same_however_cut_into_batches(cuts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    evidence = evidence_of(90, bias=1.0, seed=seed)
    evidence[rng.random(evidence.shape[:3]) < 0.1] = np.nan
    rows = np.repeat(np.arange(3, dtype=np.int32), 30)
    revises = rng.random(90) < 0.2
    whole, parts = tracker_of(), tracker_of()
    expected = run(whole, evidence, rows=rows, revises=revises)
    edges = [0, *sorted(cuts), 90]
    found = [
        run(parts, evidence[a:b], rows=rows[a:b], revises=revises[a:b]) for a, b in pairwise(edges)
    ]
    np.testing.assert_array_equal(np.concatenate(found), expected)
    every = np.arange(4, dtype=np.int32)
    assert whole.state.save(every).tobytes() == parts.state.save(every).tobytes()


def test_a_score_knows_nothing_of_later_readings() -> None:
    evidence = evidence_of(100)
    other = evidence.copy()
    other[60:] = evidence_of(40, bias=9.0)
    found = run(tracker_of(), evidence), run(tracker_of(), other)
    np.testing.assert_array_equal(found[0][:60], found[1][:60])
    assert (found[0][60:] != found[1][60:]).all()


def test_restored_state_goes_on_as_if_nothing_had_happened() -> None:
    first, second = tracker_of(), tracker_of()
    run(first, evidence_of(100, bias=1.0))
    second.state.load(ROW + 2, first.state.save(ROW))
    more = evidence_of(60, bias=1.0, seed=5)
    expected = run(first, more)
    np.testing.assert_array_equal(run(second, more, rows=np.full(60, 2, np.int32)), expected)


def test_revisions_are_scored_and_teach_nothing() -> None:
    tracker = tracker_of()
    fresh = tracker.state.save(ROW).tobytes()
    value = run(tracker, evidence_of(200, bias=3.0), revises=np.ones(200, np.bool_))
    assert tracker.state.save(ROW).tobytes() == fresh
    assert (value > NORMAL).all()


def test_what_is_not_observed_moves_nothing_and_takes_no_share() -> None:
    tracker, evidence = tracker_of(), evidence_of(200, bias=1.0)
    evidence[:, :, 1] = np.nan
    run(tracker, evidence)
    assert (tracker.state["bias"][0, :, 1] == USUAL.bias[:, 1].astype(np.float32)).all()
    assert (tracker.state["bias"][0, :, 0] > 0.8).all()  # the control
    _, share = tracker.score(ROW, evidence[:1])
    assert share[0, 1] == 0
    assert share.sum() == pytest.approx(1.0)


def test_recentred_on_a_new_level_it_is_normal_and_faults_show_on_both_sides() -> None:
    tracker = tracker_of()
    shifted = evidence_of(1000, bias=5.0)
    assert level_of(run(tracker, shifted)) > OFFSET
    tracker.recentre(ROW)
    assert level_of(run(tracker, evidence_of(160, bias=5.0, seed=4))) < 0.5 * (NORMAL + OFFSET)
    for fault in (10.0, 0.0):
        assert (run(tracker, evidence_of(10, bias=fault)) > OFFSET).all()
