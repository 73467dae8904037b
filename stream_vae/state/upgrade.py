"""Upgrade of state saved by an earlier release."""

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.scaling import Scaler
from stream_vae.core.state_layout import PartHead
from stream_vae.wire.snapshots import RowHead
from stream_vae.wire.snapshots_v1 import SCALED_WINDOWS, scaled_windows


def windows_of_version_1(
    head: RowHead, rows: NDArray[np.void], row: np.dtype[np.void], scaler: Scaler
) -> NDArray[np.void] | None:
    """Return the windows of rows of version 1 in input units, less what was clipped.

    Scaling them gives the saved values bit for bit.

    Args:
        head: Of the rows.
        rows: (K,) with the bytes of each part.
        row: Type of this release's windows.
        scaler: Of the model that saved them.

    Returns:
        (K,) of type `row`; None if they are of another shape.
    """
    saved_type = scaled_windows(*row["values"].shape)
    if PartHead.of(SCALED_WINDOWS, saved_type) not in head.parts:
        return None
    saved = rows[SCALED_WINDOWS].view(saved_type)
    windows = np.empty(len(saved), row)
    windows["values"] = scaler.restore(saved["values"])
    windows["last_step"], windows["first_step"] = saved["last_step"], saved["first_step"]
    return windows
