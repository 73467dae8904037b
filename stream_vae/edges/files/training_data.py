"""CSV readings to training series: per series, sorted, on the grid, each step once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import printable
from stream_vae.core.feature_rules import FeatureRules, MissingByRule
from stream_vae.core.model_spec import Feature, FeatureKind
from stream_vae.core.step_width import infer_step, step_agreement
from stream_vae.core.time_grid import nearest_steps
from stream_vae.edges.files.csv_features import propose_kind
from stream_vae.edges.files.csv_readings import EVENT_STEP_NS, NO_LABEL, CsvReadings
from stream_vae.errors import InputFileError

_SMALLEST_STEP_NS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesArrays:
    """One series on the step grid; steps may be missing."""

    key: str
    times: NDArray[np.int64]
    """(N,) start of each step, nanoseconds since 1970, strictly increasing."""
    values: NDArray[np.float64]
    """(N, F) in input units; NaN = not observed."""
    labels: NDArray[np.int8] | None = None
    """(N,) 0 normal, 1 anomalous, -1 unlabelled; None where no file has labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReport:
    """Statistics of the input, for the operator."""

    rows: int
    series: int
    features: tuple[Feature, ...]
    step_seconds: float
    step_is_inferred: bool
    step_agreement: float
    """Share of the times between consecutive rows that are within a tenth of the step."""
    unsorted_rows: int
    """Rows older than an earlier row of their series; they were sorted."""
    duplicate_rows: int
    """Rows merged into a later row of their series in the same step, cell by cell."""
    snapped_rows: int
    """Rows whose time was not on the grid and was moved to its nearest point."""
    snapped_s: float
    """By how much, in the median of these."""
    missing_steps: int
    """Steps between the first and the last of a series without a row."""
    steps_held: int
    """Steps without a row that show what is held by a rule."""
    missing_by_rule: dict[str, int]
    """Feature and reason -> values that are missing by the feature's rule."""
    missing_cells: dict[str, int]
    """Feature -> cells without a value, where there are any."""
    infinite_cells: dict[str, int]
    """Feature -> infinite cells (taken as missing), where there are any."""
    constant_features: tuple[str, ...]
    """Features that never change: they carry no information."""
    mostly_missing_features: tuple[str, ...]
    """Features observed in less than half of the steps that have a row."""
    uneven_features: tuple[str, ...]
    """Numeric and count features whose level differs so much between series that one scale does not
    fit all."""
    proposed_kinds: dict[str, FeatureKind]
    """Numeric feature -> the other kind that its numbers look like, where they do."""


def to_training_series(
    readings: CsvReadings, step_seconds: float | None = None, *, max_gap: int = 0
) -> tuple[list[SeriesArrays], DataReport]:
    """Return the series in order of their first row, and the report.

    Args:
        readings: As read; the rules of their features are applied.
        step_seconds: Width of the grid; None infers it, see `infer_step`.
        max_gap: Missing steps in a row that a held value bridges.

    Raises:
        InputFileError: If a feature is never observed, or no step can be inferred.
    """
    _check_features(readings)
    row_lists = rows_by_series(readings.series)[1]
    gaps = np.concatenate(
        [np.diff(np.unique(readings.times[rows])) for rows in row_lists] or [np.empty(0, np.int64)]
    )
    step_ns = _infer_step(readings, gaps) if step_seconds is None else _as_ns(step_seconds)
    if step_ns < _SMALLEST_STEP_NS:
        raise InputFileError(
            f"step is {step_ns / 1e9:g} s; expected at least a millisecond: where parts of a step "
            "come apart their gaps are no steps, so give --step-seconds"
        )
    grid = nearest_steps(readings.times, step_ns) * step_ns
    n_rows, moved = len(readings), np.abs(grid - readings.times)
    n_unsorted = sum(_count_unsorted(readings.times[rows]) for rows in row_lists)
    readings, by_rule = _ruled(readings, row_lists, step_ns, max_gap)
    grid = nearest_steps(readings.times, step_ns) * step_ns
    series: list[SeriesArrays] = []
    for key, rows in zip(*rows_by_series(readings.series), strict=True):
        series.append(_merged(key, rows, grid, readings))
    n_steps = sum(len(one.times) for one in series)
    report = DataReport(
        rows=n_rows,
        series=len(series),
        features=readings.features,
        step_seconds=step_ns / 1e9,
        step_is_inferred=step_seconds is None,
        step_agreement=step_agreement(gaps, step_ns),
        unsorted_rows=n_unsorted,
        duplicate_rows=len(readings) - n_steps,
        snapped_rows=int(np.count_nonzero(moved)),
        snapped_s=float(np.median(moved[moved > 0])) / 1e9 if moved.any() else 0.0,
        steps_held=len(readings) - n_rows,
        missing_by_rule={f"{one.feature}, {one.reason}": one.count for one in by_rule},
        missing_steps=sum(_count_missing_steps(one.times, step_ns) for one in series),
        missing_cells=_counts(readings.feature_names, readings.missing_cells),
        infinite_cells=_counts(readings.feature_names, readings.infinite_cells),
        constant_features=tuple(_constant_features(readings)),
        mostly_missing_features=tuple(_mostly_missing_features(readings.features, series)),
        uneven_features=tuple(_uneven_features(readings.features, series)),
        proposed_kinds=_proposed_kinds(readings.features, series),
    )
    return series, report


