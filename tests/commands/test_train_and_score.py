"""`train` and `score` as a data scientist uses them."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from stream_vae.core.verdicts import Verdict
from stream_vae.wire.alerts import alert_schema
from tests.commands.conftest import RunProgram

WriteCsv = Callable[..., Path]


@pytest.fixture
def bundle(
    run_program: RunProgram, write_csv: WriteCsv, small_config: Path, tmp_path: Path
) -> Path:
    """A model of `write_csv`'s data."""
    folder = tmp_path / "bundle"
    done = run_program(
        "train", "--input", write_csv("normal.csv"), "--bundle", folder, "--config", small_config
    )
    assert done.code == 0, done.err
    return folder


def score(
    run_program: RunProgram, bundle: Path, data: Path, output: Path, *more: object
) -> list[dict[str, str]]:
    done = run_program("score", "--bundle", bundle, "--input", data, "--output", output, *more)
    assert done.code == 0, done.err
    with output.open() as file:
        return list(csv.DictReader(file))


def test_training_reports_what_it_saw_and_what_it_learnt(
    run_program: RunProgram, write_csv: WriteCsv, small_config: Path, tmp_path: Path
) -> None:
    done = run_program(
        *("train", "--input", write_csv("normal.csv"), "--bundle", tmp_path / "bundle"),
        *("--config", small_config, "--unit", "flow=L/s", "--name", "pumps"),
    )
    assert done.code == 0, done.err
    for words in (
        "600 in 2 series",
        "60 s (inferred)",
        "2: flow, level",
        "constant model",
        "q0.99",
    ):
        assert words in done.out
    assert "KL" in done.out
    shown = run_program("model", "show", tmp_path / "bundle")
    assert "Model pumps" in shown.out
    assert "L/s" in shown.out


def test_every_reading_gets_one_row_in_input_order(
    run_program: RunProgram, write_csv: WriteCsv, bundle: Path, tmp_path: Path
) -> None:
    data = write_csv("week.csv", spoil=True, seed=4)
    rows = score(run_program, bundle, data, tmp_path / "scores.csv")
    with data.open() as file:
        given = list(csv.DictReader(file))
    assert list(rows[0]) == ["series", "timestamp", "score", "threshold", "p_value", "verdict"]
    assert [(r["series"], r["timestamp"]) for r in rows] == [
        (g["series"], g["timestamp"]) for g in given
    ]
    assert {row["verdict"] for row in rows} <= set(Verdict.__members__)
    warming_up = [row for row in rows if row["verdict"] == "WARMING_UP"]
    assert len(warming_up) == 2 * 7
    assert all(row["score"] == row["threshold"] == row["p_value"] == "" for row in warming_up)
    spoilt = [r for r in rows if r["series"] == "pump-1"][150:160]
    assert {row["verdict"] for row in spoilt} == {"ANOMALOUS"}


def test_alert_events_of_files_are_those_of_the_daemon(
    run_program: RunProgram, write_csv: WriteCsv, bundle: Path, tmp_path: Path
) -> None:
    """Valid against the schema, one incident for one anomaly (the daemon's side: tests/system)."""
    alerts = tmp_path / "alerts.jsonl"
    data = write_csv("week.csv", spoil=True, seed=4)
    score(run_program, bundle, data, tmp_path / "scores.csv", "--alerts", alerts)
    events = [json.loads(line) for line in alerts.read_text().splitlines()]
    ours = [event for event in events if event["starts_at"].startswith("2026-01-01T02:30")]
    assert ours[0]["status"] == "firing"
    assert ours[-1]["status"] == "resolved"
    assert {event["series"]["key"] for event in ours} == {"pump-1"}
    assert ours[0]["features"][0]["name"] == "flow"
    for event in events:
        jsonschema.validate(event, alert_schema())


