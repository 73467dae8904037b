"""UCR ECG5000: heartbeats of 140 samples; class 1 is normal.

Layout: `*TRAIN*` and `*TEST*`, a beat a line: its class, then the samples, separated by blanks,
commas or tabs. The published table has three settings, each a task: learn from the normal beats of
the training file; from all its beats without labels; from all with labels.

Settings (the network's size, epochs and learning rate) come from the published design of the
variational recurrent autoencoder on these beats. The constants of the scores were chosen by
cross-validation on the training labels and on seeds 10 and 11, not those that the benchmark runs;
no cut has seen a test label.

References:
    Pereira & Silveira (2018), Unsupervised Anomaly Detection in Energy Time Series Data Using
    Variational Recurrent Autoencoders with Attention, ICMLA.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stream_vae.errors import InputFileError
from stream_vae.evaluate.data_sets.folder import DataFolder, find_files, read_text
from stream_vae.evaluate.data_sets.task import Part, Task, TaskSettings, sequence_task
from stream_vae.models.config import ArchitectureConfig, TrainingConfig

SETTINGS = TaskSettings(
    architecture=ArchitectureConfig(
        window_length=140, hidden_size=48, latent_size=5, sigma_floor=0.3
    ),
    training=TrainingConfig(
        device="cpu", stride=1, batch_size=32, epochs=100, patience=100, learning_rate=4e-3
    ),
    scores=("fused_window", "fused", "latent_cluster", "log_probability", "unit_variance"),
)

MIXED_SCORES = ("latent_cluster", "latent_wasserstein", "log_probability")
SUPERVISED_SCORES = ("supervised",)

_LAYOUT = "one file with TRAIN in its name and one with TEST"


def load_ecg5000(folder: DataFolder, settings: TaskSettings = SETTINGS) -> Sequence[Part]:
    """Return a part for each setting of the published table."""
    paths = {
        part: next(iter(find_files(folder, rf"((?:.*/)?[^/]*{part}[^/]*)", layout=_LAYOUT)))
        for part in ("TRAIN", "TEST")
    }
    normal = replace(settings.training, validation_fraction=0.06, latent_clusters=1)
    # Where no cut is taken from what is held out: 500 beats are few, so most are learnt from.
    most = replace(settings.training, validation_fraction=0.06, calibration_fraction=0.02)
    almost_all = replace(settings, training=most)
    settings_of = {
        "normal only": replace(settings, training=normal),
        "mixed": replace(almost_all, scores=MIXED_SCORES, cut="two_groups"),
        "supervised": replace(almost_all, scores=SUPERVISED_SCORES, cut="training_labels"),
    }
    return [
        Part(file=file, read=partial(_task, folder, paths, file, one))
        for file, one in settings_of.items()
    ]


def _task(folder: DataFolder, paths: Mapping[str, str], file: str, settings: TaskSettings) -> Task:
    train, train_labels = _read(folder, paths["TRAIN"])
    test, is_anomalous = _read(folder, paths["TEST"])
    order = np.random.default_rng(0).permutation(len(train))
    train, train_labels = train[order], train_labels[order]
    architecture = replace(settings.architecture, window_length=train.shape[1])
    return sequence_task(
        file,
        train=train[~train_labels] if file == "normal only" else train,
        train_labels=train_labels if file == "supervised" else None,
        test=test,
        is_anomalous=is_anomalous,
        settings=replace(settings, architecture=architecture),
    )


def _read(folder: DataFolder, path: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return (W, T, 1) beats and (W,) labels of the file."""
    where = f"{folder.place}/{path}"
    try:
        lines = [re.split(r"[,\s]+", line.strip()) for line in read_text(folder, path).splitlines()]
        rows = np.array([line for line in lines if len(line) > 1], np.float64)
    except ValueError as exc:
        raise InputFileError(f"{where}: expected numbers, as many in each line: {exc}") from exc
    if rows.ndim != 2:
        raise InputFileError(f"{where}: found no beat, expected a class and samples a line")
    return rows[:, 1:, None], rows[:, 0] != 1
