"""Text for people: what comes from data is neither read as markup nor controls the terminal."""

import os
import sys
from typing import Any

from rich.console import Console
from rich.progress import Task, TextColumn
from rich.text import Text

from stream_vae.core.excerpts import printable_lines

_WIDE = 200


class _PlainConsole(Console):
    """Takes every text as it is: `[bar]` is a unit, `:bell:` a name, an escape byte is shown."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return text, unprintable characters escaped; tables and titles are rendered by this."""
        plain = {"markup": False, "emoji": False}
        return super().render_str(printable_lines(text), **(options | plain))


def open_console(
    *, stderr: bool = False, soft_wrap: bool = False, width: int | None = None
) -> Console:
    """Return the console of a command; the only one that commands print with.

    What is no terminal has no width of its own: there nothing is cut, unless COLUMNS says so.
    """
    file = sys.stderr if stderr else sys.stdout
    if width is None and not file.isatty() and "COLUMNS" not in os.environ:
        width = _WIDE
    return _PlainConsole(stderr=stderr, soft_wrap=soft_wrap, width=width)


def warn(console: Console, text: str) -> None:
    """Print a warning."""
    console.print(styled(("warning:", "bold yellow"), f" {text}"))


def styled(*parts: str | tuple[str, str]) -> Text:
    """Return text of parts, of which those with a style have it."""
    pairs = ((part, "") if isinstance(part, str) else part for part in parts)
    return Text.assemble(*((printable_lines(text), style) for text, style in pairs))


class TaskText(TextColumn):
    """The column of a progress bar that shows a task's description, or another text of it.

    Args:
        text: Format of the text, with `task`.
    """

    def __init__(self, text: str = "{task.description}") -> None:
        super().__init__(text, markup=False)

    def render(self, task: Task) -> Text:
        """Return the text, unprintable characters escaped."""
        return Text(printable_lines(self.text_format.format(task=task)), style=self.style)
