"""A table as a struct of arrays, whose rows can be saved and loaded whole."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Columns:
    """One array per field, with as many rows as there may ever be.

    The arrays are zero-filled pages that the operating system allocates on first write, so only
    written rows use memory.

    Args:
        initial: The initial row, a structured scalar; `save` packs its fields in this order.
        capacity: S, rows.

    >>> row = np.dtype([("step", "<i8"), ("values", "<f4", (2,))])
    >>> table = Columns(np.array((7, 1.5), row), 3)
    >>> table.begin(np.array([1]))
    >>> table["values"][1, 1] = 5
    >>> table.load(np.array([2]), table.save(np.array([1])))
    >>> table["values"][2].tolist()
    [1.5, 5.0]
    """

    def __init__(self, initial: NDArray[np.void], capacity: int) -> None:
        self.row = row = initial.dtype
        self._initial = initial
        self._arrays = {
            name: np.zeros((capacity, *row[name].shape), row[name].base) for name in row.names or ()
        }

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return the (S, ...) array of a field."""
        return self._arrays[name]

    def begin(self, rows: NDArray[np.int32]) -> None:
        """Overwrite rows with the initial one."""
        self.load(rows, self._initial)

    def save(self, rows: NDArray[np.int32]) -> NDArray[np.void]:
        """Return (K,) copies of rows."""
        saved = np.empty(len(rows), self.row)
        for name, array in self._arrays.items():
            saved[name] = array[rows]
        return saved

    def load(self, rows: NDArray[np.int32], saved: NDArray[np.void]) -> None:
        """Overwrite rows with (K,) saved ones, or with one for all."""
        for name, array in self._arrays.items():
            array[rows] = saved[name]
