"""NASA's spacecraft telemetry: Soil Moisture Active Passive and the Mars Science Laboratory.

Layout: `train/CHANNEL.npy` and `test/CHANNEL.npy`, (N, F) with telemetry in column 0 and one-hot
commands in the others, and one `labeled_anomalies*.csv` with the columns `chan_id` and
`anomaly_sequences`, the latter a list of [first, last] rows of the test part, both included.

Settings are the product's defaults. Times are not published; a step is taken as a minute.

References:
    Hundman et al. (2018), Detecting Spacecraft Anomalies Using LSTMs and Nonparametric Dynamic
    Thresholding, KDD.
"""

import csv
import json
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stream_vae.errors import InputFileError
from stream_vae.evaluate.data_sets.folder import (
    DataFolder,
    counterpart,
    find_files,
    read_array,
    read_text,
)
from stream_vae.evaluate.data_sets.task import Part, Task, TaskSettings, stream_task
from stream_vae.models.config import ArchitectureConfig, TrainingConfig

SETTINGS = TaskSettings(
    architecture=ArchitectureConfig(),
    training=TrainingConfig(device="cpu"),
    scores=("fused", "recency", "log_probability"),
)

_LAYOUT = "train/CHANNEL.npy, test/CHANNEL.npy and labeled_anomalies.csv"


def load_smap_msl(folder: DataFolder, settings: TaskSettings = SETTINGS) -> Sequence[Part]:
    """Return a part for each channel of the training part."""
    train = find_files(folder, r"train/([^/]+)\.npy", layout=_LAYOUT)
    test = find_files(folder, r"test/([^/]+)\.npy", layout=_LAYOUT)
    (table, *_) = find_files(folder, r"(labeled_anomalies[^/]*\.csv)", layout=_LAYOUT).values()
    ranges = _ranges(folder, table)
    found = []
    for channel, path in train.items():
        test_path = counterpart(test, channel, folder, f"test/{channel}.npy")
        if channel not in ranges:
            raise InputFileError(
                f"{folder.place}/{table}: found no row with chan_id {channel!r}, expected one"
            )
        read = partial(_task, folder, channel, (path, test_path), ranges[channel], settings)
        found.append(Part(file=channel, read=read))
    return found


def _task(
    folder: DataFolder,
    channel: str,
    paths: tuple[str, str],
    ranges: list[list[int]],
    settings: TaskSettings,
) -> Task:
    train, test = (_matrix(read_array(folder, path)) for path in paths)
    is_anomalous = np.zeros(len(test), np.bool_)
    for first, last in ranges:
        is_anomalous[first : last + 1] = True
    return stream_task(
        channel,
        train=train,
        test=test,
        is_anomalous=is_anomalous,
        step_seconds=60.0,
        settings=settings,
    )


def _ranges(folder: DataFolder, table: str) -> dict[str, list[list[int]]]:
    found: dict[str, list[list[int]]] = {}
    for row in csv.DictReader(read_text(folder, table).splitlines()):
        try:
            found.setdefault(row["chan_id"], []).extend(json.loads(row["anomaly_sequences"]))
        except (KeyError, TypeError, ValueError) as exc:
            raise InputFileError(
                f"{folder.place}/{table}: found {row}, expected the columns chan_id and "
                "anomaly_sequences, a list of [first, last]"
            ) from exc
    return found


def _matrix(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows.reshape(len(rows), -1)
