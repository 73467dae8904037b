"""A sample of windows in the latent space, and its projections on a plane."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from stream_vae.evaluate.history import History

Encode = Callable[[NDArray[np.float64], NDArray[np.int64]], NDArray[np.float64]]
"""(B, T, F) windows in input units and (B,) end times -> (B, Z) posterior means."""

_NORMAL, _ANOMALOUS = 1000, 500
_PERPLEXITY = 30.0
_FEWEST = 10


class LatentSample:
    """Collects the latent means of some readings' windows while a history runs.

    Args:
        labels: (N,) 0 normal, 1 anomalous, -1 unlabelled (not drawn).
        encode: Of the model.
        rng: Draws at most 1,000 normal and 500 anomalous readings.
    """

    def __init__(self, labels: NDArray[np.int8], encode: Encode, rng: np.random.Generator) -> None:
        self._encode = encode
        self._is_wanted = np.zeros(len(labels), np.bool_)
        for kind, most in ((0, _NORMAL), (1, _ANOMALOUS)):
            self._is_wanted[rng.permutation(np.flatnonzero(labels == kind))[:most]] = True
        self._rows: list[NDArray[np.int64]] = []
        self._means: list[NDArray[np.float64]] = []

    def see(
        self,
        rows: NDArray[np.int64],
        windows: NDArray[np.float64],
        end_times: NDArray[np.int64],
    ) -> None:
        """Take what is wanted of B windows that end at these rows of the history."""
        wanted = self._is_wanted[rows]
        if wanted.any():
            self._rows.append(rows[wanted])
            self._means.append(self._encode(windows[wanted], end_times[wanted]))

    def project(
        self, history: History, labels: NDArray[np.int8], *, seed: int
    ) -> "LatentPlanes | None":
        """Return the sample on planes; None if it has too few windows."""
        if sum(map(len, self._rows)) < _FEWEST:
            return None
        rows, means = np.concatenate(self._rows), np.concatenate(self._means)
        planes = {"PCA": _principal_plane(means), "t-SNE": _neighbour_plane(means, seed)}
        return LatentPlanes(
            planes=planes, is_anomalous=labels[rows] == 1, score=history.score[rows]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentPlanes:
    """M windows of the latent space, projected."""

    planes: dict[str, NDArray[np.float64]]
    """Name of the projection -> (M, 2)."""
    is_anomalous: NDArray[np.bool_]
    """(M,) label of the newest reading."""
    score: NDArray[np.float64]
    """(M,)"""


def _principal_plane(means: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = means - means.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((len(means), 2))
    kept = centred @ axes[:2].T
    plane[:, : kept.shape[1]] = kept  # a latent of one dimension lies on a line
    return plane


def _neighbour_plane(means: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    perplexity = min(_PERPLEXITY, (len(means) - 1) / 3)
    projection = import_module("sklearn.manifold").TSNE(
        perplexity=perplexity, init="random", random_state=seed
    )
    plane: NDArray[np.float64] = projection.fit_transform(means)
    return plane
