"""What the log in memory and a real broker must do alike, through the daemon's ports."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

import pytest

from stream_vae.core.ports import InputConsumer, OutputProducer, RangeReader
from stream_vae.core.records import OutputRecord, RecordBatch
from stream_vae.errors import FencedError, InputChangedError, KafkaUnavailableError
from stream_vae.events import RecordsLost
from stream_vae.wire.offset_notes import given_up_of
from tests.recorded_events import RecordedEvents

How = Literal["plain", "committed", "aborted", "open"]
GROUP = "group"
_PATIENCE_S = 30.0


class Backend(Protocol):
    """A Kafka with one input topic of two partitions, one output topic and one group."""

    input: str
    output: str

    def produce(self, values: Sequence[bytes], how: How = "plain", partition: int = 0) -> None:
        """Append records to the input, in a transaction of their own unless `plain`."""

    def time_ns(self) -> int:
        """Return the brokers' clock, some milliseconds behind all that was produced so far."""
        ...

    def end_open(self) -> None:
        """Commit the transaction that was left open."""

    def hold_offset(self, offset: int, membership: object) -> Callable[[], None]:
        """Add an offset of partition 0 to a transaction that stays open; return what commits it."""
        ...

    def delete_before(self, offset: int) -> None:
        """Drop old records of partition 0 of the input."""

    def make_input_anew(self) -> None:
        """Delete the input topic, and make an empty one of its name."""

    def consumer(self, name: str, events: RecordedEvents) -> InputConsumer: ...

    def producer(self, identity: str) -> OutputProducer: ...

    def reader(self) -> RangeReader:
        """Return a reader of the input."""
        ...

    def committed(self) -> Mapping[int, int]:
        """Return the group's offsets."""
        ...

    def published(self) -> list[bytes | None]:
        """Return the values of the output's committed records."""
        ...


