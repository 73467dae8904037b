"""`stream-vae benchmark`: the folder, the table, the rows."""

import gzip
import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from stream_vae.commands.jobs import benchmark as jobs
from stream_vae.commands.jobs.benchmark import BenchmarkRequest, run_benchmarks
from stream_vae.commands.jobs.benchmark_table import (
    benchmark_table,
    difference_table,
    difference_words,
)
from stream_vae.edges.files.data_folder import FileFolder
from stream_vae.errors import ConfigError, InputFileError
from stream_vae.evaluate.data_sets.families import FAMILIES
from stream_vae.evaluate.data_sets.paired import paired_differences
from stream_vae.evaluate.data_sets.run import Job
from stream_vae.evaluate.data_sets.summaries import BenchmarkRow, Result
from tests.evaluate.data_sets.layouts import LAYOUTS, MemoryFolder


def written(folder: Path, name: str, *, packed: bool = False) -> Path:
    for file, content in LAYOUTS[name]().items():
        path = folder / (f"{file}.gz" if packed else file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content) if packed else content)
    return folder


def request(name: str, data_dir: Path | None, **options: Any) -> BenchmarkRequest:
    usual: dict[str, Any] = {"seeds": range(1), "files": (), "processes": 1, "each_file": False}
    return BenchmarkRequest(
        **{"names": (name,), "data_dir": data_dir, "json_file": None, **usual, **options}
    )


@pytest.mark.slow
def test_the_table_and_the_rows_hold_model_and_baselines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path / "adbench_tabular", "adbench")
    run_benchmarks(request("adbench", tmp_path, json_file=tmp_path / "rows.json"))
    found = json.loads((tmp_path / "rows.json").read_bytes())
    rows = found["rows"]
    assert {"PCA Q", "isolation forest"} <= {one["method"] for one in found["differences"]}
    assert {"stream-vae", "PCA Q", "isolation forest"} <= {row["method"] for row in rows}
    for row in rows:
        assert row.keys() == {"data", "file", "method", "score", "seed", "metrics"}
        assert {"average_precision", "roc_auc", "best_f1"} <= row["metrics"].keys()
    assert "isolation forest" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "folder", "files", "says"),
    [
        ("mnist", ".", [], "expected one of smd"),
        ("smd", None, [], "--data-dir is missing"),
        ("smd", "absent", [], "found no folder"),
        ("smd", ".", [], "train/NAME.txt"),
        ("adbench", "there", ["other"], "--file 'other': not in the set"),
    ],
)
def test_a_mistake_is_named(
    tmp_path: Path, name: str, folder: str | None, files: list[str], says: str
) -> None:
    written(tmp_path / "there", "adbench")
    data_dir = None if folder is None else tmp_path / folder
    with pytest.raises(ConfigError, match=says):
        run_benchmarks(request(name, data_dir, files=files))


