"""`train` and `score` as a data scientist uses them."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from stream_vae.core.verdicts import Verdict
from stream_vae.wire.alerts import alert_schema
from tests.commands.conftest import RunProgram

WriteCsv = Callable[..., Path]


@pytest.fixture
def bundle(trained_bundle: Path, tmp_path: Path) -> Path:
    """A model of `write_csv`'s data, for this test alone."""
    return shutil.copytree(trained_bundle, tmp_path / "bundle")


def score(
    run_program: RunProgram, bundle: Path, data: Path, output: Path, *more: object
) -> list[dict[str, str]]:
    done = run_program("score", "--bundle", bundle, "--input", data, "--output", output, *more)
    assert done.code == 0, done.err
    with output.open() as file:
        return list(csv.DictReader(file))


def test_training_reports_what_it_saw_and_what_it_learnt(
    run_program: RunProgram, write_csv: WriteCsv, brief_config: Path, tmp_path: Path
) -> None:
    """Names are shown as they are, whatever they would be as markup or to a terminal."""
    data, bundle = write_csv("normal.csv"), tmp_path / "b [bold]"
    names = ("rate [/s]", "[red]p[/red] [bar] :bell: \x1b[31m")
    data.write_text(data.read_text().replace("flow,level", ",".join(names)))
    done = run_program(
        *("train", "--input", data, "--bundle", bundle, "--injected-faults", 1),
        *("--config", brief_config, "--unit", "rate [/s]=[L/s]", "--name", "[/pumps]"),
    )
    assert done.code == 0, done.err
    shown_names = ("rate [/s]", r"[red]p[/red] [bar] :bell: \x1b[31m")
    for words in (
        "600 in 2 series",
        "60 s (inferred)",
        f"2: {', '.join(shown_names)}",
        f"Bundle {bundle} version",
        "constant model",
        "q0.99",
    ):
        assert words in done.out
    assert "KL" in done.out
    shown = run_program("model", "show", bundle)
    for words in ("Is it any good?", "too short a stretch", "level shift", "1-NN", *shown_names):
        assert words in done.out
        assert words in shown.out
    assert "Model [/pumps]" in shown.out
    assert "squared error against a constant's" in shown.out
    assert "[L/s]" in shown.out
    assert "\x1b" not in done.out + done.err + shown.out + shown.err


def test_training_advises_on_the_data(
    run_program: RunProgram, brief_config: Path, tmp_path: Path
) -> None:
    """A daily rhythm, a feature that never changes, few rows; calendar inputs as asked for."""
    data, config = tmp_path / "daily.csv", tmp_path / "auto.yaml"
    hours = np.arange(240)
    flow = np.sin(2 * np.pi * hours / 24)
    rows = [f"{3600 * hour},{x:.4f},1" for hour, x in zip(hours.tolist(), flow, strict=True)]
    data.write_text("\n".join(["timestamp,flow,idle", *rows]))
    config.write_text(brief_config.read_text().replace("model: {", "model: {calendar: auto, "))
    done = run_program("train", "--input", data, "--bundle", tmp_path / "b", "--config", config)
    assert done.code == 0, done.err
    for words in ("flow: daily, 24 steps", "idle: always 1", "calendar inputs are used", "few for"):
        assert words in done.out
    assert "calendar True" in run_program("model", "show", tmp_path / "b").out


def test_every_reading_gets_one_row_in_input_order(
    run_program: RunProgram, write_csv: WriteCsv, bundle: Path, tmp_path: Path
) -> None:
    data = write_csv("week.csv", spoil=True, seed=4)
    rows = score(run_program, bundle, data, tmp_path / "scores.csv")
    with data.open() as file:
        given = list(csv.DictReader(file))
    columns = "series timestamp score threshold p_value verdict deviation"
    assert list(rows[0]) == columns.split()
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
    """Valid against the schema, one incident for one anomaly (the daemon's side: tests/system).

    A file of the same records has the same scores.
    """
    alerts = tmp_path / "alerts.jsonl"
    data = write_csv("week.csv", spoil=True, seed=4)
    scores = tmp_path / "scores.csv"
    files = ("--bundle", bundle, "--input", data, "--output", scores, "--alerts", alerts)
    done = run_program("score", *files)
    assert done.code == 0, done.err
    events = [json.loads(line) for line in alerts.read_text().splitlines()]
    ours = [event for event in events if event["starts_at"].startswith("2026-01-01T02:30")]
    assert ours[0]["status"] == "firing"
    assert ours[-1]["status"] == "resolved"
    assert {event["series"]["key"] for event in ours} == {"pump-1"}
    assert ours[0]["features"][0]["name"] == "flow"
    for event in events:
        jsonschema.validate(event, alert_schema())
    verdicts = [line.split(",")[5] for line in scores.read_text().splitlines()[1:]]
    n_above, n_judged = verdicts.count("ANOMALOUS"), len(verdicts) - verdicts.count("WARMING_UP")
    opened = len({event["incident_id"] for event in events if event["kind"] == "anomaly"})
    above, per_week = 1000 * n_above / n_judged, opened / (n_judged / 10_080)
    assert f"above the threshold per 1,000: {above:.3g}, asked 20" in done.err
    with data.open() as file:
        records = [{"key": row.pop("series"), "value": row} for row in csv.DictReader(file)]
    as_records = tmp_path / "week.txt"
    as_records.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    again = score(run_program, bundle, as_records, tmp_path / "again.csv", "--format", "records")
    with scores.open() as file:
        assert list(csv.DictReader(file)) == again
    assert f"incidents per series and week: {per_week:.3g}" in done.err


