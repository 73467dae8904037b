"""Work on its way through the worker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import RecordBatch, Rejection
from stream_vae.core.windows import Assembly
from stream_vae.pipeline.series_memory import Capture
from stream_vae.wire.snapshots import Checkpoint


def ends_of(records: RecordBatch) -> dict[int, int]:
    """Return input partition -> offset behind its last record."""
    return dict(zip(records.partitions.tolist(), (records.offsets + 1).tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One poll."""

    ticket: int | None
    """Of the ledger; None if it was read again."""
    records: RecordBatch
    rejections: Sequence[Rejection]
    index: NDArray[np.int64]
    """(N,) position in `records` of each reading that was decoded."""
    readings: ReadingBatch
    assembly: Assembly
    positions: Mapping[int, int]
    """Input partition -> offset behind its last record."""
    polled_at: float
    """Monotonic seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """Series to be saved, behind the polls that they hold."""

    capture: Capture
    positions: Mapping[int, int]
    """Input partition -> offset before which all readings were captured."""
    checkpoints: Mapping[int, Checkpoint]
    """That hold once these series, and those before them, are saved."""