class Member:
    """A member that begins with the committed or else the oldest record."""

    def __init__(self, backend: Backend, name: str = "one", *, releases: bool = True) -> None:
        self.events = RecordedEvents()
        self.consumer = backend.consumer(name, self.events)
        self.values: list[bytes | None] = []
        self.offsets: list[int] = []
        self.eof: dict[int, int] = {}
        self.heard: list[tuple[str, tuple[int, ...]]] = []
        self.assigned: set[int] = set()
        self.on_revoked: Callable[[], None] = lambda: None
        self._waiting: set[int] = set()
        self._releases = releases
        self.consumer.subscribe(self)

    def partitions_assigned(self, partitions: tuple[int, ...]) -> None:
        self.heard.append(("assigned", partitions))
        self.assigned.update(partitions)
        self._waiting.update(partitions)

    def partitions_revoked(self, partitions: tuple[int, ...]) -> None:
        self.heard.append(("revoked", partitions))
        self.on_revoked()
        self._forget(partitions)

    def partitions_lost(self, partitions: tuple[int, ...]) -> None:
        self.heard.append(("lost", partitions))
        self._forget(partitions)

    def poll(self) -> None:
        records: RecordBatch | None = self.consumer.poll(100, 0.05)
        if records is not None:
            self.values += records.values
            self.offsets += records.offsets.tolist()
        self.eof |= self.consumer.take_eof_offsets()
        if self._releases and self._waiting:
            offsets = self.consumer.offsets
            begins = offsets.committed(self._waiting)
            for partition in self._waiting - begins.keys():
                begins[partition] = offsets.oldest(partition)
            self.consumer.release(begins)
            self._waiting.clear()

    def poll_until(self, is_reached: Callable[[], object], *others: "Member") -> None:
        """Poll until something is so.

        Raises:
            AssertionError: If it is not in time.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while not is_reached():
            assert time.monotonic() < deadline, (self.values, self.heard, self.eof)
            for member in (self, *others):
                member.poll()

    def poll_on(self, times: int = 10) -> None:
        """Poll, to see that nothing comes of it."""
        for _ in range(times):
            self.poll()

    def _forget(self, partitions: tuple[int, ...]) -> None:
        self.assigned.difference_update(partitions)
        self._waiting.difference_update(partitions)


def output(backend: Backend, value: bytes) -> OutputRecord:
    return OutputRecord(
        topic=backend.output, key=None, value=value, headers=[], partition=0, to_partition=0
    )


def commit(
    backend: Backend, producer: OutputProducer, value: bytes, offset: int, membership: object
) -> bool:
    return producer.commit([output(backend, value)], backend.input, {0: offset}, membership)


def read(reader: RangeReader, partition: int) -> list[bytes | None]:
    """Return what a range holds, once it has been read."""
    values: list[bytes | None] = []
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        records = reader.poll(100)
        values += records.values if records is not None else []
        if partition in reader.take_finished():
            return values
        assert time.monotonic() < deadline, values


# The contract


def committed_records_are_seen_and_aborted_ones_never(backend: Backend) -> None:
    """Markers occupy offsets; the end is behind the last of them."""
    backend.produce([b"plain"])
    backend.produce([b"aborted"] * 2, "aborted")
    backend.produce([b"committed"], "committed")
    member = Member(backend)
    member.poll_until(lambda: member.eof.get(0) == 6)
    assert member.values == [b"plain", b"committed"]
    assert member.offsets == [0, 4]
    member.poll_until(lambda: member.consumer.lag() == {0: 0, 1: 0})
    assert member.consumer.is_at_end(0)
    assert (member.consumer.offsets.oldest(0), member.consumer.offsets.end(0)) == (0, 6)
    member.consumer.close()


def an_open_transaction_ends_what_is_seen_but_not_what_there_is(backend: Backend) -> None:
    backend.produce([b"before"])
    backend.produce([b"open"], "open")
    backend.produce([b"behind"])
    member, reader = Member(backend), backend.reader()
    member.poll_until(lambda: member.values)
    member.poll_on()
    assert member.values == [b"before"]
    assert member.consumer.offsets.end(0) == 1
    assert member.consumer.is_at_end(0)
    assert member.consumer.lag()[0] == 2
    assert reader.end_offsets([0, 1]) == {0: 3, 1: 0}
    reader.add(0, None, 3)
    reader.poll(100)
    assert reader.take_finished() == []
    backend.end_open()
    assert read(reader, 0)[-2:] == [b"open", b"behind"]
    member.poll_until(lambda: member.eof.get(0) == 4)
    assert member.values == [b"before", b"open", b"behind"]
    reader.close()
    member.consumer.close()


def a_held_partition_gives_nothing_until_it_is_released_and_begins_where_it_is_told(
    backend: Backend,
) -> None:
    backend.produce([b"%d" % i for i in range(5)])
    member = Member(backend, releases=False)
    member.poll_until(lambda: member.assigned == {0, 1})
    member.poll_on()
    assert (member.values, member.consumer.lag()) == ([], {})
    member.consumer.release({0: 3})
    member.poll_until(lambda: len(member.values) >= 2)
    assert member.values == [b"3", b"4"]
    member.consumer.close()


def a_pause_repeats_and_loses_nothing(backend: Backend) -> None:
    backend.produce([b"%d" % i for i in range(300)])
    member = Member(backend)
    member.poll_until(lambda: member.values)
    member.consumer.pause()
    assert member.consumer.paused
    member.poll()
    n = len(member.values)
    member.poll_on()
    assert len(member.values) == n < 300
    member.consumer.resume()
    member.poll_until(lambda: len(member.values) == 300)
    assert member.values == [b"%d" % i for i in range(300)]
    member.consumer.close()


def records_that_are_given_back_are_polled_again(backend: Backend) -> None:
    """Also while paused, and as if they and the end behind them had not been polled."""
    values = [b"%d" % i for i in range(300)]
    backend.produce(values)
    member = Member(backend)
    member.poll_until(lambda: len(member.values) == 300)
    member.consumer.rewind({0: 100, 7: 0})
    assert member.consumer.take_eof_offsets() == {}
    assert member.consumer.lag()[0] == 200
    assert not member.consumer.is_at_end(0)
    member.poll_until(lambda: len(member.values) == 500)
    member.consumer.pause()
    member.consumer.rewind({0: 299})
    member.poll_on()
    assert member.values == [*values, *values[100:]]
    member.consumer.resume()
    member.poll_until(lambda: member.values[500:])
    assert member.values == [*values, *values[100:], b"299"]
    assert member.consumer.is_at_end(0)
    member.consumer.close()


def outputs_and_offsets_are_committed_together(backend: Backend) -> None:
    backend.produce([b"a", b"b"])
    member, producer = Member(backend), backend.producer("one")
    member.poll_until(lambda: len(member.values) == 2)
    assert member.consumer.offsets.committed([0, 1]) == {}
    for offset in (1, 2):
        assert commit(backend, producer, b"%d" % offset, offset, member.consumer.membership())
    assert member.consumer.offsets.committed([0, 1]) == {0: 2}
    assert backend.published() == [b"1", b"2"]
    membership = member.consumer.membership()
    assert producer.commit([], backend.input, {0: 2}, membership, given_up={0: [0, 1]})
    ((offset, note),) = member.consumer.offsets.committed_with_notes([0, 1]).values()
    assert (offset, given_up_of(note)) == (2, (range(2),))
    producer.close()
    member.consumer.close()


def a_membership_that_has_passed_publishes_nothing(backend: Backend) -> None:
    """Control: while it stood it did."""
    backend.produce([b"a"])
    member, producer = Member(backend), backend.producer("one")
    member.poll_until(lambda: member.values)
    membership = member.consumer.membership()
    assert commit(backend, producer, b"counts", 1, membership)
    member.consumer.close()
    assert not commit(backend, producer, b"too late", 0, membership)
    assert backend.published() == [b"counts"]
    assert backend.committed() == {0: 1}
    with pytest.raises(FencedError):
        member.consumer.membership()
    producer.close()


def a_producer_is_fenced_by_a_later_one_of_its_name(backend: Backend) -> None:
    backend.produce([b"a"])
    member, older = Member(backend), backend.producer("same")
    member.poll_until(lambda: member.values)
    newer, other = backend.producer("same"), backend.producer("another")
    membership = member.consumer.membership()
    with pytest.raises(FencedError):
        commit(backend, older, b"older", 1, membership)
    assert commit(backend, newer, b"newer", 1, membership)
    assert commit(backend, other, b"another", 1, membership)
    assert backend.published() == [b"newer", b"another"]
    member.consumer.close()


def an_offset_of_an_open_transaction_is_no_answer(backend: Backend) -> None:
    """Once it is over, it is."""
    backend.produce([b"a", b"b"])
    member = Member(backend)
    member.poll_until(lambda: len(member.values) == 2)
    end = backend.hold_offset(1, member.consumer.membership())
    with pytest.raises(KafkaUnavailableError):
        member.consumer.offsets.committed([0])
    assert member.consumer.offsets.committed([1]) == {}
    end()
    assert member.consumer.offsets.committed([0, 1]) == {0: 1}
    member.consumer.close()


def a_partition_changes_hands_after_its_owner_was_told_and_has_committed(
    backend: Backend,
) -> None:
    for partition in (0, 1):
        backend.produce([b"a"], partition=partition)
    one, producer = Member(backend, "one"), backend.producer("one")
    one.poll_until(lambda: len(one.values) == 2)
    committed: list[bool] = []

    def commit_last() -> None:
        offsets = dict.fromkeys(sorted(one.assigned), 1)
        membership = one.consumer.membership()
        committed.append(
            producer.commit([output(backend, b"last")], backend.input, offsets, membership)
        )

    one.on_revoked = commit_last
    two = Member(backend, "two")
    two.poll_on(5)  # the owner hears nothing, since it does not poll
    assert two.assigned == set()
    one.poll_until(lambda: two.assigned and len(one.assigned) == 1, two)
    assert committed[-1:] == [True]
    assert one.assigned | two.assigned == {0, 1}
    for _ in range(5):
        two.poll()
    assert two.values == [], "it begins where the owner left off"
    one.on_revoked = lambda: None
    one.consumer.close()
    assert one.heard[-1][0] == "revoked"
    two.poll_until(lambda: two.assigned == {0, 1})
    two.consumer.close()


def lost_history_is_told_and_reading_goes_on_with_what_is_left(backend: Backend) -> None:
    backend.produce([b"%d" % i for i in range(10)])
    member = Member(backend, releases=False)
    member.poll_until(lambda: 0 in member.assigned)
    backend.delete_before(6)
    member.consumer.release({0: 3})
    member.poll_until(lambda: len(member.values) >= 4)
    assert member.values == [b"6", b"7", b"8", b"9"]
    assert member.consumer.offsets.end(0) == 10
    lost = member.events.of(RecordsLost)
    assert [(e.partition, e.wanted_offset, e.oldest_offset) for e in lost] == [(0, 3, 6)]
    assert member.consumer.offsets.oldest(0) == 6
    member.consumer.close()


def a_position_beyond_the_end_ends_the_member(backend: Backend) -> None:
    """Control: at the end it waits for more."""
    backend.produce([b"%d" % i for i in range(10)])
    member = Member(backend, releases=False)
    member.poll_until(lambda: 0 in member.assigned)
    member.consumer.release({0: 10})
    member.poll_on()
    member.consumer.close()
    other = Member(backend, "two", releases=False)
    other.poll_until(lambda: 0 in other.assigned)
    other.consumer.release({0: 11})
    with pytest.raises(InputChangedError):
        other.poll_until(lambda: False)
    other.consumer.abandon()


def a_topic_that_is_made_anew_ends_the_member(backend: Backend) -> None:
    """Also where it has outgrown the position by then; nothing of it is taken for the old one's."""
    backend.produce([b"old %d" % i for i in range(10)])
    member = Member(backend)
    member.poll_until(lambda: len(member.values) == 10)
    backend.make_input_anew()
    backend.produce([b"new %d" % i for i in range(30)])
    with pytest.raises(InputChangedError, match="made anew"):
        member.poll_until(lambda: len(member.values) > 10)
    assert not [value for value in member.values if value is not None and b"new" in value]
    member.consumer.abandon()


