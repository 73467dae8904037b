"""Labelled rows, figures at the detector's own threshold, and their intervals."""

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.core.verdicts import Verdict
from stream_vae.errors import ShapeError
from stream_vae.evaluate.detection import ranking_figures, threshold_figures
from stream_vae.evaluate.history import FoundIncident, History
from stream_vae.evaluate.intervals import Resampling, intervals
from stream_vae.evaluate.labelled import LabelledRows, label_rows

STEP_NS = 60 * 10**9
WEEK_S = 7 * 86_400


def make_incident(series: str, started: int, detected: int, ended: int) -> FoundIncident:
    return FoundIncident(
        series=series,
        started_at=started * STEP_NS,
        detected_at=detected * STEP_NS,
        ended_at=ended * STEP_NS,
        is_resolved=True,
        severity="warning",
        peak_score=1.0,
        features=("flow",),
    )


def make_history(
    n: int = 20,
    anomalous: tuple[tuple[str, int], ...] = (),
    incidents: tuple[FoundIncident, ...] = (),
) -> History:
    """Return two series in turn, n steps each; the first step of each has no score."""
    series, steps = ["a", "b"] * n, np.repeat(np.arange(n), 2)
    verdict = np.where(steps == 0, Verdict.WARMING_UP, Verdict.NORMAL).astype(np.int8)
    for key, step in anomalous:
        verdict[2 * step + (key == "b")] = Verdict.ANOMALOUS
    score = np.where(steps == 0, np.nan, (verdict == Verdict.ANOMALOUS) + 0.001 * steps)
    return History(
        series=series,
        times=steps * STEP_NS,
        values=np.zeros((2 * n, 1)),
        score=score,
        threshold=np.full(2 * n, 0.5),
        p_value=np.full(2 * n, 0.1),
        verdict=verdict,
        contribution=np.ones((2 * n, 1), np.float32),
        expected=np.zeros((2 * n, 1)),
        expected_std=np.ones((2 * n, 1)),
        log_probability=np.zeros((2 * n, 1)),
        incidents=incidents,
        others={},
    )


def make_labels(n: int, spans: tuple[tuple[str, int, int], ...]) -> NDArray[np.int8]:
    labels = np.zeros(2 * n, np.int8)
    for key, start, end in spans:
        for step in range(start, end + 1):
            labels[2 * step + (key == "b")] = 1
    return labels


def figures_of(rows: LabelledRows) -> dict[str, float]:
    return threshold_figures(rows, rows.series_bounds, STEP_NS / 1e9)


def test_figures_of_a_case_by_hand() -> None:
    """One span found two steps late, one missed; an incident that touches none is false."""
    history = make_history(
        anomalous=(("a", 7), ("a", 8), ("b", 3)),
        incidents=(make_incident("a", 7, 8, 9), make_incident("b", 3, 3, 3)),
    )
    rows = label_rows(history, make_labels(20, (("a", 6, 9), ("b", 15, 16))))
    found = figures_of(rows)
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == pytest.approx(2 / 6)
    assert found["f1"] == pytest.approx(2 * 2 / (3 + 6))
    assert (found["spans"], found["spans_found"], found["spans_missed"]) == (2, 1, 1)
    assert (found["incidents"], found["false_incidents"]) == (2, 1)
    judged_s = 38 * 60  # the first reading of each series has no score
    assert found["false_incidents_per_series_week"] == pytest.approx(1 / (judged_s / WEEK_S))
    assert found["delay_median_s"] == found["delay_90_s"] == 120.0


def test_a_span_belongs_to_one_series_and_ends_where_labels_do() -> None:
    """Both series labelled at the same steps, with an unlabelled reading in the middle of one."""
    labels = make_labels(20, (("a", 18, 19), ("b", 0, 4)))
    labels[2 * 2 + 1] = -1
    rows = label_rows(make_history(), labels)
    assert rows.spans.tolist() == [[18, 20], [20, 22], [22, 24]]
    assert len(rows) == 39
    assert rows.series_bounds.tolist() == [[0, 20], [20, 39]]


