"""How far two detectors agree."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from stream_vae.evaluate.agreement import agreement, rank_correlation
from tests.evaluate.test_detection import make_history, make_incident


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=40))
def test_rank_correlation_agrees_with_scipy(pairs: list[tuple[int, int]]) -> None:
    one, other = (np.array(column, float) for column in zip(*pairs, strict=True))
    found = rank_correlation(one, other)
    if np.ptp(one) and np.ptp(other):
        assert found == pytest.approx(spearmanr(one, other).statistic)
    else:
        assert np.isnan(found)


def test_a_history_agrees_with_itself() -> None:
    history = make_history(anomalous=(("a", 5),), incidents=(make_incident("a", 5, 6, 8),))
    found = agreement(history, history)
    assert found.rank_correlation == pytest.approx(1.0)
    assert (found.anomalous_a, found.anomalous_b, found.anomalous_both) == (0, 0, 1)
    assert found.incidents_a == found.incidents_b == ()
    assert found.incidents_both == history.incidents


def test_what_each_found_alone_is_told_apart() -> None:
    """Overlapping incidents of one series are the same; of another series they are not."""
    shared, only_a = make_incident("a", 5, 6, 8), make_incident("b", 12, 12, 13)
    a = make_history(anomalous=(("a", 5), ("b", 12)), incidents=(shared, only_a))
    near, only_b = make_incident("a", 8, 8, 9), make_incident("a", 12, 12, 13)
    b = make_history(anomalous=(("a", 5), ("a", 12)), incidents=(near, only_b))
    found = agreement(a, b)
    assert (found.anomalous_a, found.anomalous_b, found.anomalous_both) == (1, 1, 1)
    assert found.incidents_a == (only_a,)
    assert found.incidents_b == (only_b,)
    assert found.incidents_both == (shared,)
