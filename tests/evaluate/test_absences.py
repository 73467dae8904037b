"""How improbable no line is follows from what the model expects, where it expects most."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature, Scores
from stream_vae.evaluate.absences import zero_probabilities
from tests.conftest import F, T, make_spec

SECOND = 10**9


@dataclass(frozen=True, slots=True)
class Expecting:
    """Expects the mean of what it sees of each feature, which it may not do where it is hidden."""

    spread: float | None
    """None: that of a Poisson distribution."""

    def score(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
        newest = values[:, -1]
        if values.shape[1] == 1:  # of a session: the others tell what is lacking
            assert (np.isnan(newest).sum(axis=1) == 1).all()
            expected = np.repeat(np.nanmax(newest, axis=1)[:, None], newest.shape[1], axis=1)
        else:
            assert np.isnan(newest).all(), "the newest step is hidden"
            expected = np.nanmean(values, axis=1)
        spread = np.sqrt(expected) if self.spread is None else np.full(expected.shape, self.spread)
        n = len(end_times)
        none = np.zeros((n, expected.shape[1]), np.float32)
        return Scores(value=np.zeros(n), contribution=none, expected=expected, expected_std=spread)


def history(rates: list[float], n: int = 200) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    return np.arange(n, dtype=np.int64) * SECOND, np.tile(np.array(rates), (n, 1))


COUNTS = replace(make_spec(), features=tuple(Feature(name=f"f{i}", kind="count") for i in range(F)))
RATES = [float(1 + i) / 2 for i in range(F)]


def test_counts_give_that_of_a_poisson_and_wider_ones_more() -> None:
    found = zero_probabilities(COUNTS, Expecting(None), [history(RATES)], is_log_normal=False)
    assert found == pytest.approx(np.exp(-np.array(RATES)))
    wide = zero_probabilities(COUNTS, Expecting(5.0), [history(RATES)], is_log_normal=False)
    mean = np.array(RATES)
    r = mean**2 / (25 - mean)
    assert wide == pytest.approx((r / (r + mean)) ** r)
    assert (wide > found).all()


def test_numbers_and_logarithms_of_counts_are_normal() -> None:
    spec = make_spec()
    found = zero_probabilities(spec, Expecting(1.0), [history([2.0] * F)], is_log_normal=False)
    assert found == pytest.approx([0.02275] * F, abs=1e-4)
    logs = zero_probabilities(COUNTS, Expecting(1.0), [history([1.0] * F)], is_log_normal=True)
    assert logs == pytest.approx([0.0828] * F, abs=1e-3), "log 2 is 1.386 of spread 1/2 from 0"


def test_it_is_that_of_the_busiest_twentieth_of_the_windows() -> None:
    """Control: of a history that is quiet throughout."""
    times, quiet = history([0.1] * F)
    busy = quiet.copy()
    busy[-2 * T :] = 9.0
    both = zero_probabilities(COUNTS, Expecting(None), [(times, busy)], is_log_normal=False)
    assert (both < 0.01).all()
    one = zero_probabilities(COUNTS, Expecting(None), [(times, quiet)], is_log_normal=False)
    assert one == pytest.approx([np.exp(-0.1)] * F)


def test_of_a_session_one_feature_at_a_time_is_hidden() -> None:
    spec = replace(COUNTS, window_length=1)
    found = zero_probabilities(spec, Expecting(None), [history([3.0] * F)], is_log_normal=False)
    assert found == pytest.approx([np.exp(-3.0)] * F)


def test_without_a_whole_window_nothing_is_known() -> None:
    times, values = history(RATES)
    gaps = [(times[::2], values[::2]), (times[: T - 1], values[: T - 1])]
    found = zero_probabilities(COUNTS, Expecting(None), gaps, is_log_normal=False)
    assert np.isnan(found).all()
