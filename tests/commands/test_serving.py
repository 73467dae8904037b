"""What ends `run` and `forward` before they have begun is told where their log is read."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from stream_vae.cli import main

WRONG = {
    "settings": {"kafka": {"poll_records": "many"}},
    "receiver": {"forward": {"to": "webhook"}},
}


@pytest.fixture(params=[("run", "settings"), ("forward", "settings"), ("forward", "receiver")])
def arguments(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """Return a command that a mistake in its settings ends before it serves."""
    command, mistake = request.param
    config = tmp_path / "config.json"
    config.write_text(json.dumps(WRONG[mistake]))
    return [command, "--config", str(config)]


def ended(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[str, str]:
    """Run it in this process; return its output and its errors."""
    monkeypatch.setattr(sys, "argv", ["stream-vae", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    told = capsys.readouterr()
    return told.out, told.err


def test_off_a_terminal_it_is_a_line_of_the_log(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = ended(arguments, monkeypatch, capsys)
    line = json.loads(out)
    assert list(line) == ["timestamp", "level", "event", "error", "detail"]
    assert (line["level"], line["event"], line["error"]) == (
        "error",
        "daemon_failed",
        "ConfigError",
    )
    assert "poll_records" in line["detail"] or "forward.url" in line["detail"]
    assert "\n" not in line["detail"]
    assert err == ""


def test_where_the_log_is_for_people_it_is_printed_as_that_of_any_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(WRONG["receiver"] | {"logging": {"format": "console"}}))
    out, err = ended(["forward", "--config", str(config)], monkeypatch, capsys)
    assert out == ""
    assert err.startswith("error: ")
    assert "forward.url" in err


def test_in_a_terminal_it_is_plain_text(arguments: list[str]) -> None:
    terminal, inner = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "stream_vae", *arguments],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        check=False,
    )
    os.close(inner)
    with os.fdopen(terminal, "rb") as screen:
        seen = screen.read1().decode()
    assert done.returncode == 2
    assert "error: " in seen
    assert "daemon_failed" not in seen
