"""Each alert event once, for consumers that may see it twice."""

from collections import OrderedDict

from stream_vae.core.alerts import AlertEvent

MAX_REMEMBERED = 65_536
"""Events remembered unless told otherwise: about 15 MB."""


class AlertDeduplicator:
    """Tells events already seen by `(incident_id, sequence)`.

    A consumer that restarts from an older offset, or a topic written at least once, repeats single
    events and whole incidents; every repetition within the memory is told, in whatever order.

    Args:
        max_remembered: The events seen last that are remembered. An event repeated after so many
            others counts as new again.
    """

    def __init__(self, max_remembered: int = MAX_REMEMBERED) -> None:
        if max_remembered < 1:
            raise ValueError(f"max_remembered is {max_remembered}; expected 1 or more")
        self._max_remembered = max_remembered
        self._seen: OrderedDict[tuple[str, int], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def is_new(self, event: AlertEvent) -> bool:
        """Return whether the event is seen for the first time, and remember it."""
        identity = (event.incident_id, event.sequence)
        if identity in self._seen:
            self._seen.move_to_end(identity)
            return False
        self._seen[identity] = None
        if len(self._seen) > self._max_remembered:
            self._seen.popitem(last=False)
        return True
