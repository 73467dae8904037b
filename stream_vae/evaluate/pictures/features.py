"""One feature of a series over its readings: what was expected and what came, by its kind.

| Kind | Expected | Actual |
|---|---|---|
| numeric | mean and two standard deviations | line |
| count | mean and central 95 % interval | line |
| binary | probability of 1, from 0 up | dots at 0 and 1 |
| categorical | likeliest category, fainter the less probable | dots on named levels |

Event records have no order: nothing connects them.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from numpy.typing import NDArray

from stream_vae.core.expected_interval import BAND_STDS, expected_interval
from stream_vae.core.model_spec import Feature
from stream_vae.evaluate.pictures.themes import BLUE, ink, plain, to_dates
from stream_vae.evaluate.pictures.views import SeriesView

Places = NDArray[np.datetime64] | NDArray[np.int64]

_MOST_LEVELS = 12
_FAINTEST = 0.12
_OTHER, _UNSEEN, _NOWHERE = "other", "not seen in training", -1


def to_x(view: SeriesView, places: NDArray[np.int64]) -> Places:
    """Return places as matplotlib takes them: dates, or numbers of records."""
    return places if view.is_events else to_dates(places)


def draw_feature(axes: Axes, view: SeriesView, f: int, *, with_expected: bool = True) -> None:
    """Draw a feature's actual values, over what was expected if that is wanted."""
    feature = view.features[f]
    axes.set_ylabel(_axis_name(feature))
    match feature.kind:
        case "categorical":
            _draw_levels(axes, view, f, with_expected=with_expected)
        case "binary":
            if with_expected:
                _draw_probability(axes, view, view.expected[:, f])
            _draw_dots(axes, view, view.actual[:, f])
            axes.set_yticks([0, 1])
            axes.set_ylim(-0.1, 1.15)
        case _:
            if with_expected:
                _draw_band(axes, view, f)
            _draw_line(axes, view, view.actual[:, f])


def surprise(view: SeriesView) -> NDArray[np.float64]:
    """Return (N, F) distances of actual from expected, in expected standard deviations.

    Codes of categories have no distance: theirs is that of a normal value about as improbable, the
    square root of -2 ln of the probability.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        distance = np.abs(view.actual - view.expected) / view.expected_std
        of_category = np.sqrt(np.maximum(-2 * view.log_probability, 0.0))
    is_category = np.array([one.kind == "categorical" for one in view.features])
    return np.where(is_category, of_category, distance)


def _axis_name(feature: Feature) -> str:
    return plain(f"{feature.name} [{feature.unit}]" if feature.unit else feature.name, 30)


def _draw_band(axes: Axes, view: SeriesView, f: int) -> None:
    low, high = expected_interval(view.features[f], view.expected[:, f], view.expected_std[:, f])
    what = (
        "central 95 %"
        if view.features[f].kind == "count"
        else f"± {BAND_STDS:g} standard\ndeviations"
    )
    _draw_span(axes, view, (low, view.expected[:, f], high), f"expected, {what}")


def _draw_probability(axes: Axes, view: SeriesView, of_one: NDArray[np.float64]) -> None:
    _draw_span(axes, view, (of_one * 0.0, of_one, of_one), "probability of 1")


def _draw_span(
    axes: Axes, view: SeriesView, columns: Sequence[NDArray[np.float64]], label: str
) -> None:
    """Draw low, middle and high ends: a band along time, a bar for each event record."""
    if view.is_events:
        low, middle, high = columns
        axes.vlines(view.places, low, high, color=BLUE, alpha=0.3, lw=6, label=label)
        axes.scatter(view.places, middle, color=BLUE, marker="_", s=40, lw=1.2)
        return
    places, (low, middle, high) = view.broken(*columns)
    dates = to_x(view, places)
    axes.fill_between(dates, low, high, color=BLUE, alpha=0.25, lw=0, label=label)
    axes.plot(dates, middle, color=BLUE, lw=0.8)


def _draw_line(axes: Axes, view: SeriesView, actual: NDArray[np.float64]) -> None:
    if view.is_events:
        _draw_dots(axes, view, actual)
        return
    places, (line,) = view.broken(actual)
    axes.plot(to_x(view, places), line, color=ink(), lw=1.0, label="actual")


def _draw_dots(axes: Axes, view: SeriesView, actual: NDArray[np.float64]) -> None:
    axes.scatter(to_x(view, view.places), actual, s=9, color=ink(), lw=0, zorder=3, label="actual")


def _draw_levels(axes: Axes, view: SeriesView, f: int, *, with_expected: bool) -> None:
    """Draw categories as levels with their names; where there are many, the commonest."""
    expected = view.expected[:, f] if with_expected else np.full(len(view.places), np.nan)
    actual = view.actual[:, f]
    names, levels = _levels(view.features[f], actual, expected)
    if with_expected:
        known = np.isfinite(expected)
        x, height = to_x(view, view.places[known]), levels(expected)[known]
        colors = _by_probability(np.clip(1 - view.expected_std[known, f], 0, 1))
        axes.scatter(x, height, c=colors, marker="s", s=42, lw=0)
        for probability in (1.0, 0.5):
            color = _by_probability(np.array([probability]))
            label = f"likeliest category,\nprobability {probability:g}"
            axes.scatter([], [], c=color, marker="s", s=42, lw=0, label=label)
    if not view.is_events:
        places, (line,) = view.broken(levels(actual))
        axes.step(to_x(view, places), line, where="post", color=ink(), lw=0.5, alpha=0.4)
    _draw_dots(axes, view, levels(actual))
    axes.set_yticks(range(len(names)), [plain(name, 20) for name in names])
    axes.set_ylim(-0.6, 1.07 * len(names) - 0.5)  # marks at the edge hide no level


def _by_probability(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N, 4) colours, fainter the less probable."""
    colors = np.tile(to_rgba(BLUE), (len(probability), 1))
    colors[:, 3] = _FAINTEST + (1 - _FAINTEST) * probability**2
    return colors


class _Levels:
    """From codes of categories to heights; those of no level of their own share the last.

    Args:
        shown: Codes with a level, from below.
    """

    def __init__(self, shown: Sequence[int]) -> None:
        self._shown = np.array(shown, np.int64)

    def __call__(self, codes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (N,) heights; NaN stays NaN."""
        known = np.isfinite(codes)
        whole = np.where(known, codes, _NOWHERE).astype(np.int64)
        is_level = whole[:, None] == self._shown
        height = np.where(is_level.any(axis=1), is_level.argmax(axis=1), len(self._shown))
        return np.where(known, height, np.nan)


def _levels(
    feature: Feature, actual: NDArray[np.float64], expected: NDArray[np.float64]
) -> tuple[list[str], _Levels]:
    """Return the names of the levels, from below, and how codes become heights."""
    both = np.concatenate([actual, expected])
    codes, counts = np.unique(both[np.isfinite(both)].astype(np.int64), return_counts=True)
    commonest = codes[np.argsort(-counts, kind="stable")[:_MOST_LEVELS]]
    names = [*feature.categories, _UNSEEN]
    shown = sorted(commonest.tolist())
    named = [names[min(code, len(feature.categories))] for code in shown]
    return named + [_OTHER] * (len(codes) > len(shown)), _Levels(shown)
