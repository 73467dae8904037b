"""How the newest steps of series end during a poll: complete, by a later one, or by time."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.record_times import LATER, RecordTimes

_NONE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The n readings of a poll, sorted by series, in arrival order within."""

    at: NDArray[np.int64]  # (n,) position in the poll
    rows: NDArray[np.int32]  # (n,)
    steps: NDArray[np.int64]  # (n,)
    starts: NDArray[np.int64]  # (G,) first reading of each series
    begins: NDArray[np.bool_]  # (n,) it begins a later step of its series
    back: NDArray[np.int64]  # (n,) steps before the newest of its series
    record: NDArray[np.int64]  # (n,) position of its record in the poll
    times: NDArray[np.int64]  # (n,)
    arrivals: NDArray[np.int64]  # (n,)
    offsets: NDArray[np.int64]  # (n,)
    values: NDArray[np.float64]  # (n, F) its step up to it; its own where readings add up
    complete: NDArray[np.bool_]  # (n,) nothing is missing in that
    filled: NDArray[np.bool_]  # (n,) a step between two readings

    def __len__(self) -> int:
        return len(self.rows)

    def own(self, spans: "Spans") -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return (n,) whether each reading's step is judged with it, and whether a second time."""
        of = spans.of_reading
        is_after = ~spans.waits[of] | (self.record > spans.expires[of])
        is_on_time = self.back == 0
        is_repeated = np.arange(len(self)) > spans.completed[of]
        judged = (~is_on_time | self.complete | is_after) & ~self.filled
        revises = is_on_time & (is_after | is_repeated) & ~self.filled
        return judged, revises


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """The S steps that are the newest of their series, one after the other, during a poll.

    Positions are of sorted readings, n where there is none such; -1 for `last`.
    """

    of_reading: NDArray[np.int64]  # (n,) span in which each reading comes
    rows: NDArray[np.int32]  # (S,)
    due: NDArray[np.int64]  # (S,) when it is judged at the latest, by the partition's clock
    waits: NDArray[np.bool_]  # (S,) it has not been judged when the poll, or it, begins
    expires: NDArray[np.int64]  # (S,) record at which the clock is due
    completed: NDArray[np.int64]  # (S,) reading that makes it complete
    next_begin: NDArray[np.int64]  # (S,) reading that begins the next
    last: NDArray[np.int64]  # (S,) last part up to the record at which it expires
    superseded: NDArray[np.int64]  # spans that end incomplete, by a later step
    expired: NDArray[np.int64]  # ... by the clock
    waits_on: NDArray[np.int64]  # spans that do not end


def spans_of(
    parts: Parts,
    waits_until: NDArray[np.int64],
    timing: RecordTimes | None,
    partitions_of: Callable[[NDArray[np.int32]], NDArray[np.int32]],
    wait_ns: int,
) -> Spans:
    """Return the newest steps of the series of a poll, one after the other, and how they end.

    Args:
        parts: The readings of the poll.
        waits_until: Of each row, when its newest step is judged at the latest; 0: it waits not.
        timing: Of the records; None: steps wait for others of their series alone.
        partitions_of: Returns the partition of each series.
        wait_ns: Longest wait of a step that is not complete.
    """
    n = len(parts.rows)
    is_first = np.zeros(n, np.bool_)
    is_first[parts.starts] = True
    # A series' first span is that of the step that was its newest; it may have no reading.
    of_reading = np.cumsum(parts.begins.astype(np.int64) + is_first) - 1
    before = (of_reading - parts.begins)[parts.starts]
    n_spans = len(parts.starts) + int(np.count_nonzero(parts.begins))
    begun = of_reading[parts.begins]
    first = np.full(n_spans, _NONE)
    first[begun] = np.flatnonzero(parts.begins)
    rows = np.empty(n_spans, np.int32)
    rows[of_reading] = parts.rows
    rows[before] = parts.rows[parts.starts]
    due = np.full(n_spans, LATER)
    due[before] = waits_until[rows[before]]
    waits = due > 0
    waits[of_reading[parts.filled]] = False
    expires = np.full(n_spans, LATER)
    if timing is not None:
        due[begun] = timing.clock[parts.record[parts.begins]] + wait_ns
        expires = np.where(waits, timing.first_at(partitions_of(rows), due), LATER)
    on_time = np.flatnonzero(parts.back == 0)
    completing = on_time[parts.complete[on_time]][::-1]
    completed = np.full(n_spans, n)
    completed[of_reading[completing]] = completing  # the first of them stays
    next_begin = np.full(n_spans, n)
    inner = begun - 1
    next_begin[inner] = first[begun]
    record = np.append(parts.record, LATER)  # beyond the last: never
    is_completed = (completed < n) & (record[completed] <= expires)
    is_superseded = ~is_completed & (next_begin < n) & (record[next_begin] <= expires)
    is_expired = ~is_completed & ~is_superseded & (expires < LATER)
    last = np.full(n_spans, _NONE)
    known = on_time[parts.record[on_time] <= expires[of_reading[on_time]]]
    last[of_reading[known]] = known  # the last of them stays
    return Spans(
        of_reading=of_reading,
        rows=rows,
        due=due,
        waits=waits,
        expires=expires,
        completed=completed,
        next_begin=next_begin,
        last=last,
        superseded=np.flatnonzero(waits & is_superseded),
        expired=np.flatnonzero(waits & is_expired),
        waits_on=np.flatnonzero(
            waits & ~is_completed & ~is_superseded & ~is_expired & (next_begin == n)
        ),
    )
