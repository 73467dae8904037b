"""Numenta Anomaly Benchmark: single metrics with labelled windows of time.

Layout: `data/GROUP/FILE.csv` with the columns `timestamp` and `value`, and one
`labels/combined_windows*.json`: file -> list of [start, end], both included. Each file is a stream
of its own. A detector learns from its probation, the first 15 % of at most 5,000 rows, and judges
the rest.

A row's score becomes an anomaly likelihood: the square root of what it exceeds the smallest score
of the probation by, as a mean of 5, in standard deviations of the last 8,640 rows. Under the
label-free rule 3 of them alert, after which the detector is silent for a quarter of the probation.
The leaderboard's own convention, one cut for all files chosen on their labels, stands beside it.

Settings: a small network with calendar inputs, as a few hundred rows need.

References:
    Ahmad et al. (2017), Unsupervised real-time anomaly detection for streaming data,
    Neurocomputing 262.
"""

import csv
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stream_vae.errors import ConfigError, InputFileError
from stream_vae.evaluate.data_sets.folder import DataFolder, find_files, read_text
from stream_vae.evaluate.data_sets.nab_rule import probation
from stream_vae.evaluate.data_sets.task import Part, Task, TaskSettings, TimedWindows, windows_of
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.training.training_windows import TrainingSeries

LIKELIHOOD_CUT = 3.0

SETTINGS = TaskSettings(
    architecture=ArchitectureConfig(window_length=16, hidden_size=16, latent_size=4, calendar=True),
    training=TrainingConfig(device="cpu", batch_size=32, min_steps=300, stride=1),
    scores=("log_probability",),
)

_LAYOUT = "data/GROUP/FILE.csv and labels/combined_windows.json"
_SMOOTHED = 5
_REMEMBERED = 8640
_REFRESHED = 100

Range = tuple[datetime, datetime]


def load_nab(folder: DataFolder, settings: TaskSettings = SETTINGS) -> Sequence[Part]:
    """Return a part for each labelled file."""
    (label_path, *_) = find_files(
        folder, r"(labels/combined_windows[^/]*\.json)", layout=_LAYOUT
    ).values()
    ranges = _ranges(folder, label_path)
    files = find_files(folder, r"data/([^/]+/[^/]+\.csv)", layout=_LAYOUT)
    unlabelled = sorted(files.keys() - ranges.keys())
    if unlabelled:
        raise ConfigError(
            f"{folder.place}/{label_path}: found no entry for {unlabelled[0]!r}, expected one for "
            "each file, empty where nothing is anomalous"
        )
    return [
        Part(file=name, read=partial(_task, folder, name, path, ranges[name], settings))
        for name, path in files.items()
    ]


def likelihood(scores: NDArray[np.float64], judged_from: int) -> NDArray[np.float64]:
    """Return (N,) how unusual each score is among those before it, in standard deviations.

    Args:
        scores: (N,) of the rows in time order; higher = more anomalous.
        judged_from: Rows before it are the probation, whose smallest score is the origin.
    """
    excess = np.sqrt(np.maximum(scores - scores[: max(judged_from, 1)].min(), 0.0))
    total = np.concatenate(([0.0], np.cumsum(excess)))
    ends = np.arange(1, len(scores) + 1)
    starts = np.maximum(ends - _SMOOTHED, 0)
    smooth = (total[ends] - total[starts]) / (ends - starts)
    found = np.zeros(len(scores))
    for at in range(min(_REFRESHED, max(judged_from, 1)), len(scores), _REFRESHED):
        known = smooth[max(at - _REMEMBERED, 0) : at]
        rows = slice(at, at + _REFRESHED)
        found[rows] = (smooth[rows] - known.mean()) / max(float(known.std()), 1e-9)
    return np.clip(found, -100.0, 100.0)


def with_cool_down(detected: NDArray[np.bool_], rows: int) -> NDArray[np.bool_]:
    """Return the detections less those within some rows of the one before."""
    kept = np.zeros_like(detected)
    quiet_until = 0
    for row in np.flatnonzero(detected):
        if row >= quiet_until:
            kept[row] = True
            quiet_until = int(row) + rows
    return kept


def _task(
    folder: DataFolder, name: str, path: str, ranges: list[Range], settings: TaskSettings
) -> Task:
    times, values = _read(folder, path)
    T, learnt = settings.architecture.window_length, probation(len(times))
    step_ns = max(int(np.median(np.diff(times))), 1)
    # A training series has a grid; rows that are early or late are taken as on it.
    grid = times[0] + np.arange(learnt, dtype=np.int64) * step_ns
    is_anomalous = np.zeros(len(times), np.bool_)
    for start, end in ranges:
        is_anomalous |= (times >= _ns(start)) & (times <= _ns(end))
    rows = values[:, None]
    test: TimedWindows = windows_of(rows, times, T)
    return Task(
        file=name,
        series=(TrainingSeries(key=name, times=grid, values=rows[:learnt]),),
        history=windows_of(rows[:learnt], grid, T),
        test=test,
        is_anomalous=is_anomalous[T - 1 :],
        step_seconds=step_ns / 1e9,
        settings=settings,
        judged_from=max(learnt - (T - 1), 0),
    )


def _ranges(folder: DataFolder, path: str) -> dict[str, list[Range]]:
    try:
        found = json.loads(read_text(folder, path))
        return {
            name: [(_when(start), _when(end)) for start, end in windows]
            for name, windows in found.items()
        }
    except (ValueError, TypeError, AttributeError) as exc:
        raise InputFileError(
            f"{folder.place}/{path}: expected an object of file names, each with a list of "
            f"[start, end]: {exc}"
        ) from exc


def _read(folder: DataFolder, path: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    rows = list(csv.DictReader(read_text(folder, path).splitlines()))
    where = f"{folder.place}/{path}"
    try:
        times = np.array([_ns(_when(row["timestamp"])) for row in rows], np.int64)
        values = np.array([float(row["value"]) for row in rows])
    except (KeyError, TypeError, ValueError) as exc:
        raise InputFileError(f"{where}: expected the columns timestamp and value: {exc}") from exc
    if len(rows) < 2:
        raise InputFileError(f"{where}: found {len(rows)} rows, expected a stream")
    return times, values


def _when(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _ns(when: datetime) -> int:
    return round(when.timestamp()) * 10**9
