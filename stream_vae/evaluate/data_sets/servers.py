"""Server Machine Dataset and Application Server Dataset: metrics of servers, row by row.

Layout of both: `train/NAME.txt`, `test/NAME.txt` and `test_label/NAME.txt`, one row of
comma-separated numbers a step, no header.

Settings are the product's defaults.

References:
    Su et al. (2019), Robust Anomaly Detection for Multivariate Time Series through Stochastic
    Recurrent Neural Network, KDD (SMD). Li et al. (2021), Multivariate Time Series Anomaly
    Detection and Interpretation using Hierarchical Inter-Metric and Temporal Embedding, KDD (ASD).
"""

from collections.abc import Iterator

from stream_vae.errors import InputFileError
from stream_vae.evaluate.data_sets.folder import (
    DataFolder,
    check_labels,
    counterpart,
    find_files,
    read_numbers,
)
from stream_vae.evaluate.data_sets.task import Task, TaskSettings, stream_task
from stream_vae.models.config import ArchitectureConfig, TrainingConfig

SETTINGS = TaskSettings(
    architecture=ArchitectureConfig(),
    training=TrainingConfig(device="cpu"),
    scores=("recency", "log_probability"),
)

_LAYOUT = "train/NAME.txt, test/NAME.txt and test_label/NAME.txt"


def load_smd(folder: DataFolder, settings: TaskSettings = SETTINGS) -> Iterator[Task]:
    """Yield a task for each machine of SMD: one-minute steps."""
    return _load(folder, 60.0, settings)


def load_asd(folder: DataFolder, settings: TaskSettings = SETTINGS) -> Iterator[Task]:
    """Yield a task for each server of ASD: five-minute steps."""
    return _load(folder, 300.0, settings)


def _load(folder: DataFolder, step_seconds: float, settings: TaskSettings) -> Iterator[Task]:
    parts = {
        part: find_files(folder, rf"{part}/([^/]+)\.txt", layout=_LAYOUT)
        for part in ("train", "test", "test_label")
    }
    for name, path in parts["train"].items():
        train = read_numbers(folder, path)
        test_path = counterpart(parts["test"], name, folder, f"test/{name}.txt")
        test = read_numbers(folder, test_path)
        if test.shape[1] != train.shape[1]:
            raise InputFileError(
                f"{folder.place}/{test_path}: found {test.shape[1]} columns, expected "
                f"{train.shape[1]} as in {path}"
            )
        label_path = counterpart(parts["test_label"], name, folder, f"test_label/{name}.txt")
        labels = read_numbers(folder, label_path)[:, 0]
        yield stream_task(
            name,
            train=train,
            test=test,
            is_anomalous=check_labels(folder, label_path, labels, len(test)),
            step_seconds=step_seconds,
            settings=settings,
        )
