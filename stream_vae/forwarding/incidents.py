"""What is known of incidents: which fire, and how far each was told."""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Collection, Mapping

from stream_vae.core.alerts import AlertEvent


class KnownIncidents:
    """The newest event of each incident that fires; of others, its number.

    What is known counts as told, but for the numbers of events that were given up.

    Args:
        max_ended: Most incidents remembered after their end.
    """

    def __init__(self, max_ended: int) -> None:
        self._max_ended = max_ended
        self._firing: dict[str, tuple[int, AlertEvent]] = {}
        self._of_partition: Counter[int] = Counter()
        self._ended: OrderedDict[str, int] = OrderedDict()
        self._told: dict[str, tuple[int, AlertEvent]] = {}
        """Incident -> partition and event told last, while that fires."""
        self._given_up: defaultdict[int, dict[str, dict[int, int]]] = defaultdict(dict)
        """Partition -> incident -> number and offset of events that the receiver did not take."""

    def is_past(self, event: AlertEvent, partition: int) -> bool:
        """Return whether a later event of its incident was told: told now, it would be wrong."""
        newest = self._newest(event.incident_id)
        given_up = self._given_up[partition].get(event.incident_id, {})
        return any(n not in given_up for n in range(event.sequence + 1, newest + 1))

    def note_told(self, event: AlertEvent, partition: int) -> None:
        """Take an event for told."""
        given_up = self._given_up[partition]
        offsets = given_up.get(event.incident_id, {})
        offsets.pop(event.sequence, None)
        if not offsets:
            given_up.pop(event.incident_id, None)
        if event.status == "firing":
            self._told[event.incident_id] = partition, event
        else:
            self._told.pop(event.incident_id, None)

    def note_resent(self, event: AlertEvent) -> None:
        """Take an event that fires for told again, or at last."""
        self.note_told(event, self._firing[event.incident_id][0])

    def note_given_up(
        self, incident_id: str, sequence: int, *, partition: int, offset: int
    ) -> None:
        """Take an event for not told, unless a later one of its incident, or itself, was."""
        told = self._told.get(incident_id)
        if told is None or told[1].sequence < sequence:
            self._given_up[partition].setdefault(incident_id, {})[sequence] = offset

    def given_up(self, partition: int) -> list[int]:
        """Return the offsets of the events that the receiver did not take, ascending."""
        found = self._given_up.get(partition, {}).values()
        return sorted(offset for offsets in found for offset in offsets.values())

    def told_event(self, incident_id: str) -> AlertEvent | None:
        """Return the event of an incident told last, if it fires."""
        if incident_id in self._told:
            return self._told[incident_id][1]
        partition, event = self._firing.get(incident_id, (0, None))
        if event is None or event.sequence in self._given_up[partition].get(incident_id, ()):
            return None
        return event

    def note(self, event: AlertEvent, partition: int) -> None:
        """Take an event for the newest of its incident, unless a later one is known.

        Args:
            event: Of the alerts topic.
            partition: From which it was read.
        """
        if event.sequence < self._newest(event.incident_id):
            return
        if event.status == "resolved":
            self.note_end(event.incident_id, event.sequence)
            return
        self._take_out(event.incident_id)
        self._firing[event.incident_id] = partition, event
        self._of_partition[partition] += 1
        self._ended.pop(event.incident_id, None)

    def note_end(self, incident_id: str, sequence: int) -> None:
        """Take an incident for ended by the event with this number."""
        self._take_out(incident_id)
        self._ended[incident_id] = max(sequence, self._ended.pop(incident_id, 0))
        if len(self._ended) > self._max_ended:
            forgotten, _ = self._ended.popitem(last=False)
            self._told.pop(forgotten, None)
            for given_up in self._given_up.values():
                given_up.pop(forgotten, None)

    def firing_event(self, incident_id: str) -> AlertEvent | None:
        """Return the newest event of an incident that fires."""
        found = self._firing.get(incident_id)
        return None if found is None else found[1]

    def _newest(self, incident_id: str) -> int:
        """Return the number of the newest event of an incident, -1 of one that is not known."""
        if incident_id in self._ended:
            return self._ended[incident_id]
        known = self.firing_event(incident_id)
        return -1 if known is None else known.sequence

    def _take_out(self, incident_id: str) -> None:
        before = self._firing.pop(incident_id, None)
        if before is not None:
            self._of_partition[before[0]] -= 1

    def n_firing(self, partitions: Collection[int]) -> int:
        """Return how many fire, by the partitions that told."""
        return sum(self._of_partition[partition] for partition in partitions)

    def firing(self, partitions: Collection[int]) -> list[str]:
        """Return the ids of what fires, by the partitions that told."""
        return [found for found, (partition, _) in self._firing.items() if partition in partitions]

    def forget(self, partitions: Collection[int]) -> None:
        """Forget what fires of partitions that another instance reads from now on."""
        self._firing = _without(self._firing, partitions)
        self._told = _without(self._told, partitions)
        for partition in partitions:
            self._of_partition.pop(partition, None)
            self._given_up.pop(partition, None)


def _without(
    found: Mapping[str, tuple[int, AlertEvent]], partitions: Collection[int]
) -> dict[str, tuple[int, AlertEvent]]:
    return {identity: one for identity, one in found.items() if one[0] not in partitions}
