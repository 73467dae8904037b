"""One poll of the input on its way from decoding to delivery."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import RecordBatch, Rejection
from stream_vae.core.windows import WindowBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class PolledBatch:
    """One poll."""

    ticket: int | None
    """Of the ledger; None if it is replayed."""
    records: RecordBatch
    rejections: Sequence[Rejection]
    index: NDArray[np.int64]
    """(N,) position in `records` of each reading; it repeats where a record gives several."""
    readings: ReadingBatch
    window_batch: WindowBatch
    detector: str
    """Version of the detector that scores its windows."""
    positions: Mapping[int, int]
    """Input partition -> offset after its last record."""
    polled_at: float
    """Monotonic seconds."""
