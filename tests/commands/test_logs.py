"""Logs from lines to alerts, by the commands."""

import json
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream_vae.commands.jobs.histories import read_history
from stream_vae.commands.jobs.log_history import (
    LearntHistory,
    LearntLogs,
    of_logs,
    open_logs,
    read_logs,
    templates_before,
)
from stream_vae.commands.jobs.log_report import absence_rows, log_rows, print_templates
from stream_vae.commands.jobs.model_compare import compare_bundles
from stream_vae.commands.jobs.score import score_files
from stream_vae.commands.jobs.terminal import open_console
from stream_vae.commands.jobs.train import train_bundle
from stream_vae.commands.options import FileOptions
from stream_vae.core.log_templates import LINES, UNSEEN, Absences, LogSpec, LogTemplate, Mask
from stream_vae.core.sessions import SessionConfig
from stream_vae.detect.config import DetectConfig, ThresholdConfig
from stream_vae.edges.files.bundle_files import load_bundle, save_bundle
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.errors import ConfigError, InputFileError
from stream_vae.models.bundle_names import MODEL_FILE
from stream_vae.pipeline.session_check import check_sessions
from stream_vae.settings import load_settings
from tests.conftest import make_spec

BEGIN = np.datetime64("2026-03-01T00:00:00")
NORMAL = {"request {} served in {} ms": 12, "user {} logged in": 2, "cache {} refreshed": 1}
STEADY = {"beat {} of the clock": 1}
CONFIG = r"""
input:
  format: log_lines
  timestamp_pattern: '^(\S+) '
  message_pattern: '^\S+ \S+ (.*)'
model: {window_length: 6, hidden_size: 8, latent_size: 2}
training: {epochs: 3, min_steps: 60, batch_size: 64, device: cpu, injected_faults: 0}
worker: {device: cpu}
"""


def write_log(path: Path, minutes: int, faults: Mapping[int, Mapping[str, int]]) -> Path:
    """Write the lines of some minutes; in those of `faults` others than the usual."""
    rng = np.random.default_rng(minutes)
    lines = []
    for minute in range(minutes):
        for text, mean in {**NORMAL, **STEADY, **faults.get(minute, {})}.items():
            for _ in range(rng.poisson(mean) if text in NORMAL else mean):
                at = BEGIN + np.timedelta64(minute, "m") + np.timedelta64(rng.integers(29), "s")
                told = text.format(*rng.integers(0, 10_000, 2).tolist())
                lines.append(f"{at}Z {'ERROR' if 'refused' in text else 'INFO'} {told}\n")
    path.write_text("".join(lines))
    return path


def minute_of(time: str) -> int:
    return int((np.datetime64(time.removesuffix("Z")) - BEGIN) / np.timedelta64(1, "m"))


