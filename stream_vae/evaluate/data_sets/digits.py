"""scikit-learn's 8x8 digits: each image a sequence of 8 rows, one digit at a time the anomaly.

The model learns from a random half of the images of the other nine digits; their other half and
all images of the held-out digit are judged. Pixels are taken from 0..16 to 0..1.

Settings: windows of 8 rows; the rest was set once, by judgement, and not tuned.

References:
    Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, UCI.
"""

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from stream_vae.evaluate.data_sets.folder import DataFolder
from stream_vae.evaluate.data_sets.task import Part, Task, TaskSettings, sequence_task
from stream_vae.models.config import ArchitectureConfig, TrainingConfig

SETTINGS = TaskSettings(
    architecture=ArchitectureConfig(window_length=8, hidden_size=48, latent_size=8),
    training=TrainingConfig(device="cpu", stride=1, batch_size=64, epochs=100, min_steps=1000),
    scores=("log_probability",),
)


def load_digits(_: DataFolder | None, settings: TaskSettings = SETTINGS) -> Sequence[Part]:
    """Return a part for each held-out digit; the images come with scikit-learn."""
    return [
        Part(file=f"digit {held_out}", read=partial(_task, held_out, settings))
        for held_out in range(10)
    ]


def _task(held_out: int, settings: TaskSettings) -> Task:
    found: Any = import_module("sklearn.datasets").load_digits()
    images, digits = np.asarray(found.images) / 16.0, np.asarray(found.target)
    normal = np.random.default_rng(held_out).permutation(np.flatnonzero(digits != held_out))
    learnt, rest = np.split(normal, [len(normal) // 2])
    judged = np.sort(np.concatenate((rest, np.flatnonzero(digits == held_out))))
    return sequence_task(
        f"digit {held_out}",
        train=images[learnt],
        test=images[judged],
        is_anomalous=digits[judged] == held_out,
        settings=settings,
    )
