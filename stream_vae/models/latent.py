"""Where windows lie in the latent space."""

import numpy as np
import torch
from numpy.typing import NDArray

from stream_vae.errors import ShapeError
from stream_vae.models.bundle import Bundle
from stream_vae.models.device import resolve_device
from stream_vae.models.reconstruct import Reconstructor


class LatentEncoder:
    """Gives the posterior means of windows, for pictures of the latent space.

    Args:
        bundle: The trained model.
        device: auto, cpu, cuda or cuda:N.
    """

    def __init__(self, bundle: Bundle, device: str = "auto") -> None:
        self._scaler = bundle.spec.scaler
        self._reconstructor = Reconstructor(bundle, [], device=resolve_device(device))

    @torch.inference_mode()
    def encode(
        self, values: NDArray[np.float64], end_times: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return (B, Z) posterior means.

        Args:
            values: (B, T, F) in input units; NaN = not observed.
            end_times: (B,) start of the newest step, nanoseconds since 1970.
        """
        limit = self._reconstructor.max_batch
        parts = [
            self._encode(values[at : at + limit], end_times[at : at + limit])
            for at in range(0, len(values), limit)
        ]
        return np.concatenate(parts)

    def _encode(
        self, values: NDArray[np.float64], end_times: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        output = self._reconstructor.reconstruct(self._scaler.transform(values), end_times)
        if output.posterior is None:
            raise ShapeError("the model's output has no posterior")
        mean: NDArray[np.float64] = output.posterior.mean[: len(values)].double().cpu().numpy()
        return mean
