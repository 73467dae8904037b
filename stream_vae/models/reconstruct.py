"""Windows through the network, bit for bit independent of the batch."""

from collections.abc import Collection, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stream_vae.errors import ShapeError
from stream_vae.models.bundle import Bundle, build_model
from stream_vae.models.outputs import Posterior, WindowOutput
from stream_vae.models.scores.score import Score
from stream_vae.models.vae.calendar import calendar_inputs

SMALLEST_BATCH = 8
"""Below this the matrix kernels add in another order and the last bits differ."""


class Reconstructor:
    """Encodes and decodes windows; other windows in the batch and the position change no bit.

    All windows share the posterior noise drawn from the bundle's seed (common random numbers), and
    a batch is padded to one of a few sizes for which this device gives identical results.

    Args:
        bundle: The trained model; its architecture tells L, posterior samples per window.
        scores: Those that will be computed from the result; they must be identical too.
        device: Where to compute.
        max_batch: Most windows per call, and the largest padded size.
    """

    def __init__(
        self,
        bundle: Bundle,
        scores: Collection[Score],
        *,
        device: torch.device,
        max_batch: int = 256,
    ) -> None:
        self.max_batch = max(max_batch, SMALLEST_BATCH)
        self._model = build_model(bundle, device)
        self._scores = scores
        self._device = device
        self._clip = bundle.spec.scaler.clip
        self._calendar = bundle.architecture.calendar
        self._step_ns = round(bundle.spec.step_seconds * 1e9)
        self._window_shape = (bundle.spec.window_length, len(bundle.spec.features))
        noise = np.random.default_rng(bundle.noise_seed).standard_normal(
            (bundle.architecture.samples, bundle.architecture.latent_size)
        )
        self._noise = torch.as_tensor(noise.astype(np.float32), device=device)
        self._buffers: dict[int, NDArray[np.float32]] = {}
        self.sizes = self._sizes_that_agree()
        self._buffers = {size: self._buffers[size] for size in self.sizes}

    @torch.inference_mode()
    def reconstruct(
        self, values: NDArray[np.float32], end_times: NDArray[np.int64]
    ) -> WindowOutput:
        """Return the model's output for windows, padded; the first B rows are the caller's.

        Args:
            values: (B, T, F) scaled, B <= max_batch; not finite = not observed.
            end_times: (B,) start of the newest step, nanoseconds since 1970.

        Raises:
            ShapeError: If the shapes are not the model's.
        """
        B = len(values)
        if values.shape[1:] != self._window_shape or end_times.shape != (B,):
            raise ShapeError(
                f"values {values.shape} and end_times {end_times.shape}, expected (B, "
                f"{self._window_shape[0]}, {self._window_shape[1]}) and (B,)"
            )
        size = next(size for size in self.sizes if size >= B)
        return self._reconstruct(values, end_times, size)

    def _reconstruct(
        self, values: NDArray[np.float32], end_times: NDArray[np.int64], size: int
    ) -> WindowOutput:
        raw = self._padded(values, size)
        observed = torch.isfinite(raw)
        scaled = torch.where(observed, raw, 0.0).clamp_(-self._clip, self._clip)
        calendar = self._padded_calendar(end_times, size)
        encoding = self._model.encode(scaled, observed, calendar)
        latent, context = encoding.latent, encoding.mean_context
        samples = [
            self._model.decode(latent.sample(noise), calendar, context) for noise in self._noise
        ]
        reconstruction = self._model.likelihood.reconstruct(scaled, samples)
        return WindowOutput(reconstruction, observed, Posterior(*latent), scaled)

    def _padded(self, values: NDArray[np.float32], size: int) -> Tensor:
        """Copy the windows into the buffer of this size; the rest counts as not observed."""
        buffer = self._buffers.get(size)
        if buffer is None:
            buffer = self._buffers[size] = np.empty((size, *self._window_shape), np.float32)
        buffer[: len(values)] = values
        buffer[len(values) :] = np.nan
        return torch.from_numpy(buffer).to(self._device)

    def _padded_calendar(self, end_times: NDArray[np.int64], size: int) -> Tensor | None:
        if not self._calendar:
            return None
        padded = np.zeros(size, np.int64)
        padded[: len(end_times)] = end_times
        inputs = calendar_inputs(padded, self._window_shape[0], self._step_ns)
        return torch.from_numpy(inputs).to(self._device)

    @torch.inference_mode()
    def _sizes_that_agree(self) -> tuple[int, ...]:
        """Return the padded sizes at which a probe gives the same bits as at the largest."""
        rng = np.random.default_rng(0)
        probe = rng.standard_normal((self.max_batch, *self._window_shape)).astype(np.float32)
        probe[rng.random(probe.shape) < 0.1] = np.nan
        times = rng.integers(0, 2**60, self.max_batch)
        reference = self._reconstruct(probe, times, self.max_batch)
        expected = tuple(self._compared(reference))
        sizes = [self.max_batch]
        size = SMALLEST_BATCH
        while size < self.max_batch:
            # From an odd row and up to the last one: a window's position must not matter either.
            places = [slice(at, at + size) for at in {0, min(3, self.max_batch - size)}]
            places.append(slice(self.max_batch - size, self.max_batch))
            if all(
                torch.equal(one, of_largest[rows])
                for rows in places
                for one, of_largest in zip(
                    self._compared(self._reconstruct(probe[rows], times[rows], size)),
                    expected,
                    strict=True,
                )
            ):
                sizes.append(size)
            size *= 2
        return tuple(sorted(sizes))

    def _compared(self, output: WindowOutput) -> Iterator[Tensor]:
        """Yield what must not depend on the batch: the newest expected values and all scores."""
        yield output.expected[:, -1]
        for score in self._scores:
            yield from score.witness(output)
