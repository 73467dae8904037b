"""Sessions of HDFS: the events of a block in their order, normal ones to learn from.

Layout: `hdfs_train`, a session a line, its event ids separated by blanks; `robust_log_valid.csv`,
a header, then a session and its label a line, 1 = anomalous.

A session is an event record of the logarithms of 1 + how often each event of the training file
occurred in it, and of how many others did. The judged file has as many anomalous sessions as normal
ones; precision and F1 are those at the share of the whole log, 2.9 %, as the published ones are.
The cut is the daemon's first threshold at 99.9 %, a quantile of a Pareto tail over the scores of
training sessions that the fitted model has not seen; the plain quantile of 4,855 is their fifth.
The scaling and the floor of the decoder's scale were chosen on training sessions alone, by how many
of those cut short, with an event less, an event twice or an unknown event lie above the plain one.

References:
    Du et al. (2017), DeepLog: Anomaly Detection and Diagnosis from System Logs through Deep
    Learning, CCS.
    Meng et al. (2019), LogAnomaly: Unsupervised Detection of Sequential and Quantitative Anomalies
    in Unstructured Logs, IJCAI.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stream_vae.errors import InputFileError
from stream_vae.evaluate.data_sets.folder import DataFolder, find_files, read_text
from stream_vae.evaluate.data_sets.task import (
    HELD_OUT,
    OtherScores,
    Part,
    Task,
    TaskSettings,
    sequence_task,
)
from stream_vae.evaluate.markov_chain import MarkovChain
from stream_vae.models.config import ArchitectureConfig, TrainingConfig

PREVALENCE = 0.029
"""Anomalous sessions of the whole log, 16,838 of 575,061."""

SETTINGS = TaskSettings(
    architecture=ArchitectureConfig(
        window_length=1, hidden_size=48, latent_size=4, sigma_floor=0.03
    ),
    training=TrainingConfig(
        device="cpu",
        stride=1,
        min_steps=1000,
        scaling="min_max",
        calibration="cross_validation",
    ),
    scores=("log_probability",),
    cut="threshold",
    cut_quantile=0.999,
    prevalence=PREVALENCE,
)

Session = tuple[str, ...]


def load_hdfs(folder: DataFolder, settings: TaskSettings = SETTINGS) -> Sequence[Part]:
    """Return the one part."""
    layout = "hdfs_train and robust_log_valid.csv"
    train, test = (
        next(iter(find_files(folder, rf"((?:.*/)?{name})", layout=layout).values()))
        for name in ("hdfs_train", r"robust_log_valid\.csv")
    )
    return [Part(file="sessions", read=partial(_task, folder, train, test, settings))]


def _task(folder: DataFolder, train: str, test: str, settings: TaskSettings) -> Task:
    learnt = _read_normal(folder, train)
    learnt = [learnt[i] for i in np.random.default_rng(0).permutation(len(learnt))]
    judged, is_anomalous = _read_labelled(folder, test)
    known = sorted({event for session in learnt for event in session})
    return sequence_task(
        "sessions",
        train=np.log1p(counts(learnt, known))[:, None, :],
        test=np.log1p(counts(judged, known))[:, None, :],
        is_anomalous=is_anomalous,
        settings=settings,
        others=_markov(learnt, judged),
    )


def counts(sessions: Sequence[Session], known: Sequence[str]) -> NDArray[np.float64]:
    """Return (B, F) how often each known event occurs in a session, and last how many others do."""
    column = {event: f for f, event in enumerate(known)}
    found = np.zeros((len(sessions), len(known) + 1))
    for row, session in zip(found, sessions, strict=True):
        for event in session:
            row[column.get(event, -1)] += 1
    return found


def _markov(learnt: Sequence[Session], judged: Sequence[Session]) -> tuple[OtherScores, ...]:
    """Return the scores of a chain of the events' order, fitted to what other baselines are."""
    held_from = round(len(learnt) * (1 - HELD_OUT))
    chain = MarkovChain(learnt[:held_from])
    return tuple(
        OtherScores(
            method="Markov chain",
            score=name,
            test=chain.score(judged, name),
            reference=chain.score(learnt[held_from:], name),
        )
        for name in ("largest", "mean")
    )


def _read_normal(folder: DataFolder, path: str) -> list[Session]:
    found = [tuple(line.split()) for line in read_text(folder, path).splitlines()]
    found = [session for session in found if session]
    if len(found) < 2:
        raise InputFileError(
            f"{folder.place}/{path}: found {len(found)} sessions, expected event ids, a session a "
            "line"
        )
    return found


def _read_labelled(folder: DataFolder, path: str) -> tuple[list[Session], NDArray[np.bool_]]:
    rows = [line.split(",") for line in read_text(folder, path).splitlines()[1:] if line.strip()]
    for number, row in enumerate(rows, start=2):
        if len(row) != 2 or row[1].strip() not in {"0", "1"}:
            raise InputFileError(
                f"{folder.place}/{path}, line {number}: found {','.join(row)[:60]!r}, expected "
                "event ids, a comma and 0 or 1"
            )
    labels = np.array([row[1].strip() == "1" for row in rows], np.bool_)
    return [tuple(row[0].split()) for row in rows], labels
