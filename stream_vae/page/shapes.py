"""Series and incidents as JSON for the page: bounded, and printable but for a series' own key."""

from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Any

from stream_vae.core.alerts import AlertEvent, AlertFeature
from stream_vae.core.excerpts import printable
from stream_vae.core.feature_words import deviation_in_words, worst_in_words
from stream_vae.core.line_words import example_in_words, lines_in_words
from stream_vae.core.series_index import SeriesName
from stream_vae.page.board import UntoldIncident
from stream_vae.page.incident_list import KnownIncident
from stream_vae.page.ranking import RankedSeries

_NAME = 200
_DIGITS = 7


def number(value: float) -> float | None:
    """Return a value with a few significant digits; None where there is no number.

    >>> number(1234.56789), number(float("nan"))
    (1234.568, None)
    """
    return float(f"{value:.{_DIGITS}g}") if isfinite(value) else None


def of_name(name: SeriesName) -> dict[str, Any]:
    """Return a series: its key as it is, to ask for it, and as it is shown."""
    partition, key = name
    return {"partition": partition, "key": key, "label": printable(key, _NAME)}


def of_ranked(one: RankedSeries) -> dict[str, Any]:
    """Return a series with its newest verdict."""
    return {
        **of_name(one.name),
        "score": number(one.score),
        "threshold": number(one.threshold),
        "at": one.at / 1e6,
    }


def of_untold(one: UntoldIncident, topic: str) -> dict[str, Any]:
    """Return an incident that was taken over with the state of its partition."""
    return {
        **of_name(one.name),
        "id": one.id,
        "kind": one.kind,
        "severity": one.severity,
        "firing": True,
        "starts_at": one.started_at / 1e6,
        "score_peak": one.peak_score,
        "summary": "opened before this instance had its partition; its next change tells more",
        "source": {
            "topic": printable(topic, _NAME),
            "partition": one.name[0],
            "offset_start": one.offset_start,
            "offset_end": one.offset_end,
        },
        "features": [],
        "levels": [],
        "links": {},
    }


def of_incident(one: KnownIncident) -> dict[str, Any]:
    """Return an incident as its newest events told of it."""
    newest, told = one.newest, one.firing
    return {
        **of_name(one.name),
        "id": newest.incident_id,
        "kind": newest.kind,
        "severity": newest.severity,
        "firing": one.is_firing,
        "starts_at": _ms(newest.starts_at),
        "ends_at": None if newest.ends_at is None else _ms(newest.ends_at),
        "detected_at": _ms(newest.detected_at),
        "reason": newest.reason,
        "duration_s": newest.duration_s,
        "score": told.score,
        "threshold": told.threshold,
        "score_peak": newest.score_peak,
        "p_value": told.p_value,
        "peak": None if newest.deviation is None else deviation_in_words(newest.deviation.peak),
        "summary": printable(newest.summary, 500),
        "source": {
            "topic": printable(newest.source.topic, _NAME),
            "partition": newest.source.partition,
            "offset_start": newest.source.offset_start,
            "offset_end": newest.source.offset_end,
        },
        "features": [_of_contribution(feature, told) for feature in told.features],
        "levels": [
            {
                "name": printable(level.name, _NAME),
                "unit": printable(level.unit, 20),
                "before": level.before,
                "after": level.after,
            }
            for level in newest.levels
        ],
        "links": _links(newest.links),
    }


def _of_contribution(feature: AlertFeature, event: AlertEvent) -> dict[str, Any]:
    return {
        # What is wrong with lines is told in words; features of theirs are named for programs.
        "name": printable(feature.name, _NAME) if feature.direction is None else "",
        "contribution": feature.contribution,
        "words": (
            worst_in_words(feature, event.window.end)
            if feature.direction is None
            else lines_in_words(feature, event.window)
        ),
        "template": None if feature.template is None else printable(feature.template, 500),
        "example": example_in_words(feature, 500) or None,
    }


def _links(links: Mapping[str, str]) -> dict[str, str]:
    """Return the links that a browser may follow."""
    return {
        printable(name, 60): url
        for name, url in links.items()
        if url.startswith(("https://", "http://")) and url.isprintable()
    }


def _ms(when: datetime) -> float:
    return when.timestamp() * 1000.0
