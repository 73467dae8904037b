"""Where a forwarder stands in each partition of the alerts topic."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from stream_vae.core.ports import EventSink, InputConsumer
from stream_vae.core.records import RecordBatch
from stream_vae.errors import AlertDecodeError, KafkaUnavailableError
from stream_vae.events import AlertsCaughtUp, AlertsSkipped
from stream_vae.forwarding.incidents import KnownIncidents
from stream_vae.forwarding.parts import ForwardPlan
from stream_vae.forwarding.queue import WaitingRecord
from stream_vae.wire.alerts import alert_place, decode_alert
from stream_vae.wire.offset_notes import given_up_of


@dataclass(slots=True, kw_only=True)
class _Place:
    deliver_from: int
    """What lies before was delivered, by this instance or another."""
    next_offset: int
    """To commit."""
    given_up: tuple[range, ...] = ()
    """Offsets before it of what the receiver did not take."""
    is_first: bool = False
    """Whether the group begins here: what lies before was told to nobody."""
    end: int = 0
    """The partition's, as last reached: before it, behind the last record, stand markers alone."""
    n_noted: int = 0
    newest: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """Incident that fires, as far as was read -> number and value of its newest event."""
    is_current: bool = False
    """Whether all that was delivered before has been read."""


class Places:
    """Offsets of the partitions held; what was delivered before is read again and noted.

    Args:
        config: Of the forwarder.
        consumer: Of the topic.
        known: Told of the events that were delivered before.
        events: Receives `AlertsCaughtUp` and `AlertsSkipped`.
    """

    def __init__(
        self,
        config: ForwardPlan,
        consumer: InputConsumer,
        known: KnownIncidents,
        events: EventSink,
    ) -> None:
        self._config = config
        self._consumer = consumer
        self._known = known
        self._events = events
        self._unknown: set[int] = set()
        self._places: dict[int, _Place] = {}
        self._settled: dict[int, int] = {}
        self._has_caught_up = False
        self.shown: Mapping[str, object] = {}
        """Partition -> what it does; other threads read it."""

    @property
    def settled(self) -> dict[int, int]:
        """Partition -> offset to commit, where it changed."""
        return dict(self._settled)

    @property
    def current(self) -> frozenset[int]:
        """Partitions of which all that was delivered before has been read."""
        return frozenset(p for p, place in self._places.items() if place.is_current)

    def assigned(self, partitions: Collection[int]) -> None:
        """Take partitions; `find` says where they go on."""
        self._unknown.update(partitions)
        self._show()

    def drop(self, partitions: Collection[int]) -> None:
        """Leave partitions."""
        for partition in partitions:
            self._unknown.discard(partition)
            self._places.pop(partition, None)
            self._settled.pop(partition, None)
        self._show()

    def find(self) -> None:
        """Find out where new partitions go on, unless no broker answers now, and read them."""
        with suppress(KafkaUnavailableError):
            offsets = self._consumer.offsets
            committed = offsets.committed_with_notes(self._unknown) if self._unknown else {}
            for partition in sorted(self._unknown):
                oldest, end = offsets.oldest(partition), offsets.end(partition)
                is_first = partition not in committed
                begin, note = committed.get(partition, (0, ""))
                if is_first:
                    begin = end if self._config.start == "latest" else oldest
                    # An event that comes before the first commit must not be skipped by a restart.
                    self._settled[partition] = begin
                elif begin > end:
                    begin = oldest  # the topic was made anew: nothing of it was delivered
                self._consumer.release({partition: oldest})
                self._unknown.discard(partition)
                place = _Place(
                    deliver_from=begin,
                    next_offset=begin,
                    given_up=given_up_of(note),
                    is_first=is_first,
                )
                self._places[partition] = place
                if oldest >= begin:
                    self._catch_up(partition, place)

    def take(self, records: RecordBatch) -> Iterator[WaitingRecord]:
        """Yield the records to deliver; note those that were."""
        for row, (partition, offset) in enumerate(
            zip(records.partitions.tolist(), records.offsets.tolist(), strict=True)
        ):
            place = self._places.get(partition)
            if place is None:
                continue
            if offset < place.deliver_from:
                self._note(place, partition, offset, records.values[row] or b"")
                if offset + 1 == place.deliver_from:
                    self._catch_up(partition, place)
                continue
            if not place.is_current:
                self._catch_up(partition, place)
            yield WaitingRecord(
                partition=partition,
                offset=offset,
                time_ns=int(records.timestamps[row]),
                key=records.keys[row],
                value=records.values[row],
                headers=records.headers(row),
            )

    def reach_ends(self, waiting: Collection[int]) -> None:
        """Go on to the ends reached.

        Args:
            waiting: Partitions of which records are still to be delivered.
        """
        for partition, end in self._consumer.take_eof_offsets().items():
            place = self._places.get(partition)
            if place is None:
                continue
            place.end = end
            if not place.is_current:
                self._catch_up(partition, place)
        for partition, place in self._places.items():
            if place.end > place.next_offset and partition not in waiting:
                self.settle(partition, place.end)
        self._show()

    def settle(self, partition: int, next_offset: int) -> None:
        """Go on in a partition, if it is still held."""
        place = self._places.get(partition)
        if place is not None and place.next_offset != next_offset:
            place.next_offset = self._settled[partition] = next_offset

    def committed(self, offsets: Mapping[int, int]) -> None:
        """Take offsets for committed."""
        for partition, offset in offsets.items():
            if self._settled.get(partition) == offset:
                del self._settled[partition]

    def take_caught_up(self) -> bool:
        """Return whether a partition has been read since the last call."""
        found, self._has_caught_up = self._has_caught_up, False
        return found

    def _note(self, place: _Place, partition: int, offset: int, value: bytes) -> None:
        """Note an event that was settled before; of most, that it is over."""
        found = alert_place(value)
        # None: a dead letter by now
        if found is None or not self._config.concerns(found.detector.name):
            return
        place.n_noted += 1
        if any(offset in run for run in place.given_up):
            self._known.note_given_up(
                found.incident_id, found.sequence, partition=partition, offset=offset
            )
        if found.status == "firing":
            before, _ = place.newest.get(found.incident_id, (found.sequence, b""))
            if found.sequence >= before:  # else an older one that was redriven
                place.newest[found.incident_id] = found.sequence, value
        else:
            place.newest.pop(found.incident_id, None)
            self._known.note_end(found.incident_id, found.sequence)

    def _catch_up(self, partition: int, place: _Place) -> None:
        place.is_current = self._has_caught_up = True
        for _, value in place.newest.values():
            with suppress(AlertDecodeError):
                self._known.note(decode_alert(value), partition)
        place.newest.clear()
        firing = self._known.n_firing({partition})
        topic, records = self._config.topic, place.n_noted
        if place.is_first and records:
            self._events.record(
                AlertsSkipped(topic=topic, partition=partition, records=records, firing=firing)
            )
        else:
            self._events.record(
                AlertsCaughtUp(topic=topic, partition=partition, records=records, firing=firing)
            )

    def _show(self) -> None:
        self.shown = {
            **{str(p): {"next_offset": None} for p in sorted(self._unknown)},
            **{
                str(p): {"next_offset": one.next_offset, "is_current": one.is_current}
                for p, one in sorted(self._places.items())
            },
        }
