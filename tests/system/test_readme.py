"""The README's own-data section, block by block, on a real broker."""

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.limits import Limit
from tests.system.broker import KafkaCluster
from tests.system.forked_process import Command

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")

SHORT_TRAINING = {
    "STREAM_VAE_TRAINING__EPOCHS": "3",
    "STREAM_VAE_TRAINING__MIN_STEPS": "30",
    "STREAM_VAE_TRAINING__INJECTED_FAULTS": "1",
}
"""Enough for sines, and what the blocks do is the same."""

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    """Return (language, text) of each fenced block that is meant to be run or kept as a file."""
    return [
        (kind, text) for kind, text in _BLOCK.findall(README) if kind in {"bash", "yaml", "python"}
    ]


def write_data(path: Path, *, spoilt: bool) -> None:
    """Write a minute's data of two features and one pump, with an anomaly if asked for."""
    generator = np.random.default_rng(1 + spoilt)
    lines = ["timestamp,series,flow,level"]
    for i in range(600):
        at = np.datetime64("2026-01-01T00:00:00") + np.timedelta64(i, "m")
        flow, level = np.sin(i / 4 + np.arange(2)) + 0.1 * generator.normal(size=2)
        flow += 20 if spoilt and 300 <= i < 310 else 0
        lines.append(f"{at}Z,pump-7,{flow:.4f},{level:.4f}")
    path.write_text("\n".join(lines) + "\n")


def shorten(folder: Path, n_rows: int = 800) -> None:
    """Keep the beginning of each table in a folder: what the commands do with it is the same."""
    for path in folder.glob("*.csv"):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[: n_rows + 1]))


def await_records(kafka: KafkaCluster, topic: str, n: int, timeout_s: float = 90.0) -> None:
    """Wait until a topic, which may not even exist yet, has so many committed records."""
    limit = Limit(timeout_s)
    while len(kafka.consume_all(topic, timeout_s=5)) < n:
        assert not limit.is_over, f"fewer than {n} records in {topic}"
        time.sleep(0.2)


@pytest.fixture
def daemons() -> Iterator[list["subprocess.Popen[bytes]"]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for daemon in started:
        daemon.terminate()
        daemon.wait(30)


@pytest.fixture
def run_line(tmp_path: Path, daemons: list["subprocess.Popen[bytes]"]) -> Callable[[str], str]:
    """Run one line of a bash block; `stream-vae run` goes on in the background, as users start it.

    The others are forks that have their imports already.
    """

    def run(line: str) -> str:
        program, *arguments = shlex.split(line)
        if arguments[0] == "run":
            with (tmp_path / "daemon.log").open("wb") as log:
                command = [str(Path(sys.executable).with_name(program)), *arguments]
                daemons.append(subprocess.Popen(command, cwd=tmp_path, stdout=log))
            return ""
        with Command(arguments, tmp_path, directory=tmp_path, environment=SHORT_TRAINING) as forked:
            done = forked.wait()
        assert done.code == 0, f"{line}\n{done.out}{done.err}"
        return done.out

    return run


@pytest.mark.slow
def test_every_block_of_the_readme_runs(
    kafka: KafkaCluster, tmp_path: Path, run_line: Callable[[str], str]
) -> None:
    topic = kafka.new_topic("readings")
    alerts = f"{topic}.alerts"
    write_data(tmp_path / "normal.csv", spoilt=False)
    write_data(tmp_path / "week.csv", spoilt=True)
    (tmp_path / "configs").symlink_to(Path(__file__).parents[2] / "configs")
    languages = []
    for language, text in blocks():
        languages.append(language)
        here = text.replace("localhost:9092", kafka.bootstrap).replace("stream-vae.alerts", alerts)
        here = re.sub(r"(--topic|topic:) readings(?=[\s}])", rf"\1 {topic}", here)
        if language == "yaml":
            name = here.splitlines()[0].removeprefix("# ")
            own = f"output: {{alerts_topic: {alerts}}}\nhttp: {{port: 0}}\n"
            (tmp_path / name).write_text(here + own)
        elif language == "bash":
            for line in here.splitlines():
                if line.startswith("stream-vae alerts"):
                    await_records(kafka, alerts, 2)
                    printed = run_line(line)
                    assert "FIRING" in printed
                    assert "RESOLVED" in printed
                    assert "pump-7" in printed
                else:
                    run_line(line)
                if line.startswith("stream-vae example"):
                    shorten(tmp_path / shlex.split(line)[-1])
        else:
            program = tmp_path / "consumer.py"
            program.write_text(here)
            done = subprocess.run(
                [sys.executable, str(program)],
                capture_output=True,
                text=True,
                timeout=90,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert "firing" in done.stdout
            assert all(line.count("pump-7") == 1 for line in done.stdout.splitlines())
            assert "resolved" in done.stdout
    assert set(languages) == {"bash", "yaml", "python"}
