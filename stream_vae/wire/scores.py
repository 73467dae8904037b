"""Scores of single readings to bytes, with their JSON Schema.

Fields have the names that Grafana's forecasting panels use. Version 1 changes by additions only.
"""

import json
from importlib.resources import files
from typing import Any, Literal, cast

import msgspec

SCHEMA_ID = "urn:streamvae:score:v1"
"""`$id` of the JSON Schema."""


class ScoredFeature(msgspec.Struct, frozen=True, kw_only=True):
    """One feature of a reading, in input units."""

    name: str
    unit: str
    actual: float | None
    """None where it was not observed."""
    expected: float
    lower: float | None
    """Of the interval that holds 95 % of what is expected; None of categories and binary ones."""
    upper: float | None
    anomalous: bool
    """Whether the reading is, and the feature lies outside its interval."""


class ScoredReading(msgspec.Struct, frozen=True, kw_only=True):
    """One reading that was judged."""

    series: str
    time: str
    """RFC 3339 UTC."""
    score: float
    threshold: float
    p_value: float | None
    verdict: Literal["normal", "anomalous"]
    features: list[ScoredFeature]
    schema_version: Literal[1] = 1


def encode_score(reading: ScoredReading) -> bytes:
    """Return the JSON object of a reading; numbers that are not finite are null."""
    return msgspec.json.encode(reading)


def score_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of scores, as it is shipped with the package."""
    text = files("stream_vae.wire").joinpath("score.schema.json").read_text(encoding="utf-8")
    return cast("dict[str, Any]", json.loads(text))
