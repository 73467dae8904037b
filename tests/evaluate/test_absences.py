"""How soon an absence is told follows from a score of windows with zeros in them."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.core.log_templates import LINES
from stream_vae.core.model_spec import Feature, Scores
from stream_vae.evaluate.absences import absence_scores, tried_steps
from tests.conftest import T, make_spec

SECOND = 10**9
NAMES = ("beat", "burst", LINES)
SPEC = replace(make_spec(), features=tuple(Feature(name=name, kind="count") for name in NAMES))
STEPS = tried_steps(T)


@dataclass(frozen=True, slots=True)
class Counting:
    """The score is how many cells of some features are 0."""

    features: tuple[int, ...] = (0, 1)

    def score(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
        assert len(values) == len(end_times)
        # All lines are those of the others, also where some were taken out.
        assert np.array_equal(np.nansum(values[..., :2], axis=-1), values[..., 2])
        value = (values[..., self.features] == 0).sum(axis=(1, 2)).astype(float)
        none = np.zeros((len(values), 3))
        return Scores(
            value=value, contribution=none.astype(np.float32), expected=none, expected_std=none
        )


def history(n: int = 200) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return a beat a step, and five lines of the burst in the last 40 steps alone."""
    values = np.ones((n, 3))
    values[:, 1] = np.where(np.arange(n) >= n - 40, 5.0, 0.0)
    values[:, 2] = values[:, :2].sum(axis=1)
    return np.arange(n, dtype=np.int64) * SECOND, values


def test_a_window_is_tried_from_one_step_to_all() -> None:
    assert tried_steps(1) == (1,)
    assert tried_steps(5) == (1, 2, 3, 5)
    assert tried_steps(32) == (1, 2, 3, 5, 10, 20, 32)


def test_a_score_after_n_steps_is_that_of_windows_without_a_line_in_them() -> None:
    """Of a feature in bursts that is where it comes most; elsewhere nothing would be missed."""
    found = absence_scores(SPEC, Counting(), [history()], [0, 1])
    assert found[1].tolist() == [*STEPS]
    assert found[0][0] == T + 1, "the burst is not there in the places of the beat"
    assert absence_scores(SPEC, Counting((0,)), [history()], [0])[0].tolist() == [*STEPS]


def test_what_was_once_above_the_threshold_has_been_told() -> None:
    """The control of the highest so far: a score that falls again."""

    class Falling(Counting):
        def score(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
            found = Counting.score(self, values, end_times)
            return replace(found, value=-found.value)

    assert absence_scores(SPEC, Falling((0,)), [history()], [0])[0].tolist() == [-1.0] * len(STEPS)


def test_what_is_missing_stays_missing() -> None:
    times, values = history()
    values[:, 1] = np.nan
    values[:, 2] = 1.0
    assert absence_scores(SPEC, Counting((1,)), [(times, values)], [1])[1].max() == 0


def test_a_session_is_one_step() -> None:
    spec = replace(SPEC, window_length=1)
    found = absence_scores(spec, Counting(), [history()], [1])
    assert found[1].tolist() == [1.0]


@pytest.mark.parametrize("kept", [slice(0, T - 1), slice(None, None, 2)])
def test_without_a_whole_window_nothing_is_known(kept: slice) -> None:
    times, values = history()
    assert absence_scores(SPEC, Counting(), [(times[kept], values[kept])], [0]) == {}
