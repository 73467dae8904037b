"""`inspect` of files: records, bare objects and tables."""

import json
import shlex
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream_vae.commands.jobs.inspect import Look
from stream_vae.commands.jobs.log_history import open_logs, read_logs
from stream_vae.commands.options import FileOptions
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.inspect.survey import inspect_records
from stream_vae.logs.log_steps import log_steps
from stream_vae.settings import load_settings
from tests.commands.conftest import RunProgram, write_readings


def objects() -> list[dict[str, Any]]:
    return [{"ts": 1_767_225_600 + 60 * at, "host": "a", "flow": at * at % 7} for at in range(30)]


@pytest.mark.parametrize("form", ["records", "jsonl"])
def test_a_file_of_records_is_inspected_with_the_commands_that_follow(
    run_program: RunProgram, tmp_path: Path, form: str
) -> None:
    path = tmp_path / "sample.jsonl"
    lines = [one if form == "jsonl" else {"key": None, "value": one} for one in objects()]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    ran = run_program("inspect", "--input", path)
    assert ran.code == 0, ran.err
    assert "reads 30 of 30 records" in ran.out
    assert "history   30 steps of all series; training wants 2,286: collect for" in ran.out
    assert "timestamp_field: ts" in ran.out
    assert f"train --input {path} --format {form} --config stream-vae.yaml" in ran.out
    ran = run_program("inspect", "--input", path, "--json")
    told = json.loads(ran.out)
    assert told["features"] == ["flow"]
    assert told["steps"]["step_s"] == 60
    assert "timestamp_field: ts" in told["configuration"]


def test_a_table_is_inspected(run_program: RunProgram, tmp_path: Path) -> None:
    path = write_readings(tmp_path / "pumps.csv", 50)
    ran = run_program("inspect", "--input", path)
    assert ran.code == 0, ran.err
    assert "series    2" in ran.out
    assert f"Next: stream-vae train --input {path}" in ran.out


def test_a_log_file_is_inspected(run_program: RunProgram, tmp_path: Path) -> None:
    """Control: a table of the same times is a table."""
    path = tmp_path / "messages"
    path.write_text("Mar  4 13:00:07 web-1 app[7]: request 7 served\n" * 20)
    ran = run_program("inspect", "--input", path)
    assert ran.code == 0, ran.err
    assert "reads 20 of 20 records" in ran.out
    assert "timestamp_zone: UTC  # these times tell no offset" in ran.out
    assert f"train --input {path} --format log --config stream-vae.yaml" in ran.out
    path.write_text("timestamp,flow\n2026-03-04T13:00:07Z,1\n2026-03-04T13:00:08Z,2\n")
    assert "--format log" not in run_program("inspect", "--input", path).out


_QUICK = """
model: {hidden_size: 8, latent_size: 2}
training: {epochs: 1, min_steps: 5, device: cpu, calibration: held_out, injected_faults: 0}
"""


