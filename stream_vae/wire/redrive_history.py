"""The redriven records of a partition, encoded in the metadata of a committed offset.

Kafka stores at most 4096 bytes of metadata with each committed offset. A list of moved offsets
would not fit, but the requests do: a run is its selection and the offset it reached, and has moved
every record before that offset which the selection matches.
"""

from typing import Literal, Self

import msgspec

from stream_vae.errors import ConfigError

LARGEST_NOTE_BYTES = 4096
"""The brokers' default `offset.metadata.max.bytes`."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a record that a selection tests."""

    reason: str
    source_topic: str
    offset: int
    time_ms: int
    """Kafka's time of the record, milliseconds since 1970."""


class Selection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A filter over records; unset fields match everything."""

    reasons: tuple[str, ...] = ()
    """Sorted; empty: any."""
    since_ms: int | None = None
    """Kafka's time of the record, milliseconds since 1970."""
    until_ms: int | None = None
    """As `since_ms`; exclusive."""
    from_offset: int | None = None
    to_offset: int | None = None
    """Inclusive."""
    source_topic: str | None = None

    def matches(self, candidate: Candidate) -> bool:
        """Return whether a record is selected."""
        offset, time_ms = candidate.offset, candidate.time_ms
        return (
            (not self.reasons or candidate.reason in self.reasons)
            and self.source_topic in {None, candidate.source_topic}
            and (self.since_ms is None or time_ms >= self.since_ms)
            and (self.until_ms is None or time_ms < self.until_ms)
            and (self.from_offset is None or offset >= self.from_offset)
            and (self.to_offset is None or offset <= self.to_offset)
        )

    def covers(self, other: Self) -> bool:
        """Return whether this matches every record that `other` matches."""
        return (
            (not self.reasons or (bool(other.reasons) and {*other.reasons} <= {*self.reasons}))
            and self.source_topic in {None, other.source_topic}
            and _at_least(other.since_ms, self.since_ms)
            and _at_most(other.until_ms, self.until_ms)
            and _at_least(other.from_offset, self.from_offset)
            and _at_most(other.to_offset, self.to_offset)
        )


class _Run(msgspec.Struct, frozen=True):
    end: int
    """Offset after the last record examined."""
    selection: Selection


class RedriveHistory(msgspec.Struct, frozen=True):
    """The runs over one partition.

    >>> history = RedriveHistory().after(Selection(reasons=("late",)), 10)
    >>> ninth = Candidate(reason="late", source_topic="readings", offset=9, time_ms=0)
    >>> history.has_moved(ninth), history.has_moved(msgspec.structs.replace(ninth, offset=10))
    (True, False)
    """

    runs: tuple[_Run, ...] = ()
    n_commits: int = 0
    """Makes the metadata of each commit unique, so that a lost response can be resolved."""
    version: Literal[1] = 1

    def has_moved(self, candidate: Candidate) -> bool:
        """Return whether a record was moved."""
        return any(
            candidate.offset < run.end and run.selection.matches(candidate) for run in self.runs
        )

    def after(self, selection: Selection, end: int) -> "RedriveHistory":
        """Return the history after a run, or a part of one, that reached `end`."""
        end = max([end, *(run.end for run in self.runs if run.selection == selection)])
        others = [run for run in self.runs if run.end > end or not selection.covers(run.selection)]
        return RedriveHistory(runs=(*others, _Run(end, selection)), n_commits=self.n_commits + 1)

    def since(self, oldest: int) -> "RedriveHistory":
        """Return the history without runs over records that are no longer kept."""
        kept = tuple(run for run in self.runs if run.end > oldest)
        return RedriveHistory(runs=kept, n_commits=self.n_commits)

    def encode(self) -> str:
        """Return the metadata to commit with an offset."""
        return msgspec.json.encode(self).decode()


def decode_history(note: str, offset: int) -> RedriveHistory:
    """Return the history in the metadata of a committed offset.

    Args:
        note: Empty if the offset was set by hand: all records before it then count as moved.
        offset: The committed one.

    Raises:
        ConfigError: If it has another format, or is of a newer release.
    """
    if not note:
        return RedriveHistory(runs=(_Run(offset, Selection()),) if offset > 0 else ())
    try:
        return msgspec.json.decode(note, type=RedriveHistory)
    except msgspec.DecodeError as exc:
        msg = f"found {note[:80]!r} with the committed offset {offset}, expected version 1: {exc}"
        raise ConfigError(msg) from exc


def _at_least(value: int | None, bound: int | None) -> bool:
    return bound is None or (value is not None and value >= bound)


def _at_most(value: int | None, bound: int | None) -> bool:
    return bound is None or (value is not None and value <= bound)
