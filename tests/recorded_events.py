"""An event sink that keeps what it is given."""

from typing import TypeVar

from stream_vae.events import Event

_Kind = TypeVar("_Kind")


class RecordedEvents:
    """Every event so far, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(self, event: Event) -> None:
        self.events.append(event)

    def tick(self) -> None: ...

    def of(self, kind: type[_Kind]) -> list[_Kind]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]
