"""Which input records the steps of each series are of."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from stream_vae.core.columns import Columns
from stream_vae.core.placing import Placed

NO_RECORD = -1
"""Offset of a step without a record, or whose records are not known."""


def new_offsets(n_steps: int) -> NDArray[np.void]:
    """Return the initial offsets of a series' steps: (n, 2) first and last record of each."""
    begun: NDArray[np.void] = np.zeros((), [("offsets", "<i8", (n_steps, 2))])
    begun["offsets"] = NO_RECORD
    return begun


class StepOffsets:
    """Input offsets of the first and the last record of the newest steps of each series.

    Args:
        n_kept: Steps of each series; 0: of events the reading itself tells.
        capacity: Rows.
    """

    def __init__(self, n_kept: int, capacity: int) -> None:
        self.state = Columns(new_offsets(n_kept), capacity)
        self._offsets: NDArray[np.int64] = self.state["offsets"]  # (S, n, 2)

    def widen_newest(
        self, rows: NDArray[np.int32], begun: NDArray[np.int64], own: NDArray[np.int64]
    ) -> None:
        """Widen the newest steps by K readings, in arrival order.

        Args:
            rows: (K,) of their series.
            begun: (K,) offset of the first record that each is of.
            own: (K,) its own offset.
        """
        _widen(self._offsets[:, -1], rows, begun, own)

    def slide(
        self,
        placed: Placed,
        begun: NDArray[np.int64],
        own: NDArray[np.int64],
        ready: NDArray[np.int64],
        length: int,
    ) -> NDArray[np.int64]:
        """Move the series on by N readings; return (B, T, 2) offsets of windows.

        Of a window's newest step they end with its own reading.

        Args:
            placed: N readings.
            begun: (N,) offset of the first record that each is of.
            own: (N,) its own offset.
            ready: (B,) positions of those that end a window.
            length: T
        """
        n_kept = self._offsets.shape[1]
        if not n_kept:
            return np.repeat(own[ready][:, None, None], 2, axis=2)
        n_places = n_kept + placed.moved
        base = np.cumsum(n_places) - n_places
        line = np.full((int(n_places.sum()), 2), NO_RECORD)
        kept = sliding_window_view(line, n_kept, axis=0, writeable=True).swapaxes(1, 2)
        kept[base] = self._offsets[placed.series]
        newest = base[placed.group] + n_kept - 1 + placed.distance - placed.back
        used = np.flatnonzero(~placed.late)
        _widen(line, newest[used], begun[used], own[used])
        self._offsets[placed.series] = kept[base + placed.moved]
        back = np.arange(length - 1, -1, -1)
        cut: NDArray[np.int64] = line[newest[ready][:, None] - back]
        cut[:, -1, 1] = own[ready]
        return cut


def _widen(
    places: NDArray[np.int64],
    at: NDArray[np.integer],
    begun: NDArray[np.int64],
    own: NDArray[np.int64],
) -> None:
    """Widen the offsets of steps (P, 2), some of them at once, by n readings in arrival order."""
    before = places[at, 0]
    # Of several readings of a step the first to come stays the first.
    places[at[::-1], 0] = np.where(before < 0, begun, np.minimum(before, begun))[::-1]
    places[at, 1] = np.maximum(places[at, 1], own)
