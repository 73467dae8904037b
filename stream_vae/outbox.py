"""Outputs of settled work, waiting for the transaction that commits their input."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.records import OutputRecord, RecordBatch, Rejection
from stream_vae.wire.alerts import alert_headers, encode_alert
from stream_vae.wire.rejections import rejection_headers


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingAlert:
    """An alert event on its way out."""

    event: AlertEvent
    record: OutputRecord
    polled_at: float
    """When the reading that caused it was polled, monotonic seconds."""


class Outbox:
    """Collects alert events, dead letters and late readings between two transactions.

    Args:
        detector: Name of the detector, for headers.
        topics: Of the outputs: `alerts`, `dead_letters` and `late`.
    """

    def __init__(self, detector: str, topics: Mapping[str, str]) -> None:
        self._detector = detector
        self._topics = topics
        self.clear()

    def clear(self) -> None:
        """Empty it: everything has been committed."""
        self.alerts: list[WaitingAlert] = []
        self.dead_letters: list[OutputRecord] = []
        self.late: list[OutputRecord] = []

    def records(self) -> list[OutputRecord]:
        """Return all records to publish."""
        return [alert.record for alert in self.alerts] + self.dead_letters + self.late

    def add_alert(self, event: AlertEvent, polled_at: float) -> None:
        """Add an alert event, keyed by its series."""
        record = OutputRecord(
            topic=self._topics["alerts"],
            key=event.series.key.encode(),
            value=encode_alert(event),
            headers=alert_headers(event),
            partition=event.source.partition,
        )
        self.alerts.append(WaitingAlert(event=event, record=record, polled_at=polled_at))

    def add_dead_letter(self, records: RecordBatch, rejection: Rejection) -> None:
        """Add a record that is not a reading."""
        self.dead_letters.append(self._aside(records, rejection, "dead_letters"))

    def add_late(self, records: RecordBatch, rejection: Rejection) -> None:
        """Add a reading that came after its step was closed."""
        self.late.append(self._aside(records, rejection, "late"))

    def drop(self, partitions: Collection[int]) -> None:
        """Forget what stems from partitions that were lost."""
        self.alerts = [a for a in self.alerts if a.record.partition not in partitions]
        self.dead_letters = [r for r in self.dead_letters if r.partition not in partitions]
        self.late = [r for r in self.late if r.partition not in partitions]

    def _aside(self, records: RecordBatch, rejection: Rejection, output: str) -> OutputRecord:
        """Return the record as it came, with headers that say why it is put aside."""
        i = rejection.index
        partition = int(records.partitions[i])
        headers = rejection_headers(
            records.headers(i),
            rejection,
            topic=records.topic,
            partition=partition,
            offset=int(records.offsets[i]),
            detector=self._detector,
        )
        return OutputRecord(
            topic=self._topics[output],
            key=records.keys[i],
            value=records.values[i],
            headers=headers,
            partition=partition,
        )
