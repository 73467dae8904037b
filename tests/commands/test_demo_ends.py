"""A demo that is asked to end, or killed, leaves no process behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stream_vae.commands.demo import demo
from stream_vae.commands.jobs.demo_daemon import running_daemon
from stream_vae.edges.files.bundle_files import save_bundle
from stream_vae.errors import StreamVaeError
from tests.limits import Limit, slowness
from tests.models.conftest import random_bundle

ENDS = [signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Put back what handles the signals: the command sets it for its whole process."""
    before = {number: signal.getsignal(number) for number in ENDS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[signal.Signals]:
    """Have the demo send itself a signal in place of its work; return those that ended it."""
    ended = []

    def run_demo(out: Path, *, page: bool) -> None:
        number = signal.Signals(int(out.name))
        try:
            os.kill(os.getpid(), number)
            time.sleep(0.05)
        except KeyboardInterrupt:
            ended.append(number)
            raise

    monkeypatch.setattr("stream_vae.commands.jobs.demo.run_demo", run_demo)
    return ended


@pytest.mark.parametrize("number", ENDS)
def test_a_demo_that_is_asked_to_end_unwinds_as_after_ctrl_c(
    number: signal.Signals, ended: list[signal.Signals], capsys: pytest.CaptureFixture[str]
) -> None:
    demo(out=Path(str(number.value)), page=True)
    assert ended == [number]
    assert "Ended before everything was streamed." in capsys.readouterr().out


def test_a_closed_terminal_does_not_end_a_demo_under_nohup(ended: list[signal.Signals]) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    demo(out=Path(str(signal.SIGHUP.value)))
    assert not ended


def test_the_daemon_of_a_demo_ends_once_the_demo_is_gone() -> None:
    """Control: it works until then."""
    follower = ["alerts", "--follow", "--bootstrap", "127.0.0.1:1"]
    with subprocess.Popen(
        [sys.executable, "-m", "stream_vae.commands.jobs.demo_process", *follower],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        assert process.stderr.readline().startswith("waiting for a broker")
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(20 * slowness()) == 1


def test_a_daemon_that_does_not_end_when_it_is_asked_to_is_killed_and_told_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Python in place of the program: it has its partitions, and ignores SIGTERM."""
    deaf = (
        "import signal; signal.signal(15, signal.SIG_IGN); print('partitions_assigned', flush=True)"
    )
    started = subprocess.Popen

    def popen(_: list[str], **options: Any) -> "subprocess.Popen[bytes]":
        return started([sys.executable, "-c", f"{deaf}; signal.pause()"], **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    with (
        pytest.raises(StreamVaeError, match="exit code -9; its log: "),
        running_daemon(tmp_path / "no.yaml", tmp_path / "daemon.log", stop_within_s=-4.9),
    ):
        pass


def processes_of(folder: Path) -> list[str]:
    """Return the command lines that name a folder."""
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_text(errors="replace").replace("\0", " ")
        except OSError:
            continue  # it has just ended
        if str(folder) in line:
            lines.append(line)
    return lines


_RUN = """
import sys, time
from pathlib import Path
import stream_vae.commands.jobs.demo as job
from stream_vae.cli import main

def run_demo(out, *, page):
    with job.EmbeddedBroker(job.demo_topics("t")) as broker:
        config = job.write_config(out, broker.bootstrap, {"topic": "t"}, {})
        with job.running_daemon(config, out / "daemon.log", stop_within_s=30.0):
            print("up", flush=True)
            time.sleep(600)

job.run_demo = run_demo
sys.argv = ["stream-vae", "demo", "--out", sys.argv[1]]
main()
"""
"""The demo's command, broker and daemon; a model that is there stands in for the training."""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_of_a_demo_outlives_it(number: signal.Signals, tmp_path: Path) -> None:
    save_bundle(random_bundle(), tmp_path / "bundle")
    with subprocess.Popen(
        [sys.executable, "-c", _RUN, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert "up\n" in process.stdout
        assert len(processes_of(tmp_path)) == 2, "the demo and its daemon"
        process.send_signal(number)
        process.wait(60 * slowness())
    limit = Limit(10)
    while processes_of(tmp_path):
        assert not limit.is_over
        time.sleep(0.1)
    last = (tmp_path / "daemon.log").read_text().splitlines()[-1]
    assert ('"reason":"stopped"' in last) == (number is not signal.SIGKILL), "in good order"
