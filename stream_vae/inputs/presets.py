"""The shapes of producers by name: defaults of the input settings that read their records.

After the producers' documentation: Telegraf's JSON serialiser (a metric, or a batch of them),
Metricbeat's event structure, prometheus-kafka-adapter's README, Kafka Connect's JsonConverter with
schemas, the JSON format of CloudEvents (structured mode), the Kafka output of Fluent Bit, Vector's
metric and log events under its `json` codec, Filebeat's events, files of Docker's `json-file`
driver, and the default template of rsyslog's `omkafka`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Preset = Literal[
    "telegraf",
    "metricbeat",
    "prometheus_adapter",
    "connect",
    "cloudevents",
    "fluent_bit",
    "vector",
    "vector_logs",
    "fluent_bit_logs",
    "filebeat",
    "docker_logs",
    "rsyslog",
]

PRESETS: Mapping[Preset, Mapping[str, str]] = MappingProxyType(
    {
        "telegraf": {
            "records_path": "metrics",
            "series_field": "tags.host",
            "value_field": "fields",
            "name_field": "name",
            "feature_name": "{name}.{field}",
        },
        "metricbeat": {"timestamp_field": "@timestamp", "series_field": "host.name"},
        "prometheus_adapter": {
            "series_field": "labels.instance",
            "value_field": "value",
            "name_field": "name",
        },
        "connect": {"records_path": "payload"},
        "cloudevents": {
            "records_path": "data",
            "timestamp_field": "$.time",
            "series_field": "$.source",
        },
        "fluent_bit": {"timestamp_field": "@timestamp"},
        "vector": {
            "series_field": "tags.host",
            "value_field": "gauge.value|counter.value",
            "name_field": "name",
        },
        # Numbers in log events; with input.format log_lines their lines.
        "vector_logs": {"series_field": "host", "message_field": "message"},
        "fluent_bit_logs": {
            "format": "log_lines",
            "timestamp_field": "@timestamp",
            "message_field": "log|message",
        },
        "filebeat": {
            "format": "log_lines",
            "timestamp_field": "@timestamp",
            "series_field": "host.name",
            "message_field": "message",
            "level_field": "log.level",
        },
        "docker_logs": {
            "format": "log_lines",
            "timestamp_field": "time",
            "message_field": "log",
        },
        "rsyslog": {
            "format": "log_lines",
            "timestamp_pattern": r"^(\S+) ",
            "series_pattern": r"^\S+ (\S+) ",
            "message_pattern": r"^\S+ \S+ [^:]*: (.*)",
        },
    }
)
"""Preset -> name of a setting below `input` -> its default under the preset."""


def preset_defaults(preset: Preset, given: Mapping[str, object]) -> dict[str, str]:
    """Return the defaults under a preset, beside settings that are given.

    A series for all readings takes the place of the field that names it.
    """
    displaced = "series_field" if given.get("series") is not None else None
    return {name: value for name, value in PRESETS[preset].items() if name != displaced}
