"""Real readings to stream: the Server Machine Dataset, or sines where it is not to be had."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature
from stream_vae.edges.files.bundle_files import save_bundle
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.training.train import train
from stream_vae.models.training.training_windows import TrainingSeries
from tests.system.harness import START_NS, STEP_S, sine_values, with_anomaly

MACHINES = ("machine-1-6", "machine-1-7", "machine-2-1", "machine-3-3")
COLUMNS = {"cpu": 0, "load_1": 1, "load_15": 3, "memory": 5, "disk": 13, "network": 19}
"""Column of the recording -> a name for it; the data set itself names none."""

_DEFAULT = Path(__file__).parents[3].parent / "shared" / "data"
_TRAINED_STEPS = 3000
_LEAST_LEAD = 16  # steps: a window is full before the first anomaly
_TRAINED_AT = datetime(2026, 1, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What machines measured, and what was normal for them."""

    origin: str
    features: tuple[str, ...]
    normal: dict[str, NDArray[np.float64]]
    """Machine -> (N, F), for training."""
    stream: dict[str, NDArray[np.float64]]
    """Machine -> (N, F), with anomalies."""
    anomalies: dict[str, NDArray[np.int64]]
    """Machine -> where in its stream anomalies begin."""

    def stretch(self, i: int, n: int) -> NDArray[np.float64]:
        """Return (n, F): series i of the stream, a stretch of one machine's recording.

        It begins shortly before one of the anomalies; past its end a recording begins again.
        """
        machines = list(self.stream)
        machine, turn = machines[i % len(machines)], i // len(machines)
        begins = self.anomalies[machine]
        lead = _LEAST_LEAD + turn // len(begins)  # no two series are alike
        first = int(begins[turn % len(begins)]) - lead
        return np.take(self.stream[machine], np.arange(first, first + n), axis=0, mode="wrap")


def load_recording() -> Recording:
    """Return the real recording where there is one, else sines that say so."""
    folder = Path(os.environ.get("STREAM_VAE_TEST_DATA") or _DEFAULT) / "smd"
    if not folder.is_dir():
        return _sines(f"sines ({folder} does not exist; see STREAM_VAE_TEST_DATA)")
    return Recording(
        origin=f"Server Machine Dataset, {len(MACHINES)} machines",
        features=tuple(COLUMNS),
        normal={m: _read(folder / "train" / f"{m}.txt.gz")[:_TRAINED_STEPS] for m in MACHINES},
        stream={m: _read(folder / "test" / f"{m}.txt.gz") for m in MACHINES},
        anomalies={m: _begins(folder / "test_label" / f"{m}.txt") for m in MACHINES},
    )


def train_bundle(recording: Recording, folder: Path) -> Path:
    """Train a tiny network on what was normal and save it; takes some seconds."""
    torch.set_num_threads(1)
    times = START_NS + np.arange(_TRAINED_STEPS, dtype=np.int64) * STEP_S * 10**9
    trained = train(
        [
            TrainingSeries(key=machine, times=times[: len(values)], values=values)
            for machine, values in recording.normal.items()
        ],
        features=[Feature(name=name) for name in recording.features],
        step_seconds=STEP_S,
        architecture=ArchitectureConfig(window_length=8, hidden_size=16, latent_size=4),
        training=TrainingConfig(epochs=3, min_steps=120, device="cpu", seed=7),
        model_id="chaos",
        now=_TRAINED_AT,
    )
    save_bundle(trained.bundle, folder)
    return folder


def _read(path: Path) -> NDArray[np.float64]:
    return np.loadtxt(path, delimiter=",", usecols=list(COLUMNS.values()))


def _begins(path: Path) -> NDArray[np.int64]:
    labels = np.loadtxt(path, dtype=np.int64)
    return np.flatnonzero(np.diff(labels, prepend=0) == 1)


def _sines(origin: str) -> Recording:
    machines = {f"m{i}": sine_values(20_000, seed=i) for i in range(4)}
    begins = {name: np.arange(40 + i, 20_000, 97) for i, name in enumerate(machines)}
    for name, values in machines.items():
        for at in begins[name].tolist():
            values[:] = with_anomaly(values, at)
    return Recording(
        origin=origin,
        features=("flow", "level", "pressure"),
        normal={f"m{i}": sine_values(_TRAINED_STEPS, seed=100 + i) for i in range(4)},
        stream=machines,
        anomalies=begins,
    )
