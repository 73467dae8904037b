"""The first line of no template that each series had in a step: alerts show it."""

from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import printable
from stream_vae.core.log_templates import LogSpec
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.windows import WindowConfig
from stream_vae.errors import StateError
from stream_vae.logs.masks import example_mask
from stream_vae.pipeline.unseen_lines import tag_of

MOST_LINES = 200
"""Lines of a partition that are kept, the newest ones."""
EXAMPLE_CHARACTERS = 200
"""Of a line that are kept, and shown."""
_TAG_BYTES = 8

_Place = tuple[str, int]
"""Series key, and start of the step, nanoseconds since 1970."""
_Line = tuple[str, int, str]
"""Place and text."""


@dataclass(slots=True)
class _Partition:
    """Lines in the order in which they came, numbered from 0."""

    lines: list[_Line] = field(default_factory=list)
    n_dropped: int = 0
    number: dict[_Place, int] = field(default_factory=dict)
    """Of the newest line of each place."""
    of_poll: list[int] = field(default_factory=list)
    """Positions of the records of the newest poll that gave a line, ascending."""

    @property
    def n_lines(self) -> int:
        """Lines so far."""
        return self.n_dropped + len(self.lines)

    @property
    def kept(self) -> list[_Line]:
        """Those that count now: `lines` reaches further back, for steps that are not yet judged."""
        return self.lines[-MOST_LINES:]

    def add(self, line: _Line) -> bool:
        """Add a line unless one of its place counts; return whether it was added."""
        place = line[:2]
        if self.number.get(place, -1) >= max(self.n_lines - MOST_LINES, 0):
            return False
        self.number[place] = self.n_lines
        self.lines.append(line)
        return True

    def drop(self, mark: int) -> None:
        """Drop the lines that count for no step whose mark is this or a later one."""
        n = mark - MOST_LINES - self.n_dropped
        if n <= 0:
            return
        for number, line in enumerate(self.lines[:n], self.n_dropped):
            if self.number.get(line[:2]) == number:
                del self.number[line[:2]]
        del self.lines[:n]
        self.n_dropped += n


class UnseenExamples:
    """Examples of each partition; part of its state, so that a replay finds the same.

    A step is judged some time after its lines came, and more lines may have come since. What it is
    shown must not depend on how many: each step has a mark, how many lines its partition had given
    by the record that decided it.

    Args:
        logs: The model's templates; lines of another model's state are dropped.
        grid: Of the steps.
    """

    name = "unseen_examples"

    def __init__(self, logs: LogSpec, grid: WindowConfig) -> None:
        self._tag = tag_of(logs)
        self._mask = example_mask(logs)
        self._grid = grid
        self._found: dict[int, _Partition] = {}

    def add(self, readings: ReadingBatch, index: NDArray[np.int64]) -> None:
        """Keep the lines of a poll.

        Args:
            readings: All of the poll, those that saved series contain among them.
            index: (N,) position of each reading's record, ascending.
        """
        for found in self._found.values():
            found.of_poll.clear()
        if readings.unseen is None:
            return
        at = readings.unseen_at
        starts = self._grid.steps_of(readings.times[at]) * self._grid.step_ns
        for n, start in zip(at.tolist(), starts.tolist(), strict=True):
            found = self._found.setdefault(int(readings.partitions[n]), _Partition())
            text = readings.unseen[n][:EXAMPLE_CHARACTERS]
            if found.add((readings.series[n], start, text)):
                found.of_poll.append(int(index[n]))

    def marks(
        self, partitions: NDArray[np.int32], index: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """Return (E,) marks of steps that the newest poll decides.

        Args:
            partitions: (E,)
            index: (E,) position of the record that decides each; None: all that came.
        """
        marks = np.zeros(len(partitions), np.int64)
        for partition in np.unique(partitions).tolist():
            found = self._found.get(partition)
            if found is None:
                continue
            at = np.flatnonzero(partitions == partition)
            before = found.n_lines - len(found.of_poll)
            marks[at] = found.n_lines
            if index is not None:
                marks[at] = before + np.searchsorted(found.of_poll, index[at], side="right")
        return marks

    def find(self, partition: int, series: str, start: int, mark: int) -> str | None:
        """Return the first line of a series' step; None if it is not kept any more.

        Args:
            partition: Of the input.
            series: The key.
            start: Of the step, nanoseconds since 1970.
            mark: Of the step that is judged.
        """
        found = self._found.get(partition)
        if found is None:
            return None
        first = max(mark - MOST_LINES - found.n_dropped, 0)
        for key, at, text in found.lines[first : max(mark - found.n_dropped, 0)]:
            if (key, at) == (series, start):
                return self._shown(text)
        return None

    def drop(self, partitions: NDArray[np.int32], marks: NDArray[np.int64]) -> None:
        """Drop what no later step can show: those of these marks are judged.

        Args:
            partitions: (E,)
            marks: (E,)
        """
        for partition in np.unique(partitions).tolist():
            if partition in self._found:
                self._found[partition].drop(int(marks[partitions == partition].max()))

    def save(self, partition: int) -> bytes | None:
        """See `PartitionPart.save`."""
        found = self._found.get(partition)
        return None if found is None else self._tag + msgspec.msgpack.encode(found.kept)

    def load(self, partition: int, saved: bytes) -> None:
        """See `PartitionPart.load`.

        Raises:
            StateError: If it is damaged.
        """
        self.forget(partition)
        tag, rest = saved[:_TAG_BYTES], saved[_TAG_BYTES:]
        if len(tag) < _TAG_BYTES:
            raise StateError(f"examples of unseen lines: {len(saved)} bytes are no saved state")
        if tag != self._tag:
            return
        try:
            lines = msgspec.msgpack.decode(rest, type=list[_Line])
        except (msgspec.DecodeError, msgspec.ValidationError) as exc:
            raise StateError(
                f"examples of unseen lines: the saved state is damaged: {exc}"
            ) from None
        self._found[partition] = _Partition(
            lines=lines, number={line[:2]: n for n, line in enumerate(lines)}
        )

    def forget(self, partition: int) -> None:
        """See `PartitionPart.forget`."""
        self._found.pop(partition, None)

    def _shown(self, text: str) -> str:
        return printable(self._mask(text), EXAMPLE_CHARACTERS)
