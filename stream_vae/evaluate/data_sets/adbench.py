"""Tables of ADBench: event records without an order in time.

Layout: any `NAME.npz` with the arrays `X` (N, F) and `y` (N,), 1 = anomalous. A random half of the
normal records is trained on; the other half and all anomalies are judged.

Settings: windows of one record; the floor of the decoder's scale was chosen by held-out likelihood
on three tables. `combined` adds to what the decoder cannot explain how far the latent lies from its
one cluster of training records, as T2+Q does for principal components.

References:
    Han et al. (2022), ADBench: Anomaly Detection Benchmark, NeurIPS.
"""

import io
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stream_vae.errors import InputFileError
from stream_vae.evaluate.data_sets.folder import DataFolder, find_files
from stream_vae.evaluate.data_sets.task import Part, Task, TaskSettings, sequence_task
from stream_vae.models.config import ArchitectureConfig, TrainingConfig

SETTINGS = TaskSettings(
    architecture=ArchitectureConfig(
        window_length=1, hidden_size=48, latent_size=4, sigma_floor=0.1
    ),
    training=TrainingConfig(
        device="cpu",
        stride=1,
        min_steps=1500,
        combined="log_probability + latent_cluster",
        latent_clusters=1,
    ),
    scores=("combined", "log_probability"),
)


def load_adbench(folder: DataFolder, settings: TaskSettings = SETTINGS) -> Sequence[Part]:
    """Return a part for each table."""
    layout = "files NAME.npz with the arrays X and y"
    files = find_files(folder, r"(?:.*/)?([^/]+)\.npz", layout=layout)
    return [
        Part(file=name, read=partial(_task, folder, name, path, settings))
        for name, path in files.items()
    ]


def _task(folder: DataFolder, name: str, path: str, settings: TaskSettings) -> Task:
    records, is_anomalous = _read(folder, path)
    normal = np.random.default_rng(0).permutation(np.flatnonzero(~is_anomalous))
    learnt, rest = np.split(normal, [len(normal) // 2])
    judged = np.sort(np.concatenate((rest, np.flatnonzero(is_anomalous))))
    return sequence_task(
        name,
        train=records[learnt][:, None, :],
        test=records[judged][:, None, :],
        is_anomalous=is_anomalous[judged],
        settings=settings,
    )


def _read(folder: DataFolder, path: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    where = f"{folder.place}/{path}"
    try:
        with np.load(io.BytesIO(folder.read(path)), allow_pickle=False) as arrays:
            records = np.asarray(arrays["X"], np.float64)
            labels = np.asarray(arrays["y"], np.float64).reshape(-1)
    except (KeyError, ValueError, EOFError, OSError) as exc:
        raise InputFileError(f"{where}: expected arrays of numbers X and y: {exc}") from exc
    if records.ndim != 2 or labels.shape != (len(records),):
        raise InputFileError(
            f"{where}: X {records.shape}, y {labels.shape}, expected (N, F) and (N,)"
        )
    return records, labels > 0
