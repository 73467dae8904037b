"""The input partitions of this instance, and their phases."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from stream_vae.core.incidents import SeriesIncidents
from stream_vae.core.series_index import SeriesName
from stream_vae.wire.snapshots import Checkpoint, SavedInput, SavedModel


class Phase(Enum):
    """The phase of an assigned partition; a revoked one is not in the table."""

    HELD = "held"
    """Assigned; not read yet, since its start offset is not known."""
    RESTORING = "restoring"
    """Its saved state is being loaded."""
    RESTORED = "restored"
    """All state is loaded; the start offset of the replay is not known yet."""
    REPLAYING = "replaying"
    """The input since its state was saved is being replayed, outputs suppressed."""
    REPLAYED = "replayed"
    """All of the replay has been read; it goes live once that has been decided."""
    LIVE = "live"
    """Its input is consumed and its outputs are published."""


@dataclass(slots=True)
class Restoration:
    """A partition's saved state while it is being restored."""

    is_marked: bool = False
    """Whether the changelog has a checkpoint."""
    models: dict[bytes, SavedModel] = field(default_factory=dict)
    incidents: dict[str, tuple[int, SeriesIncidents]] = field(default_factory=dict)
    """Series key -> offset up to which readings are included, and its saved incidents."""
    unfit: dict[str, int] = field(default_factory=dict)
    """Series key -> offset of a saved row that cannot be used."""
    foreign: set[str] = field(default_factory=set)
    """Keys of series whose saved row is another detector's."""
    why_unfit: str = ""
    adopted: tuple[SeriesName, ...] = ()
    """Series whose open incidents were found on the alerts topic, not in the changelog."""
    input: SavedInput | None = None
    """What the changelog says of the input; None if it says nothing."""
    input_to_save: SavedInput | None = None
    """What it is to say; None if that is what it says."""
    newest: int = -1
    """Highest offset of which the changelog tells that the group had committed it; -1 if it tells
    of none. What becomes of series without a reading may be saved with later ones."""
    group_offset: int | None = None
    """The group's offset as it was found."""
    short_since: float | None = None
    """Monotonic seconds since when the partition ends before that; None if it does not."""
    mismatch: str = ""
    """How that and the changelog contradict each other, see `OffsetMismatched`; "" if not."""
    series: int = 0
    replayed: int = 0
    loaded: str = "cold"
    """`cold`, `restored` or `carried over` (parts of the state are reset: they are another model's,
    or were not saved)."""
    reads_history: bool = False
    """Whether series warm up from the input although none of them is unfit."""
    knows_model: bool = False
    """Whether the changelog has the record that describes this model's rows."""

    @property
    def state(self) -> str:
        """`loaded`, or `history` where series warm up from the input.

        What is unfit may be saved again in later records, so that none is at the end.
        """
        return "history" if self.unfit or self.reads_history else self.loaded


@dataclass(slots=True)
class Progress:
    """How far a partition is behind its end, as the daemon's status knows it."""

    position: int = -1
    """When it was last looked at."""
    moved_at: float = 0.0
    """Monotonic seconds at which it was last seen to have advanced, or to be at its end."""
    at_end_at: float | None = None
    """Monotonic seconds at which it was last known to be at its end; None if it never was."""
    newest_ns: int = 0
    """Kafka's time of the newest record polled; 0 if none has one."""


@dataclass(slots=True)
class Partition:
    """One input partition of this instance."""

    number: int
    assigned_at: float
    """Monotonic seconds."""
    phase: Phase = Phase.HELD
    committed: int | None = None
    """The group's offset, if it has one; not beyond the end of the partition."""
    begin: int = 0
    """Start of live reading: the group's offset, or what takes its place."""
    position: int = 0
    """Next offset to process, once it is live."""
    checkpoint: Checkpoint | None = None
    """Offset at which a restart would start its replay."""
    restoration: Restoration = field(default_factory=Restoration)
    progress: Progress = field(default_factory=Progress)


class PartitionTable:
    """Every input partition that is assigned to this instance."""

    def __init__(self) -> None:
        self._partitions: dict[int, Partition] = {}

    def assign(self, numbers: Iterable[int], now: float) -> None:
        """Add assigned partitions; `now` in monotonic seconds."""
        for number in numbers:
            self._partitions[number] = Partition(number=number, assigned_at=now)

    def leave(self, numbers: Iterable[int]) -> None:
        """Remove revoked partitions."""
        for number in numbers:
            self._partitions.pop(number, None)

    def advance(self, offsets: Mapping[int, int]) -> None:
        """Record progress: input partition -> offset after the last record."""
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
        """Live partition -> next offset to process."""
        return {one.number: one.position for one in self.within(Phase.LIVE)}

    @property
    def all_live(self) -> bool:
        """Whether none is being restored."""
        return all(one.phase is Phase.LIVE for one in self._partitions.values())