def told_at(event: Mapping[str, Any], minute: int) -> bool:
    """Return whether an incident begins in the ten minutes from one on."""
    return minute <= minute_of(event["starts_at"]) < minute + 10


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a bundle of logs and the settings it was trained with."""
    folder = tmp_path_factory.mktemp("logs")
    (folder / "stream-vae.yaml").write_text(CONFIG)
    report = StringIO()
    with redirect_stdout(report), pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")
        train_bundle(
            [write_log(folder / "app.log", 400, {})],
            folder / "bundle",
            ColumnChoice(),
            {},
            folder / "stream-vae.yaml",
            name=None,
            step_seconds=60,
            units=[],
            kinds=[],
            rules=[],
            force=False,
        )
    (folder / "report.txt").write_text(report.getvalue())
    return folder


def test_an_alert_tells_which_lines_are_missing_too_many_or_unseen(logs: Path) -> None:
    """Lines never seen are told with their first step, a beat within three that lack it."""
    spec = load_bundle(logs / "bundle").spec
    assert spec.logs is not None
    assert {one.text for one in spec.logs.templates} == {
        "request <*> served in <*>",
        "user <*> logged in",
        "cache <*> refreshed",
        "beat <*> of the clock",
    }
    assert [one.name for one in spec.features][4:] == [UNSEEN, LINES], "all lines have one level"
    assert [one.kind for one in spec.features].count("numeric") == 1
    faults = {
        **{m: {"disk {} refused a write": 25} for m in range(60, 63)},
        **{m: {"user {} logged in": 60} for m in range(100, 103)},
        **{m: {"request {} served in {} ms": 0} for m in range(140, 146)},
        **{m: {"beat {} of the clock": 0} for m in range(180, 190)},
    }
    write_log(logs / "later.log", 200, faults)
    score_files(
        logs / "bundle",
        [logs / "later.log"],
        logs / "scores.csv",
        logs / "alerts.jsonl",
        {},
        logs / "stream-vae.yaml",
    )
    events = [json.loads(line) for line in (logs / "alerts.jsonl").read_text().splitlines()]
    told: dict[int, tuple[str, str | None]] = {}
    for event in events:
        for minute in range(60, 200, 40):
            # Of an incident, or of an update of one that was open.
            if event["status"] == "firing" and 0 <= minute_of(event["window"]["end"]) - minute < 10:
                top = event["features"][0]
                told.setdefault(minute, (top["direction"], top.get("template")))
    assert told[60][0] in {"unseen", "too_many"}
    assert told[100] == ("too_many", "user <*> logged in")
    assert told[140][0] == "missing"
    assert told[180] == ("missing", "beat <*> of the clock")
    [unseen] = [event for event in events if event["sequence"] == 0 and told_at(event, 60)]
    assert minute_of(unseen["window"]["end"]) == 60
    [beat] = [event for event in events if event["sequence"] == 0 and "beat" in event["summary"]]
    assert minute_of(beat["window"]["end"]) <= 182
    assert "Z, expected 1: missing " in beat["summary"]
    texts = [event["summary"] for event in events]
    assert any(
        'too many "user <*> logged in", in training such as "user ' in text for text in texts
    )


def test_a_bundle_of_logs_judges_by_their_defaults_where_no_setting_tells_the_format(
    logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with a format of logs told, and said so. Control: then it is not said."""
    path = write_log(logs / "short.log", 40, {20: {"disk {} refused a write": 25}})
    patterns = {
        "input.timestamp_pattern": r"^(\S+) ",
        "input.message_pattern": r"^\S+ \S+ (.*)",
        "worker.device": "cpu",
    }
    found = {}
    for flags in (patterns, {**patterns, "input.format": "log_lines"}):
        score_files(logs / "bundle", [path], logs / "scores.csv", None, flags, None)
        told = " ".join(capsys.readouterr().err.split())
        is_said = "judges lines of logs, so their defaults hold: detect.score worst_feature" in told
        found[is_said] = (logs / "scores.csv").read_bytes()
    assert found.keys() == {True, False}
    assert found[True] == found[False]
    assert b"ANOMALOUS" in found[True]


def test_the_rows_of_a_history_of_logs_are_steps_not_lines(logs: Path) -> None:
    spec = load_bundle(logs / "bundle").spec
    config = load_settings(config=logs / "stream-vae.yaml", environ={}).settings
    history = read_history([logs / "app.log"], spec, settings=config.input)
    minutes = [line[:16] for line in (logs / "app.log").read_text().splitlines()]
    n_lines = sum(minute not in {minutes[0], minutes[-1]} for minute in minutes)
    assert len(history) == len(set(history.times.tolist())) == 398
    at = [feature.name for feature in spec.features].index(LINES)
    assert history.values[:, at].sum() == n_lines


