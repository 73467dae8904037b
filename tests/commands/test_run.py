"""What `run` tells before the model is loaded."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from stream_vae.commands.jobs import run


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """The daemon takes the signals of the process it runs in, here this one's."""
    before = [(number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT)]
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in before:
        signal.signal(number, handler)


def test_the_first_line_comes_before_torch_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []

    def load(_name: str) -> SimpleNamespace:
        lines.extend(capsys.readouterr().out.splitlines())
        return SimpleNamespace(start_loop=lambda _around: None)

    monkeypatch.setattr(run, "import_module", load)
    config = tmp_path / "config.json"
    sections = {"http": {"enabled": False}, "logging": {"format": "json"}, "bundle": {"path": "."}}
    config.write_text(json.dumps(sections | {"kafka": {"group_id": "pumps"}}))
    run.serve({}, config, None)
    (line,) = map(json.loads, lines)
    assert line["event"] == "daemon_starting"
    assert (line["config"], line["group"]) == (str(config), "pumps")
    assert line["version"]
