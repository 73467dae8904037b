"""Residuals of any other detector under the model's own scores."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from stream_vae.errors import ConfigError
from stream_vae.models.likelihoods import GaussianReconstruction
from stream_vae.models.outputs import WindowOutput
from stream_vae.models.scores import SCORES
from stream_vae.models.scores.score import FittingData, HeldOut

_LEAST_SIGMA = 1e-3
_BATCH = 1024


class ResidualScorer:
    """Scores the residuals of a detector as if they were the network's.

    The likelihood is a Gaussian with the held-out residuals' root mean square per feature as sigma.

    Args:
        name: One of `stream_vae.models.scores.SCORES`.
        held_out: (W, T, F) residuals of held-out windows, to which the score is fitted.

    Raises:
        ConfigError: If the score needs more than residuals.
    """

    def __init__(self, name: str, held_out: NDArray[np.float32]) -> None:
        mean_square = (held_out.astype(np.float64) ** 2).mean(axis=(0, 1))
        sigma = torch.from_numpy(np.sqrt(mean_square).astype(np.float32))
        self._sigma = sigma.clamp(min=_LEAST_SIGMA)
        data = FittingData(
            n_features=held_out.shape[2],
            device=torch.device("cpu"),
            held_out=[HeldOut(outputs=[*self._outputs(held_out)])],
        )
        score = SCORES[name].fitted(data)
        if score is None:
            raise ConfigError(f"score: found {name!r}, expected one of residuals alone")
        self._score = score

    def score(self, residual: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return (B,) scores of (B, T, F) residuals; higher = more anomalous."""
        parts = [self._score(output)[0].double().numpy() for output in self._outputs(residual)]
        return np.concatenate(parts)

    def _outputs(self, residual: NDArray[np.float32]) -> Iterator[WindowOutput]:
        for at in range(0, len(residual), _BATCH):
            values = torch.from_numpy(residual[at : at + _BATCH])
            reconstruction = GaussianReconstruction(
                values, means=[torch.zeros_like(values)], sigma=self._sigma
            )
            yield WindowOutput(reconstruction, torch.ones_like(values, dtype=torch.bool))
