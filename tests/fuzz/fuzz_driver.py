"""Drives hostile polls through decoder, pipeline and outbox, and holds what must hold.

Series come and go all the while: new ones make others give way, silent ones are told of and expire,
partitions leave, and now and then all state moves into a new pipeline through its bytes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import jsonschema
import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_vae.commands.jobs.log_history import of_logs
from stream_vae.core.alerts import AlertDetector, AlertEvent
from stream_vae.core.incidents import SeriesIncidents
from stream_vae.core.model_spec import Feature
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import Headers, OutputRecord, RecordBatch, Rejection
from stream_vae.core.verdicts import Verdict
from stream_vae.delivery.outbox import LARGEST_ASIDE_BYTES, Outbox
from stream_vae.detect.config import DetectConfig, ThresholdConfig
from stream_vae.events import ReadingsJudged
from stream_vae.inputs.decoder import Decoded, Decoder, LineCounts
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.raw_readings import REPLACED
from stream_vae.models.bundle import Bundle
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.scoring import WindowScorer
from stream_vae.models.training.train import train
from stream_vae.models.training.training_windows import TrainingSeries
from stream_vae.pipeline.detector import Detector
from stream_vae.pipeline.incident_ids import Origin
from stream_vae.pipeline.pipeline import Outcome, Pipeline
from stream_vae.pipeline.polled_batch import Assembled
from stream_vae.pipeline.series_lifecycle import Changes, EvictionClass
from stream_vae.wire.alerts import alert_schema, decode_alert
from stream_vae.wire.rejections import REASONS
from stream_vae.wire.snapshots import (
    RowHead,
    decode_rows,
    decode_value,
    encode_rows,
    encode_value,
    head_of,
)
from tests.fuzz.layouts import KINDS_OF_FEATURES, NUMERIC, Layout, of_kinds
from tests.fuzz.log_model import LOG_FEATURES, LOGS, counts_of
from tests.fuzz.state import unsound_numbers
from tests.fuzz.stream import (
    CLEAN,
    N_CLEAN,
    N_PARTITIONS,
    START_NS,
    STEP_NS,
    STEPS_A_POLL,
    HostileStream,
    Poll,
    signal,
)

CAPACITY = 500
"""Series a pipeline has room for; more come than that."""

T = 5
LARGEST_PARTITION_STATE = 600_000
LONGEST_LINE = 16_384
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TOPICS = {"alerts": "alerts", "dead_letters": "dead", "late": "late"}
_LOOK_EVERY = 5  # polls; what costs more than the poll itself
_RESTART_EVERY = 7  # polls
_MOVE_EVERY = 60  # polls between two partitions that leave and come back
_FRAMES_DOWN = 60


def train_bundle(features: Sequence[Feature] = NUMERIC, window_length: int = T) -> Bundle:
    """Return a tiny trained model: T = 5, F = 3 but for logs, H = 8, Z = 2."""
    n_steps = 500 if features is LOG_FEATURES else 1500
    times = START_NS - np.arange(n_steps, 0, -1, dtype=np.int64) * STEP_NS
    values = signal(n_steps, seed=1)
    if features is KINDS_OF_FEATURES:
        values = of_kinds(values)
    elif features is LOG_FEATURES:
        values = counts_of(values)
    bundle = train(
        [TrainingSeries(key="train", times=times, values=values)],
        features=features,
        step_seconds=STEP_NS / 1e9,
        architecture=ArchitectureConfig(window_length=window_length, hidden_size=8, latent_size=2),
        training=TrainingConfig(epochs=1, min_steps=60, device="cpu"),
        model_id="fuzz",
        now=datetime(2026, 1, 1, tzinfo=UTC),
    ).bundle
    return of_logs(bundle, LOGS) if features is LOG_FEATURES else bundle


class Bundles:
    """A model for each layout, trained when it is first asked for."""

    def __init__(self) -> None:
        self._trained: dict[tuple[Sequence[Feature], int], Bundle] = {}

    def of(self, layout: Layout) -> Bundle:
        """Return the model of a layout's features."""
        key = layout.features, 1 if layout.is_events else T
        if key not in self._trained:
            self._trained[key] = train_bundle(*key)
        return self._trained[key]


