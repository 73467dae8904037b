"""What the README says of settings, schema, metrics and reasons is what the program has."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from stream_vae.core.health import CONDITIONS
from stream_vae.edges.telemetry.forward_recorder import ForwardMetrics, ForwardRecorder
from stream_vae.edges.telemetry.metrics import Metrics
from stream_vae.edges.telemetry.recorder import Recorder
from stream_vae.settings import markdown_table
from stream_vae.wire.alerts import alert_schema
from stream_vae.wire.rejections import FORWARD_REASONS, REASONS

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def names_in_backticks() -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", README))


def test_the_settings_table_is_the_settings() -> None:
    """Mend it by pasting the output of `stream-vae config table`."""
    inside = README.split("<!-- settings: stream-vae config table -->\n")[1]
    inside = inside.split("<!-- end of settings -->")[0]
    assert inside.strip() == markdown_table().strip()


@pytest.mark.parametrize("field", sorted(alert_schema()["properties"]))
def test_every_field_of_an_alert_event_is_explained(field: str) -> None:
    assert field in names_in_backticks()


@pytest.mark.parametrize("reason", sorted({*REASONS, *FORWARD_REASONS} - {"late"}))
def test_every_reason_of_a_dead_letter_is_listed(reason: str) -> None:
    assert reason in names_in_backticks()


def test_every_metric_is_listed_and_every_listed_metric_is_there() -> None:
    registry = CollectorRegistry()
    Metrics(registry, "x")
    ForwardMetrics(registry, "x", "slack")
    real = set()
    for family in registry.collect():
        prefix, _, name = family.name.partition("stream_vae_")
        if prefix:
            continue  # the process's own, known from every exporter
        real.add(f"{name}_total" if family.type == "counter" else name)
    tables = README.split("| Metric (`stream_vae_…`)")[1:]
    assert len(tables) == 2, "the daemon's and the forwarder's"
    rows = [row for table in tables for row in table.split("\n\n")[0].splitlines()[2:]]
    listed = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row.split("|")[1])}
    assert listed == real


def test_every_message_that_warns_has_its_action() -> None:
    given: dict[str, Any] = {"detector": "x", "summary_period_s": 60.0, "clock": float}
    recorders = (
        Recorder(CollectorRegistry(), structlog.get_logger(), **given),
        ForwardRecorder(CollectorRegistry(), structlog.get_logger(), receiver="slack", **given),
    )
    warning = {
        re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()
        for recorder in recorders
        for kind, face in recorder._faces.items()
        if re.search(r'_warn|"warning"|"error"', inspect.getsource(face))
    }
    table = README.split("| `event` | Do |")[1].split("\n\n")[0]
    listed = [row.split("`")[1] for row in table.splitlines()[2:]]
    assert sorted(listed) == sorted(warning)


def test_every_condition_is_explained_in_the_order_of_their_weight() -> None:
    table = README.split("| Condition | Means | When |")[1].split("\n\n")[0]
    words = {"not ready": "blocking", "degraded": "fault", "idle": "idle"}
    listed = {}
    for row in table.splitlines()[2:]:
        _, names, means, *_ = row.split("|")
        listed.update(dict.fromkeys(re.findall(r"`([a-z_]+)`", names), words[means.strip()]))
    assert list(listed.items()) == list(CONDITIONS.items())
