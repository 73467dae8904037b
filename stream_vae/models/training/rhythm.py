"""Daily, weekly and other rhythms of a history, by autocorrelation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stream_vae.models.training.training_windows import TrainingSeries

DAY_NS = 86_400 * 10**9
WEEK_NS = 7 * DAY_NS

CALENDAR_STRENGTH = 0.3
"""Least strength of a daily or weekly rhythm. On autoregressive noise with coefficients of 0 to
0.999 and on random walks at most 2 % of histories reach it, 200 of each drawn."""

PERIOD_STRENGTH = 0.5
"""Least strength of a rhythm whose period is searched: of the same noise at most 7 % reach it."""

_MAX_POINTS = 16_384
_MAX_SERIES = 4
_MAX_FEATURES = 16
_PERIODS = 3
"""A rhythm counts if the history holds as many periods."""
_FEWEST_PAIRS = 30
_SHORTEST = 4
_FIRST_PEAK = 0.85
"""Of the best strength: multiples of a period are about as strong, so the first one is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """A period that some features share."""

    kind: Literal["day", "week", "other"]
    period_ns: int
    strength: float
    """Largest of the features; 2 for a clean sine."""
    features: tuple[int, ...]
    """Indices, strongest first."""


def find_rhythms(series: Sequence[TrainingSeries], step_ns: int) -> tuple[Rhythm, ...]:
    """Return the rhythms of a history: day and week if there, then the clearest other period.

    The autocorrelation is taken over the observed pairs of values alone, so gaps neither add nor
    hide a rhythm; values are clipped to the central 99 %. The strength of a period P is the smaller
    autocorrelation at P and 2 P, less the larger at P/2 and 3P/2 (for a week, whose days may be
    alike: at 3, 4, 10 and 11 days): slow drift, which raises all of them, is no rhythm. The history
    must hold three periods. Long histories are averaged into 16,384 points; the four longest
    series and 16 features at even distances are looked at.

    Args:
        series: Of the same F features.
        step_ns: Width of the time grid.
    """
    longest = sorted(series, key=lambda one: len(one.times), reverse=True)[:_MAX_SERIES]
    n_features = series[0].values.shape[1]
    chosen = np.unique(np.linspace(0, n_features - 1, min(n_features, _MAX_FEATURES)).astype(int))
    found: dict[str, list[tuple[float, int, int]]] = {"day": [], "week": [], "other": []}
    for one in longest:
        values, point_ns = _evenly_spaced(one, chosen, step_ns)
        for f, column in zip(chosen.tolist(), values.T, strict=True):
            correlation = autocorrelation(column)
            for kind, strength, period_ns in _rhythms_of(correlation, point_ns):
                found[kind].append((strength, f, period_ns))
    kinds: tuple[Literal["day", "week", "other"], ...] = ("day", "week", "other")
    return tuple(_merged(kind, found[kind]) for kind in kinds if found[kind])


def autocorrelation(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the autocorrelation (N,) of values (N,), over pairs of observed ones.

    Lags with fewer than 30 pairs have 0, as has everything if the values never change.
    """
    observed = np.isfinite(values)
    if not observed.any():
        return np.zeros(len(values))
    low, high = np.quantile(values[observed], (0.005, 0.995))
    clipped = np.clip(values, low, high)
    centred = np.where(observed, clipped - clipped[observed].mean(), 0.0)
    size = 1 << (2 * len(values) - 1).bit_length()
    products = _self_products(centred, size)[: len(values)]
    pairs = np.rint(_self_products(observed.astype(np.float64), size)[: len(values)])
    variance = products[0] / pairs[0]
    if variance <= 0:
        return np.zeros(len(values))
    return np.where(pairs >= _FEWEST_PAIRS, products / np.maximum(pairs, 1) / variance, 0.0)


def _self_products(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    return np.fft.irfft(np.abs(np.fft.rfft(values, size)) ** 2, size)


def _evenly_spaced(
    one: TrainingSeries, features: NDArray[np.int64], step_ns: int
) -> tuple[NDArray[np.float64], int]:
    """Return the longest stretch without a gap of a week as points (N, K), and their distance."""
    breaks = np.flatnonzero(np.diff(one.times) > max(WEEK_NS, 1000 * step_ns)) + 1
    stretches = np.split(np.arange(len(one.times)), breaks)
    rows = max(stretches, key=len)
    if not len(rows):
        return np.empty((0, len(features))), step_ns
    steps = (one.times[rows] - one.times[rows[0]]) // step_ns
    width = int(steps[-1]) // _MAX_POINTS + 1
    at = steps // width
    n_points = int(at[-1]) + 1
    values = np.full((n_points, len(features)), np.nan)
    for k, f in enumerate(features.tolist()):
        column = one.values[rows, f]
        seen = np.isfinite(column)
        total = np.bincount(at[seen], weights=column[seen], minlength=n_points)
        count = np.bincount(at[seen], minlength=n_points)
        values[count > 0, k] = total[count > 0] / count[count > 0]
    return values, width * step_ns


def _rhythms_of(
    correlation: NDArray[np.float64], point_ns: int
) -> list[tuple[Literal["day", "week", "other"], float, int]]:
    found: list[tuple[Literal["day", "week", "other"], float, int]] = []
    day = _strength_at(correlation, DAY_NS / point_ns, (0.5, 1.5))
    week = _strength_at(correlation, WEEK_NS / point_ns, (3 / 7, 4 / 7, 10 / 7, 11 / 7))
    if day >= CALENDAR_STRENGTH:
        found.append(("day", day, DAY_NS))
    if week >= CALENDAR_STRENGTH:
        found.append(("week", week, WEEK_NS))
    period, strength = _clearest_period(correlation)
    period_ns = period * point_ns
    is_calendar = any(abs(period_ns / known - 1) < 0.1 for known in (DAY_NS, WEEK_NS))
    if strength >= PERIOD_STRENGTH and not is_calendar:
        found.append(("other", strength, period_ns))
    return found


def _strength_at(
    correlation: NDArray[np.float64], period: float, troughs: tuple[float, ...]
) -> float:
    """Return the strength of a period in points; 0 if it is too short or too long to tell."""
    if period < _SHORTEST or len(correlation) < _PERIODS * period:
        return 0.0
    at = [correlation[round(period * share)] for share in (1.0, 2.0)]
    return float(min(at) - max(correlation[round(period * share)] for share in troughs))


def _clearest_period(correlation: NDArray[np.float64]) -> tuple[int, float]:
    """Return the shortest of the strongest periods in points, and its strength; 0 if too short."""
    periods = np.arange(_SHORTEST, len(correlation) // _PERIODS + 1)
    if not len(periods):
        return 0, 0.0
    peaks = np.minimum(correlation[periods], correlation[2 * periods])
    halves = [periods // 2, (periods + 1) // 2, (3 * periods) // 2, (3 * periods + 1) // 2]
    strength = peaks - np.max([correlation[lags] for lags in halves], axis=0)
    first = periods[np.argmax(strength >= _FIRST_PEAK * strength.max())]
    near = np.where(periods <= 1.25 * first, strength, -np.inf)
    best = int(np.argmax(near))
    return int(periods[best]), float(strength[best])


def _merged(kind: Literal["day", "week", "other"], found: list[tuple[float, int, int]]) -> Rhythm:
    ordered = sorted(found, key=lambda one: (-one[0], one[1]))
    strength, _, period_ns = ordered[0]
    return Rhythm(
        kind=kind,
        period_ns=period_ns,
        strength=strength,
        features=tuple(dict.fromkeys(f for _, f, _ in ordered)),
    )
