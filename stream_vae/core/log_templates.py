"""Log templates: the shapes of lines that a model counts."""

from dataclasses import dataclass

LINES = "lines"
"""Feature: all lines of a step."""

UNSEEN = "unseen"
"""Feature: lines of no template that training saw."""

RARE = "rare"
"""Features `rare.N` count the templates that training saw too seldom for a column of their own."""

LEVEL = "level"
"""Features `level.NAME` count the lines of a level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTemplate:
    """A shape of lines, fixed at training."""

    id: str
    """Stable: the next training gives the same template the same one."""
    text: str
    """Words, with `<*>` where they vary."""
    example: str
    """A line of it; bounded and printable."""
    count: int
    """Lines of it in training."""
    feature: str
    """Name of the feature that counts it: its id, or one that rare templates share."""
