"""The newest incidents, and what the alert events said of them."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.series_index import SeriesName
from stream_vae.page.bounds import INCIDENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIncident:
    """An incident that alert events told of since this instance began."""

    newest: AlertEvent
    firing: AlertEvent
    """The newest one before its end: what was wrong. The end tells of a normal reading."""

    @property
    def is_firing(self) -> bool:
        """Whether it is open."""
        return self.newest.status == "firing"

    @property
    def name(self) -> SeriesName:
        """Of its series."""
        return self.newest.source.partition, self.newest.series.key


class IncidentList:
    """At most `INCIDENTS` incidents; beyond, those that ended longest ago go first."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[SeriesName, str], KnownIncident] = OrderedDict()

    def has(self, name: SeriesName, incident_id: str) -> bool:
        """Return whether an incident is known.

        A key in two partitions is two series, and their incidents that begin together have one id.
        """
        return (name, incident_id) in self._known

    def add(self, event: AlertEvent) -> None:
        """Take note of an alert event."""
        place = (event.source.partition, event.series.key), event.incident_id
        before = self._known.pop(place, None)
        firing = event if event.status == "firing" or before is None else before.firing
        self._known[place] = KnownIncident(newest=event, firing=firing)
        if len(self._known) > INCIDENTS:
            over = (name for name, one in self._known.items() if not one.is_firing)
            del self._known[next(over, next(iter(self._known)))]

    def drop_moved(self, is_ours: Callable[[SeriesName], bool]) -> None:
        """Forget open incidents of series that this instance has no longer: others have them."""
        firing = ((key, one) for key, one in self._known.items() if one.is_firing)
        moved = [key for key, one in firing if not is_ours(one.name)]
        for each in moved:
            del self._known[each]

    def newest_first(self) -> Iterator[KnownIncident]:
        """Yield those that fire, then those that ended; the last to change first."""
        newest = list(reversed(self._known.values()))
        yield from (one for one in newest if one.is_firing)
        yield from (one for one in newest if not one.is_firing)
