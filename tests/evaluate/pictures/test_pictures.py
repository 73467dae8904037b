"""Pictures of histories and rankings: what is in them, and that odd data breaks none."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stream_vae.core.count_interval import central_interval
from stream_vae.core.model_spec import Feature
from stream_vae.core.readings import ReadingBatch
from stream_vae.evaluate.history import History, run_history
from stream_vae.evaluate.pictures.features import surprise
from stream_vae.evaluate.pictures.rankings import draw_curves, draw_distribution
from stream_vae.evaluate.pictures.signals import draw_bands, draw_bars, draw_score
from stream_vae.evaluate.pictures.themes import in_theme, plain, render_png
from stream_vae.evaluate.pictures.views import SeriesView, series_views
from stream_vae.pipeline.pipeline import Pipeline
from tests.conftest import NOW, STEP_NS, make_spec
from tests.evaluate.test_history import make_stream

DRAWERS = (draw_score, draw_bands, draw_bars)


@pytest.fixture
def history(
    make_pipeline: Callable[..., Pipeline], make_readings: Callable[..., ReadingBatch]
) -> History:
    """Two series, of which s1 goes wild in its last feature from step 60 to 69."""
    return run_history(make_pipeline(), make_stream(make_readings), now=NOW)


@pytest.fixture
def view(history: History) -> SeriesView:
    labels = np.zeros(len(history), np.int8)
    labels[121:141:2] = 1
    return series_views(history, make_spec(), max_gap=8, labels=labels)[0]


def test_series_with_labels_or_incidents_and_their_telling_feature_come_first(
    view: SeriesView,
) -> None:
    assert view.key == "s1"
    assert view.telling[0] == 2
    assert draw_score(view).axes[0].get_ylabel() == "f2 [V]"
    assert view.labelled == [(60 * STEP_NS, 70 * STEP_NS)]
    assert len(view.found) == 1


def test_lines_break_inside_long_gaps_alone(history: History) -> None:
    whole = series_views(history, make_spec(), max_gap=8)[0]
    rows = np.r_[0:50, 70:120]
    columns = ("places", "actual", "expected", "expected_std", "score", "threshold")
    for max_gap, breaks in ((8, 1), (30, 0)):
        view = replace(
            whole,
            gap=(max_gap + 1) * STEP_NS,
            **{name: getattr(whole, name)[rows] for name in columns},
        )
        places, (column,) = view.broken(view.actual[:, 0])
        assert np.isnan(column).sum() == breaks
        assert len(places) == len(column) == len(view.places) + breaks
        assert (np.diff(places) > 0).all()


@pytest.mark.parametrize("draw", DRAWERS)
def test_every_picture_of_a_series_shows_values_labels_and_incidents(
    view: SeriesView, draw: Callable[[SeriesView], Figure]
) -> None:
    drawn: list[Figure] = []

    def draw_once() -> Figure:
        drawn.append(draw(view))
        return drawn[-1]

    assert render_png(draw_once, dpi=40).startswith(b"\x89PNG")
    (figure,) = drawn
    labels = {label for axes in figure.axes for label in axes.get_legend_handles_labels()[1]}
    assert {"actual", "labelled anomalous", "incident"} <= labels


def test_score_and_threshold_are_those_of_the_history(view: SeriesView) -> None:
    lines = {line.get_label(): line for axes in draw_score(view).axes for line in axes.get_lines()}
    np.testing.assert_array_equal(lines["score"].get_ydata(), view.score)
    np.testing.assert_array_equal(lines["threshold"].get_ydata(), view.threshold)
    np.testing.assert_array_equal(lines["actual"].get_ydata(), view.actual[:, 2])


def make_kinds(*, is_events: bool) -> SeriesView:
    """Twenty readings of a number, a count, a truth value and a category; the last is odd."""
    n = 20
    features = (
        Feature(name="temp", unit="K"),
        Feature(name="errors", kind="count"),
        Feature(name="door", kind="binary"),
        Feature(name="mode", kind="categorical", categories=("idle", "run", "rinse")),
    )
    actual = np.tile([300.0, 2.0, 0.0, 1.0], (n, 1))
    actual[-1] = 330.0, 9.0, 1.0, 3.0
    return SeriesView(
        key="plant",
        places=np.arange(1, n + 1) * (1 if is_events else STEP_NS),
        actual=actual,
        expected=np.tile([301.0, 2.5, 0.2, 0.0], (n, 1)),
        expected_std=np.tile([2.0, 2.0, 0.4, 0.3], (n, 1)),
        log_probability=np.linspace(-1, -4, n)[:, None] * np.ones(4),
        score=np.linspace(0, 5, n),
        threshold=np.full(n, 3.0),
        is_labelled=np.arange(n) == n - 1,
        is_found=np.arange(n) == n - 1,
        features=features,
        telling=range(4),
        step=1 if is_events else STEP_NS,
        gap=9 * STEP_NS,
        is_events=is_events,
    )


def band_of(axes: Axes) -> tuple[float, float]:
    """Return the extent of the expected band or bars."""
    paths = axes.collections[0].get_paths()
    heights = np.concatenate([np.asarray(path.vertices)[:, 1] for path in paths])
    return float(heights.min()), float(heights.max())


@pytest.mark.parametrize("is_events", [False, True])
def test_every_kind_is_drawn_as_its_likelihood_tells_it(is_events: bool) -> None:
    view = make_kinds(is_events=is_events)
    number, count, binary, category = draw_bands(view).axes
    assert band_of(number) == (297.0, 305.0)
    assert band_of(count) == pytest.approx(central_interval(2.5, 2.0))
    assert band_of(binary) == (0.0, 0.2)
    assert [tick.get_text() for tick in category.get_yticklabels()] == [
        *("idle", "run", "not seen in training"),
    ]
    expected, *_, actual = category.collections
    assert set(np.asarray(expected.get_offsets())[:, 1]) == {0}
    faint = np.asarray(expected.get_facecolor())[:, 3]
    assert faint == pytest.approx(np.full(20, 0.12 + 0.88 * 0.7**2))
    assert sorted(np.asarray(actual.get_offsets())[:, 1]) == [1] * 19 + [2]


def test_of_many_categories_the_commonest_have_a_level() -> None:
    names = tuple(f"c{i}" for i in range(30))
    view = make_kinds(is_events=False)
    codes = np.array([*range(14), *([29] * 6)], np.float64)
    features = (*view.features[:3], Feature(name="m", kind="categorical", categories=names))
    view = replace(view, features=features, actual=np.c_[view.actual[:, :3], codes])
    labels = [tick.get_text() for tick in draw_bands(view).axes[3].get_yticklabels()]
    assert len(labels) == 13
    assert labels[-2:] == ["c29", "other"]


def test_no_line_connects_event_records(view: SeriesView) -> None:
    """Control: readings of a series are connected."""
    events = make_kinds(is_events=True)
    for draw in DRAWERS:
        lines = [str(line.get_label()) for axes in draw(events).axes for line in axes.get_lines()]
        assert {line for line in lines if not line.startswith("_")} <= {"threshold"}
        assert any(
            line.get_label() == "actual" for ax in draw(view).axes for line in ax.get_lines()
        )
    assert [text.get_text() for text in draw_bands(events).axes[-1].get_xticklabels()][:2] == [
        *("20", "19"),  # highest score first
    ]


def test_the_bar_of_probability_is_that_of_the_likelihoods(view: SeriesView) -> None:
    kinds = make_kinds(is_events=False)
    below = draw_bars(kinds).axes[2].collections[0].get_array()
    np.testing.assert_allclose(np.asarray(below).ravel(), np.linspace(-1, -4, 20))
    np.testing.assert_allclose(surprise(kinds)[:, 3], np.sqrt(np.linspace(2, 8, 20)))
    of_normal = np.asarray(draw_bars(view).axes[2].collections[0].get_array()).ravel()
    np.testing.assert_allclose(of_normal, view.log_probability.mean(axis=1))


def test_bars_are_darkest_at_the_anomaly(view: SeriesView) -> None:
    above, _, below = draw_bars(view).axes[:3]
    error = above.collections[0].get_array()
    probability = below.collections[0].get_array()
    assert error is not None
    assert probability is not None
    assert 60 <= int(np.nanargmax(error)) <= 69
    assert 60 <= int(np.nanargmin(probability)) <= 69


@pytest.mark.parametrize("draw", DRAWERS)
def test_a_series_without_any_score_is_drawn(
    make_pipeline: Callable[..., Pipeline],
    make_readings: Callable[..., ReadingBatch],
    draw: Callable[[SeriesView], Figure],
) -> None:
    """One reading, nothing of it observed; a name that would be formulas, or control a terminal."""
    key = "a$b$ \\frac{ <x> \x1b[2J 漢字"
    readings = make_readings([5], [key], np.full((1, 3), np.nan))
    found = run_history(make_pipeline(), readings, now=NOW)
    (view,) = series_views(found, make_spec(), max_gap=8)
    assert render_png(lambda: draw(view), dpi=40)


def test_text_of_the_data_is_shown_as_it_stands() -> None:
    with in_theme():
        figure = Figure()
        text = figure.text(0, 0, plain("a$b$"))
    assert text._preprocess_math(text.get_text()) == ("a$b$", False)  # type: ignore[attr-defined]


def test_rankings_show_every_method_and_the_threshold() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(300) < 0.2
    scores = {"stream-vae": rng.normal(size=300) + 3 * labels, "PCA Q": rng.normal(size=300)}
    roc, ranking = draw_curves(scores, labels).axes
    assert ranking.get_legend_handles_labels()[1] == [*scores, "by chance"]
    for line in roc.get_lines():
        assert np.asarray(line.get_ydata())[-1] == 1.0
    figure = draw_distribution(scores["stream-vae"], labels, np.full(300, 1.5))
    shares = [sum(float(bar.get_height()) for bar in group) for group in figure.axes[0].containers]
    assert shares == pytest.approx([1.0, 1.0])
    assert "median threshold" in figure.axes[0].get_legend_handles_labels()[1]


def test_scores_that_are_all_equal_are_drawn() -> None:
    labels = np.array([True, False])
    assert render_png(lambda: draw_distribution(np.ones(2), labels, np.ones(2)), dpi=40)
    assert render_png(lambda: draw_curves({"one": np.ones(2)}, labels), dpi=40)
