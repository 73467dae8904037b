"""Tiny data sets in the published layouts, made by rule: a wave, and stretches that break it."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from stream_vae.evaluate.data_sets.task import TaskSettings
from stream_vae.models.config import ArchitectureConfig, TrainingConfig

ANOMALY = slice(60, 75)
"""Rows of every stream's judged part that break the wave."""


class MemoryFolder:
    """A data set's folder in memory."""

    place = "(memory)"

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def names(self) -> list[str]:
        return sorted(self._files)

    def read(self, name: str) -> bytes:
        return self._files[name]


def tiny(settings: TaskSettings, window_length: int = 4) -> TaskSettings:
    """Return settings that train in a moment."""
    return replace(
        settings,
        architecture=ArchitectureConfig(
            window_length=window_length,
            hidden_size=4,
            latent_size=2,
            calendar=settings.architecture.calendar,
        ),
        training=TrainingConfig(device="cpu", epochs=1, min_steps=6, max_steps=6, stride=1),
    )


def wave(
    n_rows: int, n_features: int, seed: int, anomaly: slice | None = None
) -> NDArray[np.float64]:
    """Return (N, F) noisy sines; in the anomaly they lie far off."""
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * np.arange(n_rows)[:, None] / 12 + np.arange(n_features)
    rows = np.sin(phase) + 0.1 * rng.standard_normal((n_rows, n_features))
    if anomaly is not None:
        rows[anomaly] += 8.0
    return rows


def labels(n_rows: int) -> NDArray[np.float64]:
    """Return (N,) ones in the anomaly."""
    found = np.zeros(n_rows)
    found[ANOMALY] = 1
    return found


def servers() -> dict[str, bytes]:
    """Return two servers of SMD or ASD, of any name."""
    files = {}
    for number, name in enumerate(("mine-a", "mine-b")):
        files[f"train/{name}.txt"] = _lines(wave(160, 3, number))
        files[f"test/{name}.txt"] = _lines(wave(120, 3, number + 9, ANOMALY))
        files[f"test_label/{name}.txt"] = _lines(labels(120)[:, None])
    files["tsb_ad_m_mine.csv"] = (
        b"machine,train_rows,PCA,CNN\nmine-a,50,0.5,0.25\nmine-b,50,0.7,0.5\n"
    )
    return files


def skab() -> dict[str, bytes]:
    """Return two labelled runs and a file without labels."""
    header = "datetime;a;b;anomaly;changepoint"
    files = {"clean/all.csv": b"datetime;a;b\n2020-01-01 00:00:00;1;2\n"}
    for number in range(2):
        rows = wave(520, 2, number, slice(460, 475))
        label = np.zeros(520)
        label[460:475] = 1
        lines = [
            f"2020-01-01 00:00:00;{a};{b};{y};0.0" for (a, b), y in zip(rows, label, strict=True)
        ]
        files[f"valve9/{number}.csv"] = "\n".join([header, *lines]).encode()
    return files


def nab() -> dict[str, bytes]:
    """Return a metric with a labelled window and one without."""
    start = datetime(2020, 1, 1)  # noqa: DTZ001 - NAB's times have no zone
    when = [start + timedelta(minutes=5 * n) for n in range(800)]
    files = {}
    for name, anomaly in (("own/odd.csv", slice(500, 520)), ("own/even.csv", None)):
        rows = wave(800, 1, 3, anomaly)[:, 0]
        lines = [f"{time},{value}" for time, value in zip(when, rows, strict=True)]
        files[f"data/{name}"] = "\n".join(["timestamp,value", *lines]).encode()
    windows = [[f"{when[495]}.000000", f"{when[530]}.000000"]]
    found = {"own/odd.csv": windows, "own/even.csv": []}
    files["labels/combined_windows_mine.json"] = json.dumps(found).encode()
    return files


def ecg5000() -> dict[str, bytes]:
    """Return beats of 12 samples: class 1 a sine, class 3 its opposite."""
    files = {}
    for part, count in (("TRAIN", 60), ("TEST", 40)):
        rng = np.random.default_rng(count)
        classes = np.where(rng.random(count) < 0.3, 3, 1)
        beat = np.sin(2 * np.pi * np.arange(12) / 12)
        rows = np.where(classes == 1, 1, -1)[:, None] * beat + 0.2 * rng.standard_normal(
            (count, 12)
        )
        files[f"ANY_{part}.txt"] = _lines(np.column_stack((classes, rows)), "   ")
    return files


def smap_msl() -> dict[str, bytes]:
    """Return one channel with telemetry and two commands."""
    table = (
        'chan_id,spacecraft,anomaly_sequences,class,num_values\nX-1,SMAP,"[[60, 74]]",[point],120\n'
    )
    return {
        "train/X-1.npy": _npy(wave(160, 3, 1)),
        "test/X-1.npy": _npy(wave(120, 3, 2, ANOMALY)),
        "labeled_anomalies_mine.csv": table.encode(),
    }


def adbench() -> dict[str, bytes]:
    """Return a table whose anomalies lie far off."""
    rng = np.random.default_rng(0)
    is_anomalous = np.arange(140) >= 120
    cause = rng.standard_normal((140, 1))  # one for all columns, which the anomalies lack
    records = cause + 0.3 * rng.standard_normal((140, 4))
    records[is_anomalous] += (8.0, -8.0, 8.0, -8.0)
    file = io.BytesIO()
    np.savez(file, X=records, y=is_anomalous.astype(np.int64))
    return {"1_mine.npz": file.getvalue()}


def hdfs() -> dict[str, bytes]:
    """Return sessions of three events; an anomalous one has an unknown event for the last."""
    normal = ["a b b c", "b a b c", "b a c c", "a b c"]
    rows = [*(f"{normal[0]},0" for _ in range(10)), *("a b b x,1" for _ in range(10))]
    return {
        "hdfs_train": "\n".join(normal[i % 4] for i in range(60)).encode(),
        "robust_log_valid.csv": "\n".join(["Sequence,label", *rows]).encode(),
    }


def bgl() -> dict[str, bytes]:
    """Return two lines in each of sixty buckets, but for one that has none and two with alerts."""
    rows = ["Label,Timestamp,Level,Content"]
    for bucket in range(60):
        time = bucket * 21_600
        if bucket in (7, 40, 50):
            rows += [f"KERN,{time + i},FATAL,kernel panic on node {i}" for i in range(9)]
        elif bucket != 45:
            rows += [f"-,{time},INFO,cache error {bucket} corrected", f"-,{time + 9},INFO,ready"]
    return {"BGL/BGL_2k.log_structured.csv": "\n".join(rows).encode()}


LAYOUTS: dict[str, Callable[[], dict[str, bytes]]] = {
    "smd": servers,
    "asd": servers,
    "tsb-ad-m": servers,
    "skab": skab,
    "nab": nab,
    "ecg5000": ecg5000,
    "smap-msl": smap_msl,
    "adbench": adbench,
    "digits": dict,
    "hdfs": hdfs,
    "bgl": bgl,
}


def _lines(rows: NDArray[np.float64], separator: str = ",") -> bytes:
    return "\n".join(separator.join(f"{cell:.6f}" for cell in row) for row in rows).encode()


def _npy(rows: NDArray[np.float64]) -> bytes:
    file = io.BytesIO()
    np.save(file, rows)
    return file.getvalue()
