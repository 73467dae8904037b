"""Training series on the time grid, cut into windows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature
from stream_vae.core.scaler_fitting import fit_scaler
from stream_vae.core.scaling import Scaler
from stream_vae.errors import ConfigError, ShapeError
from stream_vae.models.config import TrainingConfig

PARTS = ("training", "validation", "calibration")
"""In time order."""

FEW_WINDOWS = 25
"""Windows end to end of a history below which no part of it is set aside: a fifth of it would be
five windows, too few to tell what is usual."""

_MOST_FOLDS = 4

NORMAL, ANOMALOUS, UNLABELLED = 0, 1, -1
"""Labels of rows and windows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSeries:
    """The history of one series."""

    key: str
    times: NDArray[np.int64]
    """(N,) strictly increasing, whole steps apart, nanoseconds since 1970."""
    values: NDArray[np.float64]
    """(N, F) input units; NaN = not observed."""
    labels: NDArray[np.int8] | NDArray[np.bool_] | None = None
    """(N,) 0 normal, 1 anomalous, -1 unlabelled; None: no row is labelled. The network never sees
    them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSet:
    """Windows of one part of all series, as views of their steps."""

    steps: NDArray[np.float32]
    """(M, F) scaled grid steps of all runs one after the other; NaN = not observed."""
    times: NDArray[np.int64]
    """(M,) nanoseconds since 1970."""
    starts: NDArray[np.int64]
    """(W,) row of `steps` at which each window begins."""
    window_length: int
    step_labels: NDArray[np.int8] | None = None
    """(M,) 0 normal, 1 anomalous, -1 unlabelled; None: no step is labelled."""
    step_series: NDArray[np.int64] | None = None
    """(M,) position of each step's series; None: all steps are of the first."""

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, which: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the chosen windows (B, T, F) and the times of their newest steps (B,)."""
        T = self.window_length
        rows = self.starts[which][:, None] + np.arange(T)[None, :]
        return self.steps[rows], self.times[self.starts[which] + T - 1]

    def newest_labels(self) -> NDArray[np.int8]:
        """Return (W,) labels of the windows' newest steps."""
        if self.step_labels is None:
            return np.full(len(self), UNLABELLED, np.int8)
        return self.step_labels[self.starts + self.window_length - 1]

    def series_of_steps(self) -> NDArray[np.int64]:
        """Return (M,) positions of the steps' series."""
        return np.zeros(len(self.steps), np.int64) if self.step_series is None else self.step_series

    def labels(self) -> NDArray[np.int8]:
        """Return (W,) labels: 1 with any anomalous step, else 0 with any normal one, else -1."""
        if self.step_labels is None:
            return np.full(len(self), UNLABELLED, np.int8)
        anomalous, normal = (
            np.concatenate(([0], np.cumsum(self.step_labels == label)))
            for label in (ANOMALOUS, NORMAL)
        )
        ends = self.starts + self.window_length
        found = np.where(normal[ends] > normal[self.starts], NORMAL, UNLABELLED)
        return np.where(anomalous[ends] > anomalous[self.starts], ANOMALOUS, found).astype(np.int8)


def cut_parts(  # noqa: PLR0913 -- what is cut, and how
    series: Sequence[TrainingSeries],
    *,
    features: Sequence[Feature],
    step_ns: int,
    window_length: int,
    max_gap: int,
    training: TrainingConfig,
) -> tuple[Scaler, dict[str, WindowSet]]:
    """Return the scaler of the training rows, and the windows of each part.

    Each series is cut by rows, in time order; no window crosses a cut. Training windows are
    `training.stride` apart, the others one step.

    Raises:
        ConfigError: If nothing was observed in the training part, or a part has no window.
    """
    rows = {part: [_part(one, part, training) for one in series] for part in PARTS}
    training_rows = np.concatenate([one.values for one in rows["training"]])
    scaler = fit_scaler(training_rows, features, scaling=training.scaling)
    cut: dict[str, WindowSet] = {}
    for part in PARTS:
        # Windows of one step do not overlap: none says what another does.
        stride = training.stride if part == "training" and window_length > 1 else 1
        cut[part] = _cut_windows(
            rows[part],
            scaler=scaler,
            grid=Grid(step_ns=step_ns, max_gap=max_gap),
            window_length=window_length,
            stride=stride,
        )
        if not len(cut[part]):
            longest = max(len(one.times) for one in rows[part])
            raise ConfigError(
                f"too few rows for one window in the {part} part: found {longest} rows in the "
                f"longest series' {part} part ({max(len(one.times) for one in series)} in all), "
                f"expected at least window_length = {window_length} there, without a gap of more "
                f"than {max_gap} steps of {step_ns / 1e9:g} s (--step-seconds for another); a "
                f"series of {rows_for_one_window(window_length, training)} rows would do, or a "
                "shorter window_length"
            )
    return scaler, cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """A block of the history and the rest of it."""

    training: WindowSet
    held_out: WindowSet


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossValidation:
    """All windows, and the same history in folds."""

    scaler: Scaler
    """Of all rows: the folds' residuals must have the same unit."""
    every: WindowSet
    held_out: WindowSet
    """Those of all folds, in their order."""
    folds: tuple[Fold, ...]


