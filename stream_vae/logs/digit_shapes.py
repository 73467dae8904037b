r"""What is the same for lines that differ in their digits alone is found once and remembered.

So it is with their level, and with their template where no mask tells one digit from another and no
template holds one. The shape of a line is its text, all digits made alike: of most logs nearly
every line has one that was met before, since numbers differ more often in their digits than in
their lengths.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DIGITS = frozenset(map(ord, "0123456789"))
_ALIKE = bytes.maketrans(b"123456789", b"000000000")
_NOT_MET = -2
_MOST_BYTES = 16 * 2**20
_ENTRY_BYTES = 150
"""What the memory of a shape takes beside its text."""
_TRIAL, _REST = 20_000, 200_000
"""Lines by which it is seen whether remembering pays, and those of a rest if it does not."""


def digit_shapes(lines: Sequence[str]) -> list[bytes]:
    """Return the shapes of N lines.

    >>> digit_shapes(["up 12 h", "up 37 h"])
    [b'up 00 h', b'up 00 h']
    """
    together = _shape("\n".join(lines)).split(b"\n")
    return together if len(together) == len(lines) else list(map(_shape, lines))


class ShapeMemory:
    """Remembers a number for each shape.

    Where most lines have a new one, as with random words of hexadecimal digits, it rests for a
    while: it would cost more than it saves.

    Args:
        find: From lines to their numbers, at least 0 or -1, which depend on their shapes alone.
        most_bytes: Of memory; when it is full, all is forgotten.
    """

    def __init__(
        self, find: Callable[[Sequence[str]], NDArray[Any]], most_bytes: int = _MOST_BYTES
    ) -> None:
        self._find = find
        self._most_bytes = most_bytes
        self._met: dict[bytes, int] = {}
        self.n_bytes = 0
        """Of what is remembered."""
        self._rest = 0  # lines
        self._n_lines = self._n_new = 0  # in this trial

    @property
    def rests(self) -> bool:
        """Whether it asks for no shapes now."""
        return self._rest > 0

    def find(self, lines: Sequence[str], shapes: Sequence[bytes] | None) -> NDArray[np.int32]:
        """Return (N,) number of each line.

        Args:
            lines: N.
            shapes: N, theirs, if they are known.
        """
        if self.rests:
            self._rest -= len(lines)
            return np.asarray(self._find(lines), np.int32)
        shapes = digit_shapes(lines) if shapes is None else shapes
        met = map(self._met.get, shapes, repeat(_NOT_MET))
        found = np.fromiter(met, np.int32, count=len(shapes))
        new = np.flatnonzero(found == _NOT_MET)
        if len(new):
            found[new] = self._find([lines[n] for n in new.tolist()])
            self._remember([shapes[n] for n in new.tolist()], found[new].tolist())
        self._try(len(lines), len(new))
        return found

    def _remember(self, shapes: Sequence[bytes], numbers: Sequence[int]) -> None:
        n_bytes = sum(map(len, shapes)) + _ENTRY_BYTES * len(shapes)
        if self.n_bytes + n_bytes > self._most_bytes:
            self._forget()
        if n_bytes <= self._most_bytes:
            self._met.update(zip(shapes, numbers, strict=True))
            self.n_bytes += n_bytes

    def _forget(self) -> None:
        self._met.clear()
        self.n_bytes = 0

    def _try(self, n_lines: int, n_new: int) -> None:
        """Count lines; rest if most of a trial's had a new shape."""
        self._n_lines += n_lines
        self._n_new += n_new
        if self._n_lines < _TRIAL:
            return
        if 2 * self._n_new > self._n_lines:
            self._rest = _REST
            self._forget()
        self._n_lines = self._n_new = 0


def _shape(text: str) -> bytes:
    return text.encode(errors="surrogatepass").translate(_ALIKE)


def are_digits_alike(masks: Iterable[str], templates: Iterable[str]) -> bool:
    r"""Return whether a line's template is the same whatever its digits are.

    Args:
        masks: Patterns.
        templates: Patterns.

    >>> are_digits_alike([r"\d+", "[0-9a-f]{8}"], ["took <v>"])
    True
    >>> are_digits_alike(["0x[0-9a-f]+"], []), are_digits_alike([], ["answers 42"])
    (False, False)
    """
    signs = frozenset(map(ord, "".join(templates)))
    return signs.isdisjoint(_DIGITS) and not any(map(_tells_digits_apart, masks))


def _tells_digits_apart(mask: str) -> bool:
    """Return whether a pattern may; so it is said of those that `re` cannot read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return _names_digit(_parser.parse(mask))
    except (re.error, Warning, RecursionError, OverflowError):
        return True


def _names_digit(part: Any) -> bool:
    """Return whether a part of a parsed pattern is, or ends a range at, one digit."""
    # These are numbers, and so are bounds of repetitions and numbers of groups: `is`, not `==`.
    if isinstance(part, tuple) and part and (part[0] is op.LITERAL or part[0] is op.NOT_LITERAL):
        return bool(part[1] in _DIGITS)
    if isinstance(part, tuple) and part and part[0] is op.RANGE:
        first, last = part[1]
        return len({first <= digit <= last for digit in _DIGITS}) > 1
    is_nested = isinstance(part, tuple | list | _parser.SubPattern)
    return is_nested and any(map(_names_digit, part))
