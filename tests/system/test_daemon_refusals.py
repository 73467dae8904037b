"""What an operator got wrong is told before anything starts: exit 2."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from stream_vae.cli import main
from tests.system.harness import AS_USERS_START_IT, DaemonProcess, free_port

BROKERS = "127.0.0.1:1"
"""Nobody is there: a daemon that got so far would wait, not exit."""

pytestmark = pytest.mark.slow  # some start a process of its own


def refusal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], config: Path
) -> str:
    """Run the daemon in this process and return why it refused."""
    monkeypatch.setattr(sys, "argv", ["stream-vae", "run", "--config", str(config)])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert ended.value.code == 2
    assert told.err == "", "its log is for machines, and says it"
    *before, line = map(json.loads, told.out.splitlines())
    assert {one["event"] for one in before} <= {"daemon_starting"}, "nothing has started"
    assert line["event"] == "daemon_failed"
    return " ".join(line["detail"].split())


def config_file(directory: Path, **sections: dict[str, object]) -> Path:
    content = {
        "http": {"port": 0},
        "kafka": {"bootstrap_servers": BROKERS, "broker_deadline_s": 1},
        **sections,
    }
    path = directory / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kafka: [", ("config.yaml:1", "not YAML")),
        ("kafka:\n  poll_records: many", ("kafka.poll_records", "'many'", "integer", ":2")),
        ("kafka:\n  commit_interval_s: 40", ("commit_interval_s (40)", "transaction_timeout_s")),
        ("detect:\n  incident: {open_after: 4, open_within: 3}", ("open_after (4)", "(3)")),
        (
            "input: {topic: same}\noutput: {alerts_topic: same}",
            ("input.topic and output.alerts_topic are both 'same'",),
        ),
        ("kafka:\n  bootstrap: a:1", ("kafka.bootstrap", "did you mean kafka.bootstrap_servers?")),
    ],
    ids=["no YAML", "wrong type", "two durations", "two counts", "two topics", "misspelt"],
)
def test_settings_that_cannot_be_meant_are_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    text: str,
    words: tuple[str, ...],
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    told = refusal(monkeypatch, capsys, path)
    for word in words:
        assert word in told


def flip_a_bit(weights: Path) -> None:
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)


def cut_short(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:-100])


def make_newer(weights: Path) -> None:
    model = weights.with_name("model.json")
    content = json.loads(model.read_text())
    content["format_version"] = 99
    model.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (flip_a_bit, ("weights.safetensors", "sha256")),
        (cut_short, ("weights.safetensors", "sha256")),
        (make_newer, ("99", "format")),
        (Path.unlink, ("weights.safetensors",)),
    ],
    ids=["altered", "truncated", "newer format", "no weights"],
)
def test_a_bundle_that_is_not_what_was_written_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    small_bundle: Path,
    spoil: object,
    words: tuple[str, ...],
) -> None:
    bundle = shutil.copytree(small_bundle, tmp_path / "bundle")
    assert callable(spoil)
    spoil(bundle / "weights.safetensors")
    config = config_file(tmp_path, bundle={"path": str(bundle)})
    told = refusal(monkeypatch, capsys, config).lower()
    for word in words:
        assert word in told


def test_a_score_the_bundle_does_not_have_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    small_bundle: Path,
) -> None:
    config = config_file(tmp_path, bundle={"path": str(small_bundle)}, detect={"score": "best"})
    told = refusal(monkeypatch, capsys, config)
    for word in ("score", "'best'", "recency"):
        assert word in told


@pytest.mark.slow
def test_a_refusal_is_the_exit_code_of_the_process(tmp_path: Path) -> None:
    config = config_file(tmp_path, bundle={"path": "/nowhere"}, http={"port": free_port()})
    with DaemonProcess(config, program=AS_USERS_START_IT) as daemon:
        assert daemon.wait(60) == 2
        assert "/nowhere" in daemon.failure
        assert [event["event"] for event in daemon.events] == ["daemon_failed"]
        assert daemon.stray_lines == []
