"""What a model of logs knows of lines: the templates that it counts, and how lines are compared."""

from dataclasses import dataclass
from typing import Literal

VALUE = "<v>"
"""Stands in a pattern for a value that a mask took."""

FREE = "<*>"
"""Stands in a pattern for a word that differs from line to line."""

LINES = "lines"
"""Feature: all lines of a step."""

UNSEEN = "unseen"
"""Feature: lines of no template that training saw."""

RARE = "rare"
"""Features `rare.N` count the templates that training saw too seldom for a feature of their own."""

LEVEL = "level"
"""Features `level.NAME` count the lines of a level."""


def shown(pattern: str) -> str:
    """Return a pattern as people read it.

    >>> shown("<v> of <*>")
    '<*> of <*>'
    """
    return pattern.replace(VALUE, FREE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """A kind of value, which is replaced before lines are compared."""

    name: str
    """For messages."""
    pattern: str
    """Regular expression without look-around and back-references."""
    keeps: str = ""
    """What of the match stays before the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTemplate:
    """A shape of lines, fixed at training."""

    id: str
    """Stays when a later training finds the template again."""
    pattern: str
    """As lines are compared: words, `<v>` for a masked value, `<*>` for a free word. Of an event
    that was parsed before: its id, or its template as it was given."""
    example: str
    """The beginning of a line of it; printable."""
    count: int
    """Lines of it in training."""
    feature: str
    """Name of the feature that counts it."""

    @property
    def text(self) -> str:
        """The template as people read it."""
        return shown(self.pattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSpec:
    """The templates of a model of logs."""

    templates: tuple[LogTemplate, ...]
    """Most frequent first."""
    masks: tuple[Mask, ...]
    """With which they were found."""
    lines: int
    """In training, those of templates that are not kept among them."""
    examples: Literal["raw", "masked"] = "raw"
    """`masked`: of lines that are shown, those that training never saw among them, no value is left
    that a mask takes."""
