"""The alert event: what consumers of the alerts topic receive."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

SCHEMA_VERSION: Final = 1
MAX_SUMMARY_CHARACTERS: Final = 500
UNSEEN_SHARE: Final = 0.5
"""Of the largest contribution, from which on lines never seen in training are told of first."""
_MOST: Final = 0.5

Status = Literal["firing", "resolved"]
Kind = Literal["anomaly", "silence", "drift"]
Severity = Literal["info", "warning", "critical"]
Reason = Literal[
    "back_to_normal", "new_level", "cannot_be_judged", "forgotten", "moved", "returned"
]
"""Why an incident ended: its readings are as expected again; what they have become counts as normal
now; none of them could be judged for long; no reading came for long, or memory was needed; the
series sends in another partition; a silent series sends again."""

UpdateReason = Literal["more_severe", "clearly_worse", "other_cause", "other_session"]
"""Why an update is told: the severity rose; the worst reading is at least twice as far from
expected as all told of; something else deviates most now than events told of; another session does
not fit either."""

LineDirection = Literal["missing", "too_many", "unseen"]
"""What is wrong with a count of log lines: there are fewer than expected, or more, or lines of no
template that training saw."""


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
class AlertStep:
    """One feature at one step of the window; fields as those of `AlertFeature`."""

    at: datetime
    """The step on the grid of the model: its middle."""
    actual: float
    expected: float
    expected_std: float
    deviation: float
    expected_low: float | None = None
    expected_high: float | None = None
    actual_category: str | None = None
    actual_probability: float | None = None
    expected_category: str | None = None
    expected_probability: float | None = None
    direction: LineDirection | None = None
    starts_at: datetime | None = None
    """Where the step begins: values from here on are of it. None where steps are events."""
    ends_at: datetime | None = None
    """Where the next one begins."""
    offset_start: int | None = None
    """Of the first input record with values of the step, in the partition of `AlertSource`; None
    where there is none, as of a step without lines, or it is not known any more."""
    offset_end: int | None = None
    """Of the last one."""


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
    deviation: float | None = None
    """Distance of actual from expected, in expected standard deviations and unclipped; of a
    categorical or binary feature the square root of -2 ln of the actual value's probability. None
    where it was not observed."""
    worst: AlertStep | None = None
    """The step that makes up most of the feature's contribution, of `AlertEvent.cause` the newest;
    None where it was not observed in the whole window."""
    direction: LineDirection | None = None
    """Of a count of log lines, as `worst` has it: at the worst step, not the newest; None of other
    features."""
    template: str | None = None
    """Of a count of log lines: the template of the lines, with `<*>` where they vary; of rare
    templates that share a count, the most frequent of them in training."""
    example: str | None = None
    """A line of that template, from training; of lines that training never saw, one of the worst
    step. Printable and bounded."""
    example_from: Literal["training", "worst_step"] | None = None
    """Where the example is from; None where there is none."""
    total: int | None = None
    """Of a count of log lines: those since the first step of the incident, up to the window's
    newest step or, where the incident is over, its last anomalous one. None if not known."""

    @property
    def names_lines(self) -> bool:
        """Whether it tells which lines of a log it counts."""
        return self.template is not None or self.direction == "unseen"

    @property
    def excess(self) -> float:
        """How many more than expected there are at the worst step; 0 where nothing was observed."""
        at = self if self.worst is None else self.worst
        return 0.0 if at.actual is None else at.actual - at.expected


Closing = Literal["ended", "quiet", "full", "early", "over"]
"""What closes a session: a line that ends it; quiet time; its length; too many were open; the input
is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSession:
    """The lines of one request, block or job, which were judged together."""

    key: str
    """As the lines told it."""
    lines: int
    starts_at: datetime
    """Event time of its first line."""
    ends_at: datetime
    """Event time of its last line."""
    offset_start: int
    """Of the input record with its first line."""
    offset_end: int
    """Of that with its last line."""
    closed: Closing


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertCourse:
    """The incident so far."""

    anomalous: int
    """Steps that were anomalous; of events and sessions, how many were."""
    starts_at: datetime
    """Begin of the first anomalous step; of events and sessions as `AlertEvent.starts_at`."""
    ends_at: datetime
    """End of the newest anomalous step; of events and sessions the time of the newest."""
    opened_by: str | None = None
    """What opened it, in words; None if not known."""
    opened_by_lines: int | None = None
    """Of logs: `AlertFeature.total` of the feature that opened it."""
    unseen_lines: int | None = None
    """Of logs: as many of no template that training saw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertDeviation:
    """How large the anomaly is, whatever its probability: deviations as `AlertFeature.deviation`.

    Each is the largest over the features; they grow without end with the size of a fault.
    """

    newest: float
    """Of the window's newest reading."""
    window: float
    """Of the window's worst step."""
    peak: float
    """Of the incident so far; severity follows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLevel:
    """A feature's level before and after a drift, in input units."""

    name: str
    unit: str
    before: float
    """What would be expected now had the level not changed, by the distance from expected now or
    when the incident opened, whichever is larger."""
    after: float
    """Mean of what was observed in the window that ended it."""
    deviation: float
    """Their distance, in expected standard deviations."""


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
    """The input records of the incident so far, from that of its first anomalous reading on.

    Where what `AlertFeature.worst` tells stands, its own offsets say.
    """

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
    """`silence`: the series stopped; score and threshold are seconds without a reading. `drift`:
    a new level was taken as normal; one resolved event, with `levels`."""
    deviation: AlertDeviation | None = None
    """None where no window was scored."""
    reason: Reason | None = None
    """Why the incident ended; None while firing."""
    duration_s: float | None = None
    """From its start to the end of its last anomalous step, or of the silence so far."""
    opened_by: str | None = None
    """The feature that contributed most when it opened; None of a silence."""
    levels: tuple[AlertLevel, ...] = ()
    """Of a drift: the features that moved, farthest first."""
    links: dict[str, str] = field(default_factory=dict)
    session: AlertSession | None = None
    """The session that opened the incident, or that is told as an update; None of other readings,
    and where an incident ends."""
    course: AlertCourse | None = None
    """None of a silence, and of a drift."""
    updated_because: UpdateReason | None = None
    """Of an update."""
    cause: str | None = None
    """Of an update for another cause: the name of the feature, which is among `features`."""
    schema_version: Literal[1] = SCHEMA_VERSION

    @property
    def told(self) -> AlertFeature | None:
        """The feature of which a text tells: the cause, or else the first.

        In place of the first, lines never seen in training that make up half as much of the score:
        lines that changed are missing and never seen, and what they are now says more. In place of
        a count of all lines, or of those of a level, the lines that make up most of what is wrong
        with it, where one of the features counts them.
        """
        named = next((one for one in self.features if one.name == self.cause), None)
        first = named or next(iter(self.features), None)
        if first is None or first.direction is None:
            return first
        if named is None:
            enough = UNSEEN_SHARE * first.contribution
            unseen = (one for one in self.features if one.direction == "unseen")
            first = next((one for one in unseen if one.contribution >= enough), first)
        if first.names_lines:
            return first
        total = first.excess
        likely = (one for one in self.features if one.names_lines and one.excess * total > 0)
        found = max(likely, key=lambda one: abs(one.excess), default=first)
        return found if abs(found.excess) >= _MOST * abs(total) else first