def is_cross_validated(
    series: Sequence[TrainingSeries], *, window_length: int, training: TrainingConfig
) -> bool:
    """Return whether the calibration takes all rows in turn, `auto` resolved.

    Raises:
        ConfigError: If it is asked for with what needs a part of its own.
    """
    is_labelled = any(one.labels is not None and (one.labels == 1).any() for one in series)
    needs_parts = is_labelled or training.trim != "off"
    if training.calibration == "cross_validation" and needs_parts:
        raise ConfigError(
            "training.calibration: found cross_validation with rows labelled 1 or with "
            "training.trim, which are judged on parts of their own; expected held_out or auto"
        )
    if training.calibration != "auto":
        return training.calibration == "cross_validation"
    rows = sum(len(one.times) for one in series)
    return not needs_parts and rows < FEW_WINDOWS * window_length


def cut_folds(  # noqa: PLR0913 -- what is cut, and how
    series: Sequence[TrainingSeries],
    *,
    features: Sequence[Feature],
    step_ns: int,
    window_length: int,
    max_gap: int,
    training: TrainingConfig,
) -> CrossValidation:
    """Return all windows, and up to four folds of the history.

    Where there are four series or more, each belongs to one fold whole; else each is cut into
    blocks, at least two windows long where there are rows enough. No window crosses a cut.

    Raises:
        ConfigError: If a fold has no window to train on or none to hold out.
    """
    rows = np.concatenate([one.values for one in series])
    scaler = fit_scaler(rows, features, scaling=training.scaling)
    stride = training.stride if window_length > 1 else 1

    def windows(of: Sequence[TrainingSeries], stride: int) -> WindowSet:
        grid = Grid(step_ns=step_ns, max_gap=max_gap)
        return _cut_windows(
            of, scaler=scaler, grid=grid, window_length=window_length, stride=stride
        )

    blocks = _blocks(series, window_length)
    folds = tuple(
        Fold(
            training=windows([one for rest in _others(blocks, k) for one in rest], stride),
            held_out=windows(block, 1),
        )
        for k, block in enumerate(blocks)
    )
    if not all(len(fold.training) and len(fold.held_out) for fold in folds):
        longest = max(len(one.times) for one in series)
        raise ConfigError(
            f"too few rows: found {longest} rows in the longest of {len(series)} series, expected "
            f"at least two times window_length = {window_length}, without a gap of more than "
            f"{max_gap} steps of {step_ns / 1e9:g} s (--step-seconds for another), or several "
            "series of that length; a shorter window_length needs fewer"
        )
    return CrossValidation(
        scaler=scaler,
        every=windows(series, stride),
        held_out=windows([one for block in blocks for one in block], 1),
        folds=folds,
    )


