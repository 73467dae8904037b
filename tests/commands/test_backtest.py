"""`backtest` as a data scientist uses it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.commands.conftest import RunProgram, write_readings

WriteCsv = Callable[..., Path]


def with_labels(path: Path, name: str = "label") -> Path:
    """Add a column of labels: 1 where `write_csv` spoils its data."""
    header, *rows = path.read_text().splitlines()
    labels = [int("pump-1" in row and 150 <= i // 2 < 160) for i, row in enumerate(rows)]
    lines = [f"{row},{label}" for row, label in zip(rows, labels, strict=True)]
    path.write_text("\n".join([f"{header},{name}", *lines]) + "\n")
    return path


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """300 steps of two series, one of which is anomalous from 02:30 to 02:39."""
    return with_labels(write_readings(tmp_path / "week.csv", spoil=True, seed=4))


def report_of(
    run_program: RunProgram, bundle: Path, *arguments: object, replicates: int = 3, faults: int = 0
) -> dict[str, Any]:
    folder = bundle.parent / "report-of-test"
    done = run_program(
        *("backtest", "--bundle", bundle, "--out", folder, "--no-html", "--bootstrap", replicates),
        *("--injected-faults", faults, *arguments),
    )
    assert done.code == 0, done.err
    content: dict[str, Any] = json.loads((folder / "report.json").read_text())
    content["printed"] = done.out
    return content


def value(report: dict[str, Any], name: str) -> float:
    found = report["detector"][name]["value"]
    assert isinstance(found, float)
    return found


def methods(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {method["method"]: method["figures"] for method in report["methods"]}


def test_a_plain_anomaly_is_found_at_once_and_ranked_above_all_else(
    run_program: RunProgram, trained_bundle: Path, history: Path, write_csv: WriteCsv
) -> None:
    report = report_of(
        *(run_program, trained_bundle, "--input", history, "--train", write_csv("normal.csv")),
        replicates=20,
    )
    assert (value(report, "spans"), value(report, "spans_found")) == (1, 1)
    assert value(report, "recall") == 1.0
    assert value(report, "delay_median_s") == 60.0  # the second anomalous reading opens it
    figures = methods(report)
    assert next(iter(figures)) == "stream-vae"
    assert figures["stream-vae"]["average_precision"]["value"] > 0.5
    assert {"PCA Q", "PCA T2+Q", "1-NN", "isolation forest", "z-score"} <= set(figures)
    assert figures["z-score"]["average_precision"]["value"] > 0.9
    interval = figures["stream-vae"]["average_precision"]
    assert interval["low"] <= interval["value"] <= interval["high"] + 1e-9
    assert report["data"]["evaluated"] == 600
    assert "point_adjusted_f1" not in figures["stream-vae"]
    asked, realised = (report["rates"][of] for of in ("asked", "realised"))
    assert asked == {
        "readings_above_per_1000": pytest.approx(20),
        "incidents_per_series_week": None,
    }
    assert 0 < realised["readings_above_per_1000"] < 200
    assert realised["incidents_per_series_week"] > 0
    for words in ("labelled spans found", "1 of 1", ", asked 20", "PCA T2+Q", "moving blocks"):
        assert words in report["printed"]


@pytest.mark.slow
def test_labels_mean_the_same_in_every_form(
    run_program: RunProgram, trained_bundle: Path, history: Path, tmp_path: Path
) -> None:
    """A column of the input, by another name too, a row for each reading, and spans."""
    plain = write_readings(tmp_path / "plain.csv", spoil=True, seed=4)
    by_row = tmp_path / "rows.csv"
    column = [line.rpartition(",")[2] for line in history.read_text().splitlines()]
    by_row.write_text("\n".join(column) + "\n")
    spans = tmp_path / "spans.csv"
    spans.write_text(
        "start,end,series\n2026-01-01T02:30:00Z,2026-01-01T02:39:00Z,pump-1\n"
        "2027-01-01T00:00:00Z,2027-01-02T00:00:00Z,pump-2\n"
    )
    named = with_labels(write_readings(tmp_path / "named.csv", spoil=True, seed=4), "is_bad")
    reports = [
        report_of(run_program, trained_bundle, "--input", *arguments)
        for arguments in (
            (history,),
            (plain, "--labels", by_row),
            (plain, "--labels", spans),
            (named, "--label", "is_bad"),
        )
    ]
    assert all(one["detector"] == reports[0]["detector"] for one in reports)
    assert "1 labelled spans hold no reading" in " ".join(reports[2]["notes"])


def test_without_training_files_the_head_is_learnt_from_and_not_evaluated(
    run_program: RunProgram, trained_bundle: Path, history: Path
) -> None:
    report = report_of(run_program, trained_bundle, "--input", history)
    assert report["data"]["evaluated"] == 300
    assert (
        "the 300 readings of the input before the first anomalous one"
        in (report["baselines_trained_on"])
    )
    assert "not evaluated, for any method" in " ".join(report["notes"])


def test_too_short_a_head_leaves_the_baselines_out(
    run_program: RunProgram, trained_bundle: Path, history: Path
) -> None:
    header, *rows = history.read_text().splitlines()
    history.write_text("\n".join([header, *rows[280:]]) + "\n")
    report = report_of(run_program, trained_bundle, "--input", history)
    assert [*methods(report)] == ["stream-vae"]
    assert "no baselines" in " ".join(report["notes"])
    assert report["data"]["evaluated"] == 320


@pytest.mark.slow
def test_the_page_shows_every_series_and_the_figures(
    run_program: RunProgram, trained_bundle: Path, history: Path, tmp_path: Path
) -> None:
    done = run_program(
        *("backtest", "--bundle", trained_bundle, "--input", history, "--bootstrap", 0),
        *("--out", tmp_path / "report", "--injected-faults", 1),
    )
    assert done.code == 0, done.err
    page = (tmp_path / "report" / "report.html").read_text()
    assert page.count("<figure>") == 3 + 2 * 3
    for words in (
        "Latent space",
        "pump-1: score against",
        "pump-2: reconstruction error",
        "PCA T2+Q",
        "1 of 1",
        "Is it any good?",
        "level shift",
    ):
        assert words in page


def test_point_adjusted_f1_is_marked(
    run_program: RunProgram, trained_bundle: Path, history: Path
) -> None:
    report = report_of(run_program, trained_bundle, "--input", history, "--point-adjusted")
    assert "point_adjusted_f1" in methods(report)["stream-vae"]
    assert "inflated" in report["printed"]


def test_the_same_seed_gives_the_same_report(
    run_program: RunProgram, trained_bundle: Path, history: Path
) -> None:
    """Control: another seed draws other blocks."""
    reports = [
        report_of(run_program, trained_bundle, "--input", history, "--seed", seed, faults=1)
        for seed in (1, 1, 2)
    ]
    assert reports[0]["methods"] == reports[1]["methods"]
    assert reports[0]["methods"] != reports[2]["methods"]
    assert reports[0]["injected_faults"] == reports[1]["injected_faults"]
    assert reports[0]["injected_faults"]["methods"][0]["name"] == "stream-vae"


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (None, ("no labels", "column `label`", "--labels FILE")),
        ("label\n" + "0\n" * 600, ("one kind alone", "600 normal and 0 anomalous")),
        ("label\n" + "1\n" * 600, ("one kind alone", "0 normal and 600 anomalous")),
        ("label\n0\n1\n", ("2 rows of labels", "600 readings")),
        ("label\n" + "2\n" * 600, ("line 2", "expected 0 or 1")),
        ("start,end,series\n0,1,pump-9\n", ("line 2", "pump-9", "2 series: pump-1, pump-2")),
        ("start,end\n5,1\n", ("line 2", "end is before start")),
        ("start,end\nsoon,1\n", ("line 2", "column start")),
        ("from,to\n1,2\n", ("line 1", "from, to", "`start` and `end`")),
        ("", ("empty",)),
        ("start,end\n1\n", ("line 2", "1 cells; expected 2")),
    ],
)
def test_labels_that_cannot_be_used_are_refused(
    run_program: RunProgram,
    trained_bundle: Path,
    write_csv: WriteCsv,
    tmp_path: Path,
    labels: str | None,
    words: tuple[str, ...],
) -> None:
    arguments: list[object] = ["--input", write_csv("week.csv")]
    if labels is not None:
        (tmp_path / "labels.csv").write_text(labels)
        arguments += ["--labels", tmp_path / "labels.csv"]
    done = run_program("backtest", "--bundle", trained_bundle, *arguments)
    assert done.code == 2
    for word in words:
        assert word in done.err


def test_labels_within_warm_up_alone_are_refused(
    run_program: RunProgram, trained_bundle: Path, write_csv: WriteCsv, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("start,end\n2026-01-01T00:00:00Z,2026-01-01T00:02:00Z\n")
    done = run_program(
        *("backtest", "--bundle", trained_bundle, "--input", write_csv("week.csv")),
        *("--labels", labels),
    )
    assert done.code == 2
    assert "too little to rank" in done.err


def test_a_folder_that_cannot_be_written_is_told_at_once(
    run_program: RunProgram, trained_bundle: Path, history: Path
) -> None:
    done = run_program(
        *("backtest", "--bundle", trained_bundle, "--input", history, "--out", "/dev/null/x")
    )
    assert done.code == 2
    assert "--out /dev/null/x" in done.err


@pytest.mark.slow
def test_a_model_trained_on_noise_does_not_beat_its_baselines(
    run_program: RunProgram, small_config: Path, tmp_path: Path
) -> None:
    """Labels are drawn at random: no method can rank them, and none is said to.

    Control: the same model and baselines on anomalies that are there.
    """
    rng = np.random.default_rng(7)

    def write(name: str, n: int, *, lift: float, labelled: bool) -> Path:
        labels = np.repeat(rng.random(n // 10) < 0.1, 10)
        values = rng.normal(size=(n, 2)) + lift * labels[:, None]
        header = "timestamp,flow,level" + (",label" if labelled else "")
        lines = [
            f"{60 * i},{values[i, 0]:.4f},{values[i, 1]:.4f}"
            + (f",{int(labels[i])}" if labelled else "")
            for i in range(n)
        ]
        path = tmp_path / name
        path.write_text("\n".join([header, *lines]) + "\n")
        return path

    training = write("noise.csv", 1000, lift=0, labelled=False)
    bundle = tmp_path / "bundle"
    trained = run_program(
        *("train", "--input", training, "--bundle", bundle, "--config", small_config)
    )
    assert trained.code == 0, trained.err
    for lift in (0.0, 8.0):
        data = write("test.csv", 2000, lift=lift, labelled=True)
        figures = methods(report_of(run_program, bundle, "--input", data, "--train", training))
        ours = figures.pop("stream-vae")["roc_auc"]["value"]
        best = max(method["roc_auc"]["value"] for method in figures.values())
        if lift:
            assert ours > 0.85
            assert best > 0.85
        else:
            assert ours < best + 0.03
            assert 0.4 < ours < 0.6
