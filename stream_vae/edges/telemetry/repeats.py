"""Repeated log lines: the first at once, the rest as a count."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Fields = Mapping[str, object]
Write = Callable[[str, Fields], object]


@dataclass(slots=True)
class _Held:
    name: str
    said_at: float
    waiting: int
    fields: Fields


class RepeatLimiter:
    """Holds back lines of one kind, so that a broken producer cannot flood the logs.

    A line tells in `count` how many occurrences it stands for; all lines together tell of each one
    once. A kind without occurrences for a whole period is forgotten, which bounds memory.

    Args:
        write: Takes the event name and the fields of a line.
        period_s: Least time between two lines of one kind.
    """

    def __init__(self, write: Write, period_s: float) -> None:
        self._write = write
        self._period_s = period_s
        self._held: dict[tuple[str, str], _Held] = {}

    def say(self, name: str, kind: str, count: int, fields: Fields, now: float) -> None:
        """Write a line, or hold it back.

        Args:
            name: The event.
            kind: What tells lines of one event apart (a reason); "" where nothing does.
            count: Occurrences this time.
            fields: The line's other fields; the newest stand for all that are held back.
            now: Monotonic seconds.
        """
        held = self._held.setdefault((name, kind), _Held(name, -float("inf"), 0, fields))
        held.waiting += count
        held.fields = fields
        if now - held.said_at >= self._period_s:
            self._tell(held, now)

    def release(self, now: float, *, all_kinds: bool = False) -> None:
        """Write what was held back for a whole period, or everything."""
        for key, held in list(self._held.items()):
            is_due = now - held.said_at >= self._period_s
            if held.waiting and (all_kinds or is_due):
                self._tell(held, now)
            elif is_due:
                del self._held[key]

    def _tell(self, held: _Held, now: float) -> None:
        fields = {**held.fields, "count": held.waiting}
        held.waiting, held.said_at = 0, now
        self._write(held.name, fields)
