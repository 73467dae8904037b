"""The input partitions of this instance, and how far each is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from stream_vae.core.incidents import SeriesIncidents
from stream_vae.wire.snapshots import Checkpoint, SavedModel


class Phase(Enum):
    """What is done with a partition. One that has left is not in the table."""

    HELD = "held"
    """Assigned; nothing of it is read, since no broker has told yet where it begins."""
    RESTORING = "restoring"
    """Its saved state is being loaded."""
    RESTORED = "restored"
    """All of that is loaded; where the input must be read again from is to be found out."""
    REPLAYING = "replaying"
    """The input since its state was saved is being read again, outputs suppressed."""
    REPLAYED = "replayed"
    """All of that has been read; it goes live once that has been decided."""
    LIVE = "live"
    """Its input is consumed and its outputs are published."""


@dataclass(slots=True)
class Restoration:
    """What is known of a partition's saved state while it is on its way back."""

    is_marked: bool = False
    """Whether the changelog has a checkpoint."""
    models: dict[bytes, SavedModel] = field(default_factory=dict)
    incidents: dict[str, tuple[int, SeriesIncidents]] = field(default_factory=dict)
    """Series key -> offset before which all readings were considered, and what was saved."""
    unfit: dict[str, int] = field(default_factory=dict)
    """Series key -> offset of a saved row that cannot be used."""
    why_unfit: str = ""
    series: int = 0
    replayed: int = 0
    state: str = "cold"
    """`cold`, `restored`, `carried over` (parts of the state begin anew: they are another model's,
    or were not saved) or `history`."""
    knows_model: bool = False
    """Whether the changelog says what this model's rows mean."""


@dataclass(slots=True)
class Partition:
    """One input partition of this instance."""

    number: int
    assigned_at: float
    """Monotonic seconds."""
    phase: Phase = Phase.HELD
    committed: int | None = None
    """The group's offset, where it has one."""
    begin: int = 0
    """Where live reading begins: at the group's offset, or where a group without one begins."""
    position: int = 0
    """Next offset to be taken in, once it is live."""
    checkpoint: Checkpoint | None = None
    """From where a restart would read the input again."""
    restoration: Restoration = field(default_factory=Restoration)


class PartitionTable:
    """Every input partition that is assigned to this instance."""

    def __init__(self) -> None:
        self._partitions: dict[int, Partition] = {}

    def assign(self, numbers: Iterable[int], now: float) -> None:
        """Add partitions that joined; `now` in monotonic seconds."""
        for number in numbers:
            self._partitions[number] = Partition(number=number, assigned_at=now)

    def leave(self, numbers: Iterable[int]) -> None:
        """Forget partitions that left."""
        for number in numbers:
            self._partitions.pop(number, None)

    def advance(self, offsets: Mapping[int, int]) -> None:
        """Note what is taken in: input partition -> offset behind the last record."""
        for number, offset in offsets.items():
            one = self._partitions.get(number)
            if one is not None:
                one.position = offset

    def __getitem__(self, number: int) -> Partition:
        """Return a partition that is assigned.

        Raises:
            KeyError: If it is not.
        """
        return self._partitions[number]

    def find(self, number: int) -> Partition | None:
        """Return a partition, or None if it is not assigned."""
        return self._partitions.get(number)

    def within(self, *phases: Phase) -> list[Partition]:
        """Return the partitions in any of these phases, in the order of their numbers."""
        found = (one for one in self._partitions.values() if one.phase in phases)
        return sorted(found, key=lambda one: one.number)

    @property
    def restoring(self) -> list[Partition]:
        """Those that are not live yet."""
        return self.within(*(phase for phase in Phase if phase is not Phase.LIVE))

    @property
    def live(self) -> set[int]:
        """Numbers of those that are live."""
        return {one.number for one in self.within(Phase.LIVE)}

    @property
    def positions(self) -> dict[int, int]:
        """Live partition -> next offset to be taken in."""
        return {one.number: one.position for one in self.within(Phase.LIVE)}

    @property
    def all_live(self) -> bool:
        """Whether none is on its way back."""
        return all(one.phase is Phase.LIVE for one in self._partitions.values())
