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
                f"than {max_gap} steps; a series of {rows_for_one_window(window_length, training)} "
                f"rows would do, or a shorter window_length"
            )
    return scaler, cut


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
    rows = part_rows(len(one.times), training)[part]
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
