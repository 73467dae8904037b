"""Outputs of settled work, pending for the transaction that commits their input."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.records import (
    LARGEST_RECORD_BYTES,
    Headers,
    OutputRecord,
    RecordBatch,
    Rejection,
)
from stream_vae.wire.alerts import alert_headers, encode_alert
from stream_vae.wire.rejections import rejection_headers

LARGEST_ASIDE_BYTES = LARGEST_RECORD_BYTES - 64 * 1024
"""Of a dead letter or late record; the rest is reserved for the headers with the reason."""

_HEADER_BYTES = 10  # two lengths, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingAlert:
    """A pending alert event."""

    event: AlertEvent
    record: OutputRecord
    polled_at: float
    """When the reading that caused it was polled, monotonic seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """The records of one transaction."""

    alerts: list[WaitingAlert] = field(default_factory=list)
    dead_letters: list[OutputRecord] = field(default_factory=list)
    late: list[OutputRecord] = field(default_factory=list)
    state: list[OutputRecord] = field(default_factory=list)
    scores: list[OutputRecord] = field(default_factory=list)

    def records(self) -> list[OutputRecord]:
        """Return all records to publish."""
        alerts = [alert.record for alert in self.alerts]
        return alerts + self.scores + self.dead_letters + self.late + self.state

    def before(self, later: "Outputs") -> "Outputs":
        """Return these, followed by later ones."""
        return Outputs(
            alerts=self.alerts + later.alerts,
            dead_letters=self.dead_letters + later.dead_letters,
            late=self.late + later.late,
            state=self.state + later.state,
            scores=self.scores + later.scores,
        )

    def without(self, partitions: Collection[int]) -> "Outputs":
        """Return those derived from other input partitions than these."""
        return Outputs(
            alerts=[a for a in self.alerts if a.record.partition not in partitions],
            dead_letters=[r for r in self.dead_letters if r.partition not in partitions],
            late=[r for r in self.late if r.partition not in partitions],
            state=[r for r in self.state if r.partition not in partitions],
            scores=[r for r in self.scores if r.partition not in partitions],
        )


class Outbox:
    """Collects alert events, dead letters, late readings and state for the next transaction.

    Args:
        detector: Name of the detector, for headers.
        topics: Of the outputs: `alerts`, `dead_letters` and `late`.
    """

    def __init__(self, detector: str, topics: Mapping[str, str]) -> None:
        self._detector = detector
        self._topics = topics
        self.waiting = Outputs()
        """For the next transaction."""

    def take(self) -> Outputs:
        """Return all pending outputs and clear the outbox."""
        taken, self.waiting = self.waiting, Outputs()
        return taken

    def put_back(self, outputs: Outputs) -> None:
        """Put back the outputs of an aborted transaction, before all added since."""
        self.waiting = outputs.before(self.waiting)

    def drop(self, partitions: Collection[int]) -> None:
        """Drop outputs derived from lost partitions."""
        self.waiting = self.waiting.without(partitions)

    def add_alert(self, event: AlertEvent, polled_at: float) -> None:
        """Add an alert event, keyed by its series."""
        record = OutputRecord(
            topic=self._topics["alerts"],
            key=event.series.key.encode(),
            value=encode_alert(event),
            headers=alert_headers(event),
            partition=event.source.partition,
        )
        self.waiting.alerts.append(WaitingAlert(event=event, record=record, polled_at=polled_at))

    def add_dead_letter(self, records: RecordBatch, rejection: Rejection) -> None:
        """Add a rejected record."""
        self.waiting.dead_letters.append(self._aside(records, rejection, "dead_letters"))

    def add_late(self, records: RecordBatch, rejection: Rejection) -> None:
        """Add a late reading."""
        self.waiting.late.append(self._aside(records, rejection, "late"))

    def _aside(self, records: RecordBatch, rejection: Rejection, output: str) -> OutputRecord:
        """Return the unchanged record, with headers that give the reason.

        Of a record too large to be published, which compression can get into a topic, only the
        headers are kept: the daemon must not stop for it.
        """
        i = rejection.index
        partition = int(records.partitions[i])
        key, value, original = records.keys[i], records.values[i], records.headers(i)
        size = _size(key, value, original)
        if size > LARGEST_ASIDE_BYTES:
            key, value, original = None, None, [("dlq.omitted", f"{size} bytes".encode())]
        headers = rejection_headers(
            original,
            rejection,
            topic=records.topic,
            partition=partition,
            offset=int(records.offsets[i]),
            detector=self._detector,
        )
        return OutputRecord(
            topic=self._topics[output],
            key=key,
            value=value,
            headers=headers,
            partition=partition,
        )


def _size(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    names = sum(len(name.encode()) + len(text or b"") + _HEADER_BYTES for name, text in headers)
    return len(key or b"") + len(value or b"") + names
