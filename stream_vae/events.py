"""Events for logs and metrics, as values.

Each is named noun + past verb. `edges.telemetry` turns each into one log line and one metric, and
nothing else writes logs or metrics, so the two are consistent.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStarting:
    """The settings can be used; the model is about to be loaded, which may take minutes."""

    version: str
    config: str | None
    """The YAML file; None: there is none."""
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStarted:
    """The daemon is about to join its group."""

    version: str
    instance: str
    model_id: str
    model_version: str
    model_trained_s: float
    """When, epoch seconds."""
    first_alert: str
    """From when on series are judged, in words."""
    device: str
    series_capacity: int
    """Series that the memory budget holds."""
    series_bytes: int
    """Memory of each."""
    http_url: str | None
    """Where probes and metrics are served; None where they are not."""
    settings: Mapping[str, object]
    """Dotted name -> value of those that are not the default, secrets masked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsLoaded:
    """All settings in force, defaults among them."""

    settings: Mapping[str, object]
    """Dotted name -> value, secrets masked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonReady:
    """Readings can be judged, or alert events told, for the first time.

    A broker answers and the group was joined.
    """

    http_url: str | None
    startup_s: float
    """Since the process began to work."""
    page_url: str | None = None
    """Where the live page is; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonFailed:
    """The daemon gives up with an expected error."""

    error: str
    """Name of one of `stream_vae.errors`."""
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonCrashed:
    """The daemon gives up with an unexpected error: a bug."""

    exc_info: BaseException


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFailed:
    """The live page has ended with an unexpected error, a bug; all else goes on."""

    exc_info: BaseException


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStopped:
    """The daemon has closed everything; the last log line."""

    reason: str
    duration_s: float
    """From the stop request, or the failure, to the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryLogged:
    """A library wrote to the standard library's log."""

    library: str
    """Name of its logger."""
    level: str
    """`warning` or `error`."""
    message: str
    exc_info: BaseException | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerUnreachable:
    """No broker answers; retried until the deadline."""

    detail: str
    waited_s: float
    deadline_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerReached:
    """A broker answers (again)."""

    waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumptionDelayed:
    """Brokers answer, but the input cannot be consumed yet; retried until the deadline."""

    detail: str
    waited_s: float
    deadline_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicsFound:
    """The topics that a start had to wait for are there."""

    waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionsAssigned:
    """Partitions were assigned to this instance."""

    topic: str
    partitions: tuple[int, ...]
    state: str
    """`restoring`: the saved state of their series is being read; `cold`: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRestored:
    """A partition has gone live."""

    topic: str
    partition: int
    state: str
    """`restored`; `carried over` from another model, score or threshold: windows kept, thresholds
    reset; `history`: warmed up from the input; `cold`: no state was found."""
    series: int
    """Of it in memory now."""
    series_discarded: int
    """Saved ones that could not be used."""
    detail: str
    """Why not."""
    mismatch: str
    """The reason of an `OffsetMismatched` that explains it; "" if there is none."""
    incidents_open: int
    replayed: int
    """Input records read again, outputs suppressed."""
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetMismatched:
    """The group's offsets, the saved state and the input contradict each other at a start."""

    topic: str
    count: int
    """Partitions of which that is so in the same way."""
    partitions: tuple[int, ...]
    """The first few of them; the offsets below are theirs, in this order."""
    reason: str
    """`missing`: the group has no offset, and the state has; `set_back`: the group's is before the
    state's; `beyond_end`: it is beyond the end of the partition; `recreated`: the state is of a
    topic of that name that was deleted since."""
    group_offsets: tuple[int | None, ...]
    state_offsets: tuple[int | None, ...]
    """Up to which outputs were published, as far as the changelog tells; None if it does not."""
    begins: tuple[int, ...]
    """Where reading goes on."""
    detail: str
    """What follows from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentsAdopted:
    """A partition has no state; incidents that are open on the alerts topic go on."""

    topic: str
    partition: int
    count: int
    """Series with such incidents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentsNotLookedFor:
    """A partition has no state, and the alerts topic may not be read: what is open stays so."""

    topic: str
    """The alerts topic."""
    is_first: bool
    """Whether nothing tells that the group was ever here, so that nothing can be open."""
    detail: str
    """Which right would allow it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreProgressed:
    """Partitions are being restored."""

    topic: str
    partitions: tuple[int, ...]
    series: int
    replayed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangelogTooNarrow:
    """The input has got partitions that the changelog has no place for; they wait."""

    topic: str
    """The input topic."""
    partitions: tuple[int, ...]
    changelog: str
    n_partitions: int
    """Of the changelog."""
    detail: str
    """Why the daemon cannot add them."""
    command: str
    """What mends it."""
    lag_records: Mapping[int, int]
    """Input partition -> records that wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangelogExtended:
    """The changelog has partitions for those that the input has got meanwhile."""

    topic: str
    n_partitions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySearchUnfinished:
    """Series that seem to have stopped were not looked for in all partitions of others."""

    topic: str
    partitions: tuple[int, ...]
    """Those that were not read to their ends in time."""
    series: int
    waited_s: float
    is_last: bool
    """Whether silences are told now all the same; else the search is repeated before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesCounted:
    """Number of series in memory; recorded once a second, even without readings."""

    series: int
    capacity: int
    """Series that the memory budget holds."""
    blind: int
    """Of the series, those that send readings of which none can be judged."""
    repeated: int
    """Keys that stand in several partitions."""
    at_floor: int
    """Series whose threshold would fall if it might."""
    at_ceiling: int
    """Series whose threshold would rise if it might."""
    incidents_open: int
    partitions_live: int
    """Partitions whose state is restored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceObserved:
    """How far the instance is, and what keeps it; recorded once a second, even without readings."""

    topic: str
    """The input topic."""
    lag_records: Mapping[int, int]
    """Input partition -> records not yet polled, as far as is known."""
    lag_seconds: Mapping[int, float]
    """Input partition -> age of the oldest of them, at most; 0 where all are polled."""
    restoring_s: Mapping[int, float]
    """Input partition -> seconds since it was assigned, until it goes live; then 0."""
    stalled_s: Mapping[int, float]
    """Input partition -> seconds that it has not advanced for although there is more to read."""
    beats: Mapping[str, float]
    """Loop -> wall clock of its latest iteration, epoch seconds."""
    conditions: tuple[str, ...]
    """Codes of `stream_vae.core.health.CONDITIONS` that hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesEvicted:
    """Series made room for others, had no reading for their time to live, or moved."""

    count: int
    reason: str
    """`idle`, `memory` or `moved` (to another partition)."""
    example_series: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionsRevoked:
    """Partitions were revoked: settled work was committed."""

    topic: str
    partitions: tuple[int, ...]
    series_released: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionsLost:
    """Partitions were lost without notice: unfinished work was dropped, uncommitted."""

    topic: str
    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipLost:
    """This instance is not in the group, or not any more, and has not got in yet."""

    group: str
    since: str
    """RFC 3339, UTC."""
    out_s: float
    replaced_after_s: float | None
    """Seconds after which its client is replaced, and joins under another member id; None where it
    never was in the group: it goes on trying."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberReplaced:
    """The group did not let this instance in again for long: it joins as another member."""

    group: str
    out_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipRegained:
    """This instance is in the group again."""

    group: str
    out_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsLost:
    """The input topic no longer has the next record; reading continues with its oldest one."""

    topic: str
    partition: int
    wanted_offset: int
    oldest_offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumptionPaused:
    """The worker is behind: partitions are paused, polling continues."""

    readings_in_flight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumptionResumed:
    """The worker has caught up."""

    readings_in_flight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingHeld:
    """Records cannot be decoded yet: they are held back, and partitions are paused."""

    waiting_for: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingContinued:
    """What was waited for is there."""

    waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsConsumed:
    """A poll was decoded and windowed."""

    topic: str
    records: int
    bytes: int
    decode_s: float
    assemble_s: float
    last_event_time_s: float | None
    """Event time of the newest reading, epoch seconds."""
    since_reading: int
    """Records since the last that gave a reading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsRejected:
    """Records went to the dead-letter topic."""

    topic: str
    reason: str
    count: int
    example_partition: int
    example_offset: int
    example_detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingsLate:
    """Readings were older than their series' open step and went to the late topic."""

    topic: str
    count: int
    example_series: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTimesDoubtful:
    """Times without an offset stood on a clock that was set: read by a rule, which may be wrong."""

    topic: str
    reason: str
    """`repeated_hour`: the one nearer to Kafka's time of the record was taken. `skipped_hour`: the
    time never was; it follows the change."""
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamMeasured:
    """Properties of a poll, compared with those the model expects."""

    topic: str
    feature_values: Mapping[str, int]
    """Feature -> values observed in this poll; all of the model's features."""
    readings: int
    """In this poll; a feature that one of them lacks is missing there."""
    step_s: float | None
    """Usual event time between two readings of a series; None while too few were seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellsUnreadable:
    """Values of a feature could not be read, or are missing by its rule; the rest counts."""

    topic: str
    feature: str
    reason: str
    """As in `stream_vae.wire.rejections.REASONS`, or `replaced`, or of a rule: `first_value`,
    `counter_reset`, `out_of_order`, `beyond_range`."""
    count: int
    example_partition: int
    example_offset: int
    example_detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsWithoutFeature:
    """Records name none of the model's features: they are no readings, and change nothing."""

    topic: str
    reason: str
    """`no_feature`."""
    count: int
    example_partition: int
    example_offset: int
    fields: tuple[str, ...]
    """What the example names instead; bounded."""
    features: tuple[str, ...]
    """The model's; bounded."""
    nearest_fields: Mapping[str, str]
    """Feature -> field of the example with a similar name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesRead:
    """Lines of a log were read and counted."""

    topic: str
    known: int
    """Of the model's templates."""
    unseen: int
    """Of no template that training saw."""
    empty: int
    continuation: int
    """They belong to the line before."""
    cut: int
    """Longer than `input.max_line_bytes`."""
    replaced: int
    """Characters that stand for bytes which were not UTF-8."""
    without_session: int = 0
    """They tell no key of a session, where sessions are judged: they count nowhere else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesOdd:
    """Lines of a log are not as they should be; they count, but for empty ones and `no_session`."""

    topic: str
    reason: str
    """`unseen`: of no template that training saw; `cut`: longer than `input.max_line_bytes`;
    `not_utf8`: bytes were replaced; `empty`: records hold nothing else; `no_session`: they tell no
    key of a session."""
    count: int
    """Lines; of `not_utf8` characters, of `empty` records."""
    example_partition: int
    example_offset: int
    example: str
    """Of such a line; bounded and printable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsClosed:
    """Sessions of a log were closed, and are judged."""

    topic: str
    closed: Mapping[str, int]
    """`ended`: by a line that ends them; `quiet`: no line came for `input.session_quiet_s`; `full`:
    they have `input.session_max_lines` lines; `early`: too many were open -> how many."""
    open: int
    """Sessions that are open now, in the partitions of this instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsClosedEarly:
    """More sessions were open in a partition than may be: some are judged before they are over."""

    topic: str
    count: int
    max_open: int
    example_series: str
    example_session: str
    example_partition: int
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseenTemplates:
    """What lines of no template look like: templates that the next training may find."""

    lines: int
    """All of them in the partitions of this instance, as far as their state reaches back."""
    templates: tuple[str, ...]
    """The most frequent, with their lines; bounded and printable."""
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingRead:
    """None of many records in a row gave a reading: each was ignored or rejected."""

    records: int
    """Since the last that gave one."""
    without_feature: int
    """Of them, those that name none of the model's features; of logs, that hold no line."""
    rejected: int
    """Of them, dead letters."""
    detail: str
    """The same in words, with an example."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownFieldsIgnored:
    """Records contain fields that are not features of the model."""

    topic: str
    fields: tuple[str, ...]
    """Names not reported before."""
    features_missing: tuple[str, ...]
    """Features that no reading has had so far; bounded."""
    nearest_fields: Mapping[str, str]
    """Missing feature -> unknown field of a similar name, in the form of `input.feature_fields`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSplit:
    """Series that are known in one partition have begun in another, as a series of its own there.

    Also where partitions were added to the topic: then once for each.
    """

    topic: str
    series: int
    """With one poll."""
    example_series: str
    example_partitions: tuple[int, ...]
    """Where it is known."""
    advice: str
    """The settings of producers that keep a series in one partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesNotObserved:
    """Some of the model's features have not been in any reading of this instance."""

    topic: str
    readings: int
    """Since the start."""
    features: tuple[str, ...]
    """Their names; bounded. Empty once all have been observed after all."""
    features_missing: int
    features_expected: int
    """The model's."""
    unknown_fields: tuple[str, ...]
    """Fields found that are no feature; bounded."""
    nearest_fields: Mapping[str, str]
    """As in `UnknownFieldsIgnored`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStepDiffered:
    """The step of the readings differs from that of the model."""

    topic: str
    stream_step_s: float
    """Median event time between two readings of a series."""
    model_step_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsScored:
    """The worker scored one micro-batch."""

    windows: int
    inference_s: float
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingsJudged:
    """Verdicts were reached for one poll's readings."""

    normal: int
    anomalous: int
    warming_up: int
    unscorable: int
    """Too little of their windows was observed."""
    late: int
    """Too late for their step."""
    score_margins: tuple[float, ...]
    """score - threshold of a few of the windows, for a histogram; bounded."""
    incidents_opened: int
    since_judged: int
    """Readings since the last that could be judged."""
    step_s: float
    """Event time for which a reading stands."""
    above_asked: float | None
    """Share of the scored readings that are to lie above the threshold; None: nothing is asked."""
    incidents_asked: float | None
    """Incidents of one series in a second of event time; None: there is no budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingJudged:
    """None of the readings of some time could be judged: no fault would be found."""

    readings: int
    """Since the last that could be judged."""
    reason: str
    """What most of them lack: `too_little_observed`, `never_warm` or `late`."""
    detail: str
    """The same in words."""
    over_s: float
    """Event time that they reach over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdReleased:
    """A series has been anomalous so long that its new level is learnt as normal."""

    series: str
    readings: int
    """Consecutive anomalous readings that released the threshold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftDetected:
    """Scores over all series have drifted (ADWIN): consider retraining."""

    mean_before: float
    mean_after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertDelivered:
    """An alert event was committed to the alerts topic."""

    incident_id: str
    sequence: int
    status: str
    kind: str
    severity: str
    series: str
    score: float
    threshold: float
    latency_s: float
    """From consuming the reading to the committed event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionCommitted:
    """Alerts, scores, dead letters, late readings and input offsets were committed together."""

    alerts: int
    dead_letters: int
    late: int
    scores: int
    state_records: int
    state_bytes: int
    duration_s: float
    lag_records: Mapping[int, int]
    """Input partition -> records not yet polled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionAborted:
    """A transaction failed and is retried with the same outputs."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwarderStarted:
    """`stream-vae forward` is about to join its group."""

    version: str
    instance: str
    receiver: str
    """Kind of the receiver."""
    address: str
    """Scheme, host and port alone: a path may be a secret."""
    group: str
    http_url: str | None
    settings: Mapping[str, object]
    """Dotted name -> value of those that are not the default, secrets masked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsCaughtUp:
    """What was delivered of a partition before was read again, to know what fires."""

    topic: str
    partition: int
    records: int
    """Events of the detectors that are told."""
    firing: int
    """Incidents of the partition that fire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsSkipped:
    """A group without offsets began behind events that were there (`forward.start: latest`)."""

    topic: str
    partition: int
    records: int
    """Events of the detectors that are told; these to nobody of this group."""
    firing: int
    """Incidents of the partition that fire all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertForwarded:
    """A receiver took an alert event."""

    incident_id: str
    sequence: int
    status: str
    severity: str
    series: str
    attempts: int
    latency_s: float
    """From Kafka's time of the event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsPassedOver:
    """Events that a receiver is not told."""

    reason: str
    """`not_wanted`: of its kind, severity or detector; `later_event_told`: of its incident;
    `for_another_group`: redriven for that."""
    count: int
    example_incident_id: str
    example_sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardingFailed:
    """A receiver did not take an event, or a re-send; it is tried again."""

    detail: str
    failing_s: float
    """Since the first failure in a row."""
    next_in_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertUndeliverable:
    """An event is given up, and goes to the dead-letter topic."""

    reason: str
    """One of `stream_vae.wire.rejections.FORWARD_REASONS`."""
    detail: str
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsResent:
    """A receiver was told again what fires."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwarderObserved:
    """What a forwarder does, once per iteration."""

    firing: int
    """Incidents."""
    waiting: int
    """Events polled and not delivered."""
    behind_s: float
    """Age of the oldest of them, by Kafka's time."""
    failing_s: float
    """Since the first failure in a row."""
    lag_records: int
    """Events not yet polled."""
    heartbeat: float
    """Epoch seconds."""