def test_templates_of_log_lines_are_held_to_those_found_by_hand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two systems, one is grouped as by hand; in the other two events by hand are one."""
    for system, by_hand in (("Mill", "AABB"), ("Kiln", "AABC")):
        folder = tmp_path / "loghub_2k" / system
        folder.mkdir(parents=True)
        lines = ["run 1 began", "run 2 began", "belt 3 slipped off", "belt 4 slipped off"]
        rows = "".join(f"{line},{event}\n" for line, event in zip(lines, by_hand, strict=True))
        (folder / f"{system}_2k.log_structured.csv").write_text(f"Content,EventId\n{rows}")
    json_file = tmp_path / "rows.json"
    run_benchmarks(request("loghub", tmp_path, json_file=json_file))
    found = {row["file"]: row["metrics"] for row in json.loads(json_file.read_bytes())["rows"]}
    assert found["Mill"] == {"grouping_accuracy": 1.0, "templates": 2.0, "events": 2.0}
    assert found["Kiln"] == {"grouping_accuracy": 0.5, "templates": 2.0, "events": 3.0}
    assert "0.7500" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="--file 'Saw': not in the set"):
        run_benchmarks(request("loghub", tmp_path, files=("Saw",)))


def test_a_packed_file_reads_as_the_plain_one(tmp_path: Path) -> None:
    plain = FileFolder(written(tmp_path / "plain", "smd"))
    packed = FileFolder(written(tmp_path / "packed", "smd", packed=True))
    assert packed.names() == plain.names()
    assert all(packed.read(name) == plain.read(name) for name in plain.names())


def test_a_damaged_packed_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.txt.gz").write_bytes(b"no gzip")
    with pytest.raises(InputFileError, match=r"x\.txt\.gz"):
        FileFolder(tmp_path).read("x.txt")


def result(file: str, seed: int, vus_pr: float) -> Result:
    row = BenchmarkRow(
        data="tsb-ad-m",
        file=file,
        method="stream-vae",
        score="recency",
        seed=seed,
        metrics={"vus_pr": vus_pr},
    )
    none = np.zeros(0, np.bool_)
    return Result(row=row, test=np.zeros(0), is_anomalous=none, is_detected=none, judged_from=0)


RESULTS = [
    result("mine-a", 0, 0.2),
    result("mine-b", 0, 0.4),
    result("mine-a", 1, 0.4),
    result("mine-b", 1, 0.6),
    result("mine-a", 2, 0.9),  # interrupted before its other file
]


def test_an_interrupted_run_leaves_the_table_and_the_rows_of_what_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def trained_once(job: Job, *_: object) -> list[Result]:
        if job.part.file == "mine-b":
            raise KeyboardInterrupt
        return RESULTS[:1]

    monkeypatch.setattr(jobs, "run_job", trained_once)
    written(tmp_path / "smd", "tsb-ad-m")
    with pytest.raises(KeyboardInterrupt):
        run_benchmarks(request("tsb-ad-m", tmp_path, json_file=tmp_path / "rows.json"))
    assert "1 of 2 parts" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "rows.json").read_bytes())["rows"]) == 1


@pytest.mark.parametrize(
    ("results", "each_file", "lines"),
    [
        (RESULTS, False, ["0.6000", "0.3750", "0.4000 ± 0.1414"]),
        (RESULTS[:1], False, ["0.5000", "0.2500", "0.2000"]),
        (
            RESULTS,
            True,
            ["0.5000", "0.7000", "0.2500", "0.5000", "0.5000 ± 0.3606", "0.5000 ± 0.1"],
        ),
    ],
)
def test_a_row_is_the_mean_over_files_and_its_spread_over_seeds(
    results: list[Result], each_file: bool, lines: list[str]
) -> None:
    family = FAMILIES["tsb-ad-m"]
    published = family.published_in(MemoryFolder(LAYOUTS["tsb-ad-m"]()))
    out = StringIO()
    table = benchmark_table(family, published, results, n_parts=2, each_file=each_file)
    Console(file=out, width=120).print(table)
    rows = [
        line for line in out.getvalue().splitlines() if "published" in line or "recency" in line
    ]
    for row, expected in zip(rows, lines, strict=True):
        assert expected in row
    assert f"{1 if len(results) == 1 else 2} of 2 parts" in out.getvalue()


def row(file: str, method: str, seed: int, vus_pr: float) -> BenchmarkRow:
    figures = {"vus_pr": vus_pr}
    return BenchmarkRow(
        data="tsb-ad-m", file=file, method=method, score="s", seed=seed, metrics=figures
    )


def test_a_difference_is_of_the_same_files_and_its_interval_of_drawn_files() -> None:
    levels = np.random.default_rng(0).uniform(0.2, 0.8, 12)
    rows = [
        row(f"f{at}", method, seed, level + add)
        for at, level in enumerate(levels)
        for method, seed, add in (
            ("ours", 0, 0.0),
            ("ours", 1, 0.2),
            ("lower", 0, 0.05),  # the mean of ours is 0.05 above, on every file
            ("noise", 0, 0.1 + (-1) ** at * 0.1),
        )
    ]
    rows.append(row("elsewhere", "lower", 0, 0.9))  # ours has no such file
    found = paired_differences(rows, reference=("ours", "s"), figure="vus_pr", seed=0)
    lower, noise = found
    assert lower.files == 12
    assert lower.mean == pytest.approx(0.05)
    assert lower.interval == pytest.approx((0.05, 0.05))
    assert noise.interval is not None
    assert noise.mean == pytest.approx(0.0)
    assert -0.1 < noise.interval[0] < -0.03 < 0.03 < noise.interval[1] < 0.1
    again = list(paired_differences(rows, reference=("ours", "s"), figure="vus_pr", seed=0))
    assert again == [lower, noise]
    out = StringIO()
    Console(file=out, width=120).print(difference_table(FAMILIES["tsb-ad-m"], again))
    assert "+0.0500 to +0.0500" in out.getvalue()
    assert "ours, s, less that of" in out.getvalue()
    assert "too narrow" not in difference_words(again)


def test_a_single_file_has_a_difference_and_no_interval() -> None:
    rows = [row("a", "ours", 0, 0.5), row("a", "other", 0, 0.4)]
    (one,) = paired_differences(rows, reference=("ours", "s"), figure="vus_pr", seed=0)
    assert one.mean == pytest.approx(0.1)
    assert one.interval is None
    assert "too narrow" in difference_words([one])