def the_first_record_since_a_time_is_found(backend: Backend) -> None:
    """Where there is none, nothing is: the caller begins at the end."""
    begun_ns = backend.time_ns()
    for value in (b"older", b"newer"):
        time_ns = backend.time_ns()
        backend.produce([value])
    member = Member(backend)
    member.poll_until(lambda: len(member.values) == 2)
    offsets = member.consumer.offsets
    assert offsets.since(0, begun_ns) == 0
    assert offsets.since(0, time_ns) == 1
    assert offsets.since(0, backend.time_ns() + 3600 * 10**9) is None
    assert offsets.since(1, begun_ns) is None
    stranger = backend.consumer("stranger", RecordedEvents())
    found = stranger.offsets.since(0, time_ns), stranger.offsets.end(0)
    assert found == (1, 2), "also by one that does not own the partition"
    stranger.abandon()
    member.consumer.close()


def a_range_ends_where_it_is_told_or_where_there_is_no_more(backend: Backend) -> None:
    backend.produce([b"a", b"b"])
    backend.produce([b"c"], "aborted")
    backend.produce([b"d"], "committed")
    reader = backend.reader()
    found: dict[tuple[int | None, int], list[bytes | None]] = {}
    for begin, end in ((None, 2), (1, 4), (1, 6), (4, 6), (0, 0), (3, 3), (4, 50)):
        reader.add(0, begin, end)
        found[begin, end] = read(reader, 0)
    assert found == {
        (None, 2): [b"a", b"b"],
        (1, 4): [b"b"],
        (1, 6): [b"b", b"d"],
        (4, 6): [b"d"],
        (0, 0): [],
        (3, 3): [],
        (4, 50): [b"d"],
    }
    backend.delete_before(1)
    for begin in (None, 0):
        reader.add(0, begin, 2)
        assert read(reader, 0) == [b"b"]
    reader.close()


CONTRACT = [
    committed_records_are_seen_and_aborted_ones_never,
    an_open_transaction_ends_what_is_seen_but_not_what_there_is,
    a_held_partition_gives_nothing_until_it_is_released_and_begins_where_it_is_told,
    a_pause_repeats_and_loses_nothing,
    records_that_are_given_back_are_polled_again,
    outputs_and_offsets_are_committed_together,
    a_membership_that_has_passed_publishes_nothing,
    a_producer_is_fenced_by_a_later_one_of_its_name,
    an_offset_of_an_open_transaction_is_no_answer,
    a_partition_changes_hands_after_its_owner_was_told_and_has_committed,
    lost_history_is_told_and_reading_goes_on_with_what_is_left,
    a_position_beyond_the_end_ends_the_member,
    a_topic_that_is_made_anew_ends_the_member,
    the_first_record_since_a_time_is_found,
    a_range_ends_where_it_is_told_or_where_there_is_no_more,
]
