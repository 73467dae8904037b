"""Skoltech Anomaly Benchmark: a water circulation testbed, 8 sensors at one-second steps.

Layout: any folders of runs, each a `;`-separated file with a header, a first column `datetime`, the
sensors, `anomaly` and, ignored, `changepoint`. A file without the column `anomaly` is no run. By
the leaderboard's convention the first 400 rows of a run are the training part, the rest is judged,
and false-alarm rate, missed-alarm rate and F1 are counted over the rows of all runs together.

Settings: a small network, as 400 rows need, fitted to all of them. The cut is the 99 % quantile of
the training rows' scores, each by a model that has not seen its block (cross-validation); no label
has a part in it.

References:
    Katser & Kozitsin (2020), Skoltech Anomaly Benchmark (SKAB).
"""

import csv
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stream_vae.errors import ConfigError, InputFileError
from stream_vae.evaluate.data_sets.folder import DataFolder, find_files, read_text
from stream_vae.evaluate.data_sets.task import Part, Task, TaskSettings, stream_task
from stream_vae.models.config import ArchitectureConfig, TrainingConfig

TRAINING_ROWS = 400

SETTINGS = TaskSettings(
    architecture=ArchitectureConfig(window_length=32, hidden_size=16, latent_size=4),
    training=TrainingConfig(device="cpu", batch_size=32, min_steps=200, stride=1),
    scores=("fused", "recency", "log_probability"),
)

_LABEL = "anomaly"
_NOT_SENSORS = {_LABEL, "changepoint"}
_LAYOUT = "files like valve1/0.csv, `;`-separated, with the columns datetime and anomaly"


def load_skab(folder: DataFolder, settings: TaskSettings = SETTINGS) -> Sequence[Part]:
    """Return a part for each labelled run."""
    files = find_files(folder, r"(?:data/)?(.+)\.csv", layout=_LAYOUT)
    runs = {name: path for name, path in files.items() if _LABEL in _header(folder, path)}
    if not runs:
        raise ConfigError(
            f"{folder.place}: found no file with a column {_LABEL}, expected {_LAYOUT}"
        )
    return [
        Part(file=name, read=partial(_task, folder, name, path, settings))
        for name, path in runs.items()
    ]


def _task(folder: DataFolder, name: str, path: str, settings: TaskSettings) -> Task:
    values, is_anomalous = _read(folder, path)
    judged_from = TRAINING_ROWS - settings.architecture.window_length + 1
    return stream_task(
        name,
        train=values[:TRAINING_ROWS],
        test=values[judged_from:],
        is_anomalous=is_anomalous[judged_from:],
        step_seconds=1.0,
        settings=settings,
    )


def _header(folder: DataFolder, path: str) -> list[str]:
    return next(csv.reader(read_text(folder, path).splitlines()[:1], delimiter=";"), [])


def _read(folder: DataFolder, path: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return (N, F) values and (N,) labels of a run."""
    header, *rows = csv.reader(read_text(folder, path).splitlines(), delimiter=";")
    features = [n for n, column in enumerate(header) if n and column not in _NOT_SENSORS]
    label = header.index(_LABEL)
    where = f"{folder.place}/{path}"
    try:
        values = np.array([[float(row[n]) for n in features] for row in rows])
        labels = np.array([float(row[label]) for row in rows])
    except (ValueError, IndexError) as exc:
        raise InputFileError(f"{where}: expected numbers in each sensor's column: {exc}") from exc
    if len(values) <= TRAINING_ROWS:
        raise InputFileError(
            f"{where}: found {len(values)} rows, expected more than the {TRAINING_ROWS} that train"
        )
    return values, labels > 0
