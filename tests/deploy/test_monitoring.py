"""Rules, runbooks, dashboard, README and code speak of the same metrics, and the rules fire."""

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from stream_vae.core.health import CONDITIONS
from stream_vae.edges.telemetry.forward_recorder import ForwardMetrics
from stream_vae.edges.telemetry.metrics import Metrics
from stream_vae.settings import markdown_table
from tests.deploy.debian import debian_tool, or_skip

FOLDER = Path(__file__).parents[2] / "deploy" / "monitoring"
RUNBOOKS = (FOLDER / "runbooks.md").read_text(encoding="utf-8")
PAGE = "https://github.com/stream-vae/stream-vae/blob/main/deploy/monitoring/runbooks.md"
TESTS = ("rules_test.yaml", "rules_slow_test.yaml")
# Set by Prometheus, on every series or in the rule itself.
_OF_TARGETS = {"job", "instance", "le"}

Document = dict[str, Any]


def load_yaml(name: str) -> Document:
    """Read a file; unlike Prometheus, YAML 1.1 takes `0x30` for a number, which is written so."""
    found: Document = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return found


def load_dashboard_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dashboard", FOLDER / "dashboard.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look their own module up.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "dashboard", module)
        spec.loader.exec_module(module)
    return module


DASHBOARD = load_dashboard_module()
ALERTS: list[Document] = [
    rule for group in load_yaml("rules.yaml")["groups"] for rule in group["rules"]
]
EXPRESSIONS = {
    **{rule["alert"]: rule["expr"] for rule in ALERTS},
    **{f"panel query {i}": expression for i, expression in enumerate(DASHBOARD.queries())},
}


def labels_of_metrics() -> dict[str, set[str]]:
    """Every name that a query may use -> the labels of its series."""
    registry = CollectorRegistry()
    daemons, forwarders, found = Metrics(registry, "x"), ForwardMetrics(registry, "x", "slack"), {}
    for family in (*vars(daemons).values(), *vars(forwarders).values()):
        metric = getattr(family, "_metric", family)
        name = getattr(metric, "_name", None)
        if name is None:
            continue
        kind, labels = metric._type, {"detector", *metric._labelnames}
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
        found.update({f"{name}{suffix}": labels for suffix in suffixes.get(kind, ("",))})
    return found


LABELS = labels_of_metrics()


def faults(expression: str) -> Iterator[str]:
    """Name the metrics, labels and conditions in an expression that do not exist."""
    for name, selector in re.findall(r"(stream_vae_\w+)(\{[^}]*\})?", expression):
        if name not in LABELS:
            yield f"no metric {name}"
            continue
        for label, value in re.findall(r'(\w+)\s*[=!]~?\s*"([^"]*)"', selector):
            if label not in LABELS[name] | _OF_TARGETS:
                yield f"{name} has no label {label}"
            if label == "condition" and not set(value.split("|")) <= CONDITIONS.keys():
                yield f"no condition {value}"


def test_every_query_names_metrics_labels_and_conditions_that_exist() -> None:
    assert [name for name, e in EXPRESSIONS.items() if "stream_vae_" not in e] == ["StreamVaeDown"]
    assert {name: wrong for name, e in EXPRESSIONS.items() if (wrong := list(faults(e)))} == {}


def test_a_query_of_something_else_is_found_out() -> None:
    """Control for the law above."""
    wrong = 'stream_vae_lag > 3 and stream_vae_series_blind{topic="t"}'
    assert list(faults(wrong)) == [
        "no metric stream_vae_lag",
        "stream_vae_series_blind has no label topic",
    ]
    assert list(faults('stream_vae_condition{condition="nothing_red"}')) == [
        "no condition nothing_red"
    ]


def test_every_alert_has_words_a_severity_and_a_runbook_and_every_runbook_an_alert() -> None:
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook_url"] == f"{PAGE}#{rule['alert'].lower()}"
    entries = re.split(r"^## ", RUNBOOKS, flags=re.MULTILINE)[1:]
    assert [entry.split("\n", 1)[0] for entry in entries] == [rule["alert"] for rule in ALERTS]
    for entry in entries:
        assert re.findall(r"^\*\*(.+?):\*\*", entry, re.MULTILINE) == ["Means", "Look at", "Do"]


def test_runbooks_name_metrics_and_settings_that_exist() -> None:
    named = set(re.findall(r"`([a-z_.]+)`", RUNBOOKS))
    settings = set(re.findall(r"^\| `([a-z_.]+)`", markdown_table(), re.MULTILINE))
    sections = tuple(f"{name.split('.')[0]}." for name in settings if "." in name)
    assert {name for name in named if name.startswith(sections)} <= settings
    metrics = {name for name in named if name.endswith(("_total", "_seconds", "_ratio"))}
    assert len(metrics) > 8
    known = {re.sub(r"_(bucket|sum|count)$", "", name) for name in LABELS}
    assert {f"stream_vae_{name}" for name in metrics} <= known


def test_every_alert_is_tried_once_firing_and_once_quiet() -> None:
    tried: dict[str, set[bool]] = {}
    for name in TESTS:
        for test in load_yaml(name)["tests"]:
            for one in test["alert_rule_test"]:
                tried.setdefault(one["alertname"], set()).add(bool(one["exp_alerts"]))
    assert tried == {rule["alert"]: {True, False} for rule in ALERTS}


def test_the_committed_dashboard_is_what_its_builder_prints_and_fits_its_grid() -> None:
    """Mend it by running `dashboard.py` again."""
    committed = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
    assert committed == json.loads(json.dumps(DASHBOARD.build()))
    panels = committed["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in panels):
        taken = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, "panels lie over each other"
        assert place["x"] + place["w"] <= 24
        cells |= taken
    assert all(panel["description"] for panel in panels if panel["type"] != "row")


def test_what_a_rule_watches_is_drawn() -> None:
    """Whoever is paged looks at the dashboard next."""
    named = {name: set(re.findall(r"stream_vae_\w+", e)) for name, e in EXPRESSIONS.items()}
    watched = {one for rule in ALERTS for one in named[rule["alert"]]}
    drawn = {one for name, names in named.items() if name.startswith("panel") for one in names}
    assert watched - drawn == set()


def test_prometheus_takes_rules_queries_and_metrics_and_each_alert_fires_and_rests(
    tmp_path: Path,
) -> None:
    promtool = or_skip(debian_tool, "promtool", "prometheus")
    rules = [
        {"record": f"panel:query:{i}", "expr": query} for i, query in enumerate(DASHBOARD.queries())
    ]
    panels = tmp_path / "panels.yaml"
    panels.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    registry = CollectorRegistry()
    Metrics(registry, "x")
    ForwardMetrics(registry, "x", "slack")

    def check(*arguments: str, text: str = "") -> None:
        done = subprocess.run(
            [str(promtool), *arguments],
            cwd=FOLDER,
            input=text,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    check("check", "rules", "rules.yaml", str(panels))
    check("check", "metrics", text=generate_latest(registry).decode())
    check("test", "rules", *TESTS)
