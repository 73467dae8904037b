"""The operator's regular expressions over lines: none takes long, whatever a line holds."""

import re
from collections.abc import Sequence
from typing import Any

from stream_vae.core.excerpts import printable
from stream_vae.errors import ConfigError
from stream_vae.inputs.log_lines.backtracking import may_backtrack

SEARCHED_CHARACTERS = 1000
"""Patterns are looked for in so much of a line."""


class LinePattern:
    """A compiled pattern.

    Args:
        compiled: From `re`, or another engine with the same methods.
    """

    def __init__(self, compiled: Any) -> None:
        self._search = compiled.search
        self._match = compiled.match
        self._has_one_group = compiled.groups == 1

    def find(self, text: str) -> tuple[str, ...]:
        """Return the groups of the first place where it matches, without those left out."""
        found = self._search(text, 0, SEARCHED_CHARACTERS)
        return () if found is None else tuple(filter(None, found.groups()))

    def firsts(self, texts: Sequence[str]) -> list[str | None]:
        """Return the first group of `find` in each of N texts, None where there is none."""
        if not self._has_one_group:
            return [groups[0] if groups else None for groups in map(self.find, texts)]
        search, end = self._search, SEARCHED_CHARACTERS
        return [
            None if (found := search(text, 0, end)) is None else found[1] or None for text in texts
        ]

    def joined(self, texts: Sequence[str]) -> list[str | None]:
        """Return what `find` finds in each of N texts, joined by `/`; None where there is none."""
        if self._has_one_group:
            return self.firsts(texts)
        return ["/".join(groups) or None for groups in map(self.find, texts)]

    def are_in(self, texts: Sequence[str]) -> list[bool]:
        """Return whether it matches anywhere in each of N texts."""
        search, end = self._search, SEARCHED_CHARACTERS
        return [search(text, 0, end) is not None for text in texts]

    def message(self, text: str) -> str:
        """Return the first group, and what follows it where it reaches the end of what is searched.

        "" where it does not match.
        """
        found = self._search(text, 0, SEARCHED_CHARACTERS)
        if found is None or found[1] is None:
            return ""
        begin, end = found.span(1)
        return text[begin : None if end == SEARCHED_CHARACTERS else end].strip()

    def matches(self, text: str) -> bool:
        """Return whether a text begins so."""
        return self._match(text, 0, SEARCHED_CHARACTERS) is not None


def compile_pattern(pattern: str, setting: str, *, n_groups: int = 1) -> LinePattern:
    """Return a compiled pattern.

    Args:
        pattern: As the operator wrote it.
        setting: Its name, for messages.
        n_groups: That it has at least.

    Raises:
        ConfigError: If it is none, has fewer groups, or could take long and RE2 is not there.
    """
    shown = f"{setting}: {printable(pattern, 200)!r}"
    compiled: Any
    try:
        compiled = re.compile(pattern)
        is_slow = may_backtrack(pattern)
    except (re.error, RecursionError, OverflowError) as exc:
        raise ConfigError(f"{shown} is no regular expression: {exc}") from None
    if compiled.groups < n_groups:
        raise ConfigError(f"{shown} has no group; expected one in parentheses")
    return LinePattern(_linear(pattern, shown) if is_slow else compiled)


def _linear(pattern: str, shown: str) -> Any:
    """Return a pattern of the engine that never goes back.

    Raises:
        ConfigError: If it is not installed, or cannot read the pattern.
    """
    try:
        import re2  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise ConfigError(
            f"{shown} could take very long on some lines; expected that what follows a repeat "
            r"cannot begin like it (`[^\]]+\]` in place of `.*\]`), or pip install "
            "'stream-vae[re2]', whose engine takes any pattern"
        ) from None
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as exc:
        raise ConfigError(f"{shown} is no expression of RE2: {exc}") from None
