"""The plan of a redrive: the records it moves, their targets, and the records it skips."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from stream_vae.core.excerpts import printable
from stream_vae.core.records import OutputRecord
from stream_vae.edges.kafka.read.topic_reader import TopicRecord
from stream_vae.wire.dead_letters import DeadLetter, read_dead_letter
from stream_vae.wire.redrive_history import Candidate, RedriveHistory, Selection

_DETAIL_CHARACTERS = 160

_NOT_OURS = "put there by another program"
_NOT_SELECTED = "not selected"
_OMITTED = "without their bytes (dlq.omitted), too large to be kept"
_MOVED = "moved by an earlier run (--again moves them once more)"


@dataclass(slots=True, kw_only=True)
class _Kind:
    """Records of one reason for one topic."""

    first: TopicRecord
    detail: str
    n: int = 0
    n_again: int = 0
    """Those that were moved before and came back."""
    times_ms: list[int] = field(default_factory=lambda: [0, 0])


class RedrivePlan:
    """Plans records one by one, and counts them.

    Args:
        selection: The records to move.
        histories: Partition -> what earlier runs moved from it.
        partitions: Those meant; empty: all.
        to: Topic to move to; None: where each came from.
        again: Move what earlier runs moved, too.
        n_partitions: Returns a topic's partition count.
    """

    def __init__(
        self,
        selection: Selection,
        histories: Mapping[int, RedriveHistory],
        *,
        partitions: Collection[int],
        to: str | None,
        again: bool,
        n_partitions: Callable[[str], int],
    ) -> None:
        self._selection = selection
        self._histories = histories
        self._partitions = partitions
        self._to = to
        self._again = again
        self._n_partitions = n_partitions
        self._kinds: dict[tuple[str, str], _Kind] = {}
        self._left: Counter[str] = Counter()

    def look(self, record: TopicRecord) -> OutputRecord | None:
        """Return the record to publish for a record, None if it is skipped."""
        letter = read_dead_letter(record.headers)
        skip_reason = self._skip_reason(record, letter)
        if letter is None or skip_reason is not None:
            self._left[skip_reason or _NOT_OURS] += 1
            return None
        topic = self._to or letter.source_topic
        # A series is a key within one partition, so that is where its readings belong.
        is_home = topic == letter.source_topic
        has_home = letter.source_partition < self._n_partitions(topic) and is_home
        self._count(topic, letter, record)
        return OutputRecord(
            topic=topic,
            key=record.key,
            value=record.value,
            headers=letter.redriven_headers(),
            partition=record.partition,
            to_partition=letter.source_partition if has_home else None,
        )

    @property
    def n_selected(self) -> int:
        """Records to be moved, so far."""
        return sum(kind.n for kind in self._kinds.values())

    def lines(self) -> Iterator[str]:
        """Yield what is moved, by reason and topic, with an example of each."""
        for (reason, topic), kind in sorted(self._kinds.items()):
            first, last = map(_minute, kind.times_ms)
            again = f", {kind.n_again:,} of them redriven before" if kind.n_again else ""
            yield (
                f"{printable(reason)}: {kind.n:,} to {printable(topic)}, "
                f"rejected {first} to {last}{again}"
            )
            place = f"partition {kind.first.partition}, offset {kind.first.offset}"
            yield f"    such as {place}: {printable(kind.detail, _DETAIL_CHARACTERS)}"

    def left_alone(self) -> list[str]:
        """Return how many records are left alone and why, one line each."""
        return [f"{n:,} {why}" for why, n in sorted(self._left.items())]

    def _skip_reason(self, record: TopicRecord, letter: DeadLetter | None) -> str | None:
        if letter is None:
            return _NOT_OURS
        candidate = Candidate(
            reason=letter.reason,
            source_topic=letter.source_topic,
            offset=record.offset,
            time_ms=record.time_ms,
        )
        is_meant = not self._partitions or record.partition in self._partitions
        if not is_meant or not self._selection.matches(candidate):
            return _NOT_SELECTED
        if letter.is_omitted:
            return _OMITTED
        history = self._histories.get(record.partition, RedriveHistory())
        return _MOVED if not self._again and history.has_moved(candidate) else None

    def _count(self, topic: str, letter: DeadLetter, record: TopicRecord) -> None:
        kind = self._kinds.setdefault(
            (letter.reason, topic),
            _Kind(first=record, detail=letter.detail, times_ms=[record.time_ms] * 2),
        )
        if (record.partition, record.offset) < (kind.first.partition, kind.first.offset):
            kind.first, kind.detail = record, letter.detail
        kind.n += 1
        kind.n_again += letter.n_redriven > 0
        kind.times_ms = [
            min(kind.times_ms[0], record.time_ms),
            max(kind.times_ms[1], record.time_ms),
        ]


def _minute(time_ms: int) -> str:
    # A record may have any time in 64 bits, of which datetime knows a part.
    return f"{np.datetime64(time_ms, 'ms').astype('datetime64[m]')!s}Z".replace("T", " ")
