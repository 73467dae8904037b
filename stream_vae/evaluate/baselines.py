"""Baseline detectors for comparison. All work on scaled windows without gaps or categories."""

from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Windows = NDArray[np.float32]
"""(B, T, F) scaled, all observed."""

_LEAST = 1e-12


class WindowModel(Protocol):
    """A detector that reconstructs windows."""

    def residual(self, windows: Windows) -> Windows:
        """Return (B, T, F) observed minus expected."""
        ...


_WIDE = 2000
"""Values of a window above which components come from at most as many evenly spaced windows: the
covariance grows with the square of the values, its decomposition with their cube."""


def one_hot(scaled: Windows, category_counts: NDArray[np.int64]) -> Windows:
    """Return windows without gaps in which each category has a column of its own.

    Args:
        scaled: (B, T, F) NaN = not observed; becomes 0, of a category in all its columns.
        category_counts: (F,) categories K of each feature, whose scaled values are codes 0..K
            divided by K, where K, a category never seen, is 0 in all columns; 0 for a number.

    >>> counts = np.array([0, 2])
    >>> one_hot(np.array([[[1.5, 0.5]]], np.float32), counts).tolist()
    [[[1.5, 0.0, 1.0]]]
    """
    if not category_counts.any():
        return np.nan_to_num(scaled)
    columns = []
    for f, count in enumerate(category_counts.tolist()):
        column = scaled[..., f : f + 1]
        if count:
            column = (np.rint(column * count) == np.arange(count)).astype(np.float32)
        columns.append(np.nan_to_num(column))
    together: Windows = np.concatenate(columns, axis=-1)
    return together


class PcaWindows:
    """Principal components of whole windows: the linear autoencoder.

    Args:
        windows: (W, T, F) training windows.
        explained: Share of the variance that the kept components explain.
    """

    def __init__(self, windows: Windows, explained: float = 0.9) -> None:
        wide = windows[0].size > _WIDE
        every = -(-len(windows) // _WIDE) if wide else 1
        flat = windows[::every].reshape(-(-len(windows) // every), -1).astype(np.float64)
        self._mean = flat.mean(axis=0)
        flat -= self._mean
        if wide:
            _, singular, axes = np.linalg.svd(flat, full_matrices=False)
            variance, axes = singular**2 / len(flat), axes.T
        else:
            variance, axes = np.linalg.eigh(flat.T @ flat / len(flat))
            # Ascending; rounding can leave the smallest a little below zero.
            variance, axes = np.maximum(variance[::-1], 0.0), axes[:, ::-1]
        share = np.cumsum(variance) / max(variance.sum(), _LEAST)
        kept = min(int(np.searchsorted(share, explained)) + 1, len(share))
        self._axes: NDArray[np.float64] = axes[:, :kept]
        self._variance: NDArray[np.float64] = np.maximum(variance[:kept], _LEAST)

    def residual(self, windows: Windows) -> Windows:
        """Return (B, T, F) windows minus their projection on the components."""
        flat = windows.reshape(len(windows), -1) - self._mean
        rest: Windows = (flat - (flat @ self._axes) @ self._axes.T).astype(np.float32)
        return rest.reshape(windows.shape)

    def hotelling(self, windows: Windows) -> NDArray[np.float64]:
        """Return (B,) Hotelling's T2: squared distances from the mean within the components."""
        inside = (windows.reshape(len(windows), -1) - self._mean) @ self._axes
        t2: NDArray[np.float64] = (inside**2 / self._variance).sum(axis=1)
        return t2


class NearestWindow:
    """The nearest of a sample of training windows, by Euclidean distance.

    Args:
        windows: (W, T, F) training windows.
        most: Reference windows kept, drawn without replacement.
        rng: Draws them.
    """

    def __init__(self, windows: Windows, *, most: int, rng: np.random.Generator) -> None:
        chosen = np.sort(rng.permutation(len(windows))[:most])
        self._reference = windows[chosen].reshape(len(chosen), -1)
        self._squared_norm = (self._reference**2).sum(axis=1)

    def residual(self, windows: Windows) -> Windows:
        """Return (B, T, F) windows minus their nearest reference window."""
        flat = windows.reshape(len(windows), -1)
        # |x - r|^2 without |x|^2, which is the same for every r.
        nearest = (self._squared_norm - 2 * flat @ self._reference.T).argmin(axis=1)
        rest: Windows = flat - self._reference[nearest]
        return rest.reshape(windows.shape)


class T2Q:
    """Hotelling's T2 within the principal components plus the squared residual Q outside them.

    Both are divided by their 99 % quantile on held-out windows, and added.

    Args:
        pca: Fitted on training windows.
        held_out: (W, T, F) windows for the quantiles.

    References:
        Jackson & Mudholkar (1979), Control Procedures for Residuals Associated With Principal
        Component Analysis, Technometrics 21.
    """

    def __init__(self, pca: PcaWindows, held_out: Windows) -> None:
        self._pca = pca
        t2, q = self._statistics(held_out)
        self._limits = tuple(max(float(np.quantile(one, 0.99)), _LEAST) for one in (t2, q))

    def score(self, windows: Windows) -> NDArray[np.float64]:
        """Return (B,) scores; higher = more anomalous."""
        t2, q = self._statistics(windows)
        return t2 / self._limits[0] + q / self._limits[1]

    def _statistics(self, windows: Windows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        q: NDArray[np.float64] = (self._pca.residual(windows).astype(np.float64) ** 2).sum((1, 2))
        return self._pca.hotelling(windows), q


class FeatureZScores:
    """Each feature's distance from its training mean, in training standard deviations.

    Args:
        windows: (W, T, F) training windows.
    """

    def __init__(self, windows: Windows) -> None:
        self._mean = windows.mean(axis=(0, 1))
        self._std = np.maximum(windows.std(axis=(0, 1)), 1e-6)

    def residual(self, windows: Windows) -> Windows:
        """Return (B, T, F) distances, with their sign."""
        distance: Windows = ((windows - self._mean) / self._std).astype(np.float32)
        return distance

    def score(self, windows: Windows) -> NDArray[np.float64]:
        """Return (B,) the largest distance of any feature at the newest step."""
        newest = self.residual(windows[:, -1:]).astype(np.float64)
        largest: NDArray[np.float64] = np.abs(newest).max(axis=(1, 2))
        return largest


class IsolationForest:
    """scikit-learn's isolation forest on whole windows; it reconstructs nothing.

    Args:
        windows: (W, T, F) training windows.
        seed: Of its trees.

    References:
        Liu et al. (2008), Isolation Forest, ICDM.
    """

    def __init__(self, windows: Windows, *, seed: int) -> None:
        # scikit-learn takes a second to import, and few commands need it.
        forest: Any = import_module("sklearn.ensemble").IsolationForest(random_state=seed)
        self._forest = forest.fit(windows.reshape(len(windows), -1))

    def score(self, windows: Windows) -> NDArray[np.float64]:
        """Return (B,) scores; higher = more anomalous."""
        usual: NDArray[np.float64] = self._forest.score_samples(windows.reshape(len(windows), -1))
        return -usual
