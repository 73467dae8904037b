"""Text put together from the fields of a record: `{tags.host}/{tags.device}`."""

import re
from collections.abc import Sequence

from stream_vae.errors import ConfigError
from stream_vae.inputs.remembered import Remembered

_PART = re.compile(r"\{([^{}]+)\}")


class TextTemplate:
    """A text with fields in braces.

    Args:
        text: As the operator wrote it.
        setting: Its name, for messages.

    Raises:
        ConfigError: If braces do not match or nothing is between them.

    >>> template = TextTemplate("{host}/{tags.device}", "input.series_field")
    >>> template.fields, template.fill(("gw", 7)), template.fill(("gw", None))
    (('host', 'tags.device'), 'gw/7', None)
    """

    def __init__(self, text: str, setting: str) -> None:
        pieces = _PART.split(text)
        if any(brace in piece for piece in pieces[::2] for brace in "{}") or len(pieces) == 1:
            raise ConfigError(
                f"{setting}: {text!r}: expected the names of fields in braces, such as "
                "'{tags.host}/{tags.device}'"
            )
        self.fields = tuple(pieces[1::2])
        self._literals = pieces[::2]
        self._filled = Remembered[Sequence[object], str]()

    @property
    def is_one_field(self) -> bool:
        """Whether it is a field and nothing else."""
        return len(self.fields) == 1 and not any(self._literals)

    def around(self, field: str, parts: Sequence[object]) -> tuple[str | None, str | None]:
        """Return the text before and after the only place of a field.

        Args:
            field: Its name; if it stands there several times, the first place counts.
            parts: A value for each other field, as for `fill`; a missing one makes its side None.

        >>> TextTemplate("{name}.{field}", "input.feature_name").around("field", ("cpu",))
        ('cpu.', '')
        """
        at = self.fields.index(field)
        before = _joined(self._literals[: at + 1], parts[:at])
        return before, _joined(self._literals[at + 1 :], parts[at:])

    def fill(self, parts: Sequence[object]) -> str | None:
        """Return the text with a value for each field; None if one is missing or no plain value.

        Args:
            parts: One for each field, hashable where it is a tuple of plain values.
        """
        try:
            return self._filled[parts]
        except (KeyError, TypeError):
            pass
        text = _joined(self._literals, parts)
        # As keys, 1 and True are the same.
        if text is not None and all(type(part) is str for part in parts):
            self._filled.keep(parts, text, n_characters=2 * len(text))
        return text


def _joined(literals: Sequence[str], parts: Sequence[object]) -> str | None:
    """Return literals with parts between them; None if a part is no plain value."""
    text = literals[0]
    for part, literal in zip(parts, literals[1:], strict=True):
        if not isinstance(part, str | int | float) or part == "":
            return None
        plain = str(part).lower() if isinstance(part, bool) else str(part)
        text += plain + literal
    return text
