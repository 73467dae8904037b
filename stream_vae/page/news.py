"""What is shown of all series, in parts: a reader gets those that have changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from stream_vae.core.series_index import SeriesName
from stream_vae.page.board import UntoldIncident
from stream_vae.page.incident_list import KnownIncident
from stream_vae.page.shapes import of_incident, of_untold

AnyIncident = KnownIncident | UntoldIncident


class Part:
    """JSON that is sent whole once it has changed."""

    def __init__(self) -> None:
        self._version = 0
        self._content = b""

    def renew(self, version: int, content: Any) -> None:
        """Take the content of a new version of the summary."""
        encoded = msgspec.json.encode(content)
        if encoded != self._content:
            self._version, self._content = version, encoded

    def since(self, version: int) -> bytes | None:
        """Return the JSON if a reader of that version lacks it; 0 has nothing yet."""
        return self._content if self._version > version else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """An incident as it is sent."""

    number: int
    """Names it in the messages of this process; ids are longer, and may be there twice."""
    version: int
    """Of the summary in which it changed last."""
    incident: AnyIncident
    content: msgspec.Raw


class IncidentsPart:
    """Incidents, of which those are sent that have changed, and the order of all.

    Args:
        topic: The input topic.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._version = 0
        self._shown: dict[tuple[str, SeriesName], _Shown] = {}
        self._n_numbers = 0

    def renew(self, version: int, incidents: Iterable[AnyIncident]) -> None:
        """Take the incidents of a new version of the summary, in their order."""
        before = self._shown
        shown = {key: self._of(one, key, version) for one in incidents for key in [_key(one)]}
        if list(shown.items()) != list(before.items()) or not self._version:
            self._shown, self._version = shown, version

    def since(self, version: int) -> bytes | None:
        """Return as JSON what a reader of that version lacks; 0 has nothing yet."""
        if self._version <= version:
            return None
        shown = self._shown.values()
        content = {
            "is_whole": version == 0,
            "order": [one.number for one in shown],
            "changed": [[one.number, one.content] for one in shown if one.version > version],
        }
        return msgspec.json.encode(content)

    def _of(self, one: AnyIncident, key: tuple[str, SeriesName], version: int) -> _Shown:
        before = self._shown.get(key)
        if before is not None and before.incident == one:
            return before
        self._n_numbers += before is None
        shape = of_incident(one) if isinstance(one, KnownIncident) else of_untold(one, self._topic)
        return _Shown(
            number=self._n_numbers if before is None else before.number,
            version=version,
            incident=one,
            content=msgspec.Raw(msgspec.json.encode(shape)),
        )


def _key(one: AnyIncident) -> tuple[str, SeriesName]:
    return (one.newest.incident_id if isinstance(one, KnownIncident) else one.id), one.name
