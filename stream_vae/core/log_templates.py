"""What a model of logs knows of lines: the templates that it counts, and how lines are compared."""

import math
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


def counts_any_template(feature: str) -> bool:
    """Return whether a feature counts lines of whatever template: all, or those of a level."""
    return feature == LINES or feature.startswith(f"{LEVEL}.")


def shown(pattern: str) -> str:
    """Return a pattern as people read it.

    >>> shown("<v> of <*>")
    '<*> of <*>'
    """
    return pattern.replace(VALUE, FREE)


IMPROBABLE = 0.025
"""Below it a count is less than the range of 95 % that alerts tell as expected."""


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
    zero_probability: float | None = None
    """By the model, of a step without a line that its feature counts, where it expects most; of
    sessions, of one. None: not known."""

    @property
    def text(self) -> str:
        """The template as people read it."""
        return shown(self.pattern)

    @property
    def is_shared(self) -> bool:
        """Whether its feature counts other templates too."""
        return self.feature.startswith(f"{RARE}.") and self.feature != self.id

    def missed_after(self, reach: int) -> int | None:
        """Return how many steps in a row without a line of it are improbable, taken one by one.

        None if more than `reach`, the steps that are judged together, or if others share its
        feature: then its disappearance cannot be seen.

        >>> beat = LogTemplate(
        ...     id="a", pattern="a", example="a", count=9, feature="a", zero_probability=0.3
        ... )
        >>> beat.missed_after(32), beat.missed_after(1)
        (4, None)
        """
        if self.is_shared or self.zero_probability is None or self.zero_probability >= 1:
            return None
        if self.zero_probability < IMPROBABLE:
            return 1
        n = math.ceil(math.log(IMPROBABLE) / math.log(self.zero_probability))
        return n if n <= reach else None


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

    def usual_template(self, feature: str) -> LogTemplate | None:
        """Return the most frequent template that a feature counts; None if it counts none."""
        counted = (one for one in self.templates if one.feature == feature)
        return max(counted, key=lambda one: one.count, default=None)
