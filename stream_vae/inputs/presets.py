"""The shapes of producers by name: defaults of the input settings that read their records.

After the producers' documentation: Telegraf's JSON serialiser (a metric, or a batch of them),
Metricbeat's event structure, prometheus-kafka-adapter's README, Kafka Connect's JsonConverter with
schemas, the JSON format of CloudEvents (structured mode), the Kafka output of Fluent Bit, and
Vector's metric and log events under its `json` codec.
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
        "vector_logs": {"series_field": "host"},
    }
)
"""Preset -> name of a setting below `input` -> its default under the preset."""


def preset_defaults(preset: Preset, given: Mapping[str, object]) -> dict[str, str]:
    """Return the defaults under a preset, beside settings that are given.

    A series for all readings takes the place of the field that names it.
    """
    displaced = "series_field" if given.get("series") is not None else None
    return {name: value for name, value in PRESETS[preset].items() if name != displaced}