ForwardEvent = (
    ForwarderStarted
    | AlertsCaughtUp
    | AlertsSkipped
    | AlertForwarded
    | AlertsPassedOver
    | ForwardingFailed
    | AlertUndeliverable
    | AlertsResent
    | ForwarderObserved
)
"""Events of `stream-vae forward` alone."""

Event = (
    ForwardEvent
    | DaemonStarting
    | DaemonStarted
    | SettingsLoaded
    | DaemonReady
    | DaemonFailed
    | DaemonCrashed
    | PageFailed
    | DaemonStopped
    | LibraryLogged
    | BrokerUnreachable
    | BrokerReached
    | ConsumptionDelayed
    | TopicsFound
    | PartitionsAssigned
    | StateRestored
    | OffsetMismatched
    | IncidentsAdopted
    | IncidentsNotLookedFor
    | RestoreProgressed
    | ChangelogTooNarrow
    | ChangelogExtended
    | KeySearchUnfinished
    | SeriesCounted
    | InstanceObserved
    | SeriesEvicted
    | PartitionsRevoked
    | PartitionsLost
    | MembershipLost
    | MemberReplaced
    | MembershipRegained
    | RecordsLost
    | ConsumptionPaused
    | ConsumptionResumed
    | DecodingHeld
    | DecodingContinued
    | RecordsConsumed
    | RecordsRejected
    | ReadingsLate
    | LocalTimesDoubtful
    | StreamMeasured
    | CellsUnreadable
    | RecordsWithoutFeature
    | LinesRead
    | LinesOdd
    | SessionsClosed
    | SessionsClosedEarly
    | UnseenTemplates
    | NothingRead
    | UnknownFieldsIgnored
    | SeriesSplit
    | FeaturesNotObserved
    | StreamStepDiffered
    | WindowsScored
    | ReadingsJudged
    | NothingJudged
    | ThresholdReleased
    | DriftDetected
    | AlertDelivered
    | TransactionCommitted
    | TransactionAborted
)