@pytest.mark.slow
def test_the_same_input_config_and_seed_give_the_same_scores(
    run_program: RunProgram, write_csv: WriteCsv, brief_config: Path, tmp_path: Path
) -> None:
    """Control: another seed gives another network, which a score need not take account of."""
    data = write_csv("normal.csv")
    written, weights = [], []
    for i, seed in enumerate((5, 5, 6)):
        folder = tmp_path / f"bundle-{i}"
        arguments = ("train", "--input", data, "--bundle", folder, "--config", brief_config)
        assert run_program(*arguments, "--seed", seed).code == 0
        score(run_program, folder, data, tmp_path / f"scores-{i}.csv")
        written.append((tmp_path / f"scores-{i}.csv").read_bytes())
        weights.append((folder / "weights.safetensors").read_bytes())
    assert written[0] == written[1]
    assert weights[0] == weights[1] != weights[2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time,flow\n1,2\n", ("timestamp",)),
        ("timestamp,flow\n2026-01-01T00:00:00Z,1\n,fast\n", ("line 3", "flow", "fast")),
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
    run_program: RunProgram, write_csv: WriteCsv, brief_config: Path, tmp_path: Path
) -> None:
    """Unsorted and duplicate times, NaN and inf cells."""
    data = write_csv("messy.csv")
    header, *rows = data.read_text().splitlines()
    rows[10], rows[30] = rows[30], rows[10]
    rows[50] = ",".join([*rows[50].split(",")[:2], "nan", "inf"])
    rows.append(rows[100])
    data.write_text("\n".join([header, *rows]) + "\n")
    done = run_program(
        "train", "--input", data, "--bundle", tmp_path / "bundle", "--config", brief_config
    )
    assert done.code == 0, done.err
    for words in ("unsorted", "rows of one step", "missing cells", "infinite cells"):
        assert words in done.out


def test_a_bundle_is_not_overwritten_unless_told_to(
    run_program: RunProgram, write_csv: WriteCsv, brief_config: Path, bundle: Path
) -> None:
    before = (bundle / "model.json").read_bytes()
    arguments = ("train", "--input", write_csv("normal.csv"), "--bundle", bundle)
    done = run_program(*arguments, "--config", brief_config, "--seed", 7)
    assert done.code == 2
    assert "found a bundle there already" in done.err
    assert (bundle / "model.json").read_bytes() == before
    done = run_program(*arguments, "--config", brief_config, "--seed", 7, "--force")
    assert done.code == 0
    assert (bundle / "model.json").read_bytes() != before


def test_a_place_for_the_bundle_is_looked_at_before_the_data(
    run_program: RunProgram, tmp_path: Path
) -> None:
    done = run_program("train", "--input", tmp_path / "absent.csv", "--bundle", "/dev/null/x")
    assert done.code == 2
    assert "bundle /dev/null/x: cannot be written" in done.err


@pytest.mark.parametrize("step", ["nan", "inf", "1e300", "0", "-1", "1e-9", "soon"])
def test_a_step_that_cannot_be_meant_is_refused(
    run_program: RunProgram, write_csv: WriteCsv, tmp_path: Path, step: str
) -> None:
    arguments = ("train", "--input", write_csv("normal.csv"), "--bundle", tmp_path / "bundle")
    done = run_program(*arguments, "--step-seconds", step)
    assert done.code == 2
    assert "--step-seconds" in done.err
    assert not (tmp_path / "bundle").exists()


