"""NAB's rule on cases worked out by hand."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.evaluate.data_sets.nab_rule import (
    NabCount,
    NabFile,
    NabProfile,
    best_over_cuts,
    normalised,
    probation,
)

N = 100


def rows(*which: int) -> NDArray[np.bool_]:
    found = np.zeros(N, np.bool_)
    found[list(which)] = True
    return found


WINDOW = rows(*range(40, 50))


def sigmoid(x: float) -> float:
    return 2 / (1 + math.exp(5 * x)) - 1


def test_the_first_row_of_a_window_is_worth_one_and_the_last_less() -> None:
    one = NabFile(WINDOW)
    assert one.count(rows(40)).raw == pytest.approx(1.0)
    assert one.count(rows(49)).raw == pytest.approx(sigmoid(-0.1) / sigmoid(-1.0))
    assert sigmoid(-1.0) == pytest.approx(0.98661, abs=1e-5)


def test_only_the_best_placed_detection_of_a_window_counts() -> None:
    one = NabFile(WINDOW)
    assert one.count(rows(42, 45, 48)).raw == one.count(rows(42)).raw


def test_a_missed_window_costs_its_weight() -> None:
    assert NabFile(WINDOW).count(rows()) == NabCount(raw=-1.0, windows=1)
    assert NabFile(WINDOW, profile=NabProfile(miss=2.0)).count(rows()).raw == -2.0


def test_a_false_detection_costs_less_shortly_after_a_window() -> None:
    one = NabFile(WINDOW)
    missed = -1.0
    assert one.count(rows(10)).raw == pytest.approx(missed - 0.11)  # none before it
    # Three rows behind the last of ten: 3 / (10 - 1) of a width.
    assert one.count(rows(52)).raw == pytest.approx(missed + 0.11 * sigmoid(3 / 9))
    assert one.count(rows(99)).raw == pytest.approx(missed - 0.11)  # more than 3 widths


def test_every_false_detection_counts() -> None:
    assert NabFile(WINDOW).count(rows(10, 11, 12)).raw == pytest.approx(-1.0 - 3 * 0.11)


def test_nothing_counts_in_the_probation() -> None:
    one = NabFile(WINDOW, judged_from=30)
    assert one.count(rows(10, 11)).raw == -1.0
    assert NabFile(WINDOW, judged_from=60).count(rows()) == NabCount(raw=0.0, windows=0)


def test_silence_is_0_and_perfection_100() -> None:
    one = NabFile(WINDOW)
    assert normalised(one.count(rows())) == 0.0
    assert normalised(one.count(rows(40))) == pytest.approx(100.0)
    assert math.isnan(normalised(NabCount(raw=0.0, windows=0)))


def test_the_probation_is_15_percent_of_at_most_5000_rows() -> None:
    assert (probation(1000), probation(5000), probation(22_695)) == (150, 750, 750)


def test_the_best_single_cut_is_found() -> None:
    scores = np.zeros(N)
    scores[40], scores[10] = 2.0, 1.0
    cuts = np.array([0.5, 1.5, 2.5])
    assert best_over_cuts([NabFile(WINDOW)], [scores], cuts) == pytest.approx(100.0)
