"""Lines of the supercomputer BlueGene/L, counted in buckets of six hours.

Layout: that of Loghub's sample, `BGL_2k.log_structured.csv`, with the columns `Label` (`-` = no
alert), `Timestamp` (seconds since 1970), `Level` and `Content`.

The first half of the time without the buckets that hold an alert is learnt from: its lines are
mined for templates, and every bucket, an empty one too, is an event record of the logarithms of
1 + its lines of each template, of each level, of none of the templates, and in all. The buckets of
the second half are judged, anomalous with any alert. The sample is of 2,000 lines out of 4,747,963,
so most buckets hold a line or two and a failure shows in few of its lines.

References:
    Oliner & Stearley (2007), What Supercomputers Say: A Study of Five System Logs, DSN.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stream_vae.errors import InputFileError
from stream_vae.evaluate.data_sets.folder import DataFolder, find_files, read_text
from stream_vae.evaluate.data_sets.task import Part, Task, TaskSettings, sequence_task
from stream_vae.inputs.log_lines.levels import LEVELS, levels_of
from stream_vae.inputs.log_lines.line_counts import LineCounter, features_of
from stream_vae.logs.templates import Templates, mine
from stream_vae.models.config import ArchitectureConfig, TrainingConfig

SETTINGS = TaskSettings(
    architecture=ArchitectureConfig(
        window_length=1, hidden_size=48, latent_size=4, sigma_floor=0.1
    ),
    training=TrainingConfig(
        device="cpu",
        stride=1,
        min_steps=1500,
        calibration="cross_validation",
        combined="log_probability + latent_cluster",
        latent_clusters=1,
    ),
    scores=("worst_feature", "combined", "log_probability"),
)
"""Those of the tables of event records."""

BUCKET_SECONDS = 6 * 3600

_COLUMNS = ("Label", "Timestamp", "Level", "Content")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lines:
    """N lines."""

    texts: list[str]
    levels: NDArray[np.int8]
    """(N,)"""
    buckets: NDArray[np.int64]
    """(N,) from 0."""
    is_alert: NDArray[np.bool_]
    """(N,)"""


def load_bgl(folder: DataFolder, settings: TaskSettings = SETTINGS) -> Sequence[Part]:
    """Return the one part."""
    name = r"BGL_2k\.log_structured\.csv"
    found = find_files(folder, rf"((?:.*/)?{name})", layout="BGL_2k.log_structured.csv")
    path = next(iter(found.values()))
    return [Part(file="6 h buckets", read=partial(_task, folder, path, settings))]


def _task(folder: DataFolder, path: str, settings: TaskSettings) -> Task:
    lines = _read(folder, path)
    n_buckets = int(lines.buckets.max()) + 1
    has_alert = np.bincount(lines.buckets[lines.is_alert], minlength=n_buckets) > 0
    is_judged = np.arange(n_buckets) >= n_buckets // 2
    is_learnt = ~is_judged & ~has_alert
    rows = np.log1p(_counts(lines, is_learnt))[:, None, :]
    return sequence_task(
        "6 h buckets",
        train=rows[is_learnt],
        test=rows[is_judged],
        is_anomalous=has_alert[is_judged],
        settings=settings,
    )


def _counts(lines: _Lines, is_learnt: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return (N, F) counts of all buckets, by the templates and levels of those learnt from."""
    learnt = is_learnt[lines.buckets]
    logs = mine([text for text, chosen in zip(lines.texts, learnt, strict=True) if chosen])
    levels = [LEVELS[code] for code in np.unique(lines.levels[learnt]) if code]
    features = features_of(logs.templates, levels)
    counter = LineCounter(features, logs.templates)
    found = np.zeros((len(is_learnt), len(features)))
    np.add.at(
        found,
        lines.buckets,
        counter.vectors(Templates(logs).match(lines.texts), lines.levels),
    )
    return found


def _read(folder: DataFolder, path: str) -> _Lines:
    reader = csv.DictReader(io.StringIO(read_text(folder, path)))
    try:
        rows = [tuple(row[name] for name in _COLUMNS) for row in reader]
        times = np.array([row[1] for row in rows], np.int64)
    except (KeyError, ValueError) as exc:
        raise InputFileError(
            f"{folder.place}/{path}: expected columns {', '.join(_COLUMNS)}, the time in whole "
            f"seconds: {exc!r}"
        ) from exc
    if len(rows) < 2:
        raise InputFileError(f"{folder.place}/{path}: found {len(rows)} lines, expected more")
    buckets = times // BUCKET_SECONDS
    return _Lines(
        texts=[row[3] for row in rows],
        levels=levels_of([row[2] for row in rows]),
        buckets=buckets - buckets.min(),
        is_alert=np.array([row[0] != "-" for row in rows]),
    )