@dataclass(slots=True)
class Tally:
    """What became of the records, by kind."""

    sent: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(kind, verdict, `late`, `waiting`, `ignored` or reason of the rejection) -> records."""
    alerts: int = 0

    @property
    def hostile(self) -> int:
        """Return the hostile records sent."""
        return self.sent.total() - self.sent[CLEAN]

    def accepted(self, kind: str) -> int:
        """Return how many records of a kind became readings."""
        return self.sent[kind] - self.rejected(kind) - self.outcomes[kind, "ignored"]

    def rejected(self, kind: str) -> int:
        """Return how many records of a kind became dead letters."""
        reasons = REASONS.keys() - {"late"}
        return sum(self.outcomes[kind, reason] for reason in reasons)


class FuzzDriver:
    """The daemon's straight line over one layout, without its edges.

    Beside it runs an undisturbed pipeline that is given the clean records alone.

    Args:
        layout: Of the records.
        bundle: The model.
        seed: See `HostileStream`.
        flood: See `HostileStream`.
    """

    def __init__(self, layout: Layout, bundle: Bundle, seed: int, flood: float = 0.05) -> None:
        self.tally = Tally()
        self.forgotten = 0
        self.pipeline = _pipeline(bundle)
        self.layout = layout
        self._clean = frozenset(layout.known_as(f"{CLEAN}-{i}") for i in range(N_CLEAN))
        self._stream = HostileStream(layout, seed, flood)
        self._decoder = _decoder(layout)
        self._lone_decoder = _decoder(layout)
        self._bundle = bundle
        self._undisturbed = _pipeline(bundle)
        self._outbox = Outbox("fuzz", _TOPICS)
        self._schema = jsonschema.Draft202012Validator(
            alert_schema(), format_checker=jsonschema.FormatChecker()
        )
        self._polls = 0

    def run_poll(self) -> None:
        """Send one poll through and check everything that came of it.

        Raises:
            AssertionError: If a law does not hold.
        """
        poll = self._stream.poll()
        now = _EPOCH + timedelta(microseconds=poll.now_ns // 1000)
        decoded = self._decoder.decode(poll.records, poll.now_ns)
        _check_accounts(poll, decoded)
        if decoded.lines is not None and self.pipeline.unseen_lines is not None:
            _check_lines(decoded, decoded.lines)
            self.pipeline.unseen_lines.add(decoded.readings)
        self.pipeline.note_unseen(decoded.readings, decoded.index)
        self._evict(decoded.readings, now)
        assembled = self.pipeline.assemble(decoded.readings, decoded.index, poll.records)
        outcome = self.pipeline.decide(self.pipeline.score(assembled), now)
        _check_verdicts(assembled, outcome)
        self._check_neighbours(poll, decoded, outcome, now)
        self._check_outputs(poll, decoded, assembled, outcome)
        self._count(poll, decoded, assembled, outcome)
        self._polls += 1
        if self._polls % _LOOK_EVERY == 0:
            self.look()
            self._check_alone(poll, decoded)
            self._look_after(poll.now_ns, now)
        if self._polls % _RESTART_EVERY == 0:
            self._restart()
        if self._polls % _MOVE_EVERY == 0:
            leaving = {self._polls // _MOVE_EVERY % N_PARTITIONS}
            self.pipeline.forget_partitions(leaving)
            self._undisturbed.forget_partitions(leaving)

    def look(self) -> None:
        """Check every number in the state."""
        faults = unsound_numbers(self.pipeline)
        assert not faults, f"{self.layout.name}: numbers in the state: {faults}"

    def _evict(self, readings: ReadingBatch, now: datetime) -> None:
        """Forget what is missed least, as the daemon does; the clean series are missed."""
        lacking = self.pipeline.shortfall(readings)
        if not lacking:
            return
        changes = self.pipeline.lifecycle.evict(
            lacking, range(8), readings.topic, now, EvictionClass.NO_INCIDENT
        )
        assert len(changes.forgotten) >= lacking
        self._check_changes(changes)

    def _check_changes(self, changes: Changes) -> None:
        for _, key in changes.forgotten:
            assert key not in self._clean, f"{key} was forgotten for strangers"
        for event in changes.alerts:
            assert event.series.key not in self._clean
            self._outbox.add_alert(event, 0.0)
            self._check_alert(event, self._outbox.waiting.alerts[-1].record)
        self.tally.alerts += len(changes.alerts)
        self.forgotten += len(changes.forgotten)
        self._outbox.take()

    def _look_after(self, now_ns: int, now: datetime) -> None:
        """Series fall silent and expire; hostile ones of what age they please, clean ones never."""
        upkeep, partitions = self.pipeline.lifecycle, range(N_PARTITIONS)
        idle_since = now_ns - 10 * STEPS_A_POLL * STEP_NS
        for changes in (
            upkeep.watch_silence(upkeep.overdue(now_ns, partitions), now_ns, "readings", now),
            upkeep.expire(idle_since, partitions, "readings", now),
        ):
            self._check_changes(changes)

    def _restart(self) -> None:
        """All state goes through its bytes into a new pipeline, as into another instance."""
        memory, layout = self.pipeline.store, self.pipeline.store.layout
        rows = memory.index.used()
        saved = self.pipeline.complete(self.pipeline.capture(rows))
        head = RowHead(model=b"8 bytes!", parts=layout.heads)
        values = encode_rows(head, memory.index.offset[rows], saved.states)
        assert all(head_of(value) == head for value in values)
        parts = {at: self.pipeline.save_partition(at) for at in range(N_PARTITIONS)}
        self.pipeline = _pipeline(self._bundle)
        for partition, part in parts.items():
            assert sum(map(len, part.values())) < LARGEST_PARTITION_STATE
            self.pipeline.load_partition(partition, part)
        _, states = decode_rows(head, values)
        assert self.pipeline.store.load(list(saved.names), layout.match(head.parts, states))
        for name, incidents in saved.incidents.items():
            again, _ = decode_value(encode_value(incidents), SeriesIncidents)
            assert again == incidents
            self.pipeline.store.load_incidents(name, again, 0)
        assert self.pipeline.n_series == len(rows)

    def _check_alone(self, poll: Poll, decoded: Decoded) -> None:
        """A record's outcome is its own, not its neighbours' doing."""
        reasons = {r.index: (r.reason, r.detail) for r in decoded.rejections}
        for row in range(len(poll.records)):
            alone = self._decode_deep_down(_cut(poll.records, row), poll.now_ns, _FRAMES_DOWN)
            told = [(r.reason, r.detail) for r in alone.rejections]
            expected = [reasons[row]] if row in reasons else []
            assert told == expected, (poll.kinds[row], told, expected)
            assert list(alone.ignored) == [0] * (row in decoded.ignored)
            mine = decoded.readings.take(np.flatnonzero(decoded.index == row))
            assert alone.readings.series == mine.series
            for name in ("times", "arrivals", "values"):
                found = getattr(alone.readings, name)
                np.testing.assert_array_equal(found, getattr(mine, name), name)

    def _decode_deep_down(self, records: RecordBatch, now_ns: int, frames: int) -> Decoded:
        """Decode at another depth of the stack, as a replay may."""
        if frames:
            return self._decode_deep_down(records, now_ns, frames - 1)
        return self._lone_decoder.decode(records, now_ns)

    def _check_neighbours(
        self, poll: Poll, decoded: Decoded, outcome: Outcome, now: datetime
    ) -> None:
        """Clean series have the verdicts and alerts they would have without hostile ones."""
        kinds = np.array(poll.kinds)[decoded.index]
        clean = np.flatnonzero(kinds == CLEAN)
        index = decoded.index[clean]
        n_read = len(np.unique(index))
        assert n_read == poll.kinds.count(CLEAN), "a clean record was rejected"
        # The partition's clock is that of all records: by it steps wait.
        alone = self._undisturbed.assemble(decoded.readings.take(clean), index, poll.records)
        undisturbed = self._undisturbed.decide(self._undisturbed.score(alone), now)
        assert not len(alone.leaps)
        steps = outcome.batch.scored.readings
        of_clean = np.flatnonzero([key in self._clean for key in steps.series])
        mine = of_clean[_by_series(steps.take(of_clean))]
        expected = _by_series(alone.readings)
        for name in ("verdict", "score", "threshold", "p_value"):
            found = getattr(outcome.verdicts, name)[mine]
            np.testing.assert_array_equal(
                found, getattr(undisturbed.verdicts, name)[expected], name
            )
        alerts = [event for event in outcome.alerts if event.series.key in self._clean]
        assert sorted(alerts, key=_place) == sorted(undisturbed.alerts, key=_place)

    def _check_outputs(
        self, poll: Poll, decoded: Decoded, assembled: Assembled, outcome: Outcome
    ) -> None:
        late = [
            Rejection(index=row, reason="late", detail="")
            for row in np.unique(assembled.index[outcome.late]).tolist()
        ]
        for event in outcome.alerts:
            self._outbox.add_alert(event, 0.0)
        for rejection in decoded.rejections:
            self._outbox.add_dead_letter(poll.records, rejection)
        for rejection in late:
            self._outbox.add_late(poll.records, rejection)
        put_out = self._outbox.take()
        for waiting in put_out.alerts:
            self._check_alert(waiting.event, waiting.record)
        for rejection, letter in zip(decoded.rejections, put_out.dead_letters, strict=True):
            _check_letter(poll.records, rejection, letter)
        for rejection, letter in zip(late, put_out.late, strict=True):
            _check_letter(poll.records, rejection, letter)

    def _check_alert(self, event: AlertEvent, record: OutputRecord) -> None:
        assert record.value is not None
        assert record.key == event.series.key.encode()
        self._schema.validate(msgspec.json.decode(record.value))
        again = decode_alert(record.value)
        assert again.series == event.series
        assert event.summary.isprintable()
        assert all(isinstance(value, bytes) for _, value in record.headers)

    def _count(self, poll: Poll, decoded: Decoded, assembled: Assembled, outcome: Outcome) -> None:
        self.tally.sent.update(poll.kinds)
        self.tally.alerts += len(outcome.alerts)
        what = [Verdict(v).name.lower() for v in outcome.verdicts.verdict.tolist()]
        for at in outcome.late.tolist():
            what[at] = "late"
        kinds = poll.kinds
        # Of a record with several readings the last counts, and the rejection if there is one.
        of_record = dict.fromkeys(decoded.index.tolist(), "waiting")
        for row, name in zip(assembled.index.tolist(), what, strict=True):
            if row in of_record:  # a step that waited is judged by any record
                of_record[row] = name
        of_record |= {r.index: r.reason for r in decoded.rejections}
        self.tally.outcomes.update((kinds[row], name) for row, name in of_record.items())
        self.tally.outcomes.update((kinds[row], "ignored") for row in decoded.ignored)


def _decoder(layout: Layout) -> Decoder:
    return build_decoder(
        layout.features,
        layout.fmt,
        is_events=layout.is_events,
        schemas=layout.schemas,
        logs=layout.logs,
    )


def _by_series(steps: ReadingBatch) -> NDArray[np.intp]:
    """Return the positions of steps by series; of series there is no order."""
    return np.argsort(np.array(steps.series, dtype=object), kind="stable")


def _place(event: AlertEvent) -> tuple[str, str, int]:
    return event.series.key, event.incident_id, event.sequence


def _pipeline(bundle: Bundle) -> Pipeline:
    # Short memories, so that refreshes and releases happen all the time.
    threshold = ThresholdConfig(window=100, refresh_every=4, release_after=60, quantile=0.99)
    origin = Origin(
        detector=AlertDetector(name="fuzz", version="0", instance="0"),
        topic="readings",
        group="fuzz",
    )
    config = DetectConfig(threshold=threshold)
    scorer = WindowScorer(bundle, device="cpu")
    return Pipeline(Detector(bundle.spec, scorer, config, CAPACITY), config, origin)


def _check_accounts(poll: Poll, decoded: Decoded) -> None:
    """Each record gives readings, is rejected or without features; two of these only in part."""
    sent = len(poll.records)
    rejected = [rejection.index for rejection in decoded.rejections]
    whole = [rejection.index for rejection in decoded.rejections if not rejection.elements]
    accepted = set(decoded.index.tolist())
    assert accepted | set(rejected) | set(decoded.ignored) == set(range(sent))
    assert not accepted & set(whole)
    assert not set(decoded.ignored) & (accepted | set(rejected))
    assert len(set(rejected)) == len(rejected)
    assert all(found.count > 0 for found in decoded.unreadable.values())
    assert {reason for _, reason in decoded.unreadable} <= {*REASONS, REPLACED}
    assert rejected == sorted(rejected)
    assert (np.diff(decoded.index) >= 0).all()
    readings = decoded.readings
    assert len(readings) == len(decoded.index) == len(readings.times) == len(readings.values)
    np.testing.assert_array_equal(readings.offsets, poll.records.offsets[decoded.index])
    np.testing.assert_array_equal(readings.partitions, poll.records.partitions[decoded.index])
    assert not np.isinf(readings.values).any()
    assert ((readings.arrivals > 0) & (readings.arrivals <= poll.now_ns)).all()
    assert all(0 < len(key) <= 1024 for key in readings.series)
    assert all(len(name) <= 100 and name.isprintable() for name in decoded.unknown_fields)


def _check_lines(decoded: Decoded, lines: LineCounts) -> None:
    """Each line is of a template or of none, and a reading, unless its record was rejected."""
    n_lines = lines.n_known + lines.n_unseen
    assert n_lines == len(decoded.readings) or decoded.rejections
    assert n_lines >= len(decoded.readings)
    readings = decoded.readings
    at = readings.unseen_at
    assert len(at) == lines.n_unseen or (len(at) < lines.n_unseen and decoded.rejections)
    if readings.unseen is not None:
        assert all(len(text.encode()) <= LONGEST_LINE for text in readings.unseen[at])
    assert all(text.isprintable() for _, text in lines.examples.values())


def _check_verdicts(assembled: Assembled, outcome: Outcome) -> None:
    """Each step has one verdict, counted once, and a finite score where it was judged."""
    verdicts = outcome.verdicts
    n = len(assembled.readings)
    assert len(verdicts.verdict) == n
    told = next(event for event in outcome.events if isinstance(event, ReadingsJudged))
    counts = (told.normal, told.anomalous, told.warming_up, told.unscorable, told.late)
    assert sum(counts) == n
    assert (verdicts.verdict[outcome.late] == Verdict.UNSCORABLE).all()
    judged = np.isin(verdicts.verdict, [Verdict.NORMAL, Verdict.ANOMALOUS])
    for numbers in (verdicts.score, verdicts.threshold, verdicts.p_value):
        np.testing.assert_array_equal(np.isfinite(numbers), judged)
    assert ((verdicts.p_value[judged] > 0) & (verdicts.p_value[judged] <= 1)).all()


def _check_letter(records: RecordBatch, rejection: Rejection, letter: OutputRecord) -> None:
    """A dead letter is the unchanged record, followed by the reason."""
    i = rejection.index
    original = list(records.headers(i))
    n_added = 7 if rejection.elements else 6
    told = dict(letter.headers[-n_added:])
    if _size(records.keys[i], records.values[i], original) > LARGEST_ASIDE_BYTES:
        assert (letter.key, letter.value) == (None, None)
        assert len(letter.headers) == n_added + 1
        assert letter.headers[0][0] == "dlq.omitted"
    else:
        assert (letter.key, letter.value) == (records.keys[i], records.values[i])
        assert list(letter.headers[:-n_added]) == original
    assert told["dlq.reason"] == rejection.reason.encode()
    assert rejection.reason in REASONS
    assert told["dlq.source.offset"] == b"%d" % records.offsets[i]
    detail = (told["dlq.detail"] or b"").decode()
    assert len(detail) <= 300
    assert detail.isprintable()
    assert _size(letter.key, letter.value, letter.headers) <= LARGEST_ASIDE_BYTES + 1000


def _size(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    parts = [key, value, *(text for _, text in headers), *(name.encode() for name, _ in headers)]
    return sum(len(part) for part in parts if part is not None)


def _cut(records: RecordBatch, row: int) -> RecordBatch:
    return RecordBatch(
        topic=records.topic,
        partitions=records.partitions[row : row + 1],
        offsets=records.offsets[row : row + 1],
        timestamps=records.timestamps[row : row + 1],
        timed_by_broker=records.timed_by_broker,
        keys=records.keys[row : row + 1],
        values=records.values[row : row + 1],
        headers=lambda _: records.headers(row),
    )
