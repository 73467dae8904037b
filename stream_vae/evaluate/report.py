"""The result of a backtest as values, and as JSON."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from stream_vae.detect.rates import Rates
from stream_vae.evaluate.detection import Figures
from stream_vae.evaluate.fault_words import verdicts
from stream_vae.evaluate.intervals import Interval
from stream_vae.models.provenance import FaultTrials

FORMAT_VERSION = 1

OURS = "stream-vae"
"""Name of the detector among the methods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Figures with their intervals."""

    figures: Figures
    intervals: Mapping[str, Interval | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """The model that was tested."""

    id: str
    version: str
    trained_at: str
    """RFC 3339."""
    score: str
    threshold: str
    """How the threshold is found."""
    window_length: int
    step_seconds: float
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """The history it was tested on."""

    files: tuple[str, ...]
    readings: int
    series: int
    evaluated: int
    """Readings with a label that no baseline learnt from."""
    anomalous: int
    """Of these, labelled so."""
    without_score: int
    """Of these, while warming up or with too little observed: they are not ranked, and count for
    neither precision nor recall."""
    spans: int
    """Runs of anomalous readings."""
    what: str = "readings"
    """What is judged, in the plural."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestReport:
    """All figures of a backtest."""

    model: ModelFacts
    data: DataFacts
    detector: Measured
    """At the detector's own threshold."""
    asked: Rates
    """What the settings ask of its threshold."""
    realised: Rates
    """What came of it, over all readings."""
    methods: Mapping[str, Measured]
    """Ranking by the detector's score, first, and by each baseline's."""
    level: float
    """Of the intervals."""
    resampling: str
    replicates: int
    baselines_trained_on: str
    """Empty where there are none."""
    notes: tuple[str, ...]
    """What a reader must know to judge the figures."""
    faults: FaultTrials | None = None
    """What the detector finds of faults injected into the normal readings; None if none were."""


def encode_report(report: BacktestReport) -> str:
    """Return the report as JSON; figures that are not defined are null."""
    content: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "model": asdict(report.model),
        "data": asdict(report.data),
        "detector": _figures(report.detector),
        "rates": {"asked": _rates(report.asked), "realised": _rates(report.realised)},
        "methods": [
            {"method": name, "figures": _figures(measured)}
            for name, measured in report.methods.items()
        ],
        "intervals": {
            "level": report.level,
            "resampling": report.resampling,
            "replicates": report.replicates,
        },
        "baselines_trained_on": report.baselines_trained_on or None,
        "injected_faults": None if report.faults is None else _faults(report.faults),
        "notes": list(report.notes),
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _rates(rates: Rates) -> dict[str, float | None]:
    return {
        "readings_above_per_1000": rates.above_per_1000,
        "incidents_per_series_week": rates.incidents_per_series_week,
    }


def _faults(trials: FaultTrials) -> dict[str, Any]:
    return {
        **asdict(trials),
        "methods": [{**asdict(one), "name": one.name or OURS} for one in trials.methods],
        "in_words": dict(verdicts(trials, is_apart=True)),
    }


def _figures(measured: Measured) -> dict[str, dict[str, float | None]]:
    found = {}
    for name, value in measured.figures.items():
        interval = measured.intervals.get(name)
        low, high = interval if interval is not None else (None, None)
        figure = value if math.isfinite(value) else None
        found[name] = {"value": figure, "low": low, "high": high}
    return found
