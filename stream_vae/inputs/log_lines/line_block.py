"""Lines as bytes, in one block: what is looked for in all lines is looked for at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BREAK, _SPACE, _DELETE = 10, 32, 127
_AROUND = b"\n"
PADDING = _AROUND * 16
"""Behind the last line, so that its last word can be looked at like all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineBlock:
    """N lines, a line break before each, and several behind the last."""

    data: NDArray[np.uint8]
    breaks: NDArray[np.int64]
    """(N,) places of the line breaks before the lines."""

    @classmethod
    def of(cls, texts: Sequence[str]) -> "LineBlock":
        """Return the block of texts that hold no line break."""
        raw = _AROUND + "\n".join(texts).encode(errors="replace") + PADDING
        data = np.frombuffer(raw, dtype=np.uint8)
        return cls(data=data, breaks=np.flatnonzero(data == _BREAK)[: len(texts)])


def are_plain(texts: Sequence[str], max_bytes: int) -> bool:
    """Return whether there are texts, in none of which anything is to be cleaned.

    So it is with most polls: all are of ASCII and of bounded length, none is empty, and none has a
    control character, what may stand for one, or a space at an end.
    """
    together = "\n".join(texts)
    if not together.isascii() or not texts:
        return False
    data = np.frombuffer(_AROUND + together.encode() + PADDING, dtype=np.uint8)
    breaks = np.flatnonzero(data == _BREAK)
    n_controls = np.count_nonzero(data < _SPACE) + np.count_nonzero(data == _DELETE)
    if len(breaks) != len(texts) + len(PADDING) or n_controls != len(breaks):
        return False
    begins, ends = breaks[: len(texts)], breaks[1 : len(texts) + 1]
    longest = int((ends - begins).max()) - 1
    has_spaces = (data[begins + 1] == _SPACE).any() or (data[ends - 1] == _SPACE).any()
    has_escapes = ((data[:-1] == ord("#")) & (data[1:] == ord("0"))).any()
    has_empty = (ends - begins == 1).any()
    return not (longest > max_bytes or has_spaces or has_escapes or has_empty)
