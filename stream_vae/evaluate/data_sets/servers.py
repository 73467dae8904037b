"""Server Machine Dataset and Application Server Dataset: metrics of servers, row by row.

Layout of both: `train/NAME.txt`, `test/NAME.txt` and `test_label/NAME.txt`, one row of
comma-separated numbers a step, no header.

Settings are the product's defaults.

References:
    Su et al. (2019), Robust Anomaly Detection for Multivariate Time Series through Stochastic
    Recurrent Neural Network, KDD (SMD). Li et al. (2021), Multivariate Time Series Anomaly
    Detection and Interpretation using Hierarchical Inter-Metric and Temporal Embedding, KDD (ASD).
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stream_vae.errors import InputFileError
from stream_vae.evaluate.data_sets.folder import (
    DataFolder,
    check_labels,
    counterpart,
    find_files,
    read_numbers,
)
from stream_vae.evaluate.data_sets.task import Part, Task, TaskSettings, stream_task
from stream_vae.models.config import ArchitectureConfig, TrainingConfig

SETTINGS = TaskSettings(
    architecture=ArchitectureConfig(),
    training=TrainingConfig(device="cpu"),
    scores=("fused", "recency", "log_probability"),
)

LAYOUT = "train/NAME.txt, test/NAME.txt and test_label/NAME.txt"


def load_smd(folder: DataFolder, settings: TaskSettings = SETTINGS) -> Sequence[Part]:
    """Return a part for each machine of SMD: one-minute steps."""
    return _load(folder, 60.0, settings)


def load_asd(folder: DataFolder, settings: TaskSettings = SETTINGS) -> Sequence[Part]:
    """Return a part for each server of ASD: five-minute steps."""
    return _load(folder, 300.0, settings)


def read_labels(folder: DataFolder, path: str, rows: int) -> NDArray[np.bool_]:
    """Return the (N,) labels of a test part of N rows."""
    return check_labels(folder, path, read_numbers(folder, path)[:, 0], rows)


def _load(folder: DataFolder, step_seconds: float, settings: TaskSettings) -> Sequence[Part]:
    names = ("train", "test", "test_label")
    files = {name: find_files(folder, rf"{name}/([^/]+)\.txt", layout=LAYOUT) for name in names}
    found = []
    for file in files["train"]:
        paths = {
            name: counterpart(files[name], file, folder, f"{name}/{file}.txt") for name in names
        }
        read = partial(_task, folder, file, paths, step_seconds, settings)
        found.append(Part(file=file, read=read))
    return found


def _task(
    folder: DataFolder,
    file: str,
    paths: Mapping[str, str],
    step_seconds: float,
    settings: TaskSettings,
) -> Task:
    train, test = (read_numbers(folder, paths[part]) for part in ("train", "test"))
    if test.shape[1] != train.shape[1]:
        raise InputFileError(
            f"{folder.place}/{paths['test']}: found {test.shape[1]} columns, expected "
            f"{train.shape[1]} as in {paths['train']}"
        )
    return stream_task(
        file,
        train=train,
        test=test,
        is_anomalous=read_labels(folder, paths["test_label"], len(test)),
        step_seconds=step_seconds,
        settings=settings,
    )
