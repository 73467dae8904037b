"""What an alert says of a window's steps is what made its score."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_vae.core.model_spec import ExpectedWindows, Scores
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.windows import WindowBatch
from stream_vae.pipeline.alert_features import build_features, build_levels
from stream_vae.pipeline.explanation import Explanation, explain
from stream_vae.pipeline.scored_batch import ScoredBatch
from tests.conftest import F, T, make_spec

SPEC = make_spec()
WEIGHT = np.exp(-np.arange(T - 1, -1, -1.0) / 8).astype(np.float32)
SPREAD = 0.5
NAN = float("nan")


def explanation_of(
    window: NDArray[np.float64], bias: NDArray[np.float32] | None = None
) -> Explanation:
    """Return the explanation of a window of which 0 ± 0.5 was expected throughout."""
    none = np.zeros(1, np.int64)
    expected = np.zeros((1, T, F), np.float32)
    scores = Scores(
        value=np.ones(1),
        contribution=np.zeros((1, F), np.float32),
        expected=np.zeros((1, F)),
        expected_std=np.full((1, F), SPREAD),
        windows=(
            ExpectedWindows(
                expected=expected,
                spread=np.full_like(expected, SPREAD),
                step_weight=WEIGHT,
            ),
        ),
    )
    readings = ReadingBatch(
        topic="readings",
        partitions=none.astype(np.int32),
        offsets=none,
        series=["pump"],
        times=none,
        arrivals=none,
        values=window[-1:],
    )
    windows = WindowBatch(
        rows=none.astype(np.int32),
        late=none.astype(np.bool_),
        warming_up=none.astype(np.bool_),
        ready=none,
        revises=none.astype(np.bool_),
        windows=window[None],
        end_times=none + (T - 1) * 10**9,
    )
    scored = ScoredBatch(readings=readings, window_batch=windows, scores=scores, detector="")
    return explain(SPEC, scored, 0, bias)


cells = st.one_of(st.just(NAN), st.floats(-30, 30, width=32))


@given(st.lists(cells, min_size=T * F, max_size=T * F))
def test_the_named_step_and_feature_carry_the_largest_part(drawn: list[float]) -> None:
    """The parts as the score sees them: weighted squares of clipped residuals."""
    window = np.array(drawn).reshape(T, F)
    part = np.nan_to_num(WEIGHT[:, None] * SPEC.scaler.transform(window) ** 2)
    share = (part.sum(axis=0) / max(part.sum(), 1e-30)).astype(np.float32)
    told = build_features(SPEC.features, explanation_of(window), share, F)
    observed = {f"f{f}" for f in range(F) if not np.isnan(window[:, f]).all()}
    assert {feature.name for feature in told} == observed, "what was not observed is not named"
    for feature in told:
        f = int(feature.name[1:])
        assert feature.worst is not None
        t = round(feature.worst.at.timestamp())
        assert part[t, f] == pytest.approx(part[:, f].max(), rel=1e-4)
        assert feature.worst.actual == window[t, f]
        assert feature.worst.deviation == pytest.approx(abs(window[t, f]) / SPREAD)
    assert [feature.contribution for feature in told] == sorted(
        (feature.contribution for feature in told), reverse=True
    )


@given(st.floats(1, 1e9), st.floats(1, 1e9), st.integers(0, T - 1))
def test_the_deviation_of_a_window_grows_with_its_size_without_end(
    one: float, other: float, t: int
) -> None:
    """The residuals that a score is made of are clipped at ten; the deviation is not."""
    window = np.ones((T, F))
    found = []
    for size in sorted((one, other)):
        window[t, 1] = size
        found.append(explanation_of(window).largest_deviation)
    assert found[0] <= found[1] == pytest.approx(max(one, other) / SPREAD)


def test_a_bias_that_was_learnt_is_part_of_what_was_expected() -> None:
    bias = np.array([4.0, 0.0, 0.0], np.float32)
    window = np.zeros((T, F))
    window[:, 0] = 4.5
    plain, moved = explanation_of(window), explanation_of(window, bias)
    assert (plain.newest_deviation, moved.newest_deviation) == (9.0, 1.0)
    assert moved.expected[:, 0].tolist() == [4.0] * T
    [level] = build_levels(SPEC.features, plain, 5)
    assert (level.name, level.before, level.after, level.deviation) == ("f0", 0.0, 4.5, 9.0)


def test_a_window_in_which_nothing_was_observed_names_nothing() -> None:
    explanation = explanation_of(np.full((T, F), NAN))
    assert build_features(SPEC.features, explanation, np.full(F, 1 / F, np.float32), F) == ()
    assert build_levels(SPEC.features, explanation, F) == ()
    assert (explanation.newest_deviation, explanation.largest_deviation) == (0.0, 0.0)
