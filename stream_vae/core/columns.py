"""A table as a struct of arrays, whose rows can be taken out and put back whole."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Columns:
    """One array per field, with as many rows as there may ever be.

    The arrays begin as zeros that the operating system has not handed out yet, so that memory is
    used only for rows that were written.

    Args:
        initial: A row as it begins, of a structured type without shape: its fields, in the order
            in which `save` packs them.
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
