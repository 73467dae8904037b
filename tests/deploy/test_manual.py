"""The way from an empty namespace: its commands speak of what the chart's pods read and write."""

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml

from stream_vae.settings import Settings, load_settings
from tests.deploy.manifests import DEPLOY, only, settings_of
from tests.deploy.test_chart import rendered

pytestmark = pytest.mark.xdist_group("deploy")  # the chart's engine is kept there

README = (DEPLOY.parent / "README.md").read_text(encoding="utf-8")
SCORES = "readings-scores"
"""A topic that is there where somebody asks for it."""
STEPS = README.split("From an empty namespace, step by step</summary>")[1].split("</details>")[0]
VALUES: dict[str, Any] = yaml.safe_load(
    dedent(re.findall(r"```yaml\n(.*?)```", STEPS, re.DOTALL)[0])
)


@pytest.fixture(scope="module")
def of_pods() -> Settings:
    """Return what a pod has of the manual's `values.yaml`."""
    documents = rendered(VALUES)
    return settings_of(only(documents, "StatefulSet")["spec"]["template"]["spec"], documents)


def names(settings: Settings) -> dict[str, object]:
    """Return what a command and a pod must agree on."""
    kafka, output = settings.kafka, settings.output
    return {
        "input": settings.input.topic,
        "alerts": output.alerts_topic,
        "dead letters": output.dead_letter_topic,
        "late": output.late_topic,
        "changelog": settings.changelog_topic,
        "group": kafka.group_id,
        "detector": settings.detector.name,
        "brokers": kafka.bootstrap_servers,
        "user": kafka.sasl_username,
    }


def test_commands_and_pods_read_the_same_names(of_pods: Settings, tmp_path: Path) -> None:
    """Control: of settings that do not name them, commands and chart have defaults of their own."""
    file = tmp_path / "stream-vae.yaml"
    file.write_text(yaml.safe_dump(VALUES["config"]))
    password = {"STREAM_VAE_KAFKA__SASL_PASSWORD": "-"}
    assert names(load_settings(config=file, environ=password).settings) == names(of_pods)
    assert names(load_settings(environ={}).settings)["alerts"] != names(of_pods)["alerts"]


def test_commands_of_the_brokers_name_what_pods_read_and_write(of_pods: Settings) -> None:
    known = names(of_pods)
    topics = {str(known[each]) for each in ("input", "alerts", "dead letters", "late", "changelog")}
    assert named_by("acls --topic") == topics | {SCORES}
    assert named_by("forward_acls --topic") == {known["alerts"], known["dead letters"]}
    assert named_by("acls --group") == {known["group"]}
    assert named_by("acls --transactional-id") == {f"{known['group']}."}
    assert named_by("acls.* --allow-principal") == {f"User:{known['user']}"}
    assert re.findall(r"kafka-topics\.sh .* --topic (\S+)", README) == [known["input"]] * 2


def named_by(option: str) -> set[str]:
    return set(re.findall(rf"^{option} (\S+)", README, re.MULTILINE))


def test_commands_for_brokers_that_ask_for_a_password_have_it() -> None:
    """Those for a broker on this machine need none."""
    lines = re.findall(r"kafka-\w+\.sh --bootstrap-server BROKER (.*)", README)
    assert len(lines) == 3
    assert [line for line in lines if not line.startswith("--command-config ")] == []
