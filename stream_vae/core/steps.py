"""Steps assembled from their parts: readings of one series and step are merged cell by cell.

A step is judged once all its features are there, a later step of its series begins, or it has
waited long enough by the times of its partition's records, whichever comes first. Values that come
later, as long as the step is open, are put in their places, and the step is judged again. So a poll
of complete readings passes unchanged, and the same records give the same steps however they are
polled. Counts are added up instead; of these no step is complete before it ends, and what many
readings of a poll add to one is told once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.columns import Columns
from stream_vae.core.partition_clocks import PartitionClocks
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.record_times import RecordTimes
from stream_vae.core.records import RecordBatch
from stream_vae.core.series_index import SeriesIndex
from stream_vae.core.step_spans import Parts, Spans, spans_of
from stream_vae.core.step_values import added_up, merged
from stream_vae.core.windows import SeriesTable, WindowConfig

# Where an entry stands among the readings of a poll: before one, instead of it, after it.
_BEFORE, _INSTEAD, _AFTER, _PLACES = 0, 1, 2, 3

ROW = np.dtype([("due", "<i8"), ("time", "<i8"), ("arrival", "<i8"), ("offset", "<i8")])
"""A series' newest step while it waits for more parts.

due: time of the partition's records at which it is judged as it is, nanoseconds since 1970; 0: it
does not wait. time, arrival and offset: of its last part.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """E steps, or readings that are too late for theirs; those of a series in arrival order.

    A step that is kept until more of it comes is told with each of its readings; where they add up,
    with the last of several.
    """

    rows: NDArray[np.int32]
    """(E,) row of each step's series."""
    readings: ReadingBatch
    """E; of each step the values so far, and time, arrival and offset of its last part."""
    index: NDArray[np.int64]
    """(E,) position of the record by which it is judged, in its batch."""
    decided_at: NDArray[np.int64]
    """(E,) offset of that record."""
    judged: NDArray[np.bool_] | None = None
    """(E,) it is judged now, rather than kept until more of it comes; None: all are."""
    revises: NDArray[np.bool_] | None = None
    """(E,) the step was judged before, if it is the newest of its series; None: it was if there was
    a reading of it."""
    first_offsets: NDArray[np.int64] | None = None
    """(E,) of the first of the readings that it is told with; None: each is told with its own."""

    @property
    def begun_at(self) -> NDArray[np.int64]:
        """(E,) offset of the first of the readings that it is told with."""
        return self.readings.offsets if self.first_offsets is None else self.first_offsets

    def and_then(self, more: "Steps", order: NDArray[np.int64]) -> "Steps":
        """Return these and more, in another order; both tell what is judged."""
        pairs = ((self.judged, more.judged), (self.revises, more.revises))
        judged, revises = (np.concatenate([p for p in pair if p is not None]) for pair in pairs)
        return Steps(
            rows=np.concatenate((self.rows, more.rows))[order],
            readings=self.readings.followed_by(more.readings).take(order),
            index=np.concatenate((self.index, more.index))[order],
            decided_at=np.concatenate((self.decided_at, more.decided_at))[order],
            judged=judged[order],
            revises=revises[order],
            first_offsets=np.concatenate((self.begun_at, more.begun_at))[order],
        )


