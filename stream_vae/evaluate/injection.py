"""Faults injected into readings, for a detector to find."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature
from stream_vae.core.scaling import Scaler
from stream_vae.models.provenance import FaultKind

KINDS: tuple[FaultKind, ...] = get_args(FaultKind)

DURATIONS: tuple[FaultKind, ...] = ("stuck value", "swap")
"""Kinds whose size is how many readings they last."""

DEVIATIONS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0)
"""Sizes of spikes, level shifts and drifts: standard deviations of the training data."""

_SPIKE, _SHIFT, _DRIFT, _STUCK, _SWAP = range(len(KINDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Injections:
    """N faults, each of which begins with the first reading of a stretch of its own.

    `spike`: one reading is off by the size; `level shift`: all are; `drift`: they are off by a
    share of it that rises to the whole within one window, and stays; `stuck value`: for so many
    readings the value does not change; `swap`: for so many readings two features exchange their
    values, each in its own unit, so that only their relation to the others tells.
    """

    place: NDArray[np.int64]
    """(N,) which stretch."""
    kind: NDArray[np.int64]
    """(N,) position in `KINDS`."""
    feature: NDArray[np.int64]
    """(N,)"""
    partner: NDArray[np.int64]
    """(N,) the other feature of a swap."""
    size: NDArray[np.float64]
    """(N,) > 0"""
    sign: NDArray[np.float64]
    """(N,) 1 or -1: where to values are off."""

    def __len__(self) -> int:
        return len(self.place)

    def take(self, which: NDArray[Any]) -> "Injections":
        """Return some of them, by position or as a mask."""
        return Injections(
            place=self.place[which],
            kind=self.kind[which],
            feature=self.feature[which],
            partner=self.partner[which],
            size=self.size[which],
            sign=self.sign[which],
        )


def joined(parts: Sequence[Injections]) -> Injections:
    """Return the faults of all parts, one part after the other."""
    names = [field.name for field in fields(Injections)]
    empty = np.empty(0, np.int64)
    return Injections(
        **{name: np.concatenate([empty, *(getattr(one, name) for one in parts)]) for name in names}
    )


def fault_sizes(window_length: int) -> Mapping[FaultKind, tuple[float, ...]]:
    """Return the sizes tried of each kind, ascending; see `FaultSizes`.

    >>> fault_sizes(32)["stuck value"]
    (16.0, 32.0, 64.0)
    """
    T = window_length
    durations = tuple(map(float, sorted({max(T // 2, 2), max(T, 2), 2 * T})))
    return {kind: durations if kind in DURATIONS else DEVIATIONS for kind in KINDS}


def inject(
    values: NDArray[np.float64],
    faults: Injections,
    *,
    scaler: Scaler,
    features: tuple[Feature, ...],
    rise: int,
) -> NDArray[np.float64]:
    """Return (N, H, F) readings with one fault each; what was not observed stays so.

    Args:
        values: (N, H, F) in input units, NaN = not observed. Unchanged.
        faults: N; of numeric features and counts.
        scaler: Its unit of each feature is the one of the sizes.
        features: F.
        rise: Readings in which a drift reaches its size.
    """
    N, H, F = values.shape
    each, step = np.arange(N), np.arange(H)
    off = np.zeros((N, H))
    off[faults.kind == _SHIFT] = 1.0
    off[faults.kind == _DRIFT] = np.minimum((step + 1) / rise, 1.0)
    first = np.isfinite(values[each, :, faults.feature]).argmax(axis=1)
    spikes = np.flatnonzero(faults.kind == _SPIKE)
    off[spikes, first[spikes]] = 1.0
    by = np.zeros((N, H, F))
    by[each, :, faults.feature] = off * (faults.size * faults.sign)[:, None]
    changed = np.where(by != 0, scaler.moved(values, by), values)
    lasts = step < faults.size[:, None]  # (N, H) of faults whose size is how long they last
    for n in np.flatnonzero(faults.kind == _STUCK).tolist():
        column = changed[n, :, faults.feature[n]]
        held = lasts[n] & np.isfinite(column)
        column[held] = column[first[n]]
    for n in np.flatnonzero(faults.kind == _SWAP).tolist():
        pair, crossed = (
            [faults.feature[n], faults.partner[n]],
            [faults.partner[n], faults.feature[n]],
        )
        scaled = scaler.transform(values[n, lasts[n]])
        scaled[:, pair] = scaled[:, crossed]
        changed[np.ix_([n], lasts[n], pair)] = scaler.inverse(scaled)[:, pair]
    counts = [f for f, feature in enumerate(features) if feature.kind == "count"]
    changed[..., counts] = np.rint(changed[..., counts])
    return changed
