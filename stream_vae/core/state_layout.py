"""What the state of a series consists of: named parts, in a layout from which all else follows."""

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


class Phase(Enum):
    """When a part changes."""

    ASSEMBLED = "assembled"
    """When readings are placed in windows: the same under any model."""
    SCORED = "scored"
    """When the scores of its windows come back, before they are judged: by one model."""
    DECIDED = "decided"
    """When those are judged: by one detector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartHead:
    """What tells whether a saved part can be put back."""

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
    """One part of what is remembered of each series."""

    name: str
    phase: Phase
    columns: Columns
    """Where it is kept; knows the row of a new series."""
    is_essential: bool = False
    """Whether a saved row is of no use without it; any other part begins anew then."""
    version: int = 1
    """Goes up when the same fields come to mean something else."""

    @property
    def head(self) -> PartHead:
        """What tells whether a saved part is this one."""
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
        """Begin new series."""
        for part in self.parts:
            part.columns.begin(rows)

    def copy(self, rows: NDArray[np.int32], *phases: Phase) -> dict[str, NDArray[np.void]]:
        """Return (K,) copies of the parts that change in these phases, by name."""
        return {part.name: part.columns.save(rows) for part in self.parts if part.phase in phases}

    def match(
        self, heads: Iterable[PartHead], saved: NDArray[np.void]
    ) -> dict[str, NDArray[np.void]]:
        """Return the (K,) saved parts that are parts of this layout, by name.

        Args:
            heads: Of the saved parts.
            saved: (K,) rows with a field for each of them, bytes of whatever type.
        """
        ours = {part.head: part.columns.row for part in self.parts}
        return {head.name: saved[head.name].view(ours[head]) for head in heads if head in ours}

    def lacks(self, saved: Mapping[str, NDArray[np.void]]) -> bool:
        """Tell whether an essential part is not among the saved ones."""
        return any(part.is_essential and part.name not in saved for part in self.parts)

    def load(
        self, rows: NDArray[np.int32], saved: Mapping[str, NDArray[np.void]], *phases: Phase
    ) -> bool:
        """Overwrite rows with saved parts of some phases; what is left out begins anew.

        Args:
            rows: (K,)
            saved: See `match`.
            phases: Those of which the saved parts mean the same here.

        Returns:
            Whether no part began anew.
        """
        whole = True
        for part in self.parts:
            if part.phase in phases and part.name in saved:
                part.columns.load(rows, saved[part.name])
            else:
                part.columns.begin(rows)
                whole = False
        return whole


class PartitionPart(Protocol):
    """Something learnt of an input partition as a whole.

    It changes when readings are assembled, and is saved with the checkpoint of its partition: read
    again from there, it becomes what it was.
    """

    name: str
    """Another one whenever what `save` returns changes its form."""

    def save(self, partition: int) -> bytes | None:
        """Return what is known of a partition, a few hundred kilobytes at most; None is nothing."""
        ...

    def load(self, partition: int, saved: bytes) -> None:
        """Put back what was saved."""
        ...

    def forget(self, partition: int) -> None:
        """Forget a partition that left."""
        ...
