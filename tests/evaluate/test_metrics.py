import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    precision_recall_curve,
    roc_auc_score,
)

from stream_vae.errors import ShapeError
from stream_vae.evaluate.metrics import average_precision, best_f1, point_adjusted_f1, roc_auc

Labelled = list[tuple[bool, int]]
both_kinds = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=60).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)


@given(both_kinds)
def test_metrics_agree_with_scikit_learn(rows: Labelled) -> None:
    """Seven distinct scores over up to sixty rows: most rows are tied."""
    labels = np.array([label for label, _ in rows])
    scores = np.array([score / 3 for _, score in rows])
    assert average_precision(labels, scores) == pytest.approx(
        average_precision_score(labels, scores)
    )
    assert roc_auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))


@given(both_kinds, st.integers(0, 1000))
def test_order_of_rows_does_not_matter(rows: Labelled, seed: int) -> None:
    labels = np.array([label for label, _ in rows])
    scores = np.array([float(score) for _, score in rows])
    order = np.random.default_rng(seed).permutation(len(rows))
    assert average_precision(labels[order], scores[order]) == average_precision(labels, scores)
    assert roc_auc(labels[order], scores[order]) == roc_auc(labels, scores)


def test_all_scores_equal_tell_nothing() -> None:
    """Then precision is the share of anomalous rows, and the area under ROC a half."""
    labels, scores = np.array([True, False, False, False]), np.ones(4)
    assert average_precision(labels, scores) == 0.25
    assert roc_auc(labels, scores) == 0.5


def test_perfect_and_reversed_ranking() -> None:
    labels, scores = np.array([False, False, True]), np.array([1.0, 2.0, 3.0])
    assert (average_precision(labels, scores), roc_auc(labels, scores)) == (1.0, 1.0)
    assert average_precision(labels, -scores) == pytest.approx(1 / 3)
    assert roc_auc(labels, -scores) == 0.0


@pytest.mark.parametrize(
    ("labels", "scores"),
    [
        ([True, False], [1.0]),
        ([False, False], [1.0, 2.0]),
        ([True, False], [1.0, float("nan")]),
        ([True, False], [1.0, float("inf")]),
    ],
)
def test_what_cannot_be_ranked_is_a_bug(labels: list[bool], scores: list[float]) -> None:
    for metric in (average_precision, roc_auc):
        with pytest.raises(ShapeError):
            metric(np.array(labels), np.array(scores))


def test_roc_needs_a_normal_row() -> None:
    labels, scores = np.array([True, True]), np.array([1.0, 2.0])
    with pytest.raises(ShapeError, match="no normal one"):
        roc_auc(labels, scores)
    assert average_precision(labels, scores) == 1.0


@given(both_kinds)
def test_best_f1_agrees_with_scikit_learn(rows: Labelled) -> None:
    labels = np.array([label for label, _ in rows])
    scores = np.array([score / 3 for _, score in rows])
    precision, recall, _ = precision_recall_curve(labels, scores)
    expected = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
    found, cut = best_f1(labels, scores)
    assert found == pytest.approx(expected)
    assert found == pytest.approx(f1_score(labels, scores >= cut))


def test_point_adjustment_flatters_random_scores() -> None:
    """One long span, scores without any information: why it is only given on request."""
    labels = np.zeros(1000, np.bool_)
    labels[300:600] = True
    scores = np.random.default_rng(0).normal(size=1000)
    assert point_adjusted_f1(labels, scores) > 0.95
    assert best_f1(labels, scores)[0] < 0.5


def test_point_adjustment_stays_within_a_series() -> None:
    """A span that goes on in the next series is two. Control: as one series it is found whole."""
    labels, scores = np.array([False, True, True, True, True, False]), np.zeros(6)
    scores[1], scores[0] = 2.0, 1.0
    assert point_adjusted_f1(labels, scores) == 1.0
    assert point_adjusted_f1(labels, scores, np.array([0, 0, 0, 1, 1, 1])) < 1.0