def _blocks(series: Sequence[TrainingSeries], window_length: int) -> list[list[TrainingSeries]]:
    """Return the rows of each fold."""
    if len(series) >= _MOST_FOLDS:
        edges = np.linspace(0, len(series), _MOST_FOLDS + 1).astype(int).tolist()
        return [list(series[start:end]) for start, end in pairwise(edges)]
    longest = max(len(one.times) for one in series)
    n_blocks = min(max(longest // (2 * window_length), 2), _MOST_FOLDS)
    blocks: list[list[TrainingSeries]] = [[] for _ in range(n_blocks)]
    for one in series:
        edges = np.linspace(0, len(one.times), n_blocks + 1).astype(int).tolist()
        for block, (start, end) in zip(blocks, pairwise(edges), strict=True):
            block.append(_rows(one, slice(start, end)))
    return blocks


def _others(
    blocks: Sequence[Sequence[TrainingSeries]], left_out: int
) -> list[Sequence[TrainingSeries]]:
    return [block for k, block in enumerate(blocks) if k != left_out]


def part_rows(n_rows: int, training: TrainingConfig) -> dict[str, slice]:
    """Return the rows of each part of a series of `n_rows`."""
    tail = n_rows - round(n_rows * training.calibration_fraction)
    head = tail - round(n_rows * training.validation_fraction)
    return {
        "training": slice(0, head),
        "validation": slice(head, tail),
        "calibration": slice(tail, n_rows),
    }


def rows_for_one_window(window_length: int, training: TrainingConfig) -> int:
    """Return the fewest rows of a series with a window in each part, if no step is missing.

    >>> rows_for_one_window(32, TrainingConfig())
    315
    """
    smallest = min(
        training.validation_fraction,
        training.calibration_fraction,
        1 - training.validation_fraction - training.calibration_fraction,
    )
    n_rows = max(window_length, math.floor((window_length - 1) / smallest) - 2)
    while any(
        rows.stop - rows.start < window_length for rows in part_rows(n_rows, training).values()
    ):
        n_rows += 1
    return n_rows


def check_series(series: Sequence[TrainingSeries], *, n_features: int, step_ns: int) -> None:
    """Reject series that do not share grid and features.

    Raises:
        ConfigError: If there is no series or no row.
        ShapeError: If shapes disagree, times do not increase or are not whole steps apart.
    """
    if not any(len(one.times) for one in series):
        raise ConfigError(f"nothing to train on: found {len(series)} series without a row")
    for one in series:
        expected = (len(one.times), n_features)
        if one.values.shape != expected:
            raise ShapeError(f"series {one.key!r}: values {one.values.shape}, expected {expected}")
        if one.labels is not None and one.labels.shape != one.times.shape:
            raise ShapeError(
                f"series {one.key!r}: labels {one.labels.shape}, expected {one.times.shape}"
            )
        between = np.diff(one.times)
        if np.any(between <= 0) or np.any(between % step_ns):
            raise ShapeError(
                f"series {one.key!r}: times must strictly increase by whole steps of {step_ns} ns"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The time grid of windows."""

    step_ns: int
    max_gap: int
    """Most consecutive missing steps inside a window."""


def _part(one: TrainingSeries, part: str, training: TrainingConfig) -> TrainingSeries:
    """Return the rows of one part of a series."""
    return _rows(one, part_rows(len(one.times), training)[part])


def _rows(one: TrainingSeries, rows: slice) -> TrainingSeries:
    return TrainingSeries(
        key=one.key,
        times=one.times[rows],
        values=one.values[rows],
        labels=None if one.labels is None else one.labels[rows],
    )


def _cut_windows(
    rows: Sequence[TrainingSeries], *, scaler: Scaler, grid: Grid, window_length: int, stride: int
) -> WindowSet:
    """Return every window of T grid steps whose newest step was observed, `stride` apart.

    A window lies within one series and between its long gaps; missing steps in shorter ones become
    steps at which nothing was observed.
    """
    all_steps = [np.empty((0, len(scaler.mean)), dtype=np.float32)]
    all_times = [np.empty(0, dtype=np.int64)]
    all_labels = [np.empty(0, dtype=np.int8)]
    all_starts = [np.empty(0, dtype=np.int64)]
    all_series = [np.empty(0, dtype=np.int64)]
    offset = 0
    for number, one in enumerate(rows):
        scaled = scaler.transform(one.values)
        for run in _runs(one.times, grid):
            times, steps, labels = _on_grid(one, run, scaled[run], grid)
            starts = np.arange(0, len(times) - window_length + 1, stride, dtype=np.int64)
            was_observed = np.any(np.isfinite(steps), axis=1, keepdims=False)
            starts = starts[was_observed[starts + window_length - 1]]
            all_steps.append(steps)
            all_times.append(times)
            all_labels.append(labels)
            all_series.append(np.full(len(times), number, dtype=np.int64))
            all_starts.append(starts + offset)
            offset += len(times)
    return WindowSet(
        steps=np.concatenate(all_steps),
        times=np.concatenate(all_times),
        starts=np.concatenate(all_starts),
        window_length=window_length,
        step_labels=np.concatenate(all_labels),
        step_series=np.concatenate(all_series),
    )


def _runs(times: NDArray[np.int64], grid: Grid) -> list[slice]:
    """Return the stretches of rows between gaps of more than `max_gap` missing steps."""
    if not len(times):
        return []
    breaks = np.flatnonzero(np.diff(times) // grid.step_ns - 1 > grid.max_gap) + 1
    edges = [0, *breaks.tolist(), len(times)]
    return [slice(start, end) for start, end in pairwise(edges)]


def _on_grid(
    one: TrainingSeries, run: slice, scaled: NDArray[np.float32], grid: Grid
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int8]]:
    """Return the times (M,), steps (M, F) and labels (M,) of a run; unknown where was no row."""
    times = one.times[run]
    where = (times - times[0]) // grid.step_ns
    n_steps = int(where[-1]) + 1
    steps = np.full((n_steps, scaled.shape[1]), np.nan, dtype=np.float32)
    steps[where] = scaled
    labels = np.full(n_steps, UNLABELLED, dtype=np.int8)
    if one.labels is not None:
        labels[where] = one.labels[run]
    return times[0] + np.arange(n_steps, dtype=np.int64) * grid.step_ns, steps, labels
