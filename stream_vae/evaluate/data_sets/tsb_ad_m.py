"""TSB-AD-M on machines of the Server Machine Dataset.

Layout: SMD's `test/NAME.txt` and `test_label/NAME.txt`, and one `tsb_ad_m*.csv` with the columns
`machine`, `train_rows` and one for each method's published VUS-PR. A series is the machine's test
part: a detector learns from its first `train_rows` rows alone and judges all of them. Rows whose
window would begin before the series get the first row repeated in front.

The longest buffer of VUS-PR is the benchmark's estimate of a period from the first feature.

Settings are the product's defaults.

References:
    Liu & Paparrizos (2024), The Elephant in the Room: Towards A Reliable Time-Series Anomaly
    Detection Benchmark, NeurIPS.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stream_vae.errors import InputFileError
from stream_vae.evaluate.data_sets.folder import (
    DataFolder,
    counterpart,
    find_files,
    read_numbers,
    read_text,
)
from stream_vae.evaluate.data_sets.servers import SETTINGS, read_labels
from stream_vae.evaluate.data_sets.task import Part, Task, TaskSettings, stream_task

_LAYOUT = "test/NAME.txt, test_label/NAME.txt and tsb_ad_m.csv (columns machine, train_rows)"
_MACHINE, _TRAIN_ROWS = "machine", "train_rows"

_MOST_ROWS, _MOST_LAG, _LEAST_LAG, _LONGEST, _USUAL = 20_000, 400, 3, 300, 125
"""Constants of the benchmark's estimate of a period."""


def load_tsb_ad_m(folder: DataFolder, settings: TaskSettings = SETTINGS) -> Sequence[Part]:
    """Return a part for each machine of the table."""
    files = {
        name: find_files(folder, rf"{name}/([^/]+)\.txt", layout=_LAYOUT)
        for name in ("test", "test_label")
    }
    found = []
    for machine, train_rows in _train_rows(folder).items():
        paths = {
            name: counterpart(files[name], machine, folder, f"{name}/{machine}.txt")
            for name in files
        }
        read = partial(_task, folder, machine, paths, train_rows, settings)
        found.append(Part(file=machine, read=read))
    return found


def published_vus_pr(folder: DataFolder) -> dict[str, dict[str, float]]:
    """Return method -> machine -> published VUS-PR."""
    path, rows = _table(folder)
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        for method in (name for name in row if name not in {_MACHINE, _TRAIN_ROWS}):
            try:
                found.setdefault(method, {})[row[_MACHINE]] = float(row[method])
            except (TypeError, ValueError) as exc:
                raise InputFileError(
                    f"{folder.place}/{path}: found {row[method]!r} for {method}, expected a number"
                ) from exc
    return found


def usual_period(values: NDArray[np.float64]) -> int:
    """Return the lag in rows of the highest peak of the autocorrelation, as TSB-AD takes it.

    Peaks at lags of 4 to 399 count; where the highest is among the first few or beyond 303, or
    there is none, it is 125.

    Args:
        values: (N,) one feature.
    """
    centred = values[:_MOST_ROWS] - values[:_MOST_ROWS].mean()
    n_lags = min(_MOST_LAG, len(centred) - 1) + 1
    spectrum = np.abs(np.fft.rfft(centred, 2 * len(centred))) ** 2
    similar = np.fft.irfft(spectrum)[_LEAST_LAG:n_lags]
    inner = similar[1:-1]
    peaks = np.flatnonzero((inner > similar[:-2]) & (inner > similar[2:])) + 1
    if not len(peaks):
        return _USUAL
    highest = int(peaks[similar[peaks].argmax()])
    return highest + _LEAST_LAG if _LEAST_LAG <= highest <= _LONGEST else _USUAL


def _task(
    folder: DataFolder,
    machine: str,
    paths: Mapping[str, str],
    train_rows: int,
    settings: TaskSettings,
) -> Task:
    rows = read_numbers(folder, paths["test"])
    is_anomalous = read_labels(folder, paths["test_label"], len(rows))
    before = settings.architecture.window_length - 1
    task = stream_task(
        machine,
        train=rows[:train_rows],
        test=np.pad(rows, ((before, 0), (0, 0)), mode="edge"),
        is_anomalous=np.pad(is_anomalous, (before, 0)),
        step_seconds=60.0,
        settings=settings,
    )
    return replace(task, vus_buffer=usual_period(rows[:, 0]))


def _train_rows(folder: DataFolder) -> dict[str, int]:
    path, rows = _table(folder)
    try:
        return {row[_MACHINE]: int(row[_TRAIN_ROWS]) for row in rows}
    except (KeyError, TypeError, ValueError) as exc:
        raise InputFileError(
            f"{folder.place}/{path}: expected the columns machine and train_rows, a number: {exc}"
        ) from exc


def _table(folder: DataFolder) -> tuple[str, list[dict[str, str]]]:
    (path, *_) = find_files(folder, r"(tsb_ad_m[^/]*\.csv)", layout=_LAYOUT)
    return path, list(csv.DictReader(read_text(folder, path).splitlines()))
