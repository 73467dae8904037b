"""Rate limit of repeated log lines: the first at once, the rest as a count."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

Level = Literal["debug", "info", "warning", "error"]
Fields = Mapping[str, object]

MAX_KINDS = 200
"""Kinds of one event tracked at a time; all others count as one more kind."""
_OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log."""

    level: Level
    event: str
    fields: Fields


@dataclass(slots=True)
class _Held:
    line: Line
    waiting: int = 0
    written_at: float = -math.inf


class RepeatLimiter:
    """Holds back lines of one kind, so that a faulty producer cannot flood the logs.

    `count` is the number of occurrences that a line represents; all lines together count each
    occurrence once. A kind without occurrences for a whole period is dropped, which bounds memory
    together with `MAX_KINDS`.

    Args:
        write: Receives the lines.
        period_s: Least time between two lines of one kind.
    """

    def __init__(self, write: Callable[[Line], object], period_s: float) -> None:
        self._write = write
        self._period_s = period_s
        self._held: dict[str, dict[str, _Held]] = {}  # event -> kind -> what is held back

    def add(self, line: Line, *, kind: str, count: int, now: float) -> None:
        """Write a line, or hold it back.

        Args:
            line: The newest represents all that are held back.
            kind: Distinguishes lines of one event (a reason); "" if nothing does.
            count: Occurrences this time.
            now: Monotonic seconds.
        """
        kinds = self._held.setdefault(line.event, {})
        if kind not in kinds and len(kinds) >= MAX_KINDS:
            kind = _OTHERS
        held = kinds.setdefault(kind, _Held(line))
        held.line = line
        held.waiting += count
        if now - held.written_at >= self._period_s:
            self._release(held, now)

    def release(self, now: float, *, all_kinds: bool = False) -> None:
        """Write what was held back for a whole period, or everything."""
        for kinds in self._held.values():
            for kind, held in list(kinds.items()):
                is_due = now - held.written_at >= self._period_s
                if held.waiting and (all_kinds or is_due):
                    self._release(held, now)
                elif is_due:
                    del kinds[kind]

    def _release(self, held: _Held, now: float) -> None:
        fields = {**held.line.fields, "count": held.waiting}
        held.waiting, held.written_at = 0, now
        self._write(replace(held.line, fields=fields))