def test_what_is_printed_for_a_log_trains_by_steps_and_by_sessions(
    run_program: RunProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of both the configuration is pasted into its file, and the command run as it stands."""
    monkeypatch.chdir(tmp_path)
    at = (np.datetime64("2026-03-04T13:00:00") + 7 * np.arange(600)).tolist()
    lines = [f"{t.isoformat()}Z web-1 job {n // 3} is on its way\n" for n, t in enumerate(at)]
    Path("app.log").write_text("".join(lines))
    ran = run_program("inspect", "--input", "app.log")
    assert ran.code == 0, ran.err
    usual, _, apart = ran.out.partition("# sessions.yaml")
    for name, printed in (("stream-vae.yaml", usual.partition("# ")[2]), ("sessions.yaml", apart)):
        yaml, _, rest = printed.partition("\n")[2].partition("Next: ")
        Path(name).write_text(f"{yaml}{_QUICK}")
        program, *arguments = shlex.split(rest.splitlines()[0])
        assert program == "stream-vae"
        monkeypatch.setenv("COLUMNS", "300")
        if name == "sessions.yaml":
            monkeypatch.setenv("STREAM_VAE_INPUT__SESSION_END_PATTERN", "web-1")
        trained = run_program(*arguments, "--force")
        assert trained.code == 0, trained.err
    assert Path("bundle").is_dir()
    assert load_settings(config=Path("sessions.yaml"), environ={}).settings.bundle.path.is_dir()
    assert "200 sessions" in trained.out
    assert "session_end_pattern 'web-1' ended none of 200 sessions" in trained.out
    assert "The first alert can come with the first session that is closed" in trained.out


def test_inspect_judges_the_steps_of_a_whole_file_as_training_does(
    run_program: RunProgram, tmp_path: Path
) -> None:
    """Control: the sample that it looks at closely would have a step of a second."""
    path, config = tmp_path / "app.log", tmp_path / "stream-vae.yaml"
    at = (np.datetime64("2026-03-04T13:00:00") + 20 * np.arange(6000)).tolist()
    path.write_text("".join(f"{t.isoformat()}Z web-{t.second} was served\n" for t in at))
    told = json.loads(run_program("inspect", "--input", path, "--json", "--records", 50).out)
    assert (told["read"], told["n_records"], told["forms"]) == (
        "all of the file",
        6000,
        {"text": 50},
    )
    config.write_text(told["configuration"])
    settings = load_settings(config=config, environ={}).settings
    learnt = read_logs(
        lambda choice: open_logs([path], choice, FileOptions(), settings),
        ColumnChoice(),
        settings,
        step_seconds=None,
        before=None,
        now_ns=time.time_ns(),
    )
    assert learnt.logs is not None
    assert told["log_steps"] == asdict(log_steps(learnt.logs.times)) | {"step_s": 30.0}
    assert learnt.step_seconds == 30


def test_what_there_was_no_time_to_read_is_told(tmp_path: Path) -> None:
    """Control: with time, all is."""
    path = tmp_path / "app.log"
    path.write_text("2026-03-04T13:00:00Z was served\n" * 8192)
    for seconds, n, told in ((0.0, 4096, "the first 50% of the file"), (60.0, 8192, "all of")):
        look = Look(path, "log", seconds)
        found = inspect_records(look.sample(10), now_ns=time.time_ns(), read_lines=look.read)
        assert found.n_records == n
        assert look.told(found).startswith(told)
    look = Look(path, "log", 60.0)
    look.sample(10)
    assert 0 < look.share < 0.5


def test_two_sources_at_once_are_refused(run_program: RunProgram, tmp_path: Path) -> None:
    ran = run_program("inspect", "--input", tmp_path, "--topic", "t")
    assert ran.code == 2
    assert "--input" in ran.err


def test_nothing_that_can_be_read_is_an_error_which_says_what_was_looked_at(
    run_program: RunProgram, tmp_path: Path
) -> None:
    path, config = tmp_path / "sample.jsonl", tmp_path / "c.yaml"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in objects()))
    config.write_text("input: {series_field: device}\n")
    ran = run_program("inspect", "--input", path, "--config", config)
    assert ran.code == 2
    assert "seen, and none of them read: flow" in ran.out
    assert "series_field: device  # as the configuration has it" in ran.out
    assert f"{path}: none of 30 records could be read: " in ran.err
    assert "input.series_field device finds nothing" in ran.err
    assert "host" in ran.err


def test_settings_that_a_table_does_not_use_are_named(
    run_program: RunProgram, tmp_path: Path
) -> None:
    path, config = write_readings(tmp_path / "pumps.csv", 20), tmp_path / "c.yaml"
    config.write_text("input: {series_field: device, missing_words: [gone], topic: t}\n")
    ran = run_program("inspect", "--input", path, "--config", config)
    assert ran.code == 0, ran.err
    assert "note      input.series_field: of records alone" in ran.out