def test_labels_by_other_names_are_refused_or_set_aside_and_all_columns_are_told(
    run_program: RunProgram, brief_config: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    names = [f"f{i}" for i in range(12)]
    rows = (f"{60 * i},{','.join(f'{x:.3f}' for x in rng.normal(size=12))},0,0" for i in range(300))
    data = tmp_path / "skab.csv"
    data.write_text("\n".join([f"timestamp,{','.join(names)},anomaly,changepoint", *rows]))
    arguments = ("train", "--input", data, "--bundle", tmp_path / "b", "--config", brief_config)
    done = run_program(*arguments)
    assert done.code == 2
    assert "'anomaly', 'changepoint' is a label by its name" in done.err
    done = run_program(*arguments, "--label", "anomaly", "--drop", "changepoint")
    assert done.code == 0, done.err
    assert f"12: {', '.join(names)}" in done.out
    assert "column anomaly: 0 rows labelled 1, 300 labelled 0" in done.out
    assert "columns left out" in done.out
    assert "not fitted: no window of the training and validation parts is" in done.out
    scored = run_program(
        *("score", "--bundle", tmp_path / "b", "--input", data, "--output", tmp_path / "s.csv")
    )
    assert "no feature of the model, ignored: anomaly, changepoint" in scored.err


@pytest.mark.slow
def test_more_series_than_the_memory_holds_are_forgotten_as_the_daemon_would(
    run_program: RunProgram, bundle: Path, tmp_path: Path
) -> None:
    """20,000 series where 8,192 have room: the strangers go, a known one stays."""
    rows = [f"{60 * i},known,1,1" for i in range(20)]
    rows += [f"1200,s{i},1,1" for i in range(20_000)]
    rows += [f"{60 * i},known,1,1" for i in range(20, 40)]
    data, config = tmp_path / "many.csv", tmp_path / "tiny.yaml"
    data.write_text("\n".join(["timestamp,series,flow,level", *rows]))
    config.write_text("state: {memory_budget_mb: 1}\nworker: {device: cpu}\n")
    scored = score(run_program, bundle, data, tmp_path / "s.csv", "--config", config)
    verdicts = [row["verdict"] for row in scored if row["series"] == "known"]
    assert verdicts.count("WARMING_UP") == 7
    done = run_program(
        *("score", "--bundle", bundle, "--input", data, "--output", tmp_path / "s.csv"),
        *("--config", config),
    )
    assert "a series was forgotten" in done.err


def test_an_output_never_takes_the_place_of_another_file_of_the_command(
    run_program: RunProgram, write_csv: WriteCsv, bundle: Path, tmp_path: Path
) -> None:
    """Control: what is no file may be given twice."""
    data, scores = write_csv("week.csv"), tmp_path / "s.csv"
    before = data.read_bytes()
    arguments = ("score", "--bundle", bundle, "--input", data)
    for outputs in (("--output", data), ("--output", scores, "--alerts", scores)):
        done = run_program(*arguments, *outputs)
        assert done.code == 2
        assert "given twice" in done.err
    assert data.read_bytes() == before
    assert run_program(*arguments, "--output", "/dev/null", "--alerts", "/dev/null").code == 0


def test_supervised_is_fitted_to_the_labels_of_some_rows(
    run_program: RunProgram, write_csv: WriteCsv, brief_config: Path, bundle: Path, tmp_path: Path
) -> None:
    """The control: a bundle trained without labels says that they are missing."""
    header, *rows = write_csv("week.csv").read_text().splitlines()
    labels = dict.fromkeys(range(40), "0") | {20: "1", 21: "1"}
    data = tmp_path / "labelled.csv"
    labelled = [f"{row},{labels.get(number, '')}" for number, row in enumerate(rows)]
    data.write_text("\n".join([f"{header},label", *labelled]))
    config = tmp_path / "supervised.yaml"
    config.write_text(f"{brief_config.read_text()}\ndetect: {{score: supervised}}\n")
    with_labels, scores = tmp_path / "with_labels", tmp_path / "scores.csv"
    arguments = ("train", "--input", data, "--bundle", with_labels, "--config", config)
    assert run_program(*arguments).code == 0
    assert score(run_program, with_labels, data, scores, "--config", config)
    done = run_program(
        *("score", "--bundle", bundle, "--input", data, "--output", scores, "--config", config)
    )
    assert done.code == 2
    assert "'supervised' is missing" in " ".join(done.err.split())
    assert "labels with both 0 and 1" in " ".join(done.err.split())


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
        newer = re.sub(r'"format_version": \d+', '"format_version": 99', model.read_text())
        model.write_text(newer)
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


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        ("{method: mean_sd, standard_deviations: 5}", "rolling mean + 5 robust sd"),
        ("{method: fixed, value: 1.5}", "fixed value 1.5"),
        ("{method: pot, peaks: 100}", "generalised Pareto tail 99.9 of 100 peaks"),
    ],
)
def test_a_fault_is_found_by_a_threshold_of_any_method(
    run_program: RunProgram,
    write_csv: WriteCsv,
    bundle: Path,
    tmp_path: Path,
    threshold: str,
    words: str,
) -> None:
    config, alerts = tmp_path / "detect.yaml", tmp_path / "alerts.jsonl"
    config.write_text(f"detect: {{threshold: {threshold}}}\nworker: {{device: cpu}}\n")
    data = write_csv("week.csv", spoil=True, seed=4)
    rows = score(
        *(run_program, bundle, data, tmp_path / "s.csv", "--alerts", alerts, "--config", config)
    )
    found = [row for row in rows if row["verdict"] == "ANOMALOUS"]
    highest = sorted(found, key=lambda row: -float(row["score"]))[:5]
    assert {row["series"] for row in highest} == {"pump-1"}
    assert all(float(row["score"]) > float(row["threshold"]) for row in found)
    events = [json.loads(line) for line in alerts.read_text().splitlines()]
    assert events
    assert all(event["threshold_method"].startswith(words) for event in events)


