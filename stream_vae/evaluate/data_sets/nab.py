"""Numenta Anomaly Benchmark: single metrics with labelled windows of time.

Layout: `data/GROUP/FILE.csv` with the columns `timestamp` and `value`, and one
`labels/combined_windows*.json`: file -> list of [start, end], both included. Each file is a stream
of its own. A detector learns from its probation, the first 15 % of at most 5,000 rows, and judges
the rest.

Each method's scores go through the detector under the profile for single series: an anomaly
likelihood above 3, or a value beyond all before it, opens incidents, and after one the detector is
quiet for a fifth of the probation. Nothing depends on labels. The leaderboard's own convention, one
cut of the likelihood for all files chosen on their labels, stands beside it.

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

from stream_vae.detect.config import DetectConfig, IncidentConfig
from stream_vae.errors import ConfigError, InputFileError
from stream_vae.evaluate.data_sets.folder import DataFolder, find_files, read_text
from stream_vae.evaluate.data_sets.nab_rule import probation
from stream_vae.evaluate.data_sets.task import Part, Task, TaskSettings, TimedWindows, windows_of
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.training.training_windows import TrainingSeries

_COOL_DOWN = 0.2
"""Of the probation."""

SETTINGS = TaskSettings(
    architecture=ArchitectureConfig(hidden_size=16, latent_size=4, calendar=True),
    training=TrainingConfig(
        device="cpu",
        batch_size=32,
        min_steps=300,
        stride=1,
        validation_fraction=0.2,  # of 169 rows still a window
    ),
    scores=("fused_window", "log_probability"),
)

_LAYOUT = "data/GROUP/FILE.csv and labels/combined_windows.json"

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
        detect=DetectConfig(
            profile="univariate",
            incident=IncidentConfig(cooldown_s=_COOL_DOWN * learnt * step_ns / 1e9),
        ),
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
