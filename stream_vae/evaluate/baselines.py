"""Plain detectors a model has to be held against. All work on scaled windows without gaps."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from stream_vae.vae.scores import Reconstruction, ScoreFunction

Windows = NDArray[np.float32]
"""(B, T, F) scaled, all observed."""


class WindowModel(Protocol):
    """Anything that says what a window should have looked like."""

    def residual(self, windows: Windows) -> Windows:
        """Return (B, T, F) observed minus expected."""
        ...


class PcaWindows:
    """Principal components of whole windows: the linear autoencoder.

    Args:
        windows: (W, T, F) training windows.
        explained: Share of the variance that the kept components explain.
    """

    def __init__(self, windows: Windows, explained: float = 0.9) -> None:
        flat = windows.reshape(len(windows), -1).astype(np.float64)
        self._mean = flat.mean(axis=0)
        variance, axes = _principal_axes(flat - self._mean)
        kept = int(np.searchsorted(np.cumsum(variance) / variance.sum(), explained)) + 1
        self._axes = axes[:, :kept]

    def residual(self, windows: Windows) -> Windows:
        """Return (B, T, F) windows minus their projection on the components."""
        flat = windows.reshape(len(windows), -1) - self._mean
        rest = flat - (flat @ self._axes) @ self._axes.T
        return rest.reshape(windows.shape).astype(np.float32)


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
        return (flat - self._reference[nearest]).reshape(windows.shape)


class PcaT2Q:
    """Hotelling's T2 inside the principal components of single steps plus Q outside them.

    Both are divided by their 99 % quantile on held-out steps, and added.

    Args:
        steps: (N, F) training steps.
        held_out: (M, F) steps for the quantiles.
        explained: Share of the variance that the kept components explain.

    References:
        Jackson & Mudholkar (1979), Control Procedures for Residuals Associated With Principal
        Component Analysis, Technometrics 21.
    """

    def __init__(
        self, steps: NDArray[np.float32], held_out: NDArray[np.float32], explained: float = 0.9
    ) -> None:
        exact = steps.astype(np.float64)
        self._mean = exact.mean(axis=0)
        variance, axes = _principal_axes(exact - self._mean)
        kept = int(np.searchsorted(np.cumsum(variance) / variance.sum(), explained)) + 1
        self._axes, self._variance = axes[:, :kept], variance[:kept]
        self._limits = (1.0, 1.0)
        t2, q = self._statistics(held_out)
        self._limits = (float(np.quantile(t2, 0.99)), float(np.quantile(q, 0.99)))

    def score(self, steps: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return (N,) scores of (N, F) steps; higher = more anomalous."""
        t2, q = self._statistics(steps)
        return t2 / max(self._limits[0], 1e-12) + q / max(self._limits[1], 1e-12)

    def _statistics(
        self, steps: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        centred = steps - self._mean
        inside = centred @ self._axes
        outside = centred - inside @ self._axes.T
        return (inside**2 / self._variance).sum(axis=1), (outside**2).sum(axis=1)


def residual_variance(residual: Windows) -> NDArray[np.float64]:
    """Return (F,) mean squared residuals of held-out windows, for `score_residual`."""
    return (residual.astype(np.float64) ** 2).mean(axis=(0, 1))


def score_residual(
    score: ScoreFunction, residual: Windows, variance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (B,) scores of any residuals by one of the model's own score functions.

    The log-probability takes the held-out residual's standard deviation as its sigma.
    """
    made = Reconstruction(
        squared_residual=torch.from_numpy(residual**2),
        observed=torch.ones(residual.shape, dtype=torch.bool),
        sigma=torch.from_numpy(np.sqrt(variance).astype(np.float32)).clamp(min=1e-3),
        residual_variance=torch.from_numpy(variance.astype(np.float32)),
    )
    return score(made)[0].double().numpy()


def _principal_axes(centred: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return variances (D,), largest first and >= 0, and axes (D, D) as columns."""
    covariance = centred.T @ centred / max(len(centred) - 1, 1)
    variance, axes = np.linalg.eigh(covariance)
    return np.maximum(variance[::-1], 0.0), axes[:, ::-1]