def test_a_labelled_threshold_is_chosen_at_training_and_refused_without_labels(
    run_program: RunProgram, write_csv: WriteCsv, bundle: Path, small_config: Path, tmp_path: Path
) -> None:
    """The labelled rows are those in which the fault begins, near the end of the history."""
    header, *rows = write_csv("labelled.csv", seed=5).read_text().splitlines()
    faults = range(540, 546)
    for i, row in enumerate(rows):
        time, series, flow, level = row.split(",")
        rows[i] = f"{time},{series},{float(flow) + 15 * (i in faults)},{level},{int(i in faults)}"
    data, config = tmp_path / "labelled.csv", tmp_path / "detect.yaml"
    data.write_text("\n".join([f"{header},label", *rows]) + "\n")
    config.write_text("detect: {threshold: {method: labelled}}\nworker: {device: cpu}\n")
    labelled = tmp_path / "with-labels"
    done = run_program("train", "--input", data, "--bundle", labelled, "--config", small_config)
    assert done.code == 0, done.err
    scored = score(run_program, labelled, data, tmp_path / "s.csv", "--config", config)
    thresholds = {row["threshold"] for row in scored} - {""}
    assert len(thresholds) == 1
    assert all(scored[i]["verdict"] == "ANOMALOUS" for i in faults)

    refused = run_program(
        *("score", "--bundle", bundle, "--input", data, "--output", tmp_path / "s.csv"),
        *("--config", config),
    )
    assert refused.code == 2
    assert "found 'labelled'" in refused.err
    assert "labels of both kinds" in refused.err


def test_settings_of_another_threshold_are_refused_with_their_place(
    run_program: RunProgram, write_csv: WriteCsv, bundle: Path, tmp_path: Path
) -> None:
    config = tmp_path / "detect.yaml"
    config.write_text("detect: {threshold: {method: fixed, value: 3, quantile: 0.99}}\n")
    done = run_program(
        *("score", "--bundle", bundle, "--input", write_csv("week.csv")),
        *("--output", tmp_path / "s.csv", "--config", config),
    )
    assert done.code == 2
    assert "detect.threshold" in done.err
    assert f"{config}:1" in done.err
    assert "quantile: found 0.99, which method fixed does not use" in done.err


@pytest.mark.slow
def test_a_search_tells_what_it_tried_and_writes_the_best(
    run_program: RunProgram, write_csv: WriteCsv, brief_config: Path, tmp_path: Path
) -> None:
    arguments = ("train", "--input", write_csv("normal.csv"), "--config", brief_config)
    done = run_program(*arguments, "--bundle", tmp_path / "b", "--search", 2)
    assert done.code == 0, done.err
    for words in ("trial 2/2", "Tried", "kept", "off by", "labels", "none: no score supervised"):
        assert words in done.out
    shown = run_program("model", "show", tmp_path / "b")
    assert "kept" in shown.out


def test_a_search_by_labels_needs_them(
    run_program: RunProgram, write_csv: WriteCsv, brief_config: Path, tmp_path: Path
) -> None:
    done = run_program(
        *("train", "--input", write_csv("normal.csv"), "--config", brief_config),
        *("--bundle", tmp_path / "b", "--search", 2, "--search-by", "labels"),
    )
    assert done.code == 2
    assert "found no row labelled 1 in the validation part" in done.err
    assert not (tmp_path / "b").exists()


def test_labels_decide_nothing_without_a_search(run_program: RunProgram, tmp_path: Path) -> None:
    done = run_program(
        "train", "--input", "x.csv", "--bundle", tmp_path / "b", "--search-by", "labels"
    )
    assert done.code == 2
    assert "without --search" in done.err
