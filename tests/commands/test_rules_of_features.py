"""Counters and values sent on change, from training to alerts."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from stream_vae.commands.jobs.train import train_bundle
from stream_vae.edges.files.csv_header import ColumnChoice
from tests.commands.conftest import RunProgram

BEGIN = np.datetime64("2026-01-01T00:00:00")
JUMP = range(300, 306)
CONFIG = """
model: {window_length: 8, hidden_size: 8, latent_size: 2}
training: {epochs: 2, min_steps: 60, batch_size: 64, device: cpu}
worker: {device: cpu}
detect: {score: recency, threshold: {method: percentile, quantile: 0.9999}}
"""
RULES = ["bytes_*=scale:8,rate", "valve=hold:600"]


def rows_of(n: int, jump: range = range(0)) -> list[dict[str, str]]:
    """Return a counter that begins anew after every 130 rows, and a valve told when it moves."""
    rng = np.random.default_rng(n)
    rows, total = [], 5_000.0
    for i in range(n):
        total = 0.0 if i % 130 == 129 else total + 600 + 60 * np.sin(i / 3) + rng.normal(0, 10)
        total += 5_000 * (i in jump)
        rows.append(
            {
                "timestamp": f"{BEGIN + np.timedelta64(i, 'm')}Z",
                "bytes_total": f"{total:.3f}",
                "valve": str(i // 10 % 5) if i % 10 == 0 else "",
            }
        )
    return rows


def write_rows(path: Path, rows: list[dict[str, str]]) -> Path:
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def ruled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a bundle and the settings it was trained with."""
    folder = tmp_path_factory.mktemp("ruled")
    (folder / "stream-vae.yaml").write_text(CONFIG)
    train_bundle(
        [write_rows(folder / "train.csv", rows_of(700))],
        folder / "bundle",
        ColumnChoice(),
        {"training.injected_faults": 1},
        folder / "stream-vae.yaml",
        name=None,
        step_seconds=None,
        units=["bytes_total=bit/s"],
        kinds=[],
        rules=RULES,
        force=False,
    )
    return folder


def test_resets_raise_nothing_a_jump_of_the_rate_does_and_records_score_as_csv(
    ruled: Path, run_program: RunProgram, tmp_path: Path
) -> None:
    rows = rows_of(500, JUMP)
    records = tmp_path / "week.jsonl"
    objects = [{name: cell or None for name, cell in row.items()} for row in rows]
    records.write_text("".join(json.dumps(one) + "\n" for one in objects))
    found = []
    for path in (write_rows(tmp_path / "week.csv", rows), records):
        scores, alerts = path.with_suffix(".scores"), path.with_suffix(".alerts")
        done = run_program(
            *("score", "--bundle", ruled / "bundle", "--input", path, "--output", scores),
            *("--alerts", alerts, "--config", ruled / "stream-vae.yaml"),
        )
        assert done.code == 0, done.err
        missing = "missing by rule: {} values of bytes_total, {}: "
        assert missing.format(3, "counter_reset") in done.err
        assert missing.format(1, "first_value") in done.err
        with scores.open() as file:
            found.append([[*row.values()][1:] for row in csv.DictReader(file)])
        events = [json.loads(line) for line in alerts.read_text().splitlines()]
        starts = {np.datetime64(one["starts_at"].rstrip("Z")) for one in events}
        assert {int((start - BEGIN) / np.timedelta64(1, "m")) for start in starts} <= {*JUMP}
        value = events[0]["features"][0]
        assert value["name"] == "bytes_total"
        assert value["actual"] == pytest.approx(8 * 5_600 / 60, rel=0.05)
    assert found[0] == found[1]
    shown = run_program("model", "show", ruled / "bundle").out
    assert "scale:8.0,rate" in shown
    assert "hold:600" in shown


@pytest.mark.parametrize(
    ("command", "rules", "message"),
    [
        ("score", "{bytes_total: rate}", "bytes_total: found rate, the bundle has scale:8.0,rate"),
        ("score", "{flow: rate}", "found 'flow', expected a feature of bytes_total, valve"),
        ("train", "{valve: rates}", "valve: found 'rates'; expected scale:FACTOR, difference"),
        ("train", "{flow: rate}", "found 'flow', expected a feature of bytes_total, valve"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(
    ruled: Path, run_program: RunProgram, tmp_path: Path, command: str, rules: str, message: str
) -> None:
    config = tmp_path / "stream-vae.yaml"
    config.write_text(f"{CONFIG}input: {{rules: {rules}}}\n")
    bundle = ruled / "bundle" if command == "score" else tmp_path / "bundle"
    output = ("--output", tmp_path / "scores.csv") if command == "score" else ()
    done = run_program(
        *(command, "--bundle", bundle, "--input", ruled / "train.csv"),
        *("--config", config, *output),
    )
    assert done.code == 2
    assert message in " ".join(done.err.split())
