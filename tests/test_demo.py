"""The demo, run as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from stream_vae.wire.alerts import alert_schema
from tests.limits import slowness


@pytest.mark.slow
def test_the_demo_finds_the_known_events_and_leaves_its_files(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    done = subprocess.run(
        [sys.executable, "-m", "stream_vae", "demo", "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=280 * slowness(),
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 of 4" in done.stdout
    assert "false alarm" not in done.stdout
    assert "exit code 0" in done.stdout
    events = [json.loads(line) for line in (out / "alerts.jsonl").read_text().splitlines()]
    assert len({event["incident_id"] for event in events}) == 4
    for event in events:
        jsonschema.validate(event, alert_schema())
    rows = (out / "scores.csv").read_text().splitlines()
    assert len(rows) == 1 + 789, "one row a streamed reading"
    left = sorted(path.name for path in out.iterdir())
    assert left == [
        "alerts.jsonl",
        "anomalies.png",
        "bundle",
        "daemon.log",
        "daemon.yaml",
        "scores.csv",
    ]
    assert "--config" not in done.stdout.split("Next, with your own data")[1].split("The last")[0]
    assert (out / "anomalies.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in (out / "bundle").iterdir()) == [
        "model.json",
        "weights.safetensors",
    ]
