"""What `run` tells before the model is loaded."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from stream_vae.commands.jobs import run


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
