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


def counts_any_template(feature: str) -> bool:
    """Return whether a feature counts lines of whatever template: all, or those of a level."""
    return feature == LINES or feature.startswith(f"{LEVEL}.")


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
    absence: tuple[float, ...] = ()
    """See `Absences`. Empty: not known."""

    @property
    def text(self) -> str:
        """The template as people read it."""
        return shown(self.pattern)

    @property
    def is_shared(self) -> bool:
        """Whether its feature counts other templates too."""
        return self.feature.startswith(f"{RARE}.") and self.feature != self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Absences:
    """What was tried at training: lines of one template after the other were taken out."""

    score: str
    """That was asked, the one in use."""
    steps: tuple[int, ...]
    """Of each template's `absence`, after how many steps without a line, ascending; the last is a
    whole window. `absence` holds the highest score until then, a median over places where it comes
    most; of sessions, that of one without."""

    def seen_after(self, template: LogTemplate, threshold: float) -> int | None:
        """Return after how many steps without a line of a template a threshold is crossed.

        None if it is not within a window, or if others share the feature.

        >>> beat = LogTemplate(
        ...     id="a", pattern="a", example="a", count=9, feature="a", absence=(2.0, 7.0, 9.0)
        ... )
        >>> tried = Absences(score="worst_feature", steps=(1, 2, 32))
        >>> tried.seen_after(beat, 6.5), tried.seen_after(beat, 9.5)
        (2, None)
        """
        if template.is_shared or not template.absence:
            return None
        told = zip(self.steps, template.absence, strict=True)
        return next((steps for steps, score in told if score > threshold), None)


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
    absences: Absences | None = None
    """None: of a bundle of an earlier release."""

    def usual_template(self, feature: str) -> LogTemplate | None:
        """Return the most frequent template that a feature counts; None if it counts none."""
        counted = (one for one in self.templates if one.feature == feature)
        return max(counted, key=lambda one: one.count, default=None)
