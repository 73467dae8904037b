"""VUS-PR against the authors' program and cases by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.errors import ShapeError
from stream_vae.evaluate.metrics import average_precision
from stream_vae.evaluate.vus import vus_pr

PUBLISHED = {
    (0, 0): 0.08536606070711944,
    (0, 20): 0.16772412396735392,
    (1, 7): 0.5670333139496018,
    (1, 20): 0.6262654842381815,
    (3, 7): 0.2418426352030773,
    (3, 20): 0.2803556909203301,
    (4, 20): 0.5694803874128557,
    (5, 7): 0.4451999385105515,
    (5, 20): 0.5385300025990172,
    (7, 20): 0.5537439240740684,
}
"""Seed and longest buffer -> `vus` 0.0.6, `metricor().RangeAUC_volume_opt(...)[-1]`."""


def draw_case(seed: int, n: int = 400) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return labels with a few spans, some of which touch, and scores; tied for odd seeds."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(n, np.bool_)
    for start in rng.integers(0, n - 20, 3 + seed % 3):
        labels[start : start + rng.integers(1, 15)] = True
    signal = rng.normal(size=n) + 1.5 * np.convolve(labels, np.ones(5) / 5, "same")
    return labels, np.round(signal, 1 if seed % 2 else 6)


@pytest.mark.parametrize(("case", "expected"), PUBLISHED.items())
def test_agrees_with_the_authors_program(case: tuple[int, int], expected: float) -> None:
    labels, scores = draw_case(case[0])
    assert vus_pr(labels, scores, max_buffer=case[1]) == pytest.approx(expected, abs=1e-9)


def test_a_perfect_ranking_reaches_one_without_a_buffer() -> None:
    labels = np.zeros(100, np.bool_)
    labels[40:50] = True
    assert vus_pr(labels, labels.astype(float), max_buffer=0) == pytest.approx(1.0)
    assert vus_pr(labels, -labels.astype(float), max_buffer=0) < 0.15


def test_a_near_miss_counts_with_a_buffer_alone() -> None:
    """Control: without a buffer it counts as little as a far one."""
    labels, near, far = np.zeros(200, np.bool_), np.zeros(200), np.zeros(200)
    labels[100:110] = True
    near[110:113] = far[20:23] = 1.0
    assert vus_pr(labels, near, max_buffer=0) == vus_pr(labels, far, max_buffer=0)
    assert vus_pr(labels, near, max_buffer=20) > vus_pr(labels, far, max_buffer=20)


def test_one_row_spans_without_a_buffer_differ_from_average_precision_by_existence_alone() -> None:
    """All spans found by the first cut that takes any positive row: then both are equal."""
    labels, scores = np.zeros(60, np.bool_), np.linspace(0, 1, 60)
    labels[30] = True
    assert vus_pr(labels, scores, max_buffer=0) == pytest.approx(average_precision(labels, scores))


def test_a_buffer_does_not_leave_its_series() -> None:
    """A span at the end of one series; what follows is another one. Control: as one series."""
    labels, scores = np.zeros(100, np.bool_), np.zeros(100)
    labels[45:50] = True
    scores[45:50], scores[50:55] = 1.0, 2.0
    groups = np.repeat([0, 1], 50)
    apart = vus_pr(labels, scores, max_buffer=16, groups=groups)
    assert apart < vus_pr(labels, scores, max_buffer=16)


def test_fewer_buffers_are_those_evenly_spaced() -> None:
    """The area at 20 rows alone is what the 21st length adds to the mean of the first 20."""
    labels, scores = draw_case(1)
    all_to = [vus_pr(labels, scores, max_buffer=length) for length in (0, 19, 20)]
    expected = (all_to[0] + 21 * all_to[2] - 20 * all_to[1]) / 2
    assert vus_pr(labels, scores, max_buffer=20, buffers=2) == pytest.approx(expected)
    assert vus_pr(labels, scores, max_buffer=3, buffers=9) == vus_pr(labels, scores, max_buffer=3)


@pytest.mark.parametrize(
    ("labels", "scores"),
    [([True], [1.0, 2.0]), ([False, False], [1.0, 2.0]), ([True, False], [1.0, np.nan])],
)
def test_what_cannot_be_ranked_is_a_bug(labels: list[bool], scores: list[float]) -> None:
    with pytest.raises(ShapeError):
        vus_pr(np.array(labels), np.array(scores), max_buffer=3)