def test_a_format_that_changes_for_good_is_told_as_unseen_lines_and_not_by_silence(
    logs: Path,
) -> None:
    """Control: nothing of the kind is told before it."""
    changed = dict.fromkeys(NORMAL, 0) | {"event=served id={} took={}": 9, "event=login": 2}
    path = write_log(logs / "changed.log", 200, dict.fromkeys(range(120, 200), changed))
    config = logs / "stream-vae.yaml"
    score_files(logs / "bundle", [path], logs / "scores.csv", logs / "changed.jsonl", {}, config)
    events = [json.loads(line) for line in (logs / "changed.jsonl").read_text().splitlines()]
    assert {event["kind"] for event in events} == {"anomaly"}
    opened = [event for event in events if event["sequence"] == 0]
    [first] = [event for event in opened if minute_of(event["starts_at"]) >= 118]
    before = [
        one.get("direction") for event in opened if event != first for one in event["features"]
    ]
    assert "unseen" not in before
    assert 118 <= minute_of(first["starts_at"]) <= 125
    assert "unseen" in {one.get("direction") for one in first["features"]}
    assert ": never seen in training" in first["summary"]
    verdicts = [line.split(",")[5] for line in (logs / "scores.csv").read_text().splitlines()]
    assert verdicts[-60:].count("ANOMALOUS") >= 55


def test_sessions_of_a_history_are_learnt_of_lines_with_a_key_alone(tmp_path: Path) -> None:
    """Control: the same lines without a key of sessions are counted by steps."""
    texts = [f"job {n % 90} {what}" for n in range(180) for what in ("begins", "ends")]
    (tmp_path / "app.log").write_text(
        "".join(
            f"{BEGIN + np.timedelta64(s, 's')}Z INFO {text}\n"
            for s, text in enumerate([*texts, "all is well"])
        )
    )
    (tmp_path / "stream-vae.yaml").write_text(CONFIG)
    usual = load_settings(config=tmp_path / "stream-vae.yaml", environ={}).settings
    own = {"session_pattern": r"job (\d+)", "session_end_pattern": "ends"}

    def history(**given: Any) -> LearntHistory:
        settings = usual.model_copy(update={"input": replace(usual.input, **given)})
        return read_logs(
            lambda choice: open_logs([tmp_path / "app.log"], choice, FileOptions(), settings),
            ColumnChoice(),
            settings,
            step_seconds=None,
            before=None,
            now_ns=time.time_ns(),
        )

    found = history(**own)
    assert found.logs is not None
    assert {one.text for one in found.logs.spec.templates} == {"job <*> begins", "job <*> ends"}
    [counted] = found.logs.by_series.values()
    assert sum(counted.values()) == 360
    assert [one.kind for one in found.readings.features] == ["count"] * 3
    assert found.readings.values.tolist() == [[1.0, 1.0, 0.0]] * 180
    assert found.readings.notes[0].startswith("180 sessions, 2 lines in the median")
    with pytest.raises(InputFileError, match="none of which tells the key of a session"):
        history(session_pattern="(nothing)")
    steps = history()
    assert steps.readings.values[:, -1].sum() == 359, (
        "those of the first and last step are left out"
    )


@pytest.mark.parametrize(
    ("length", "sessions"), [(32, "session_pattern: '(x)'"), (1, "format: log_lines")]
)
def test_a_window_of_sessions_is_one_and_of_lines_more(
    length: int, sessions: str, tmp_path: Path
) -> None:
    config = tmp_path / "stream-vae.yaml"
    config.write_text(f"input: {{{sessions}}}\nmodel: {{window_length: {length}}}\n")
    (tmp_path / "app.log").write_text("2026-03-01T00:00:00Z INFO x\n")
    with pytest.raises(ConfigError, match=rf"model\.window_length: found {length}"):
        train_bundle(
            [tmp_path / "app.log"],
            tmp_path / "bundle",
            ColumnChoice(),
            {},
            config,
            name=None,
            step_seconds=None,
            units=[],
            kinds=[],
            rules=[],
            force=False,
        )


@pytest.mark.parametrize("length", [1, 6])
def test_settings_make_sessions_as_the_bundle_judges_them_or_are_refused(length: int) -> None:
    """Control: those that do are not."""
    logs = LogSpec(templates=(), masks=(), lines=0)
    spec = replace(make_spec(), logs=logs, window_length=length)
    sessions = SessionConfig()
    check_sessions(spec, sessions if length == 1 else None)
    with pytest.raises(ConfigError, match=r"input\.session_pattern, input\.session_field: found"):
        check_sessions(spec, None if length == 1 else sessions)


