"""The state of a series: named parts in a versioned layout."""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.columns import Columns

LONGEST_NAME = 16
"""Bytes of a part's name, in a saved row."""


class Stage(Enum):
    """When a part changes."""

    ASSEMBLED = "assembled"
    """When readings are placed in windows; independent of the model."""
    SCORED = "scored"
    """When its windows are scored, before they are judged; depends on the model."""
    DECIDED = "decided"
    """When its scores are judged; depends on the detector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartHead:
    """Identifies the format of a saved part: it is loaded only if its head matches."""

    name: str
    fingerprint: int
    """Of its version and of the fields of its row."""
    size: int
    """Bytes of a row."""

    @classmethod
    def of(cls, name: str, row: np.dtype[np.void], version: int = 1) -> "PartHead":
        """Return the head of a part whose rows are of this type."""
        fields = (f"{field} {row[field].base.str} {row[field].shape}" for field in row.names or ())
        identity = "\n".join((str(version), *fields))
        return cls(name=name, fingerprint=zlib.crc32(identity.encode()), size=row.itemsize)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StatePart:
    """One part of each series' state."""

    name: str
    stage: Stage
    columns: Columns
    """The table that holds it, with the initial row of a new series."""
    is_essential: bool = False
    """Whether a saved row is discarded without it; any other missing part is reset."""
    version: int = 1
    """Increases when the same fields change their meaning."""

    @property
    def head(self) -> PartHead:
        """The head that a saved part must have."""
        return PartHead.of(self.name, self.columns.row, self.version)


class StateLayout:
    """The parts of a series' state, in the order in which a saved row holds them.

    Args:
        parts: Their names differ, and have `LONGEST_NAME` ASCII characters at most.
    """

    def __init__(self, parts: Iterable[StatePart]) -> None:
        self.parts = tuple(parts)
        names = [part.name for part in self.parts]
        if len(set(names)) < len(names) or any(
            not name.isascii() or not 0 < len(name) <= LONGEST_NAME for name in names
        ):
            raise ValueError(f"names of parts: {names}")
        self.heads = tuple(part.head for part in self.parts)

    @property
    def row_bytes(self) -> int:
        """Bytes of one series' state."""
        return sum(head.size for head in self.heads)

    def begin(self, rows: NDArray[np.int32]) -> None:
        """Initialise the state of new series."""
        for part in self.parts:
            part.columns.begin(rows)

    def copy(self, rows: NDArray[np.int32], *stages: Stage) -> dict[str, NDArray[np.void]]:
        """Return (K,) copies of the parts that change in these stages, by name."""
        return {part.name: part.columns.save(rows) for part in self.parts if part.stage in stages}

    def match(
        self, heads: Iterable[PartHead], saved: NDArray[np.void]
    ) -> dict[str, NDArray[np.void]]:
        """Return the (K,) saved parts that match a part of this layout, by name.

        Args:
            heads: Of the saved parts.
            saved: (K,) rows with one bytes field per part, untyped.
        """
        ours = {part.head: part.columns.row for part in self.parts}
        return {head.name: saved[head.name].view(ours[head]) for head in heads if head in ours}

    def lacks(self, saved: Mapping[str, NDArray[np.void]]) -> bool:
        """Return whether an essential part is not among the saved ones."""
        return any(part.is_essential and part.name not in saved for part in self.parts)

    def load(
        self, rows: NDArray[np.int32], saved: Mapping[str, NDArray[np.void]], *stages: Stage
    ) -> bool:
        """Overwrite rows with saved parts of some stages; missing parts are reset.

        Args:
            rows: (K,)
            saved: See `match`.
            stages: Those whose saved parts are valid under the current detector.

        Returns:
            Whether no part was reset.
        """
        whole = True
        for part in self.parts:
            if part.stage in stages and part.name in saved:
                part.columns.load(rows, saved[part.name])
            else:
                part.columns.begin(rows)
                whole = False
        return whole


class PartitionPart(Protocol):
    """State of an input partition as a whole.

    It changes when readings are assembled, and is saved with the checkpoint of its partition:
    reading the input again from there reproduces it.
    """

    name: str
    """Changes whenever the format of what `save` returns changes."""

    def save(self, partition: int) -> bytes | None:
        """Return the state of a partition, a few hundred kilobytes at most; None if empty."""
        ...

    def load(self, partition: int, saved: bytes) -> None:
        """Restore saved state."""
        ...

    def forget(self, partition: int) -> None:
        """Drop the state of a partition that was revoked."""
        ...
