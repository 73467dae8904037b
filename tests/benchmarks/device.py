"""Windows a second of the bare model on each device: `python -m tests.benchmarks.device`.

No broker is needed. The batch is that of `worker.max_batch`; the best of three rounds counts.
"""

import argparse
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from stream_vae.core.model_spec import Feature
from stream_vae.models.bundle import Bundle
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.scoring import WindowScorer
from stream_vae.models.training.fitting import Listeners
from stream_vae.models.training.train import train
from stream_vae.models.training.training_windows import TrainingSeries

T, F, BATCH = 32, 8, 128
_ROUND_S = 1.0
_STEPS = 60


def main() -> None:
    """Measure every combination and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    torch.set_num_threads(parser.parse_args().threads)
    table = Table("device", "H", "batch", "windows/s", title="bare model, T = 32, F = 8, recency")
    for device in devices():
        for hidden in (32, 64):
            bundle, steps_per_second = trained(hidden, device)
            training = f"training, {BATCH} a step"
            table.add_row(
                name_of(device), str(hidden), training, f"{steps_per_second * BATCH:,.0f}"
            )
            for batch in (1, 32, 256, 2048):
                rate = windows_per_second(bundle, device, batch)
                table.add_row(name_of(device), str(hidden), str(batch), f"{rate:,.0f}")
    Console(width=100).print(table)


def devices() -> Iterator[str]:
    """Yield the CPU and each CUDA device."""
    yield "cpu"
    yield from (f"cuda:{number}" for number in range(torch.cuda.device_count()))


def name_of(device: str) -> str:
    """Return a device's name for people."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def trained(hidden: int, device: str) -> tuple[Bundle, float]:
    """Return a model after a few optimiser steps, and their rate without the first half."""
    values = np.random.default_rng(0).normal(size=(4000, F))
    times = np.arange(len(values), dtype=np.int64) * 10**9
    done: list[float] = []
    result = train(
        [TrainingSeries(key="s", times=times, values=values)],
        features=[Feature(name=f"f{number}") for number in range(F)],
        step_seconds=1.0,
        architecture=ArchitectureConfig(window_length=T, hidden_size=hidden),
        training=TrainingConfig(
            epochs=1, min_steps=_STEPS, max_steps=_STEPS, batch_size=BATCH, device=device
        ),
        model_id="benchmark",
        now=datetime.now(UTC),
        listeners=Listeners(batch=lambda _: done.append(time.perf_counter())),
    )
    half = _STEPS // 2
    return result.bundle, half / (done[-1] - done[-1 - half])


def windows_per_second(bundle: Bundle, device: str, batch: int) -> float:
    """Return the rate of one scorer, transfers to the device and back included."""
    scorer = WindowScorer(bundle, device=device, max_batch=max(batch, 8))
    values = np.random.default_rng(0).normal(size=(batch, T, F))
    times = np.arange(batch, dtype=np.int64) * 10**9
    best = 0.0
    for _ in range(3):
        done, began = 0, time.perf_counter()
        while (passed := time.perf_counter() - began) < _ROUND_S:
            scorer.score(values, times)
            done += batch
        best = max(best, done / passed)
    return best


if __name__ == "__main__":
    main()
