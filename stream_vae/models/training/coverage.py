"""Scores of held-out windows from which values are taken away."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stream_vae.core.coverage import Coverage
from stream_vae.models.reconstruct import Reconstructor
from stream_vae.models.scores.score import Score, missing_share
from stream_vae.models.training.training_windows import ANOMALOUS, WindowSet

_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8)
"""Shares taken away: of the cells of one half of the windows, of the steps of the other."""

_MOST_WINDOWS = 768
_BATCH = 256

_Pair = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Missing shares and scores, (B,) each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """Windows, a network that was not fitted to them, and scores of its output."""

    scores: Mapping[str, Score]
    """By name; the same names wherever several are given."""
    network: Reconstructor
    windows: WindowSet


def coverages(unseen: Sequence[Unseen], *, seed: int) -> dict[str, Coverage]:
    """Return score -> how it depends on the share of a window that is missing.

    Of the newest step something always stays, as in a window that ends with a reading. Windows of
    a single value are observed or not scored: they have no coverage.

    Args:
        unseen: Of the calibration; anomalous windows are left out.
        seed: Of what is taken away.
    """
    rng = np.random.default_rng(seed)
    levels: dict[str, list[list[_Pair]]] = {}
    for one in unseen:
        for name, pairs in _at_levels(one, _MOST_WINDOWS // len(unseen), rng).items():
            levels.setdefault(name, []).append(pairs)
    return {
        name: Coverage.of(
            [
                (np.concatenate([pair[0] for pair in level]), np.concatenate([p[1] for p in level]))
                for level in zip(*of_each, strict=True)
            ]
        )
        for name, of_each in levels.items()
    }


def _at_levels(unseen: Unseen, most: int, rng: np.random.Generator) -> dict[str, list[_Pair]]:
    """Return score -> missing shares and scores of at most so many windows, at each level."""
    held_out = unseen.windows
    normal = np.flatnonzero(held_out.labels() != ANOMALOUS)
    chosen = normal[:: max(-(-len(normal) // most), 1)]
    if not len(chosen) or held_out.window_length * held_out.steps.shape[1] < 2:
        return {}
    windows, times = held_out.take(chosen)
    found: dict[str, list[_Pair]] = {name: [] for name in unseen.scores}
    for level in (0.0, *_LEVELS):
        holes = _with_holes(windows, level, rng)
        for name, pair in _scored(unseen.scores, unseen.network, holes, times).items():
            found[name].append(pair)
    return found


def _with_holes(
    windows: NDArray[np.float32], share: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return windows with cells, or whole steps, taken away."""
    W, T, F = windows.shape
    gone = rng.random((W, T, F)) < share
    gone[::2] = rng.random((len(gone[::2]), T, 1)) < share
    gone[::2, -1] = False
    # One value that was observed at the newest step stays.
    order = np.where(np.isfinite(windows[:, -1]), rng.random((W, F)), -1.0)
    gone[np.arange(W), -1, order.argmax(axis=1)] = False
    return np.where(gone, np.float32(np.nan), windows)


def _scored(
    scores: Mapping[str, Score],
    reconstructor: Reconstructor,
    windows: NDArray[np.float32],
    times: NDArray[np.int64],
) -> dict[str, _Pair]:
    """Return score -> missing shares and scores of windows."""
    parts: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {name: [] for name in scores}
    for rows in _batches(len(windows)):
        output = reconstructor.reconstruct(windows[rows], times[rows])
        n = rows.stop - rows.start
        for name, score in scores.items():
            weight = score.step_weight(windows.shape[1]).to(output.observed.device)
            pair = (missing_share(output, weight)[:n], score(output)[0][:n])
            parts[name].append(pair)
    return {
        name: (
            torch.cat([one for one, _ in pairs]).double().cpu().numpy(),
            torch.cat([one for _, one in pairs]).double().cpu().numpy(),
        )
        for name, pairs in parts.items()
    }


def _batches(n: int) -> Iterator[slice]:
    return (slice(at, min(at + _BATCH, n)) for at in range(0, n, _BATCH))
