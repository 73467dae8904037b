"""One poll of the input on its way from decoding to delivery."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.feature_rules import MissingByRule
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import RecordBatch, Rejection
from stream_vae.core.windows import WindowBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """N steps and the windows that end with them."""

    readings: ReadingBatch
    """Of each step all values so far. A step that is judged a second time is there again, and a
    reading that is too late for its step is there as it is."""
    index: NDArray[np.int64]
    """(N,) position of the record by which each is judged; it repeats where one gives several."""
    decided_at: NDArray[np.int64]
    """(N,) offset of that record."""
    window_batch: WindowBatch
    leaps: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Positions of the given readings that were not used: their times leapt ahead."""
    marks: NDArray[np.int64] | None = None
    """(N,) of logs: see `UnseenExamples`."""
    missing: tuple[MissingByRule, ...] = ()
    """Values that the rules of features made missing; positions are of records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolledBatch:
    """One poll."""

    ticket: int | None
    """Of the ledger; None if it is replayed."""
    records: RecordBatch
    rejections: Sequence[Rejection]
    steps: Assembled
    """`index` counts in `records`."""
    detector: str
    """Version of the detector that scores its windows."""
    positions: Mapping[int, int]
    """Input partition -> offset after its last record."""
    polled_at: float
    """Monotonic seconds."""
