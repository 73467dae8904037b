"""Rows that an earlier release saved, as rows of this one."""

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.scaling import Scaler
from stream_vae.pipeline.series_store import StateShape
from stream_vae.wire.snapshots import RowHead

SCALED_VERSION = 1
"""Schema version whose windows are scaled and clipped by the model that saved them."""


def row_type(head: RowHead) -> np.dtype[np.void]:
    """Return the type of rows of a schema version and shape."""
    shape = StateShape(length=head.length, n_features=head.n_features, scores=head.scores)
    if head.schema_version > SCALED_VERSION:
        return shape.row
    values = ("values", "<f4", (head.length, head.n_features))
    windows = np.dtype([values, ("last_step", "<i8"), ("first_step", "<i8")])
    return np.dtype(
        [("index", shape.row["index"]), ("windows", windows), ("threshold", shape.row["threshold"])]
    )


def upgrade(head: RowHead, states: NDArray[np.void], scaler: Scaler) -> NDArray[np.void]:
    """Return rows as this release saves them.

    Windows of version 1 come back in input units, less what was clipped; the scaler makes of them
    what was saved, bit for bit.

    Args:
        head: Of the rows.
        states: (K,) of its `row_type`.
        scaler: Of the model that saved them.
    """
    if head.schema_version > SCALED_VERSION:
        return states
    shape = StateShape(length=head.length, n_features=head.n_features, scores=head.scores)
    upgraded = np.empty(len(states), shape.row)
    upgraded["index"], upgraded["threshold"] = states["index"], states["threshold"]
    windows, saved = upgraded["windows"], states["windows"]
    windows["values"] = scaler.restore(saved["values"])
    windows["last_step"], windows["first_step"] = saved["last_step"], saved["first_step"]
    return upgraded