def _check_features(readings: CsvReadings) -> None:
    empty = np.isnan(readings.values).all(axis=0)
    if empty.any():
        name = readings.feature_names[int(np.argmax(empty))]
        files = ", ".join(str(path) for path in readings.paths)
        raise InputFileError(
            f"{files}, column {printable(name)}: wholly empty from line 2 to the end; expected at "
            f"least one value, or the column left out: --ignore {printable(name)}"
        )


def _ruled(
    readings: CsvReadings, row_lists: list[NDArray[np.int64]], step_ns: int, max_gap: int
) -> tuple[CsvReadings, tuple[MissingByRule, ...]]:
    """Return the readings after the rules of their features, and what is missing by these.

    Args:
        readings: As read.
        row_lists: Rows of each series.
        step_ns: Width of the grid.
        max_gap: Missing steps in a row that a held value bridges.
    """
    n_series = len(row_lists)
    rules = FeatureRules.of_history(
        readings.features, step_ns=step_ns, max_gap=max_gap, n_series=n_series
    )
    if rules is None or not n_series:
        return readings, ()
    steps = nearest_steps(readings.times, step_ns)
    # In order of time; within a step the order of the rows tells which value replaces which.
    order = np.concatenate([rows[np.argsort(steps[rows], kind="stable")] for rows in row_lists])
    numbers = np.repeat(np.arange(n_series, dtype=np.int32), [len(rows) for rows in row_lists])
    ruled = rules.apply(numbers, readings.times[order], readings.values[order])
    times, is_filled = readings.times[order], np.zeros(len(order), np.bool_)
    if ruled.filled is not None:
        order, times = order[ruled.filled.source], ruled.filled.times
        is_filled = ruled.filled.is_filled
    empty = np.isnan(ruled.values).all(axis=0)
    if empty.any():
        feature = readings.features[int(np.argmax(empty))]
        raise InputFileError(
            f"--rule: {printable(feature.name)}: {feature.rule.text if feature.rule else ''} gives "
            f"no value of {len(readings):,} rows; expected several values in a series"
        )
    labels = readings.labels
    return (
        replace(
            readings,
            times=times,
            series=[readings.series[row] for row in order.tolist()],
            values=ruled.values,
            labels=None if labels is None else np.where(is_filled, NO_LABEL, labels[order]),
            file_numbers=readings.file_numbers[order],
            lines=readings.lines[order],
        ),
        ruled.missing,
    )


def rows_by_series(series: list[str]) -> tuple[list[str], list[NDArray[np.int64]]]:
    """Return the keys in order of appearance and the rows of each, ascending."""
    numbers: dict[str, int] = {}
    codes = np.array([numbers.setdefault(key, len(numbers)) for key in series], dtype=np.int64)
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(1, len(numbers)))
    return [*numbers], np.split(order, bounds)[: len(numbers)]  # no series: no part


def in_order(readings: CsvReadings) -> CsvReadings:
    """Return events with their position in their series, in order of time, in place of the time.

    Events at one time are all kept that way; on a grid the last one would replace the others.
    """
    times = np.empty_like(readings.times)
    for rows in rows_by_series(readings.series)[1]:
        ordered = rows[np.argsort(readings.times[rows], kind="stable")]
        times[ordered] = np.arange(len(ordered), dtype=np.int64) * EVENT_STEP_NS
    return replace(readings, times=times)


