"""Detection on the Server Machine Dataset: the model beside its baselines.

    python tests/benchmarks/detection.py --data-dir DIR [--seeds 0,1,2] [--machines 1-7,2-1]

DIR holds `smd/train`, `smd/test` and `smd/test_label` with the files machine-N-M.txt, gzipped or
not, as the authors published them (github.com/NetManAIOps/OmniAnomaly, MIT licence).

Every method learns from the training file alone: the first 80 % of it to fit (of these the network
uses an eighth for early stopping), the last 20 % to calibrate. A row of the test file is scored by
the window of T rows that ends there; the first T - 1 rows have none and are left out for every
method. Figures are point by point, without any adjustment; over machines first, then mean and
standard deviation over seeds.
"""

import argparse
import gzip
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import stream_vae
from stream_vae.core.model_spec import Feature
from stream_vae.core.scaling import Scaler
from stream_vae.evaluate.baselines import (
    T2Q,
    NearestWindow,
    PcaWindows,
    WindowModel,
)
from stream_vae.evaluate.metrics import average_precision, roc_auc
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.residuals import ResidualScorer
from stream_vae.models.scoring import WindowScorer
from stream_vae.models.training.train import train
from stream_vae.models.training.training_windows import TrainingSeries

STEP_SECONDS = 60
MACHINES = "1-7,2-1,2-7,3-3"
VAE_SCORES = ("log_probability", "recency")
REFERENCE_WINDOWS = 4096
BATCH = 1024

Number = TypeVar("Number", np.float32, np.float64)
Methods = Iterator[tuple[str, NDArray[np.float64]]]
"""Method -> (N - T + 1,) scores of the test rows from T - 1 on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One server: 38 metrics at one-minute steps."""

    train: NDArray[np.float64]
    """(M, F)"""
    test: NDArray[np.float64]
    """(N, F)"""
    is_anomalous: NDArray[np.bool_]
    """(N,)"""

    @classmethod
    def read(cls, folder: Path, name: str) -> "Machine":
        """Read a machine from the data set's folder."""
        return cls(
            train=_read_numbers(folder / "train" / f"machine-{name}.txt"),
            test=_read_numbers(folder / "test" / f"machine-{name}.txt"),
            is_anomalous=_read_numbers(folder / "test_label" / f"machine-{name}.txt")[:, 0] > 0,
        )


def vae_scores(machine: Machine, *, window_length: int, seed: int) -> Methods:
    """Train the product's model and yield its scores of the test rows."""
    n_rows, n_features = machine.train.shape
    step_ns = STEP_SECONDS * 10**9
    series = TrainingSeries(
        key="machine", times=np.arange(n_rows, dtype=np.int64) * step_ns, values=machine.train
    )
    model = train(
        [series],
        features=[Feature(name=f"metric_{number}") for number in range(n_features)],
        step_seconds=STEP_SECONDS,
        architecture=ArchitectureConfig(window_length=window_length),
        training=TrainingConfig(seed=seed, device="cpu"),
        model_id="smd",
        now=datetime.now(UTC),
    )
    windows = _windows(machine.test, window_length)
    end_times = (np.arange(len(windows), dtype=np.int64) + window_length - 1) * step_ns
    for name in VAE_SCORES:
        scorer = WindowScorer(model.bundle, score=name, device="cpu")
        yield f"VAE {name}", scorer.score(windows, end_times).value


def baseline_scores(machine: Machine, *, window_length: int, seed: int) -> Methods:
    """Fit the baselines and yield their scores of the test rows."""
    held_out_from = round(len(machine.train) * (1 - TrainingConfig().calibration_fraction))
    scaler = Scaler.fit(machine.train[:held_out_from])
    learnt = scaler.transform(machine.train[:held_out_from])
    held_out = scaler.transform(machine.train[held_out_from:])
    test = scaler.transform(machine.test)
    windows = _windows(learnt, window_length)
    calibration, targets = _windows(held_out, window_length), _windows(test, window_length)
    pca = PcaWindows(windows[:: TrainingConfig().stride])
    nearest = NearestWindow(windows, most=REFERENCE_WINDOWS, rng=np.random.default_rng(seed))
    yield "PCA T2+Q", _in_batches(T2Q(pca, calibration).score, targets)
    models: dict[str, WindowModel] = {"PCA 90 %": pca, "1-NN": nearest}
    for name, model in models.items():
        usual = _in_batches(model.residual, calibration)
        residual = _in_batches(model.residual, targets)
        yield name, ResidualScorer("squared_error", usual).score(residual)
        yield f"{name} recency", ResidualScorer("recency", usual).score(residual)


def main() -> int:
    """Run the comparison and print it."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    console = Console()
    began = time.perf_counter()
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    T = ArchitectureConfig().window_length
    for name in arguments.machines.split(","):
        machine = Machine.read(arguments.data_dir / "smd", name)
        labels = machine.is_anomalous[T - 1 :]
        for seed in map(int, arguments.seeds.split(",")):
            for methods in (vae_scores, baseline_scores):
                for method, scores in methods(machine, window_length=T, seed=seed):
                    point = average_precision(labels, scores), roc_auc(labels, scores)
                    found.setdefault(method, {}).setdefault(name, []).append(point)
            console.print(f"machine {name}, seed {seed}: {time.perf_counter() - began:.0f} s")
    for number, title in enumerate(("average precision", "area under ROC")):
        console.print(_table(title, found, number))
    console.print(
        f"python tests/benchmarks/detection.py {' '.join(sys.argv[1:])}\n"
        f"stream-vae {stream_vae.__version__}, torch {torch.__version__}, numpy {np.__version__}, "
        f"{arguments.threads} thread(s), wall time {time.perf_counter() - began:.0f} s",
        soft_wrap=True,
    )
    return 0


def _table(
    title: str, found: dict[str, dict[str, list[tuple[float, float]]]], number: int
) -> Table:
    table = Table(title=f"SMD, {title}; all methods on windows")
    table.add_column("method")
    for machine in next(iter(found.values())):
        table.add_column(machine, justify="right")
    table.add_column("mean ± over seeds", justify="right")
    for method, per_machine in found.items():
        values = np.array([[point[number] for point in points] for points in per_machine.values()])
        over_seeds = values.mean(axis=0)
        cells = [f"{mean:.3f}" for mean in values.mean(axis=1)]
        table.add_row(method, *cells, f"{over_seeds.mean():.3f} ± {over_seeds.std():.3f}")
    return table


def _windows(rows: NDArray[Number], window_length: int) -> NDArray[Number]:
    """Return a view (N - T + 1, T, F) of every window of (N, F) rows."""
    view = np.lib.stride_tricks.sliding_window_view(rows, window_length, axis=0)
    return view.transpose(0, 2, 1)


def _in_batches(
    compute: Callable[[NDArray[np.float32]], NDArray[Number]], windows: NDArray[np.float32]
) -> NDArray[Number]:
    return np.concatenate(
        [compute(windows[at : at + BATCH]) for at in range(0, len(windows), BATCH)]
    )


def _read_numbers(path: Path) -> NDArray[np.float64]:
    """Read comma-separated rows from the file, or from its gzipped form."""
    zipped = path.with_name(path.name + ".gz")
    text = gzip.decompress(zipped.read_bytes()).decode() if zipped.exists() else path.read_text()
    return np.array([line.split(",") for line in text.split()], dtype=np.float64)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder that holds smd/")
    parser.add_argument("--seeds", default="0,1,2", help="comma-separated")
    parser.add_argument("--machines", default=MACHINES, help="comma-separated, like 1-7,2-1")
    parser.add_argument("--threads", type=int, default=1, help="for torch")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
