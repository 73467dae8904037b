"""Arguments that cannot be meant end at once with 2 and the reason, whichever command gets them."""

import os
from pathlib import Path

import pytest

from tests.commands.conftest import RunProgram

NOWHERE = ("--bootstrap", "127.0.0.1:1")
REDRIVE = ("redrive", *NOWHERE, "--partition", "0")


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a folder with one file of each kind that is named below."""
    monkeypatch.chdir(tmp_path)
    Path("some.csv").write_text("timestamp,flow\n0,1\n1,2\n")
    Path("file").write_text("")
    Path("long.yaml").write_text("a: " + "x" * 70_000)
    for name in ("endless", "pipe"):
        Path(name).mkdir()
        Path(name, "weights.safetensors").write_bytes(b"")
    Path("endless", "model.json").symlink_to("/dev/zero")
    os.mkfifo("pipe/model.json")
    Path("secrets").mkdir()
    Path("secrets", "kafka__sasl_password").write_text("x" * 70_000)
    os.mkfifo("fifo")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        *(
            (("feed", "--input", "some.csv", flag, value), flag)
            for flag in ("--rate", "--speed")
            for value in ("nan", "inf", "0", "-1", "fast", "")
        ),
        (("feed", "--input", "some.csv", "--key", ""), "--key: 0 characters"),
        (("feed", "--input", "some.csv", "--key", "k" * 1025), "--key: 1025 characters"),
        (("feed", "--input", "some.csv", "--key", "\udcff"), "not UTF-8"),
        (("feed", "--input", "some.csv", "--bootstrap", ""), "kafka.bootstrap_servers"),
        (("feed", "--input", "."), "Is a directory"),
        *(
            ((*REDRIVE, flag, value), flag)
            for flag in ("--partition", "--from-offset", "--to-offset")
            for value in ("-1", "99999999999999999999", "1e3", "first")
        ),
        ((*REDRIVE, "--from-offset", "5", "--to-offset", "3"), "--from-offset, --to-offset"),
        ((*REDRIVE, "--since", "2026-02-01", "--until", "2026-01-01"), "--since, --until"),
        *(((*REDRIVE, "--since", value), "--since") for value in ("", "now", "12", "1e400")),
        *(((*REDRIVE, flag, "a b"), flag) for flag in ("--to", "--source-topic")),
        (("alerts", "--bootstrap", ""), "kafka.bootstrap_servers"),
        *(
            (("score", "--bundle", "b", "--input", "some.csv", *flags), "found no folder nowhere")
            for flags in (
                ("--output", "nowhere/scores.csv"),
                ("--output", "scores.csv", "--alerts", "nowhere/alerts.jsonl"),
            )
        ),
        (("alerts", "--topic", "a b"), "output.alerts_topic"),
        *(
            (("demo", "--out", out), "cannot be written")
            for out in ("file", "/dev/null/x", "/proc/x", "x" * 300)
        ),
        (("model", "show", "endless"), "model.json is a pipe or a device"),
        (("model", "show", "pipe"), "model.json is a pipe or a device"),
        (("model", "show", "file"), "no such folder"),
        (("model", "show", "x" * 300), "File name too long"),
        (("run", "--bundle", "pipe"), "model.json is a pipe or a device"),
        (("train", "--input", "some.csv", "--bundle", "b", "--seed", "1" * 30), "training.seed"),
        (("config", "check", "--secrets-dir", "secrets"), "more than 65,536 bytes"),
        (("config", "check", "--secrets-dir", "file"), "expected a directory of secrets"),
        *(
            ((*command, "--config", config), words)
            for command in (
                ("config", "check"),
                ("run",),
                ("alerts",),
                ("feed", "--input", "some.csv"),
                ("redrive",),
                ("train", "--input", "some.csv", "--bundle", "b"),
            )
            for config, words in (
                ("/dev/zero", "is a pipe or a device"),
                ("fifo", "is a pipe or a device"),
                ("long.yaml", "more than 65,536 bytes"),
                ("x" * 300, "File name too long"),
            )
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(
    run_program: RunProgram, arguments: tuple[str, ...], words: str
) -> None:
    ran = run_program(*arguments)
    assert ran.code == 2
    told = ran.out if arguments[0] == "run" else ran.err  # a daemon tells its log
    assert words in " ".join(told.split())


def test_the_program_itself_runs_in_that_folder(run_program: RunProgram) -> None:
    """Control."""
    assert run_program("config", "check").code == 0
