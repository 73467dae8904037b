"""`train --search`: the best of several trainings, and how they are compared."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from stream_vae.commands.jobs.search import (
    LabelledScores,
    SearchOptions,
    average_precisions,
    search,
)
from stream_vae.commands.jobs.train_report import report_table
from stream_vae.edges.files.bundle_files import load_bundle
from stream_vae.edges.files.csv_readings import read_csv
from stream_vae.edges.files.training_data import to_training_series
from stream_vae.models.bundle_format import decode_bundle, encode_bundle
from stream_vae.models.provenance import Candidate, Tried
from stream_vae.models.training.calibration import score_windows
from stream_vae.models.training.reports import LabelReport, TrainingReport
from stream_vae.models.training.search import best_set_of
from stream_vae.models.training.train import TrainedModel
from stream_vae.models.training.training_windows import WindowSet

REPORT = TrainingReport(
    rows=10,
    series=1,
    features=(),
    windows={"training": 3},
    parameters=1,
    history=(),
    best_epoch=1,
    validation_log_likelihood=0.0,
    constant_log_likelihood=0.0,
    score="recency",
    calibration_quantiles={"recency": {1.0: 1.0}},
    labels=LabelReport(normal=8, anomalous=2, without_supervised=None, without_thresholds="why"),
)


def make_validation(n: int = 300, seed: int = 0) -> WindowSet:
    """Return noise; every fortieth row is labelled anomalous, and no different from the others."""
    steps = np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32)
    return WindowSet(
        steps=steps,
        times=np.arange(n, dtype=np.int64) * 60 * 10**9,
        starts=np.arange(n - 7),
        window_length=8,
        step_labels=(np.arange(n) % 40 == 39).astype(np.int8),
    )


PARTS = {
    part: make_validation(seed=seed)
    for seed, part in enumerate(("validation", "training", "calibration"))
}


def test_an_earlier_trial_that_is_the_best_again_is_fitted_once_more(trained_bundle: Path) -> None:
    """The second is the best calibrated of the first two; the third is too likely for it."""
    bundle, validation = load_bundle(trained_bundle), make_validation()
    scores = score_windows(bundle, validation, "recency")
    fitted: list[int] = []

    def fit(hidden: int) -> TrainedModel:
        log_likelihood, error = {16: (-1.0, 0.02), 32: (-1.015, 0.01), 48: (-0.985, 0.05)}[hidden]
        fitted.append(hidden)
        levels = np.full(1001, np.quantile(scores, 0.99 - error))
        calibration = {**bundle.spec.calibration, "recency": levels}
        return TrainedModel(
            bundle=replace(bundle, spec=replace(bundle.spec, calibration=calibration)),
            report=replace(REPORT, validation_log_likelihood=log_likelihood),
            parts={"validation": validation},
        )

    sizes = (16, 32, 48)
    console = Console(record=True, width=120)
    best = search(
        [
            Candidate(window_length=8, hidden_size=one, latent_size=3, score="recency")
            for one in sizes
        ],
        lambda architecture, _: fit(architecture.hidden_size),
        architecture=bundle.architecture,
        options=SearchOptions(trials=3, trial_seconds=60, by_labels=False),
        console=console,
    )
    assert fitted == [16, 32, 48, 16]
    assert "trial 1 is the best again, and is fitted once more" in console.export_text()
    stored = decode_bundle(encode_bundle(best.bundle)).training.search
    assert [one.is_kept for one in stored] == [True, False, False]
    assert [one.candidate.hidden_size for one in stored] == [*sizes]
    assert [one.log_likelihood for one in stored] == [-1.0, -1.015, -0.985]


def labelled(first: int, scores: list[float], anomalous: set[int]) -> LabelledScores:
    rows = np.arange(first, first + len(scores))
    return LabelledScores(
        rows=np.stack([np.zeros_like(rows), rows], axis=1),
        scores=np.array(scores),
        is_anomalous=np.isin(rows, list(anomalous)),
    )


def test_trials_are_compared_on_the_rows_that_all_of_them_scored() -> None:
    """Row 0, which the short window alone sees, would cost it precision; 9 is all a third sees."""
    short = labelled(0, [9.0, 0.0, 5.0, 1.0], {2})
    long = labelled(1, [0.0, 5.0, 1.0], {2})
    assert average_precisions([short, long]) == [1.0, 1.0]
    assert average_precisions([short, None]) == [0.5, None]
    assert average_precisions([short, labelled(3, [1.0], {9}), long]) == [1.0, None, 1.0]


def test_a_declared_kind_is_not_contradicted(tmp_path: Path) -> None:
    """A control: what is not declared looks like a count."""
    path = tmp_path / "rows.csv"
    rows = [f"{60 * i},{i * i % 7},{i % 5}" for i in range(200)]
    path.write_text("\n".join(["timestamp,floor,errors", *rows]) + "\n")
    _, data = to_training_series(read_csv([path]))
    console = Console(record=True, width=200)
    console.print(report_table(data, REPORT, data.features, declared=["floor"]))
    told = console.export_text()
    assert "1: errors" in told
    assert "2 rows labelled 1, 8 labelled 0" in told
    assert "not chosen: why" in told


@pytest.mark.parametrize("window", [1, 8])
def test_a_search_over_events_tells_that_windows_stay(trained_bundle: Path, window: int) -> None:
    """Control: with windows nothing of the kind is told."""
    model = TrainedModel(bundle=load_bundle(trained_bundle), report=REPORT, parts=PARTS)
    console = Console(record=True, width=120)
    search(
        [Candidate(window_length=window, hidden_size=8, latent_size=3, score=None)],
        lambda *_: model,
        architecture=model.bundle.architecture,
        options=SearchOptions(trials=1, trial_seconds=60, by_labels=False),
        console=console,
    )
    assert ("windows are not searched" in console.export_text()) == (window == 1)


def test_members_are_searched_on_windows_that_none_of_them_knows(trained_bundle: Path) -> None:
    """A memory that knew the validation part would find all of it normal but what is labelled 1."""
    apart = np.arange(0, 1993, 8)  # every fifth of these windows ends with a labelled row
    parts = {
        part: replace(make_validation(2000, seed), starts=apart)
        for seed, part in enumerate(("validation", "training", "calibration"))
    }
    model = TrainedModel(bundle=load_bundle(trained_bundle), report=REPORT, parts=parts)
    console = Console(record=True, width=160)
    best = search(
        [Candidate(window_length=8, hidden_size=8, latent_size=3, score=None)],
        lambda *_: model,
        architecture=model.bundle.architecture,
        options=SearchOptions(trials=1, trial_seconds=60, by_labels=True),
        console=console,
    )
    tried = best.bundle.training.search
    assert [one.candidate.members for one in tried] == [
        None,
        "vae + components",
        "vae + memory",
        "vae",
    ]
    precisions = [one.average_precision for one in tried]
    assert all(one is not None and one < 0.4 for one in precisions), precisions
    (kept,) = (one for one in tried if one.is_kept)
    assert kept.average_precision == max(one for one in precisions if one is not None)
    wanted = kept.candidate.members or model.bundle.training.config.members
    assert best.bundle.training.config.members == wanted
    assert best.bundle.spec.score == ("tracked" if wanted == "vae" else "fused")
    assert "vae + components" in console.export_text()


@pytest.mark.parametrize(
    ("errors", "precisions", "by_labels", "kept"),
    [
        ([0.008, 0.004, 0.006], [0.3, 0.3, 0.3], False, 0),  # not clearly better calibrated
        ([0.010, 0.006, 0.004], [0.3, 0.3, 0.3], False, 2),
        ([0.010, 0.000, 0.000], [0.3, 0.3, 0.2], True, 0),  # as good: what was asked for stays
        ([0.000, 0.010, 0.010], [0.3, 0.2, 0.4], True, 2),
    ],
)
def test_a_smaller_set_of_members_must_be_better(
    errors: list[float], precisions: list[float], by_labels: bool, kept: int
) -> None:
    candidate = Candidate(window_length=8, hidden_size=8, latent_size=3, score=None)
    tried = [
        Tried(
            candidate=candidate,
            log_likelihood=-1.0,
            calibration_error=error,
            average_precision=precision,
        )
        for error, precision in zip(errors, precisions, strict=True)
    ]
    assert best_set_of(tried, by_labels=by_labels) == kept
