"""Which session each line belongs to, and whether it ends it."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.sessions import LONGEST_KEY, LineSessions
from stream_vae.errors import DecodeError
from stream_vae.inputs.log_lines.line_patterns import compile_pattern
from stream_vae.inputs.log_lines.log_format import LogFormat


class SessionKeys:
    """Finds keys and ends of sessions.

    Args:
        fmt: The operator's choices.

    Raises:
        ConfigError: If a pattern is none, has no group, or could take long.
    """

    def __init__(self, fmt: LogFormat) -> None:
        self._pattern = self._end = None
        if fmt.session_pattern is not None:
            self._pattern = compile_pattern(fmt.session_pattern, "input.session_pattern")
        if fmt.session_end_pattern is not None:
            setting = "input.session_end_pattern"
            self._end = compile_pattern(fmt.session_end_pattern, setting, n_groups=0)

    def of(
        self,
        texts: Sequence[str],
        messages: Sequence[str],
        *,
        told: Sequence[Any] | None,
        templates: Sequence[str] | None,
    ) -> LineSessions:
        """Return the sessions of N lines.

        Args:
            texts: N lines, whose heads may tell the key.
            messages: Of these; one may end a session.
            told: N keys, as fields tell them; None: no field does.
            templates: N ids or templates, of lines that are events; None: none is.
        """
        keys: list[str | None]
        if self._pattern is not None:
            keys = self._pattern.joined(texts)
        else:
            keys = list(map(_text, [None] * len(texts) if told is None else told))
        longest = max((len(key) for key in keys if key), default=0)
        if 4 * longest > LONGEST_KEY:
            keys = [key if key and len(key.encode()) <= LONGEST_KEY else None for key in keys]
        return LineSessions(keys=keys, ends=self._ends(messages, templates))

    def _ends(self, messages: Sequence[str], templates: Sequence[str] | None) -> NDArray[np.bool_]:
        if self._end is None:
            return np.zeros(len(messages), np.bool_)
        ends = np.array(self._end.are_in(messages), np.bool_)
        return ends if templates is None else ends | np.array(self._end.are_in(templates), np.bool_)


def _text(found: Any) -> str | None:
    """Return the key that a field holds; None where it holds none."""
    if found is None or found == "" or isinstance(found, DecodeError):
        return None
    text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    return text if text.isprintable() else text.encode(errors="replace").decode()