def _as_ns(step_seconds: float) -> int:
    step_ns = round(step_seconds * 1e9)
    if step_ns < 1:
        raise InputFileError(f"step_seconds is {step_seconds}; expected more than 0")
    return step_ns


def _infer_step(readings: CsvReadings, gaps: NDArray[np.int64]) -> int:
    step_ns = infer_step(gaps)
    if step_ns is None:
        files = ", ".join(str(path) for path in readings.paths)
        raise InputFileError(
            f"{files}, column timestamp: no series has two different times, so no step can be "
            "inferred; expected more readings, or the step told: --step-seconds"
        )
    return step_ns


def _merged(
    key: str, rows: NDArray[np.int64], grid: NDArray[np.int64], readings: CsvReadings
) -> SeriesArrays:
    """Return a series in order of its steps; a later row's cells replace those of an earlier one.

    A cell without a value replaces nothing, and a step is anomalous if one of its rows is.
    """
    ordered = rows[np.argsort(grid[rows], kind="stable")]
    steps = grid[ordered]
    is_first = np.ones(len(ordered), dtype=bool)
    is_first[1:] = steps[1:] > steps[:-1]
    values = readings.values[ordered]
    labels = None if readings.labels is None else readings.labels[ordered]
    if not is_first.all():
        firsts = np.flatnonzero(is_first)
        observed, features = np.nonzero(~np.isnan(values))
        merged = np.full((len(firsts), values.shape[1]), np.nan)
        merged[(np.cumsum(is_first) - 1)[observed], features] = values[observed, features]
        values = merged
        labels = None if labels is None else np.maximum.reduceat(labels, firsts)
    return SeriesArrays(key=key, times=steps[is_first], values=values, labels=labels)


def _count_unsorted(times: NDArray[np.int64]) -> int:
    return int((times < np.maximum.accumulate(times)).sum())


def _count_missing_steps(times: NDArray[np.int64], step_ns: int) -> int:
    return int((times[-1] - times[0]) // step_ns) + 1 - len(times)


def _counts(names: tuple[str, ...], counts: NDArray[np.int64]) -> dict[str, int]:
    return {name: n for name, n in zip(names, counts.tolist(), strict=True) if n}


def _constant_features(readings: CsvReadings) -> Iterator[str]:
    low = np.nanmin(readings.values, axis=0)
    high = np.nanmax(readings.values, axis=0)
    yield from (
        name for name, same in zip(readings.feature_names, low == high, strict=True) if same
    )


def _mostly_missing_features(
    features: tuple[Feature, ...], series: Sequence[SeriesArrays]
) -> Iterator[str]:
    """Yield features observed in less than half of the steps that have a reading."""
    n = sum(len(one.times) for one in series)
    observed = np.sum([(~np.isnan(one.values)).sum(axis=0) for one in series], axis=0)
    shares = zip(features, (observed / max(n, 1)).tolist(), strict=True)
    yield from (feature.name for feature, share in shares if share < 0.5)


def _proposed_kinds(
    features: tuple[Feature, ...], series: list[SeriesArrays]
) -> dict[str, FeatureKind]:
    proposed = {
        feature.name: propose_kind([one.values[:, f] for one in series])
        for f, feature in enumerate(features)
        if feature.kind == "numeric" and (feature.rule is None or feature.rule.keeps_values)
    }
    return {name: kind for name, kind in proposed.items() if kind != "numeric"}


def _uneven_features(features: tuple[Feature, ...], series: list[SeriesArrays]) -> Iterator[str]:
    """Yield features whose variance is mostly between the series, not within them."""
    for f, feature in enumerate(features):
        if feature.kind not in ("numeric", "count"):
            continue
        columns = [one.values[:, f] for one in series]
        observed = [column[~np.isnan(column)] for column in columns]
        observed = [column for column in observed if len(column)]
        within = sum(float(((column - column.mean()) ** 2).sum()) for column in observed)
        everything = np.concatenate(observed) if observed else np.zeros(1)
        if within < 0.5 * float(((everything - everything.mean()) ** 2).sum()):
            yield feature.name
