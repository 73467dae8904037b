"""What decoders remember of texts that records repeat, bounded by size: hostile texts are long."""

from collections.abc import Hashable
from typing import TypeVar

_MOST_BYTES = 32 * 1024 * 1024
_LONGEST = 10_000
_ENTRY_BYTES = 500  # about what one takes besides its text

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(dict[K, V]):
    """Values by texts; begins anew when it is full, and takes none of great length.

    >>> remembered = Remembered[str, int]()
    >>> remembered.keep("short", 1, n_characters=5)
    >>> remembered.keep("x" * 20_000, 2, n_characters=20_000)
    >>> list(remembered)
    ['short']
    """

    def __init__(self) -> None:
        super().__init__()
        self._n_bytes = 0

    def keep(self, key: K, value: V, *, n_characters: int) -> None:
        """Remember a value.

        Args:
            key: By which it is found.
            value: Of the key.
            n_characters: Of all text in both, of which copies are counted as a few bytes each.
        """
        if n_characters > _LONGEST:
            return
        if self._n_bytes > _MOST_BYTES:
            self.clear()
            self._n_bytes = 0
        self[key] = value
        self.add(n_characters)

    def add(self, n_characters: int) -> None:
        """Count what a value has grown by."""
        self._n_bytes += _ENTRY_BYTES + 4 * n_characters
