"""The Grafana dashboard; run this file, and keep what it prints as `dashboard.json` beside it.

Every query has the variables `$detector` and `$instance`, so that one dashboard serves all
detectors of a data source. The JSON is committed; a test holds the two together.
"""

import json
import sys
from dataclasses import dataclass
from typing import Any

_COLUMNS = 24
_ROW_HEIGHT = 8
_STAT_HEIGHT = 4
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One PromQL expression, and how its series are called.

    `SELECT` in the expression stands for the chosen detectors and instances, `FORWARDERS` for all
    forwarders of these detectors: they are processes of their own, with instances of their own.
    """

    expr: str
    legend: str = "{{instance}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture."""

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    steps: tuple[tuple[float | None, str], ...] = ()
    """Lower bounds and colours, for `stat`."""
    nothing: str = "No data"
    """What stands there where no query has an answer: it may be as it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


def _stat(
    title: str, expr: str, description: str, steps: tuple[tuple[float | None, str], ...], unit: str
) -> Panel:
    return Panel(
        title=title,
        description=description,
        queries=(Query(expr=expr, legend=""),),
        kind="stat",
        unit=unit,
        width=4,
        steps=steps,
    )


_GOOD, _FAIR, _BAD = "green", "orange", "red"

ROWS = (
    Row(
        title="At a glance",
        panels=(
            _stat(
                "Instances",
                "count(stream_vae_build_info{SELECT})",
                "Instances that are scraped.",
                ((None, _BAD), (1, _GOOD)),
                "short",
            ),
            _stat(
                "What keeps them",
                "sum(stream_vae_condition"
                '{SELECT, condition!~"restoring|no_partitions|input_idle"})',
                "Conditions that keep instances from their work; /statusz has the reasons.",
                ((None, _GOOD), (1, _BAD)),
                "short",
            ),
            _stat(
                "Lag",
                "max(stream_vae_consumer_lag_seconds{SELECT})",
                "Age of the oldest record not yet read.",
                ((None, _GOOD), (60, _FAIR), (300, _BAD)),
                "s",
            ),
            _stat(
                "Open incidents",
                "sum(stream_vae_incidents_open{SELECT})",
                "Incidents that are firing now.",
                ((None, _GOOD), (1, _FAIR)),
                "short",
            ),
            _stat(
                "Series",
                "sum(stream_vae_series_active{SELECT})",
                "Series in memory.",
                ((None, _GOOD),),
                "short",
            ),
            _stat(
                "Blind series",
                "sum(stream_vae_series_blind{SELECT})",
                "Series that send readings of which none can be judged.",
                ((None, _GOOD), (1, _FAIR)),
                "short",
            ),
        ),
    ),
    Row(
        title="Input",
        panels=(
            Panel(
                title="Records a second",
                description="Read from the input, and what of it gave no reading.",
                unit="cps",
                queries=(
                    Query(
                        expr="sum(rate(stream_vae_records_consumed_total{SELECT}[5m]))",
                        legend="read",
                    ),
                    Query(
                        expr=(
                            "sum by (reason) (rate(stream_vae_records_rejected_total{SELECT}[5m]))"
                        ),
                        legend="dead letter: {{reason}}",
                    ),
                    Query(
                        expr="sum(rate(stream_vae_dead_letters_total{SELECT}[5m]))",
                        legend="dead letters written",
                    ),
                    Query(
                        expr="sum(rate(stream_vae_records_without_feature_total{SELECT}[5m]))",
                        legend="without feature",
                    ),
                    Query(
                        expr="sum(rate(stream_vae_late_readings_total{SELECT}[5m]))",
                        legend="late",
                    ),
                ),
            ),
            Panel(
                title="Lag, records",
                description="Input records not yet read, by partition.",
                queries=(
                    Query(
                        expr="stream_vae_consumer_lag_records{SELECT}",
                        legend="{{topic}} {{partition}}",
                    ),
                ),
            ),
            Panel(
                title="Lag, seconds",
                description="Age of the oldest of them, at most; and time without progress.",
                unit="s",
                queries=(
                    Query(
                        expr="stream_vae_consumer_lag_seconds{SELECT}",
                        legend="{{topic}} {{partition}}",
                    ),
                    Query(
                        expr="stream_vae_partition_stalled_seconds{SELECT} > 0",
                        legend="{{topic}} {{partition}}, no progress",
                    ),
                ),
            ),
            Panel(
                title="Missing values by feature",
                description="Share of the readings that lack a feature.",
                unit="percentunit",
                queries=(
                    Query(
                        expr=(
                            "sum by (feature) "
                            "(rate(stream_vae_feature_values_missing_total{SELECT}[5m])) / "
                            "(sum by (feature) "
                            "(rate(stream_vae_feature_values_missing_total{SELECT}[5m])) + "
                            "sum by (feature) (rate(stream_vae_feature_values_total{SELECT}[5m])))"
                        ),
                        legend="{{feature}}",
                    ),
                ),
            ),
            Panel(
                title="Event time behind the clock",
                description="Now less the newest event time; usual time between two readings.",
                unit="s",
                queries=(
                    Query(
                        expr="time() - stream_vae_newest_event_timestamp_seconds{SELECT}",
                        legend="{{instance}} {{topic}}",
                    ),
                    Query(
                        expr="max by (topic) (stream_vae_stream_step_seconds{SELECT})",
                        legend="{{topic}} usual step",
                    ),
                ),
            ),
            Panel(
                title="Conditions",
                description="1 while a condition holds; README and /statusz explain each.",
                nothing="None",
                queries=(
                    Query(
                        expr="sum by (condition) (stream_vae_condition{SELECT}) > 0",
                        legend="{{condition}}",
                    ),
                    Query(
                        expr=(
                            "1 - stream_vae_broker_reachable{SELECT} > 0 "
                            "or 1 - stream_vae_forward_broker_reachable{FORWARDERS} > 0"
                        ),
                        legend="{{instance}} reaches no broker",
                    ),
                ),
            ),
        ),
    ),
    Row(
        title="Verdicts and alerts",
        panels=(
            Panel(
                title="Readings by verdict",
                description="Normal, anomalous, or why there is no verdict.",
                unit="cps",
                queries=(
                    Query(
                        expr=(
                            "sum by (verdict) (rate(stream_vae_readings_judged_total{SELECT}[5m]))"
                        ),
                        legend="{{verdict}}",
                    ),
                ),
            ),
            Panel(
                title="Readings above the threshold",
                description="Share as asked, since the start, and of the last hour.",
                unit="percentunit",
                queries=(
                    Query(
                        expr=("max by (of) (stream_vae_readings_above_threshold_ratio{SELECT})"),
                        legend="{{of}}",
                    ),
                    Query(
                        expr=(
                            "sum(rate(stream_vae_readings_judged_total"
                            '{SELECT, verdict="anomalous"}[1h])) / '
                            "sum(rate(stream_vae_readings_judged_total"
                            '{SELECT, verdict=~"normal|anomalous"}[1h]))'
                        ),
                        legend="last hour",
                    ),
                ),
            ),
            Panel(
                title="Incidents per series and week",
                description="As budgeted, and since the start.",
                queries=(
                    Query(
                        expr=(
                            "604800 * max by (of) (stream_vae_incidents_per_series_second{SELECT})"
                        ),
                        legend="{{of}}",
                    ),
                ),
            ),
            Panel(
                title="Alert events",
                description="Committed in five minutes, by kind and severity; incidents opened.",
                queries=(
                    Query(
                        expr="sum(increase(stream_vae_incidents_opened_total{SELECT}[5m]))",
                        legend="incidents of anomalies",
                    ),
                    Query(
                        expr=(
                            "sum by (status, kind, severity) "
                            "(increase(stream_vae_alerts_total{SELECT}[5m])) > 0"
                        ),
                        legend="{{status}} {{kind}} {{severity}}",
                    ),
                ),
            ),
            Panel(
                title="Score less threshold",
                description="Median and 99th percentile of a sample; above 0 is anomalous.",
                queries=(
                    Query(
                        expr=(
                            "histogram_quantile(0.5, "
                            "sum by (le) (rate(stream_vae_score_margin_bucket{SELECT}[5m])))"
                        ),
                        legend="median",
                    ),
                    Query(
                        expr=(
                            "histogram_quantile(0.99, "
                            "sum by (le) (rate(stream_vae_score_margin_bucket{SELECT}[5m])))"
                        ),
                        legend="99 %",
                    ),
                ),
            ),
            Panel(
                title="Thresholds at a bound",
                description="Share of the series whose threshold may not fall or rise further.",
                unit="percentunit",
                queries=(
                    Query(
                        expr=(
                            "sum by (bound) (stream_vae_thresholds_bounded{SELECT}) / "
                            "ignoring (bound) group_left () sum(stream_vae_series_active{SELECT})"
                        ),
                        legend="{{bound}}",
                    ),
                ),
            ),
        ),
    ),
    Row(
        title="Latency and model",
        panels=(
            Panel(
                title="From reading to alert",
                description="Time from consuming a reading to its committed alert.",
                unit="s",
                queries=tuple(
                    Query(
                        expr=(
                            f"histogram_quantile({share}, "
                            "sum by (le) "
                            "(rate(stream_vae_alert_latency_seconds_bucket{SELECT}[5m])))"
                        ),
                        legend=name,
                    )
                    for share, name in ((0.5, "median"), (0.99, "99 %"))
                ),
            ),
            Panel(
                title="Time of the loop's steps",
                description="99th percentile of decoding, assembling and committing; of the model.",
                unit="s",
                queries=(
                    Query(
                        expr=(
                            "histogram_quantile(0.99, sum by (le, stage) "
                            "(rate(stream_vae_stage_duration_seconds_bucket{SELECT}[5m])))"
                        ),
                        legend="{{stage}}",
                    ),
                    Query(
                        expr=(
                            "histogram_quantile(0.99, sum by (le, device) "
                            "(rate(stream_vae_inference_duration_seconds_bucket{SELECT}[5m])))"
                        ),
                        legend="model on {{device}}",
                    ),
                ),
            ),
            Panel(
                title="Windows scored a second",
                description="What the model does; 1 where it pauses the input.",
                unit="cps",
                queries=(
                    Query(
                        expr="sum by (instance) (rate(stream_vae_windows_scored_total{SELECT}[5m]))"
                    ),
                    Query(
                        expr="stream_vae_consumption_paused{SELECT} > 0",
                        legend="{{instance}} paused",
                    ),
                ),
            ),
            Panel(
                title="Age of the model",
                description="Since it was trained.",
                unit="s",
                queries=(
                    Query(expr="time() - stream_vae_model_trained_timestamp_seconds{SELECT}"),
                ),
            ),
            Panel(
                title="New levels and drift",
                description="Series whose new level was learnt, shifts of all scores; in a day.",
                queries=(
                    Query(
                        expr="sum(increase(stream_vae_thresholds_released_total{SELECT}[1d]))",
                        legend="levels learnt",
                    ),
                    Query(
                        expr="sum(increase(stream_vae_drift_detected_total{SELECT}[1d]))",
                        legend="drifts",
                    ),
                ),
            ),
            Panel(
                title="Heartbeats",
                description="Seconds since the latest iteration of each loop.",
                unit="s",
                queries=(
                    Query(
                        expr="time() - stream_vae_heartbeat_timestamp_seconds{SELECT}",
                        legend="{{instance}} {{loop}}",
                    ),
                    Query(
                        expr="time() - stream_vae_forward_heartbeat_timestamp_seconds{FORWARDERS}",
                        legend="{{instance}} forwarder",
                    ),
                ),
            ),
        ),
    ),
    Row(
        title="State and group",
        panels=(
            Panel(
                title="Series and budget",
                description="Series in memory, and how many the budget holds.",
                queries=(
                    Query(expr="stream_vae_series_active{SELECT}"),
                    Query(
                        expr="stream_vae_series_capacity{SELECT}", legend="{{instance}} capacity"
                    ),
                ),
            ),
            Panel(
                title="Series evicted, blind, in several partitions",
                description="Evicted in five minutes by reason; the others now.",
                queries=(
                    Query(
                        expr=(
                            "sum by (reason) "
                            "(increase(stream_vae_series_evicted_total{SELECT}[5m]))"
                        ),
                        legend="evicted: {{reason}}",
                    ),
                    Query(expr="sum(stream_vae_series_blind{SELECT})", legend="blind"),
                    Query(
                        expr="sum(stream_vae_series_in_several_partitions{SELECT})",
                        legend="in several partitions",
                    ),
                ),
            ),
            Panel(
                title="Partitions",
                description="Held by each instance, and those whose state is back.",
                queries=(
                    Query(
                        expr="stream_vae_partitions_assigned{SELECT}", legend="{{instance}} held"
                    ),
                    Query(expr="stream_vae_partitions_live{SELECT}", legend="{{instance}} live"),
                ),
            ),
            Panel(
                title="Being restored",
                nothing="None",
                description="Time since a partition was assigned whose state is not back.",
                unit="s",
                queries=(
                    Query(
                        expr="stream_vae_partition_restoring_seconds{SELECT} > 0",
                        legend="{{topic}} {{partition}}",
                    ),
                ),
            ),
            Panel(
                title="Transactions and rebalances",
                description="In five minutes, by result and kind.",
                queries=(
                    Query(
                        expr=(
                            "sum by (result) (increase(stream_vae_transactions_total{SELECT}[5m]))"
                        ),
                        legend="{{result}}",
                    ),
                    Query(
                        expr="sum by (event) (increase(stream_vae_rebalances_total{SELECT}[5m]))",
                        legend="partitions {{event}}",
                    ),
                ),
            ),
            Panel(
                title="Memory of the process",
                description="Resident set.",
                unit="bytes",
                queries=(
                    Query(
                        expr=(
                            "process_resident_memory_bytes "
                            "and on (job, instance) stream_vae_build_info{SELECT}"
                        )
                    ),
                    Query(
                        expr=(
                            "process_resident_memory_bytes "
                            "and on (job, instance) stream_vae_forward_info{FORWARDERS}"
                        ),
                        legend="{{instance}} forwarder",
                    ),
                ),
            ),
        ),
    ),
    Row(
        title="Alerts to receivers (forwarders)",
        panels=(
            Panel(
                title="Events told",
                description="In five minutes; while they fire, again; passed over: not for it.",
                queries=tuple(
                    Query(
                        expr=(
                            "sum by (receiver) "
                            f"(increase(stream_vae_forward_alerts_{name}_total{{FORWARDERS}}[5m]))"
                        ),
                        legend=f"{{{{receiver}}}} {words}",
                    )
                    for name, words in (
                        ("delivered", "told"),
                        ("resent", "told again"),
                        ("passed_over", "passed over"),
                    )
                ),
            ),
            Panel(
                title="Failing",
                description="Time since the first of the failures in a row; 0 after a success.",
                unit="s",
                queries=(
                    Query(
                        expr="stream_vae_forward_failing_seconds{FORWARDERS}",
                        legend="{{receiver}} {{instance}}",
                    ),
                ),
            ),
            Panel(
                title="Failed attempts and dead letters",
                description="In five minutes; attempts are repeated, dead letters given up.",
                queries=(
                    Query(
                        expr=(
                            "sum by (receiver) "
                            "(increase(stream_vae_forward_failures_total{FORWARDERS}[5m]))"
                        ),
                        legend="{{receiver}} failed attempts",
                    ),
                    Query(
                        expr=(
                            "sum by (receiver, reason) "
                            "(increase(stream_vae_forward_dead_letters_total{FORWARDERS}[5m]))"
                        ),
                        legend="{{receiver}} dead letters: {{reason}}",
                    ),
                ),
            ),
            Panel(
                title="Events waiting",
                description="Polled and not delivered; on the alerts topic and not yet polled.",
                queries=(
                    Query(
                        expr=("sum by (receiver) (stream_vae_forward_alerts_waiting{FORWARDERS})"),
                        legend="{{receiver}} polled",
                    ),
                    Query(
                        expr="sum by (receiver) (stream_vae_forward_lag_records{FORWARDERS})",
                        legend="{{receiver}} not yet polled",
                    ),
                ),
            ),
            Panel(
                title="Oldest event waiting",
                description="Age of the oldest event that is polled and not delivered.",
                unit="s",
                queries=(
                    Query(
                        expr="stream_vae_forward_behind_seconds{FORWARDERS}",
                        legend="{{receiver}} {{instance}}",
                    ),
                ),
            ),
            Panel(
                title="From alert event to receiver",
                description="Time from Kafka's time of an event to its delivery.",
                unit="s",
                queries=tuple(
                    Query(
                        expr=(
                            f"histogram_quantile({share}, sum by (le, receiver) "
                            "(rate(stream_vae_forward_latency_seconds_bucket{FORWARDERS}[5m])))"
                        ),
                        legend=f"{{{{receiver}}}} {name}",
                    )
                    for share, name in ((0.5, "median"), (0.99, "99 %"))
                ),
            ),
        ),
    ),
)


def queries() -> list[str]:
    """Return every expression as Prometheus gets it, for one detector and all instances."""
    expressions = (one.expr for row in ROWS for panel in row.panels for one in panel.queries)
    return [_selected(expression, "d", ".*") for expression in expressions]


def _selected(expression: str, detector: str, instance: str) -> str:
    of_detector = f'detector=~"{detector}"'
    of_instance = f'{of_detector}, instance=~"{instance}"'
    return expression.replace("SELECT", of_instance).replace("FORWARDERS", of_detector)


def build() -> dict[str, Any]:
    """Return the dashboard in Grafana's JSON model."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row in ROWS:
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": top, "w": _COLUMNS, "h": 1},
            }
        )
        top += 1
        left = 0
        for panel in row.panels:
            height = _STAT_HEIGHT if panel.kind == "stat" else _ROW_HEIGHT
            if left + panel.width > _COLUMNS:
                left, top = 0, top + height
            place = {"x": left, "y": top, "w": panel.width, "h": height}
            panels.append(_drawn(panel, len(panels) + 1, place))
            left += panel.width
        top += height
    return {
        "uid": "stream-vae",
        "title": "stream-vae",
        "description": "What the detectors read, judge and alert of, and what keeps them from it.",
        "tags": ["stream-vae", "anomaly-detection", "kafka"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "links": [],
        "panels": panels,
    }


def _variables() -> list[dict[str, Any]]:
    def chosen(name: str, query: str) -> dict[str, Any]:
        return {
            "name": name,
            "label": name.capitalize(),
            "type": "query",
            "datasource": _SOURCE,
            "query": {"query": query, "refId": name},
            "definition": query,
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        }

    return [
        {
            "name": "datasource",
            "label": "Data source",
            "type": "datasource",
            "query": "prometheus",
            "current": {},
        },
        chosen("detector", "label_values(stream_vae_build_info, detector)"),
        chosen("instance", 'label_values(stream_vae_build_info{detector=~"$detector"}, instance)'),
    ]


def _drawn(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": None, "noValue": panel.nothing}
    if panel.steps:
        defaults["color"] = {"mode": "thresholds"}
        defaults["thresholds"] = {
            "mode": "absolute",
            "steps": [{"value": value, "color": colour} for value, colour in panel.steps],
        }
    else:
        defaults["custom"] = {"lineWidth": 1, "fillOpacity": 8, "showPoints": "never"}
    options: dict[str, Any] = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    if panel.kind == "stat":
        options = {
            "colorMode": "value",
            "graphMode": "area",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        }
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + i),
                "datasource": _SOURCE,
                "editorMode": "code",
                "expr": _selected(one.expr, "$detector", "$instance"),
                "legendFormat": one.legend,
                "range": True,
            }
            for i, one in enumerate(panel.queries)
        ],
    }


def main() -> None:
    """Print the dashboard."""
    sys.stdout.write(json.dumps(build(), indent=1) + "\n")


if __name__ == "__main__":
    main()
