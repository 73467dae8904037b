"""Which settings are tried, and which are best."""

from dataclasses import replace

import numpy as np
import pytest

from stream_vae.errors import ConfigError
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.provenance import Candidate, Tried
from stream_vae.models.training.search import (
    best_of,
    calibration_error,
    draw_candidates,
)

FIRST = Candidate(window_length=32, hidden_size=48, latent_size=8, score=None)


def draw(seed: int = 0, *, longest: int = 10_000, window: int = 32) -> tuple[Candidate, ...]:
    return draw_candidates(
        20,
        architecture=ArchitectureConfig(window_length=window),
        training=TrainingConfig(seed=seed),
        longest=longest,
    )


def test_the_settings_as_they_are_come_first_then_others_by_the_seed() -> None:
    assert draw()[0] == FIRST
    assert len(set(draw())) == 20
    assert draw() == draw()
    assert draw() != draw(seed=1)


def test_no_window_is_tried_that_the_history_is_too_short_for() -> None:
    """A control: a long history has them."""
    assert {one.window_length for one in draw(longest=400)[1:]} == {8, 16}
    assert max(one.window_length for one in draw()[1:]) == 128
    assert {one.window_length for one in draw(window=1)} == {1}


def tried(likelihood: float | None, error: float | None, precision: float | None = None) -> Tried:
    return Tried(
        candidate=FIRST,
        log_likelihood=likelihood,
        calibration_error=error,
        average_precision=precision,
    )


def test_the_best_calibrated_of_the_likeliest_is_best() -> None:
    trials = [tried(-1.2, 0.0, 0.9), tried(-1.0, 0.02), tried(-1.01, 0.01), tried(None, None)]
    assert best_of(trials, by_labels=False) == 2
    assert best_of(trials, by_labels=True) == 0
    assert best_of([*trials, replace(trials[2])], by_labels=False) == 2


def test_a_search_in_which_nothing_ended_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"2 trials and none.*--trial-seconds"):
        best_of([tried(None, None)] * 2, by_labels=False)


def test_calibration_error_is_the_distance_from_one_in_a_hundred() -> None:
    quantiles = np.linspace(0, 1, 1001)
    scores = np.linspace(0, 1, 1000, endpoint=False)
    assert calibration_error(quantiles, scores) == pytest.approx(0.0, abs=0.002)
    assert calibration_error(quantiles, scores + 0.09) == pytest.approx(0.09, abs=0.002)
