"""The stream that all benchmarks share."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature, numeric_features
from stream_vae.edges.files.bundle_files import save_bundle
from stream_vae.inputs.reading_encoder import ReadingEncoder
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.models.bundle import Bundle
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.training.train import train
from stream_vae.models.training.training_windows import TrainingSeries
from tests.system.broker import Record

F, T = 8, 32
STEP_NS = 60 * 10**9
START_NS = 1_767_225_600 * 10**9
NAMES = [f"f{i}" for i in range(F)]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A small trained model and readings like those it was trained on."""

    folder: Path
    bundle: Bundle
    n_series: int
    n_readings: int
    data_dir: Path | None = None
    """Of Loghub, where it is to be had."""

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        n_series: int,
        n_readings: int,
        hidden_size: int,
        data_dir: Path | None = None,
    ) -> "Workload":
        """Train a model just long enough to give sensible scores."""
        times = START_NS - np.arange(2000, 0, -1, dtype=np.int64) * STEP_NS
        trained = train(
            [TrainingSeries(key="train", times=times, values=signal(2000, seed=0))],
            features=[Feature(name=name) for name in NAMES],
            step_seconds=60.0,
            architecture=ArchitectureConfig(window_length=T, hidden_size=hidden_size),
            training=TrainingConfig(epochs=2, min_steps=150, device="cpu"),
            model_id="benchmark",
            now=datetime(2026, 1, 1, tzinfo=UTC),
        )
        save_bundle(trained.bundle, folder / "bundle")
        return cls(
            folder=folder,
            bundle=trained.bundle,
            n_series=n_series,
            n_readings=n_readings,
            data_dir=data_dir,
        )

    @property
    def description(self) -> str:
        """What was measured on, in words."""
        hidden = self.bundle.architecture.hidden_size
        return (
            f"{self.n_readings:,} JSON readings of F={F} features, {self.n_series} series, "
            f"windows of T={T}, H={hidden}"
        )

    def records(self) -> Iterator[Record]:
        """Yield the stream step by step, every series once a step."""
        encoder = ReadingEncoder(numeric_features(NAMES), ReadingFormat())
        n_steps = self.n_readings // self.n_series
        values = [signal(n_steps, seed=100 + i) for i in range(self.n_series)]
        for step in range(n_steps):
            for i in range(self.n_series):
                yield (
                    b"series-%d" % i,
                    encoder.encode(
                        series="",
                        time_ns=START_NS + step * STEP_NS,
                        values=values[i][step].tolist(),
                    ),
                )


def signal(n: int, seed: int) -> NDArray[np.float64]:
    """Return (n, F) sines of different periods with noise."""
    generator = np.random.default_rng(seed)
    phase = generator.uniform(0, 2 * np.pi, F)
    steps = np.arange(n)[:, None]
    periods = 10 + 3 * np.arange(F)
    noise = 0.2 * generator.normal(size=(n, F))
    values: NDArray[np.float64] = np.sin(2 * np.pi * steps / periods + phase) + noise
    return values
