"""Tells of group offsets that the saved state or the input contradicts, all of a kind at once."""

from collections.abc import Mapping

from stream_vae.core.ports import Clock, EventSink
from stream_vae.events import OffsetMismatched
from stream_vae.state.partitions import Partition, PartitionTable, Phase

_FIRST = 8
_WAIT_S = 5.0
_DETAILS: Mapping[str, str] = {
    "missing": (
        "the group has no offset, or no longer: it was deleted, or has expired "
        "(offsets.retention.minutes); reading goes on where the saved state ends, and nothing is "
        "published twice"
    ),
    "set_back": (
        "the group's offset is before what the saved state contains: what lies between is judged "
        "and published again, with series that warm up from the records before it"
    ),
    "beyond_end": (
        "the group's offset is beyond the end of the partition: somebody set it, or the brokers "
        "lost records; reading goes on at the end"
    ),
    "recreated": (
        "the input topic was deleted and made anew since the state was saved: it is read from its "
        "oldest record, series warm up, and incidents that are open go on"
    ),
}
"""Reason -> what follows from it."""


class MismatchReport:
    """Collects mismatches until the others are known too, but not for long.

    Args:
        topic: The input topic.
        partitions: Those of this instance.
        events: Receives one event of each reason.
        clock: The time.
    """

    def __init__(
        self, topic: str, *, partitions: PartitionTable, events: EventSink, clock: Clock
    ) -> None:
        self._topic = topic
        self._partitions = partitions
        self._events = events
        self._clock = clock
        self._waiting: list[Partition] = []
        self._since = 0.0

    def add(self, one: Partition) -> None:
        """Note a partition of which it is known where it goes on."""
        if one.restoration.mismatch:
            if not self._waiting:
                self._since = self._clock.monotonic()
            self._waiting.append(one)

    def tell_if_due(self) -> None:
        """Tell once nothing of the kind can follow soon."""
        if not self._waiting:
            return
        unknown = self._partitions.within(Phase.HELD, Phase.RESTORING, Phase.RESTORED)
        if not unknown or self._clock.monotonic() - self._since > _WAIT_S:
            self.tell()

    def tell(self) -> None:
        """Tell what there is."""
        found: dict[str, list[Partition]] = {}
        for one in self._waiting:
            found.setdefault(one.restoration.mismatch, []).append(one)
        self._waiting = []
        for reason, ones in found.items():
            first = sorted(ones, key=lambda one: one.number)[:_FIRST]
            newest = [one.restoration.newest for one in first]
            self._events.record(
                OffsetMismatched(
                    topic=self._topic,
                    count=len(ones),
                    partitions=tuple(one.number for one in first),
                    reason=reason,
                    group_offsets=tuple(one.restoration.group_offset for one in first),
                    state_offsets=tuple(offset if offset >= 0 else None for offset in newest),
                    begins=tuple(one.begin for one in first),
                    detail=_DETAILS[reason],
                )
            )
