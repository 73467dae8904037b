"""Rows of version 1 of the changelog: their shape in the header, their fields by position."""

import struct

import numpy as np

from stream_vae.core.state_layout import PartHead

HEADER = struct.Struct("<2sHI8sIIIq")
"""Magic, schema version, checksum, model, T, F, scores of a threshold, input offset."""

SCALED_WINDOWS = "scaled_windows"
"""Windows as scaled and clipped by the model that saved them."""

_INDEX = np.dtype(
    [
        ("arrived", "<i8"),
        ("offset", "<i8"),
        ("epoch", "<i8"),
        ("count", "<i8"),
        ("interval", "<f4"),
        ("warmed_up", "?"),
    ]
)


def parts(length: int, n_features: int, scores: int) -> tuple[PartHead, ...]:
    """Return the heads of a row's parts, which version 1 does not store.

    Args:
        length: T
        n_features: F
        scores: N, of a threshold.
    """
    threshold = np.dtype(
        [
            ("scores", "<f4", (scores,)),
            ("head", "<i4"),
            ("pending", "<i4"),
            ("run", "<i4"),
            ("threshold", "<f8"),
            ("start", "<f8"),
            ("scale", "<f8"),
            ("shape", "<f8"),
            ("body", "<f4", (33,)),
        ]
    )
    return (
        PartHead.of("index", _INDEX),
        PartHead.of(SCALED_WINDOWS, scaled_windows(length, n_features)),
        PartHead.of("threshold", threshold),
    )


def scaled_windows(length: int, n_features: int) -> np.dtype[np.void]:
    """Return the type of a row's windows."""
    values = ("values", "<f4", (length, n_features))
    return np.dtype([values, ("last_step", "<i8"), ("first_step", "<i8")])
