"""Deduplication of alert events, for consumers that may receive them twice."""

from collections import OrderedDict

from stream_vae.core.alerts import AlertEvent

MAX_REMEMBERED = 65_536
"""Default number of remembered events: about 15 MB."""


class AlertDeduplicator:
    """Recognises events already seen by `(incident_id, sequence)`.

    A consumer that restarts from an older offset, or a topic written at least once, repeats single
    events and whole incidents; every repetition within the memory is detected, in any order.

    Args:
        max_remembered: Number of most recent events remembered. An event repeated after more
            others than that counts as new.
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
