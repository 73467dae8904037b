"""What is known of incidents: which fire, and how far each was told."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Collection

from stream_vae.core.alerts import AlertEvent

MAX_ENDED = 65_536
"""Incidents remembered after their end."""


class KnownIncidents:
    """The newest event of each incident that fires; of others, its number.

    Args:
        concerns: Returns whether an event is of a detector whose events are told.
        max_ended: Most incidents remembered after their end.
    """

    def __init__(self, concerns: Callable[[AlertEvent], bool], max_ended: int = MAX_ENDED) -> None:
        self._concerns = concerns
        self._max_ended = max_ended
        self._firing: dict[str, tuple[int, AlertEvent]] = {}
        self._of_partition: Counter[int] = Counter()
        self._ended: OrderedDict[str, int] = OrderedDict()

    def is_past(self, event: AlertEvent) -> bool:
        """Return whether a later event of its incident is known: told now, it would be wrong."""
        if event.incident_id in self._ended:
            return event.sequence < self._ended[event.incident_id]
        known = self.firing_event(event.incident_id)
        return known is not None and event.sequence < known.sequence

    def note(self, event: AlertEvent, partition: int) -> None:
        """Take an event for the newest of its incident, unless a later one is known.

        One that is told to nobody is not noted.

        Args:
            event: Of the alerts topic.
            partition: From which it was read.
        """
        if self.is_past(event) or not self._concerns(event):
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
            self._ended.popitem(last=False)

    def firing_event(self, incident_id: str) -> AlertEvent | None:
        """Return the newest event of an incident that fires."""
        found = self._firing.get(incident_id)
        return None if found is None else found[1]

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
        self._firing = {
            identity: known
            for identity, known in self._firing.items()
            if known[0] not in partitions
        }
        for partition in partitions:
            self._of_partition.pop(partition, None)
