"""The alert event: what consumers of the alerts topic receive."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

SCHEMA_VERSION: Final = 1

Status = Literal["firing", "resolved"]
Kind = Literal["anomaly", "silence"]
Severity = Literal["info", "warning", "critical"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSeries:
    """The series an incident belongs to."""

    key: str
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertWindow:
    """The scored window behind this event."""

    start: datetime
    end: datetime
    length: int
    """Steps."""
    step_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFeature:
    """One feature at the window's newest step, in input units."""

    name: str
    unit: str
    actual: float | None
    """None where it was not observed; of a categorical feature the number of its category."""
    expected: float
    """Mean; of a binary feature the probability of 1, of a categorical one the likeliest number."""
    expected_std: float
    """Standard deviation; of a categorical feature the probability of all other categories."""
    contribution: float
    """Share of the score; all features of the model sum to 1, the listed ones are the largest."""
    # As `core.model_spec.FeatureKind`, whose import would make alert consumers load numpy.
    kind: Literal["numeric", "count", "binary", "categorical"] = "numeric"
    expected_low: float | None = None
    """Of a count, the lower end of its central 95 % interval; None of other kinds."""
    expected_high: float | None = None
    """The upper end."""
    actual_category: str | None = None
    """Of a categorical feature; None where it was not observed, or not seen in training."""
    actual_probability: float | None = None
    """Of a categorical or binary feature, that of the actual value."""
    expected_category: str | None = None
    """The likeliest category."""
    expected_probability: float | None = None
    """Of a categorical or binary feature, that of its likeliest value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertDetector:
    """Who raised the alert."""

    name: str
    version: str
    instance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertModel:
    """The model that scored the window."""

    id: str
    version: str
    trained_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSource:
    """The input records of the incident so far."""

    topic: str
    partition: int
    offset_start: int
    offset_end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent:
    """One change of one incident.

    `(incident_id, sequence)` is unique: 0 opens, each update adds 1, the last one resolves.
    All times are UTC.
    """

    incident_id: str
    sequence: int
    status: Status
    severity: Severity
    series: AlertSeries
    starts_at: datetime
    ends_at: datetime | None
    """None while firing."""
    detected_at: datetime
    """Wall clock of the daemon."""
    window: AlertWindow
    score: float
    score_peak: float
    threshold: float
    threshold_method: str
    grade: float
    """0 at the threshold .. 1 far beyond it."""
    p_value: float | None
    """None where no window was scored: a silence, or a series that is evicted."""
    features: tuple[AlertFeature, ...]
    """Largest contributions first; empty where no window was scored."""
    detector: AlertDetector
    model: AlertModel
    source: AlertSource
    summary: str
    kind: Kind = "anomaly"
    """`silence`: the series stopped; score and threshold are seconds without a reading."""
    links: dict[str, str] = field(default_factory=dict)
    schema_version: Literal[1] = SCHEMA_VERSION
