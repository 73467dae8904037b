"""What an alert says of a window's steps is what made its score."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertWindow
from stream_vae.core.event_time import utc
from stream_vae.core.line_words import lines_in_words, what_lines
from stream_vae.core.log_templates import LINES, UNSEEN, LogSpec, LogTemplate
from stream_vae.core.model_spec import ExpectedWindows, Feature, Scores
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.residuals import UsualResiduals
from stream_vae.core.windows import WindowBatch
from stream_vae.pipeline.alert_features import build_features, build_levels
from stream_vae.pipeline.explanation import Explanation, Reference, explain, newest_readings
from stream_vae.pipeline.scored_batch import ScoredBatch
from tests.conftest import F, T, make_spec

SPEC = make_spec()
WEIGHT = np.exp(-np.arange(T - 1, -1, -1.0) / 8).astype(np.float32)
SPREAD = 0.5
WINDOW = AlertWindow(start=utc(0), end=utc((T - 1) * 10**9), length=T, step_seconds=60.0)
NAN = float("nan")


def explanation_of(
    window: NDArray[np.float64],
    bias: NDArray[np.float32] | None = None,
    *,
    remembered: NDArray[np.float64] | None = None,
    step_weight: NDArray[np.float32] = WEIGHT,
) -> Explanation:
    """Return the explanation of a window of which 0 ± 0.5 was expected throughout.

    Args:
        window: (T, F) in scaled units, which are the input's.
        bias: (K, F) of a tracker.
        remembered: (T, F) what a second member expects, whose usual residuals are of 0.1.
        step_weight: (T,) of the score.
    """
    none = np.zeros(1, np.int64)
    residuals = [np.nan_to_num(window)]
    residuals += [] if remembered is None else [np.nan_to_num(window - remembered)]
    told = np.stack(residuals)[None].astype(np.float32)  # (1, K, T, F)
    share = (WEIGHT / WEIGHT.sum())[:, None]
    evidence = np.stack([(share * told).sum(axis=2), (share * told**2).sum(axis=2)], axis=-1)
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
                step_weight=step_weight,
                residuals=tuple(told[:, 1:].swapaxes(0, 1)),
            ),
        ),
        evidence=None if bias is None else evidence,
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
    scored = ScoredBatch(
        readings=readings,
        decided_at=readings.offsets,
        window_batch=windows,
        scores=scores,
        detector="",
    )
    if bias is None:
        return explain(SPEC, scored, 0)
    usual = UsualResiduals(
        variance=np.array([[0.25], [0.01]]).repeat(F, axis=1)[: len(bias)],
        bias=np.zeros(bias.shape),
        level=np.zeros(bias.shape),
    )
    at = np.zeros(1, np.int64)
    reference = Reference(usual=usual, bias=bias[None], gain=np.ones_like(bias)[None])
    explanation = explain(SPEC, scored, 0, reference.of(0))
    newest = newest_readings(SPEC, scored, at, reference.of(at))
    assert newest.largest_deviation == pytest.approx(explanation.newest_deviation)
    np.testing.assert_allclose(newest.expected[0], explanation.expected[-1])
    np.testing.assert_allclose(newest.expected_std[0], explanation.expected_std[-1])
    return explanation


cells = st.one_of(st.just(NAN), st.floats(-30, 30, width=32))


@given(st.lists(cells, min_size=T * F, max_size=T * F))
def test_the_named_step_and_feature_carry_the_largest_part(drawn: list[float]) -> None:
    """The parts as the score sees them: weighted squares of clipped residuals."""
    window = np.array(drawn).reshape(T, F)
    part = np.nan_to_num(WEIGHT[:, None] * SPEC.scaler.transform(window) ** 2)
    share = (part.sum(axis=0) / max(part.sum(), 1e-30)).astype(np.float32)
    told = build_features(SPEC, explanation_of(window), share, F)
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


def test_counts_of_lines_say_what_lines_are_wrong_and_how() -> None:
    """Control: other models say none of it."""
    names = ("login.3f", UNSEEN, LINES)
    features = tuple(Feature(name=name, unit="lines", kind="count") for name in names)
    templates = tuple(
        LogTemplate(
            id=f"login.{n}", pattern=text, example="login of bob", count=n, feature="login.3f"
        )
        for n, text in ((3, "logout of <*>"), (40, "login of <*>"))
    )
    logs = LogSpec(templates=templates, masks=(), lines=43)
    spec = replace(SPEC, features=features[:F], logs=logs)
    window = np.zeros((T, F))
    window[-1] = (9.0, 2.0, -4.0)[:F]
    told = build_features(spec, explanation_of(window), np.full(F, 1 / F, np.float32), F)
    words = {one.name: (one.direction, one.template, one.example) for one in told}
    assert words["login.3f"] == ("too_many", "login of <*>", "login of bob")
    assert words[UNSEEN] == ("unseen", None, None)
    assert words[LINES] == ("missing", None, None)
    assert [what_lines(one) for one in told] == [
        'too many "login of <*>"',
        "never seen in training",
        "too few lines of any kind",
    ]
    assert lines_in_words(told[0], WINDOW) == (
        "9 lines from 1969-12-31 23:59:37Z to 1970-01-01 00:00:37Z, expected none: "
        'too many "login of <*>", in training such as "login of bob"'
    )
    for one in told:
        assert one.worst is not None
        assert one.worst.direction == one.direction, "the step carries what contradicts no value"
    plain = build_features(SPEC, explanation_of(window), np.full(F, 1 / F, np.float32), F)
    assert {(one.direction, one.template, one.example) for one in plain} == {(None, None, None)}


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


def test_steps_that_the_score_does_not_judge_make_no_incident_severe() -> None:
    """They may be of an earlier one, which the window still holds. Control: a score of all."""
    window = np.zeros((T, F))
    window[0, 1], window[-1, 0] = 60.0, 2.0
    newest = np.where(np.arange(T) >= T - 3, WEIGHT, 0).astype(np.float32)
    told = explanation_of(window, step_weight=newest)
    assert told.largest_size == pytest.approx(2.0 / SPREAD)
    assert explanation_of(window).largest_size == pytest.approx(60.0 / SPREAD)
    assert told.largest_deviation == explanation_of(window).largest_deviation


def test_a_bias_that_was_learnt_is_part_of_what_was_expected() -> None:
    bias = np.array([[4.0, 0.0, 0.0]], np.float32)
    window = np.zeros((T, F))
    window[:, 0] = 4.5
    plain, moved = explanation_of(window), explanation_of(window, bias)
    assert (plain.newest_deviation, moved.newest_deviation) == (9.0, 1.0)
    assert moved.expected[:, 0].tolist() == [4.0] * T
    [level] = build_levels(SPEC.features, plain, (), 5)
    assert (level.name, level.before, level.after, level.deviation) == ("f0", 0.0, 4.5, 9.0)
    assert moved.leaps_since(int(plain.times[-2])) == (0.5, 0.0, 0.0)
    [level] = build_levels(SPEC.features, plain, (6.0, 1.0, None), 5)
    assert (level.before, level.after, level.deviation) == (-1.5, 4.5, 12.0), "as it leapt"


def test_a_feature_is_told_as_its_members_expect_it_together() -> None:
    """The band is one for all steps and features alike, whichever member finds one unusual."""
    window = np.zeros((T, F))
    window[-3:, 0] = window[-3:, 1] = 1.0
    window[-2, 0] = 1.5
    remembered = np.where([True, False, False], -1.0, window)
    explanation = explanation_of(window, np.zeros((2, F), np.float32), remembered=remembered)
    told = build_features(SPEC, explanation, np.array([0.7, 0.3, 0.0], np.float32), 2)
    band = pytest.approx((0.5 + 0.1) / 2)  # the mean of the members' usual distances
    assert [one.name for one in told] == ["f0", "f1"]
    assert [one.expected for one in told] == pytest.approx([-0.5, 0.5])
    assert [one.expected_std for one in told] == [band, band]
    assert explanation.expected_std == band
    worst = told[0].worst
    assert worst is not None
    assert worst.actual == 1.5
    assert worst.expected == pytest.approx(-0.5)
    assert worst.deviation == pytest.approx(2.0 / 0.3)
    followed = explanation_of(
        window, np.array([[0.0] * F, [0.5, 0.0, 0.0]], np.float32), remembered=remembered
    )
    assert followed.expected[-1, 0] == pytest.approx(-0.25), "with the bias of that member"


def test_a_window_in_which_nothing_was_observed_names_nothing() -> None:
    explanation = explanation_of(np.full((T, F), NAN))
    assert build_features(SPEC, explanation, np.full(F, 1 / F, np.float32), F) == ()
    assert build_levels(SPEC.features, explanation, (), F) == ()
    assert (explanation.newest_deviation, explanation.largest_deviation) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("unit", "causes", "newest", "is_off"),
    [
        (LINES, ("+f1",), (1.0, 0.0, 1.0), False),  # deviations of 2, 0 and 2, in the mean 1.33
        (LINES, ("+f1",), (1.0, 0.5, 1.0), True),
        (LINES, ("+f1",), (1.0, NAN, 1.0), True),
        (LINES, ("+f1",), (NAN, NAN, NAN), False),
        (LINES, ("+f1",), (-1.0, -1.0, -1.0), False),
        (LINES, ("+f0", "-f1"), (-1.0, -1.0, -1.0), True),
        ("V", ("+f1",), (-1.0, -1.0, -1.0), True),  # numbers have no direction
        (LINES, ("+f0", "+gone", ""), (1.0, 1.0, 1.0), False),
    ],
)
def test_something_is_off_while_its_mean_over_the_newest_steps_is_in_the_same_direction(
    unit: str, causes: tuple[str, ...], newest: tuple[float, ...], is_off: bool
) -> None:
    features = [Feature(name=f"f{f}", unit=unit) for f in range(F)]
    window = np.full((T, F), 9.0)
    window[-3:] = 0.0
    window[-3:, 1] = newest
    assert explanation_of(window).is_off(features, causes, 3, 1.5) == is_off
