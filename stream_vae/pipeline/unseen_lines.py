"""What lines without a template look like, by partition: candidates for the next training."""

import hashlib
from dataclasses import replace

from stream_vae.core.log_templates import LogSpec
from stream_vae.core.readings import ReadingBatch
from stream_vae.errors import StateError
from stream_vae.logs.candidates import Candidate, Candidates, joined
from stream_vae.logs.masks import example_mask

_CAPACITY = 20
"""Of a partition; ten times as many texts are held, so that its state stays below 600 kB."""
_TAG_BYTES = 8


def tag_of(logs: LogSpec) -> bytes:
    """Return what tells apart models that know different lines."""
    known = "\n".join(one.pattern for one in logs.templates)
    return hashlib.blake2s(f"{known}\n{logs.masks}".encode(), digest_size=_TAG_BYTES).digest()


class UnseenLines:
    """Candidates of each partition; part of its state, so that a replay finds the same.

    Args:
        logs: The model's templates. Candidates of another model are dropped: this one may know
            their lines.
    """

    name = "unseen_lines"

    def __init__(self, logs: LogSpec) -> None:
        self._masks = logs.masks
        self._tag = tag_of(logs)
        self._mask = example_mask(logs)
        self._found: dict[int, Candidates] = {}

    @property
    def lines(self) -> int:
        """Lines without a template in all partitions, as far as their state reaches back."""
        return sum(one.lines for one in self._found.values())

    def add(self, readings: ReadingBatch) -> None:
        """Count the lines of a poll."""
        if readings.unseen is None:
            return
        for at in readings.unseen_at.tolist():
            partition = int(readings.partitions[at])
            if partition not in self._found:
                self._found[partition] = Candidates(self._masks, capacity=_CAPACITY)
            self._found[partition].add([readings.unseen[at]])

    def most_frequent(self) -> list[Candidate]:
        """Return the candidates of all partitions, most frequent first; at most 20."""
        each = [self._found[partition] for partition in sorted(self._found)]
        found = joined([one for found in each for one in found.most_frequent()])[:_CAPACITY]
        return [replace(one, example=self._mask(one.example)) for one in found]

    def save(self, partition: int) -> bytes | None:
        """See `PartitionPart.save`."""
        found = self._found.get(partition)
        return None if found is None else self._tag + found.snapshot()

    def load(self, partition: int, saved: bytes) -> None:
        """See `PartitionPart.load`.

        Raises:
            StateError: If it is damaged.
        """
        if len(saved) < _TAG_BYTES:
            raise StateError(f"lines without a template: {len(saved)} bytes are no saved state")
        self.forget(partition)
        if saved[:_TAG_BYTES] == self._tag:
            found = Candidates(self._masks, capacity=_CAPACITY)
            found.restore(saved[_TAG_BYTES:])
            self._found[partition] = found

    def forget(self, partition: int) -> None:
        """See `PartitionPart.forget`."""
        self._found.pop(partition, None)