def test_the_same_input_config_and_seed_give_the_same_scores(
    run_program: RunProgram, write_csv: WriteCsv, small_config: Path, tmp_path: Path
) -> None:
    """Control: another seed gives others."""
    data = write_csv("normal.csv")
    written = []
    for i, seed in enumerate((5, 5, 6)):
        folder = tmp_path / f"bundle-{i}"
        arguments = ("train", "--input", data, "--bundle", folder, "--config", small_config)
        assert run_program(*arguments, "--seed", seed).code == 0
        score(run_program, folder, data, tmp_path / f"scores-{i}.csv")
        written.append((tmp_path / f"scores-{i}.csv").read_bytes())
    assert written[0] == written[1]
    assert written[0] != written[2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time,flow\n1,2\n", ("timestamp",)),
        ("timestamp,flow\n2026-01-01T00:00:00Z,fast\n", ("line 2", "flow", "fast")),
        ("timestamp,flow\nyesterday,1\n", ("line 2", "timestamp", "yesterday")),
        ("timestamp,flow\n", ("no reading below the header",)),
        ("timestamp,flow,level\n" + "2026-01-01T00:0{0}:00Z,1,\n", ("level", "empty")),
        ("timestamp,flow\n" + "2026-01-01T00:0{0}:00Z,1\n", ("window",)),
    ],
    ids=["no timestamp", "text cell", "text time", "no rows", "empty feature", "too few rows"],
)
def test_unusable_training_files_are_refused_with_the_place(
    run_program: RunProgram, tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    head, _, row = text.partition("\n")
    if "{0}" in row:
        text = head + "\n" + "".join(row.format(i) for i in range(5))
    data = tmp_path / "bad.csv"
    data.write_text(text)
    done = run_program("train", "--input", data, "--bundle", tmp_path / "bundle")
    assert done.code == 2
    for word in words:
        assert word in done.err
    assert not (tmp_path / "bundle").exists()


def test_what_can_be_handled_is_handled_and_counted(
    run_program: RunProgram, write_csv: WriteCsv, small_config: Path, tmp_path: Path
) -> None:
    """Unsorted and duplicate times, NaN and inf cells."""
    data = write_csv("messy.csv")
    header, *rows = data.read_text().splitlines()
    rows[10], rows[30] = rows[30], rows[10]
    rows[50] = ",".join([*rows[50].split(",")[:2], "nan", "inf"])
    rows.append(rows[100])
    data.write_text("\n".join([header, *rows]) + "\n")
    done = run_program(
        "train", "--input", data, "--bundle", tmp_path / "bundle", "--config", small_config
    )
    assert done.code == 0, done.err
    for words in ("unsorted", "duplicate", "missing cells", "infinite cells"):
        assert words in done.out


@pytest.mark.parametrize("harm", ["missing", "truncated", "altered", "newer"])
def test_an_unusable_bundle_is_refused(
    run_program: RunProgram, write_csv: WriteCsv, bundle: Path, tmp_path: Path, harm: str
) -> None:
    weights, model = bundle / "weights.safetensors", bundle / "model.json"
    if harm == "missing":
        weights.unlink()
    elif harm == "truncated":
        weights.write_bytes(weights.read_bytes()[:-10])
    elif harm == "altered":
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    else:
        model.write_text(model.read_text().replace('"format_version": 1', '"format_version": 99'))
    done = run_program(
        *("score", "--bundle", bundle, "--input", write_csv("week.csv")),
        *("--output", tmp_path / "scores.csv"),
    )
    assert done.code == 2
    assert "bundle" in done.err
    assert not (tmp_path / "scores.csv").exists()


def test_a_file_without_a_feature_of_the_model_is_refused(
    run_program: RunProgram, bundle: Path, tmp_path: Path
) -> None:
    data = tmp_path / "other.csv"
    data.write_text("timestamp,flow\n2026-01-01T00:00:00Z,1\n")
    arguments = ("score", "--bundle", bundle, "--input", data, "--output", tmp_path / "scores.csv")
    done = run_program(*arguments)
    assert done.code == 2
    assert "level" in done.err


def test_an_unknown_score_is_refused(
    run_program: RunProgram, write_csv: WriteCsv, bundle: Path, tmp_path: Path
) -> None:
    done = run_program(
        *("score", "--bundle", bundle, "--input", write_csv("week.csv")),
        *("--output", tmp_path / "scores.csv", "--score", "best"),
    )
    assert done.code == 2
    assert "recency" in done.err
