"""`config check|show|schema` as an operator runs them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from stream_vae.commands.config import app
from stream_vae.errors import ConfigError
from stream_vae.settings import Settings, settings_table

SENSORS = Path(__file__).parents[2] / "configs" / "sensors.yaml"


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STREAM_VAE_CONFIG", raising=False)


def run(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env=variables)


def test_check_accepts_an_example() -> None:
    result = run("check", "--config", str(SENSORS))
    assert result.exit_code == 0
    assert result.stdout.startswith("settings can be used: ")


def test_check_counts_defaults_of_sessions_as_defaults(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("input: {format: log_lines, session_pattern: '(blk_[0-9]+)'}\n")
    result = run("check", "--config", str(file))
    assert result.stdout.startswith("settings can be used: 2 set, ")


def test_check_tells_everything_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("kafka: {grup_id: x}\nhttp: {port: many}\n")
    result = run("check", "--config", str(file), STREAM_VAE_WORKER__TREADS="2")
    assert isinstance(result.exception, ConfigError)
    assert result.stdout == ""
    lines = str(result.exception).splitlines()
    assert lines[0] == "3 settings cannot be used:"
    assert "did you mean kafka.group_id?" in lines[1]
    assert "did you mean STREAM_VAE_WORKER__THREADS?" in lines[2]
    assert "found 'many', expected integer" in lines[3]


def test_check_refuses_what_the_kafka_client_does_not_know(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("kafka: {consumer: {fetch.min.byts: 1}}\n")
    result = run("check", "--config", str(file))
    assert isinstance(result.exception, ConfigError)
    assert "fetch.min.byts" in str(result.exception)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{to: slack}", "forward.url is not set: expected the address of the receiver (slack)"),
        ("{to: pagerduty}", "forward.secret is not set: expected the routing key"),
        (
            "{to: grafana, url: 'http://grafana', ssl_ca_location: /none}",
            "forward.ssl_ca_location: '/none' cannot be used",
        ),
    ],
)
def test_check_refuses_a_receiver_that_cannot_be_told(
    section: str, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(f"forward: {section}\n")
    result = run("check", "--config", str(file))
    assert isinstance(result.exception, ConfigError)
    assert said in str(result.exception)


def test_check_accepts_a_receiver_that_can_be_told_and_one_that_a_flag_is_to_name(
    tmp_path: Path,
) -> None:
    """Control."""
    for section in ("{to: slack, url: 'http://x/y'}", "{min_severity: warning}"):
        file = tmp_path / "c.yaml"
        file.write_text(f"forward: {section}\n")
        assert run("check", "--config", str(file)).exit_code == 0


def test_check_refuses_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = run("check", "--config", str(tmp_path / "none.yaml"))
    assert isinstance(result.exception, ConfigError)
    assert "none.yaml: cannot be read" in str(result.exception)


def test_the_program_exits_2_and_says_why(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("http: {port: many}\n")
    command = [sys.executable, "-m", "stream_vae", "config", "check", "--config", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert f"http.port ({file}:1): found 'many', expected integer" in done.stderr
    assert "Traceback" not in done.stderr


def test_show_tells_value_and_origin() -> None:
    result = run("show", "--config", str(SENSORS), STREAM_VAE_KAFKA__GROUP_ID="fans")
    assert result.exit_code == 0
    lines = {line.split("#")[0].strip(): line.split("#")[1].strip() for line in _origins(result)}
    assert lines["group_id: fans"] == "environment STREAM_VAE_KAFKA__GROUP_ID"
    assert lines["start: latest"] == "default"
    assert lines["alerts_topic: alerts"].startswith(f"{SENSORS}:")
    assert yaml.safe_load(result.stdout)["kafka"]["group_id"] == "fans"


def _origins(result: Result) -> list[str]:
    return [line for line in result.stdout.splitlines() if "  # " in line]


def test_show_masks_secrets(tmp_path: Path) -> None:
    (tmp_path / "kafka__sasl_password").write_text("hunter2")
    result = run(
        "show",
        "--format=json",
        f"--secrets-dir={tmp_path}",
        STREAM_VAE_KAFKA__SECURITY_PROTOCOL="SASL_SSL",
        STREAM_VAE_KAFKA__SASL_MECHANISM="PLAIN",
        STREAM_VAE_KAFKA__SASL_USERNAME="ann",
    )
    assert result.exit_code == 0
    assert "hunter2" not in result.output
    shown = json.loads(result.stdout)
    assert shown["settings"]["kafka"]["sasl_password"] == "**********"  # noqa: S105 -- the mask
    assert shown["origins"]["kafka.sasl_password"].startswith("secret ")


def test_schema_prints_the_settings_schema() -> None:
    printed = json.loads(run("schema").stdout)
    assert printed.pop("$schema") == "https://json-schema.org/draft/2020-12/schema"
    assert printed == Settings.model_json_schema()


def test_table_prints_every_setting() -> None:
    printed = run("table").stdout
    assert all(f"| `{name}` |" in printed for name, *_ in settings_table())