def test_an_incident_that_began_before_the_span_has_no_delay() -> None:
    history = make_history(incidents=(make_incident("a", 2, 3, 8),))
    rows = label_rows(history, make_labels(20, (("a", 5, 9),)))
    assert rows.delay_s.tolist() == [0.0]
    assert not rows.is_false.any()


def test_excluded_and_unlabelled_readings_are_not_evaluated() -> None:
    """An incident that lies in them alone is neither right nor false."""
    history = make_history(incidents=(make_incident("a", 2, 3, 4), make_incident("b", 2, 3, 4)))
    labels = make_labels(20, (("a", 15, 16),))
    labels[: 2 * 8 : 2] = -1
    excluded = np.zeros(40, np.bool_)
    excluded[1 : 2 * 8 : 2] = True
    rows = label_rows(history, labels, excluded)
    assert len(rows) == 24
    assert len(rows.incidents) == 0
    with pytest.raises(ShapeError):
        label_rows(history, np.full(40, -1, np.int8))


def test_nothing_found_has_no_precision_and_no_delay() -> None:
    found = figures_of(label_rows(make_history(), make_labels(20, (("a", 5, 6),))))
    assert found["recall"] == found["span_recall"] == 0
    for name in ("precision", "delay_median_s", "delay_90_s", "incident_precision"):
        assert np.isnan(found[name])


def test_readings_without_a_score_are_not_ranked() -> None:
    """The first step of each series has none, though it is labelled."""
    history = make_history(anomalous=(("a", 5),))
    rows = label_rows(history, make_labels(20, (("a", 5, 5), ("b", 0, 0))))
    found = ranking_figures(
        rows, history.score[rows.rows], rows.series_bounds, max_buffer=4, point_adjusted=True
    )
    assert found["average_precision"] == found["roc_auc"] == found["best_f1"] == 1.0
    assert found["point_adjusted_f1"] == 1.0


@pytest.mark.parametrize("n_series", [2, 12])
def test_draws_keep_to_series(n_series: int) -> None:
    """Blocks of rows for few series, whole series for many; as many rows as there are."""
    bounds = np.stack([np.arange(n_series), np.arange(n_series) + 1], axis=1) * 500
    resampling = Resampling.of(bounds, window_length=10)
    assert ("whole series" in resampling.description) == (n_series == 12)
    drawn = resampling.draw(np.random.default_rng(0))
    assert (drawn[:, 1] - drawn[:, 0]).sum() == 500 * n_series
    assert (drawn[:, 0] // 500 == (drawn[:, 1] - 1) // 500).all()


def test_an_interval_covers_the_figure_and_narrows_with_more_rows() -> None:
    widths = []
    for n in (100, 1600):
        history = make_history(n, anomalous=tuple(("a", s) for s in range(5, n, 9)))
        rows = label_rows(
            history, make_labels(n, tuple(("a", s, s + 1) for s in range(5, n - 1, 9)))
        )
        drawn = intervals(
            lambda ranges, rows=rows: threshold_figures(rows, ranges, 60.0),  # type: ignore[misc]
            Resampling.of(rows.series_bounds, window_length=5),
            replicates=60,
            rng=np.random.default_rng(0),
        )
        assert drawn["recall"] is not None
        low, high = drawn["recall"]
        assert low <= figures_of(rows)["recall"] <= high
        widths.append(high - low)
        assert drawn["delay_median_s"] is None  # no incident, so it is never defined
    assert widths[1] < widths[0]


def test_whole_series_as_ranges_give_the_point_figures() -> None:
    history = make_history(anomalous=(("a", 7),), incidents=(make_incident("a", 7, 7, 7),))
    rows = label_rows(history, make_labels(20, (("a", 6, 9), ("b", 15, 16))))
    once = figures_of(rows)
    twice = threshold_figures(rows, np.tile(rows.series_bounds, (2, 1)), STEP_NS / 1e9)
    assert twice["recall"] == once["recall"]
    assert twice["spans"] == 2 * once["spans"]
