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
from stream_vae.models.provenance import Candidate
from stream_vae.models.training.calibration import score_windows
from stream_vae.models.training.reports import LabelReport, TrainingReport
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


def make_validation(n: int = 300) -> WindowSet:
    steps = np.random.default_rng(0).normal(size=(n, 2)).astype(np.float32)
    times = np.arange(n, dtype=np.int64) * 60 * 10**9
    return WindowSet(steps=steps, times=times, starts=np.arange(n - 7), window_length=8)


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
            validation=validation,
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
    model = TrainedModel(
        bundle=load_bundle(trained_bundle), report=REPORT, validation=make_validation()
    )
    console = Console(record=True, width=120)
    search(
        [Candidate(window_length=window, hidden_size=8, latent_size=3, score=None)],
        lambda *_: model,
        architecture=model.bundle.architecture,
        options=SearchOptions(trials=1, trial_seconds=60, by_labels=False),
        console=console,
    )
    assert ("windows are not searched" in console.export_text()) == (window == 1)