class StepAssembler:
    """Merges readings into steps, and decides when each is judged.

    Args:
        windows: Holds the values of all steps, also of those that wait.
        index: The series.
        config: The grid; a step is open as long as `lateness` says.
        wait_ns: Longest wait of a step that is not complete, by the times of the partition's
            records.
    """

    def __init__(
        self, windows: SeriesTable, index: SeriesIndex, config: WindowConfig, wait_ns: int
    ) -> None:
        self._windows = windows
        self._index = index
        self._config = config
        self._wait_ns = wait_ns
        self.clocks = PartitionClocks()
        self.state = Columns(np.zeros((), ROW), index.capacity)
        self._due: NDArray[np.int64] = self.state["due"]
        self._time: NDArray[np.int64] = self.state["time"]
        self._arrival: NDArray[np.int64] = self.state["arrival"]
        self._offset: NDArray[np.int64] = self.state["offset"]

    def assemble(
        self,
        rows: NDArray[np.int32],
        readings: ReadingBatch,
        index: NDArray[np.int64] | None = None,
        records: RecordBatch | None = None,
        filled: NDArray[np.bool_] | None = None,
    ) -> Steps:
        """Return the steps that N readings make, and those that have waited long enough.

        Args:
            rows: (N,) row of each reading's series, started before.
            readings: Those of one partition in the order of their records.
            index: (N,) position of each reading's record; without, that of the reading.
            records: The poll they are of; without, steps wait for others of their series alone.
            filled: (N,) it is no reading but a step between two, which is not judged; each is later
                than all before it of its series.
        """
        index = np.arange(len(readings)) if index is None else index
        if self._config.length == 1:  # an event is all that there is of its step
            return _all_judged(rows, readings, index)
        clock = None if records is None else self.clocks.advance(records)
        waiting = self._waiting()
        adds_up = self._config.adds_up  # then no step is complete before it ends
        has_parts = adds_up or filled is not None or bool(len(waiting))
        if not has_parts and not np.isnan(readings.values).any():
            return _all_judged(rows, readings, index)
        timing = None
        if records is not None and clock is not None:
            timing = RecordTimes.of_records(records, clock)
        overdue = self._overdue(waiting, timing)
        if adds_up and filled is None and not len(overdue) and self._wait_on(rows, readings):
            return self._kept(rows, readings, index)
        if filled is None:
            filled = np.zeros(len(rows), np.bool_)
        parts = self._parts(rows, readings, index, filled)
        spans = spans_of(parts, self._due, timing, self._index.partitions_of, self._wait_ns)
        told = self._told(parts, spans)
        quiet = self._without(overdue, rows)
        found = [self._incomplete(parts, spans, told, index)]
        if timing is not None and len(quiet):
            found.append(self._quiet(quiet, timing, index))
        self._remember(parts, spans, quiet)
        offsets = readings.offsets if records is None else records.offsets
        place = parts.at[told.which]
        order = np.argsort(place)
        place = place[order]
        taken = readings if len(place) == len(readings) else readings.take(place)
        own = Steps(
            rows=rows[place],
            readings=replace(taken, values=told.values[order]),
            index=index[place],
            decided_at=readings.offsets[place],
            judged=told.judged[order],
            revises=told.revises[order],
            first_offsets=parts.offsets[told.first][order],
        )
        return self._with(own, place, _Held.joined(found), offsets)

    def _wait_on(self, rows: NDArray[np.int32], readings: ReadingBatch) -> bool:
        """Return whether all readings are of the newest steps of their series, which wait."""
        steps = self._config.steps_of(readings.times)
        is_newest = steps == self._windows.last_steps(rows)
        return bool(len(rows) and is_newest.all() and (self._due[rows] > 0).all())

    def _kept(
        self, rows: NDArray[np.int32], readings: ReadingBatch, index: NDArray[np.int64]
    ) -> Steps:
        """Add readings up with which nothing is judged: their steps wait on.

        So it is with most polls of counts.
        """
        at = np.argsort(rows, kind="stable")
        begins = np.flatnonzero(np.diff(rows[at], prepend=-1))
        first, last = at[begins], at[np.append(begins[1:], len(at)) - 1]
        values = np.add.reduceat(readings.values[at], begins, axis=0)
        order = np.argsort(last)
        first, last, values = first[order], last[order], values[order]
        series, parts = rows[last], readings.take(last)
        held = self._windows.values_at(series, self._windows.last_steps(series))
        self._time[series], self._arrival[series] = parts.times, parts.arrivals
        self._offset[series] = parts.offsets
        return Steps(
            rows=series,
            readings=replace(parts, values=values + np.nan_to_num(held)),
            index=index[last],
            decided_at=parts.offsets,
            judged=np.zeros(len(last), np.bool_),
            revises=np.zeros(len(last), np.bool_),
            first_offsets=readings.offsets[first],
        )

    def release_all(self, topic: str) -> Steps:
        """Return all steps that wait: nothing more will come."""
        rows = self._waiting()
        n = np.arange(len(rows))
        held = self._held(rows, place=n, record=n)
        self._clear(rows)
        return self._steps(held, topic, held.offsets)

    def forget(self, rows: NDArray[np.int32]) -> None:
        """Let no step of these series wait: they are released."""
        self._clear(rows)

    def _clear(self, rows: NDArray[np.int32]) -> None:
        for times in (self._due, self._time, self._arrival, self._offset):
            times[rows] = 0

    def _waiting(self) -> NDArray[np.int32]:
        return np.flatnonzero(self._due[: self._index.n_rows] > 0).astype(np.int32)

    def _without(self, rows: NDArray[np.int32], others: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the rows that are not among others."""
        is_other = np.zeros(self._index.n_rows, np.bool_)
        is_other[others] = True
        return rows[~is_other[rows]]

    def _overdue(self, waiting: NDArray[np.int32], timing: RecordTimes | None) -> NDArray[np.int32]:
        """Return the rows whose steps wait no longer by the clock of these records."""
        if timing is None or not len(waiting):
            return np.empty(0, np.int32)
        within = [self._index.within(waiting, (partition,)) for partition in timing.partitions]
        return np.concatenate(
            [
                rows[self._due[rows] <= timing.newest(partition)]
                for partition, rows in zip(timing.partitions, within, strict=True)
            ]
        )

    def _held(
        self, rows: NDArray[np.int32], place: NDArray[np.int64], record: NDArray[np.int64]
    ) -> "_Held":
        """Return the waiting steps of series as their last parts left them."""
        return _Held(
            place=place,
            record=record,
            rows=rows,
            times=self._time[rows],
            arrivals=self._arrival[rows],
            offsets=self._offset[rows],
            values=self._windows.values_at(rows, self._windows.last_steps(rows)),
        )

    def _with(
        self,
        own: Steps,
        place: NDArray[np.int64],
        held: "_Held",
        offsets: NDArray[np.int64],
    ) -> Steps:
        """Return the steps of readings and those that had waited, in arrival order.

        Args:
            own: Of readings.
            place: (E,) position of each among the readings of the poll.
            held: Those that had waited.
            offsets: Of the records of the poll.
        """
        if not len(held.rows):
            return own
        more = self._steps(held, own.readings.topic, offsets[held.record])
        places = np.concatenate((place * _PLACES + _INSTEAD, held.place))
        return own.and_then(more, np.argsort(places, kind="stable"))

    def _steps(self, held: "_Held", topic: str, decided_at: NDArray[np.int64]) -> Steps:
        """Return steps that had waited, to be judged."""
        names = [self._index.name(row) for row in held.rows.tolist()]
        n = len(names)
        return Steps(
            rows=held.rows,
            readings=ReadingBatch(
                topic=topic,
                partitions=np.array([partition for partition, _ in names], np.int32),
                offsets=held.offsets,
                series=[key for _, key in names],
                times=held.times,
                arrivals=held.arrivals,
                values=held.values,
            ),
            index=held.record,
            decided_at=decided_at,
            judged=np.ones(n, np.bool_),
            revises=np.zeros(n, np.bool_),
        )

    def _parts(
        self,
        rows: NDArray[np.int32],
        readings: ReadingBatch,
        index: NDArray[np.int64],
        filled: NDArray[np.bool_],
    ) -> Parts:
        """Sort N readings by series; unless they add up, merge each with what its step has."""
        at = np.argsort(rows, kind="stable")
        sorted_rows, values = rows[at], readings.values[at]
        steps = self._config.steps_of(readings.times[at])
        advance = self._windows.advance(sorted_rows, steps)
        back = advance.newest - steps
        complete = np.zeros(len(at), np.bool_)  # of counts more may always come
        if not self._config.adds_up:
            is_open = back <= self._config.lateness
            values[is_open] = merged(
                sorted_rows[is_open], steps[is_open], values[is_open], self._windows.values_at
            )
            complete = np.asarray(~np.isnan(values).any(axis=1))
        return Parts(
            at=at,
            rows=sorted_rows,
            steps=steps,
            starts=advance.starts,
            begins=advance.newest > advance.before,
            back=back,
            record=index[at],
            times=readings.times[at],
            arrivals=readings.arrivals[at],
            offsets=readings.offsets[at],
            values=values,
            complete=complete,
            filled=filled[at],
        )

    def _told(self, parts: Parts, spans: Spans) -> "_Told":
        """Return the readings with which steps are told.

        All are, but where readings add up: of those in a row that are of one step, and with which
        none is judged, the last tells of all.
        """
        judged, revises = parts.own(spans)
        if not self._config.adds_up:
            which = np.arange(len(judged))
            return _Told(
                which=which, first=which, values=parts.values, judged=judged, revises=revises
            )
        is_told = np.ones(len(judged), np.bool_)
        is_told[:-1] = judged[:-1] | judged[1:] | (spans.of_reading[1:] != spans.of_reading[:-1])
        which = np.flatnonzero(is_told)
        return _Told(
            which=which,
            first=np.append(0, which + 1)[: len(which)],
            values=added_up(parts, is_told, which, self._windows.values_at, self._config.lateness),
            judged=judged[which],
            revises=revises[which],
        )

    def _incomplete(
        self, parts: Parts, spans: Spans, told: "_Told", index: NDArray[np.int64]
    ) -> "_Held":
        """Return the steps of the poll's series that are judged though they are not complete."""
        trigger = spans.next_begin[spans.superseded]
        by = spans.expires[spans.expired]
        chosen = np.concatenate((spans.superseded, spans.expired))
        held = self._held(
            spans.rows[chosen],
            np.concatenate((parts.at[trigger] * _PLACES + _BEFORE, _place_after(by, index))),
            np.concatenate((parts.record[trigger], by)),
        )
        last = spans.last[chosen]
        has_part = last >= 0
        part = last[has_part]
        held.times[has_part] = parts.times[part]
        held.arrivals[has_part] = parts.arrivals[part]
        held.offsets[has_part] = parts.offsets[part]
        held.values[has_part] = told.values[np.searchsorted(told.which, part)]
        return held

    def _quiet(
        self, rows: NDArray[np.int32], timing: RecordTimes, index: NDArray[np.int64]
    ) -> "_Held":
        """Return the steps that wait no longer, of series without a reading in the poll."""
        by = timing.first_at(self._index.partitions_of(rows), self._due[rows])
        return self._held(rows, _place_after(by, index), by)

    def _remember(self, parts: Parts, spans: Spans, quiet: NDArray[np.int32]) -> None:
        """Keep which steps wait on."""
        rows, last = spans.rows[spans.waits_on], spans.last[spans.waits_on]
        # What is saved must not tell of how the input was polled.
        self._clear(self._without(np.concatenate((quiet, spans.rows)), rows))
        self._due[rows] = spans.due[spans.waits_on]
        has_part = last >= 0
        self._time[rows[has_part]] = parts.times[last[has_part]]
        self._arrival[rows[has_part]] = parts.arrivals[last[has_part]]
        self._offset[rows[has_part]] = parts.offsets[last[has_part]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """The E readings, of those sorted by series, with which their steps are told."""

    which: NDArray[np.int64]  # (E,) positions, ascending
    first: NDArray[np.int64]  # (E,) the first of those that each tells of
    values: NDArray[np.float64]  # (E, F) of the step up to each
    judged: NDArray[np.bool_]  # (E,)
    revises: NDArray[np.bool_]  # (E,) the step was judged before


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Held:
    """Steps that are judged without a reading of their own."""

    place: NDArray[np.int64]  # among the readings
    record: NDArray[np.int64]  # by which they are judged
    rows: NDArray[np.int32]
    times: NDArray[np.int64]
    arrivals: NDArray[np.int64]
    offsets: NDArray[np.int64]
    values: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: "Sequence[_Held]") -> "_Held":
        """Return all of several."""
        if len(parts) == 1:
            return parts[0]
        of = {
            field.name: np.concatenate([getattr(one, field.name) for one in parts])
            for field in fields(cls)
        }
        return cls(**of)


def _all_judged(rows: NDArray[np.int32], readings: ReadingBatch, index: NDArray[np.int64]) -> Steps:
    """Return readings each of which is a step, none of which waits."""
    return Steps(rows=rows, readings=readings, index=index, decided_at=readings.offsets)


def _place_after(record: NDArray[np.int64], index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places after all readings of records up to some.

    Args:
        record: Positions of records.
        index: (N,) record of each reading, ascending.
    """
    return (np.searchsorted(index, record, side="right") - 1) * _PLACES + _AFTER
