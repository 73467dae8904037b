"""The operator's regular expressions over lines."""

import re

from stream_vae.errors import ConfigError

SEARCHED_CHARACTERS = 1000
"""Patterns are looked for in so much of a line."""


class LinePattern:
    """A compiled pattern.

    Args:
        compiled: From `re`, or another engine with the same methods.
    """

    def __init__(self, compiled: re.Pattern[str]) -> None:
        self._search = compiled.search
        self._match = compiled.match

    def find(self, text: str) -> tuple[str, ...]:
        """Return the groups of the first place where it matches, without those left out."""
        found = self._search(text[:SEARCHED_CHARACTERS])
        return () if found is None else tuple(filter(None, found.groups()))

    def matches(self, text: str) -> bool:
        """Return whether a text begins so."""
        return self._match(text[:SEARCHED_CHARACTERS]) is not None


def compile_pattern(pattern: str, setting: str, *, n_groups: int = 1) -> LinePattern:
    """Return a compiled pattern.

    Args:
        pattern: As the operator wrote it.
        setting: Its name, for messages.
        n_groups: That it has at least.

    Raises:
        ConfigError: If it is none or has fewer groups.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as exc:
        raise ConfigError(f"{setting}: {pattern!r} is no regular expression: {exc}") from None
    if compiled.groups < n_groups:
        raise ConfigError(f"{setting}: {pattern!r} has no group; expected one in parentheses")
    return LinePattern(compiled)
