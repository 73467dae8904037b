"""Points to raw readings: for formats that send one value each, with its name and labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.errors import DecodeError
from stream_vae.inputs.decode_errors import CellError
from stream_vae.inputs.raw_readings import RawReadings, Replaced, replaced_values
from stream_vae.inputs.series_keys import RawKey
from stream_vae.inputs.timestamps import RawTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """P points of a poll, in columns, in the order of their records and, within one, in its own."""

    index: NDArray[np.int64]
    """(P,) position of each point's record in the batch, ascending."""
    series: Sequence[RawKey | DecodeError] | None
    """P names, or why there is none; None where the records' keys name the series."""
    times: Sequence[RawTime] | None
    """P event times; None where Kafka's times of the records are."""
    features: NDArray[np.int64]
    """(P,) position of the feature in the model; -1: none of the model's."""
    values: NDArray[np.float64]
    """(P,) in input units; NaN = not observed, never infinite."""
    errors: Sequence[tuple[int, DecodeError]] = ()
    """Position of a point whose value cannot be read (it is NaN) -> why, ascending."""
    empty: Sequence[int] = ()
    """Positions of records that hold no point at all."""
    numbers: Sequence[int] | None = None
    """P numbers, from 1, of what the points are in, in their records; None: of the points."""
    sizes: Sequence[int] | None = None
    """P: how many of these the point's record has."""


def merge_points(points: Points, feature_names: Sequence[str]) -> RawReadings:
    """Return one reading of all points of a record that have the same series and time.

    A later value of a feature replaces an earlier one; a missing one replaces nothing. Points of
    none of the model's features are left out; records that have no other are in `ignored`.

    Args:
        points: P points.
        feature_names: F, in the model's order.
    """
    n_features = len(feature_names)
    known = np.flatnonzero(points.features >= 0)
    is_all = len(known) == len(points.features)
    rows = points.index if is_all else points.index[known]
    series, times = points.series, points.times
    if not is_all:
        chosen = known.tolist()
        series = None if series is None else [series[i] for i in chosen]
        times = None if times is None else [times[i] for i in chosen]
    of_point = _readings_of(rows, series, times)
    found, features = points.values[known], points.features[known]
    observed = np.flatnonzero(~np.isnan(found))
    n_readings = int(of_point[-1]) + 1 if len(of_point) else 0
    if n_readings < len(rows):
        n_readings = int(of_point.max()) + 1
        first = np.zeros(n_readings, dtype=np.int64)
        first[of_point[::-1]] = np.arange(len(of_point) - 1, -1, -1)
        firsts, rows = first.tolist(), rows[first]
        series = None if series is None else [series[i] for i in firsts]
        times = None if times is None else [times[i] for i in firsts]
    values = np.full((n_readings, n_features), np.nan)
    values[of_point[observed], features[observed]] = found[observed]
    replaced: Sequence[Replaced] = ()
    if np.count_nonzero(~np.isnan(values)) < len(observed):
        cells = of_point[observed] * n_features + features[observed]
        replaced = replaced_values(cells, points.index[known][observed], feature_names)
    return RawReadings(
        index=rows,
        series=series,
        times=times,
        values=values,
        cell_errors=_cell_errors(points, known, of_point, feature_names),
        elements=_elements(points, known, of_point),
        ignored=_without_feature(points, known),
        replaced=replaced,
    )


def _readings_of(
    rows: NDArray[np.int64],
    series: Sequence[RawKey | DecodeError] | None,
    times: Sequence[RawTime] | None,
) -> NDArray[np.int64]:
    """Return (P,) number of each point's reading, numbered as they come first."""
    if (rows[1:] > rows[:-1]).all():
        return np.arange(len(rows))
    # 1, 1.0 and True are the same time; so are they for the parser.
    places: dict[tuple[object, ...], int] = {}
    columns = (rows.tolist(), series, times)
    keys = zip(*(column for column in columns if column is not None), strict=True)
    return np.array([places.setdefault(key, len(places)) for key in keys], dtype=np.int64)


def _elements(
    points: Points, known: NDArray[np.int64], of_point: NDArray[np.int64]
) -> "_Elements | None":
    is_one_each = points.numbers is None and (points.index[1:] > points.index[:-1]).all()
    return None if is_one_each else _Elements(points, known, of_point)


class _Elements:
    """Numbers of a reading's points in its record; found only when they are asked for."""

    def __init__(
        self, points: Points, known: NDArray[np.int64], of_point: NDArray[np.int64]
    ) -> None:
        self._points = points
        self._known = known
        self._of_point = of_point

    def __call__(self, position: int) -> tuple[Sequence[int], int]:
        of_reading = self._known[self._of_point == position]
        numbers, sizes = self._points.numbers, self._points.sizes
        if numbers is not None and sizes is not None:
            chosen = of_reading.tolist()
            return sorted({numbers[i] for i in chosen}), sizes[chosen[0]]
        index = self._points.index
        row = index[of_reading[0]]
        first, end = np.searchsorted(index, [row, row + 1]).tolist()
        return (of_reading - first + 1).tolist(), end - first


def _cell_errors(
    points: Points,
    known: NDArray[np.int64],
    of_point: NDArray[np.int64],
    feature_names: Sequence[str],
) -> list[CellError]:
    if not points.errors:
        return []
    place = dict(zip(known.tolist(), of_point.tolist(), strict=True))
    return [
        CellError(position=place[at], feature=feature_names[int(points.features[at])], error=error)
        for at, error in points.errors
        if at in place
    ]


def _without_feature(points: Points, known: NDArray[np.int64]) -> list[int]:
    rows = points.index[known]
    if len(rows) == len(points.index):
        return sorted(points.empty)
    return sorted([*np.setdiff1d(points.index, rows).tolist(), *points.empty])
