"""The incident state of a series."""

from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

from stream_vae.core.alerts import Severity, UpdateReason
from stream_vae.core.event_time import END_NS

EventTime = Annotated[int, Meta(ge=0, lt=END_NS)]
"""Nanoseconds since 1970; the bounds are checked when saved incidents are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedReading:
    """One judged reading of a series: the input of the incident state machine."""

    step: int
    """Start of its step; a second reading of the newest step replaces the first, unless both are
    events."""
    time: EventTime
    """Event time, nanoseconds since 1970."""
    offset: int
    """Input offset."""
    nth: int = 0
    """Of an event, its place among those of its series in the same record, from 0."""
    anomalous: bool
    score: float
    grade: float
    """0 at the threshold .. 1 far beyond it."""
    deviation: float = 0.0
    """Of an anomalous reading: the largest distance of a feature from expected, in expected
    standard deviations."""
    threshold: float | None = None
    """In force for it; None of a reading that an earlier release saved."""
    size: float | None = None
    """As `deviation`, on a scale that suits all kinds of features; None of a reading that an
    earlier release saved: as `deviation`."""
    cause: str = ""
    """Of an anomalous reading, what deviates most, see `cause_of`; "" if nothing does much."""
    is_adapted: bool = False
    """Normal only because the detector has adapted to a new level since."""
    is_off: bool = False
    """Normal, while what the series' open incident is about is not as expected again."""


def cause_of(feature: str, *, is_above: bool) -> str:
    """Return a feature and whether it is above the expected or below it, as one text."""
    return f"{'+' if is_above else '-'}{feature}"


def feature_of(cause: str) -> str:
    """Return the feature of a cause."""
    return cause[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """An incident as of its last change."""

    started_at: EventTime
    """Event time of its first anomalous reading, nanoseconds since 1970."""
    last_anomalous_at: EventTime
    offset_start: int
    offset_end: int
    sequence: Annotated[int, Meta(ge=0)]
    peak_score: float
    peak_grade: float
    severity: Severity
    id: str = ""
    """Given when it opens, and kept whatever is renamed since; "" of one that an earlier release
    opened, which had the id computed each time."""
    # The fields below are missing in what earlier releases saved.
    peak_deviation: float = 0.0
    """Largest deviation of its readings, and of its window when it opened."""
    n_anomalous: int = 1
    """Anomalous readings so far."""
    threshold: float | None = None
    """In force when it opened; None if not known."""
    opened_by: str = ""
    """The feature that contributed most when it opened; "" if not known."""
    bias: float | None = None
    """The tracker's bias of that feature then, scaled units; None of a score that is not tracked.
    """
    leaps: tuple[float | None, ...] = ()
    """Of each feature, how far above the expected it was when the incident opened, input units: the
    mean from the first anomalous step on; None where nothing was observed, empty if not known."""
    peak_size: float | None = None
    """As `peak_deviation`, of `JudgedReading.size`; None if not known: as `peak_deviation`."""
    told_size: float | None = None
    """`peak_size` when an event told of it last; None if not known."""
    causes: tuple[str, ...] | None = None
    """What its events told of, see `cause_of`, that which opened it first, "" in its place where
    that is not known; None if nothing is."""
    updated_because: UpdateReason | None = None
    """Why its last update was told; None if none was."""
    lines: dict[str, int] = field(default_factory=dict)
    """Of logs: lines by feature, from its first step to its last anomalous one, as far as
    `lines_to`; those of none are left out."""
    lines_after: dict[str, int] = field(default_factory=dict)
    """Those after its last anomalous step, to `lines_to`: its own if it goes on."""
    lines_to: int | None = None
    """The last step of which no more lines are to come, nanoseconds since 1970; None if it is not
    known how many there were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentState:
    """The state of a series with a recent anomalous reading or an open incident."""

    recent: tuple[JudgedReading, ...]
    incident: Incident | None
    normal_run: int
    """Consecutive normal readings."""
    adapted_run: int = 0
    """Those of them that are normal only because the detector has adapted since the incident
    opened."""
    unjudged_run: int = 0
    """Consecutive steps whose readings could not be judged."""
    unjudged_step: int | None = None
    """Start of the newest of them; None if there is none, or an earlier release saved the state."""
    resolved: JudgedReading | None
    """What resolved the last incident, during its cooldown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """An open incident of a series that stopped."""

    since: EventTime
    """Event time of its last step, nanoseconds since 1970."""
    offset: int
    """Input offset of its last reading."""
    arrived: int
    """Arrival of its last reading, nanoseconds since 1970."""
    allowed_s: float
    """Seconds without a reading that are allowed."""
    id: str = ""
    """As `Incident.id`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesIncidents:
    """The incidents of one series, of both kinds, as stored in the changelog."""

    anomaly: IncidentState | None
    silence: Silence | None