def test_a_bundle_of_logs_reads_no_other_format(logs: Path) -> None:
    config = logs / "wrong.yaml"
    config.write_text("input: {format: json}\n")
    (logs / "app.jsonl").write_text('{"flow": 1}\n')
    with pytest.raises(ConfigError, match=r"input\.format: found json, expected log_lines"):
        score_files(logs / "bundle", [logs / "app.jsonl"], logs / "scores.csv", None, {}, config)


def test_two_bundles_of_logs_are_compared_on_lines(
    logs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    path = write_log(logs / "short.log", 30, {})
    compare_bundles(logs / "bundle", logs / "bundle", [path], logs / "stream-vae.yaml")
    assert "rank correlation 1.000" in capsys.readouterr().out


@pytest.mark.parametrize("where", ["flag", "settings"])
def test_rules_of_features_are_refused_for_logs(logs: Path, tmp_path: Path, where: str) -> None:
    config = tmp_path / "stream-vae.yaml"
    rules = "  rules: {lines: rate}\n"
    config.write_text(CONFIG.replace("model:", f"{rules * (where == 'settings')}model:"))
    with pytest.raises(ConfigError, match=r"input\.rules: found lines=rate .* expected none"):
        train_bundle(
            [logs / "app.log"],
            tmp_path / "bundle",
            ColumnChoice(),
            {},
            config,
            name=None,
            step_seconds=60,
            units=[],
            kinds=[],
            rules=["lines=rate"] * (where == "flag"),
            force=False,
        )


def learn(path: Path, before: LogSpec | None, masks: Mapping[str, str]) -> LearntLogs:
    usual = load_settings(config=path.parent / "stream-vae.yaml").settings
    settings = usual.model_copy(update={"training": replace(usual.training, masks=dict(masks))})
    learnt = read_logs(
        lambda choice: open_logs([path], choice, FileOptions(), settings),
        ColumnChoice(),
        settings,
        step_seconds=60,
        before=before,
        now_ns=time.time_ns(),
    ).logs
    assert learnt is not None
    return learnt


def test_a_new_training_keeps_names_of_templates_and_tells_what_changed(
    logs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    bundle = load_bundle(logs / "bundle")
    old = bundle.spec.logs
    assert old is not None
    path = write_log(logs / "new.log", 40, {})
    usual, minute = path.read_text(), BEGIN + np.timedelta64(60, "m")
    odd = [f"{minute}Z INFO cache {n} refreshed by {name}\n" for n in range(9) for name in "ABCD"]
    path.write_text(usual.replace("user ", "User ") + "".join(odd))
    learnt = learn(path, old, {"who": r"\b[A-D]\b"})
    named = {one.text: one.id for one in learnt.spec.templates}
    assert named["request <*> served in <*>"] == old.templates[0].id
    assert named["cache <*> refreshed by <*>"] not in {one.id for one in old.templates}
    [rows] = [text for what, text in log_rows(learnt) if what == "templates of the bundle before"]
    assert rows.startswith("3 kept, 2 new (")
    assert ", 1 gone (user-logged-in." in rows
    assert learnt.spec.masks[0] == Mask(name="who", pattern=r"\b[A-D]\b")
    assert sum(sum(n.values()) for n in learnt.by_series.values()) == learnt.spec.lines

    save_bundle(of_logs(bundle, replace(old, templates=old.templates[:2])), logs / "less")
    print_templates(logs / "bundle", logs / "less")
    told = capsys.readouterr().out
    assert "2 kept, 2 new" in told
    print_templates(logs / "bundle", None)
    assert "request <*> served in <*>" in capsys.readouterr().out


def test_names_come_from_the_bundle_that_is_named_or_else_replaced(
    logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that cannot be read is no reason not to replace it."""
    console, bundle = open_console(), load_bundle(logs / "bundle")
    for found in (
        templates_before(logs / "bundle", tmp_path, console),
        templates_before(None, logs / "bundle", console),
    ):
        assert found == bundle.spec.logs
    assert templates_before(None, tmp_path, console) is None
    save_bundle(replace(bundle, spec=replace(bundle.spec, logs=None)), tmp_path / "readings")
    with pytest.raises(ConfigError, match="found a bundle of readings, expected one of logs"):
        templates_before(tmp_path / "readings", tmp_path, console)
    (tmp_path / MODEL_FILE).write_text("{}")
    assert templates_before(None, tmp_path, console) is None
    assert "its templates do not keep their names" in capsys.readouterr().out


def test_the_report_tells_of_lines_and_never_to_leave_unseen_out(logs: Path) -> None:
    told = (logs / "report.txt").read_text()
    assert "4: 4 counted by a feature of their own, which are 100.0% of the lines; 0 in" in told
    assert "info alone: it has no feature" in told
    assert ": about as many in each step, like the beats of a clock" in told
    assert "levels" in told
    assert "always 0" not in told
    assert "No faults were injected, and what the bundle finds is not told" in told
    assert "The first alert can come after 6 steps = 6 min of a series" in told
    spec = load_bundle(logs / "bundle").spec
    assert UNSEEN in {feature.name for feature in spec.features}


def test_templates_are_listed_with_the_steps_after_which_their_absence_is_seen(
    logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the score that was in use at training and the threshold that is; of another one neither.

    Of six lines a minute the first minute without is seen, of one a minute later ones are, and
    below a threshold that nothing reaches none is.
    """
    monkeypatch.setenv("COLUMNS", "200")
    other, high = tmp_path / "other.yaml", tmp_path / "high.yaml"
    other.write_text("detect: {score: log_probability}\n")
    high.write_text("detect: {threshold: {method: fixed, value: 1.0e+9}}\n")
    absent = {}
    for file in (None, other, high):
        print_templates(logs / "bundle", None, file)
        table = capsys.readouterr().out
        assert "absence is seen after" in table
        absent[file] = {
            name: " ".join(line.split("│")[3].split())
            for line in table.splitlines()
            for name in ("request", "beat", "cache")
            if line.count("│") > 4 and name in line.split("│")[4]
        }
        if file is None:
            assert "until the score worst_feature is above the threshold" in " ".join(table.split())
    assert absent[None]["request"] == absent[None]["beat"] == "1 step"
    assert absent[None]["cache"] in {f"{n} steps" for n in (2, 3, 5, 6)}
    assert set(absent[other].values()) == {"not known"}
    assert set(absent[high].values()) == {"never"}


def test_templates_whose_absence_is_not_seen_are_told_by_score_and_threshold_in_use() -> None:
    """The highest of the scores that were found without a line, against the first threshold."""
    beat = LogTemplate(
        id="a", pattern="beat <v>", example="", count=9, feature="a", absence=(3.0, 8.0)
    )
    rare = replace(beat, id="b", pattern="backup done", absence=(0.5, 0.7))
    shared = replace(beat, id="c", feature="rare.1", absence=())
    tried = Absences(score="mean_square", steps=(1, 8))
    logs = LogSpec(templates=(beat, rare, shared), masks=(), lines=27, absences=tried)
    spec = replace(make_spec(), logs=logs)
    usual = DetectConfig()
    [(_, found)] = absence_rows(spec, usual)
    assert found.startswith(
        '1 of 2 with a feature of their own ("backup done"): without a line of it for 8 steps'
    )
    assert "the score mean_square does not rise above its threshold" in found
    assert "and 1 that share a feature with others" in found
    high = DetectConfig(threshold=ThresholdConfig(method="fixed", value=9.0))
    [(_, found)] = absence_rows(spec, high)
    assert found.startswith('2 of 2 with a feature of their own ("beat <*>", "backup done")')
    seen = replace(spec, logs=replace(logs, templates=(beat,)))
    assert [*absence_rows(seen, usual)] == []
    assert [*absence_rows(replace(spec, logs=replace(logs, absences=None)), usual)] == []


def test_masks_that_the_engine_refuses_are_found_before_training(tmp_path: Path) -> None:
    config = tmp_path / "stream-vae.yaml"
    config.write_text("training: {masks: {who: '(?<=by )A'}}\n")
    with pytest.raises(ConfigError, match=r"training\.masks: mask 'who': found the pattern"):
        load_settings(config=config)
