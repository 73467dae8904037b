"""Scores of windows from a bundle."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stream_vae.core.model_spec import ExpectedWindows, Scores
from stream_vae.core.score_names import unusable_score
from stream_vae.errors import ConfigError, ShapeError
from stream_vae.models.bundle import Bundle, build_score
from stream_vae.models.device import resolve_device
from stream_vae.models.outputs import WindowOutput
from stream_vae.models.reconstruct import Reconstructor
from stream_vae.models.scores.score import missing_share
from stream_vae.models.scores.tracked import Tracked

_Number = TypeVar("_Number", np.float32, np.float64)


class WindowScorer:
    """Scores windows with one bundle on one device.

    The same bundle gives a window the same score, bit for bit, for any batch and any position in
    it. Call it from one thread at a time; nothing else may change torch's thread count meanwhile.

    Args:
        bundle: The trained model.
        score: One that the bundle is calibrated for, or `auto` for the one chosen at training.
        device: auto, cpu, cuda or cuda:N.
        max_batch: Most windows computed at once; longer calls are split.
        with_log_probability: Also return the log-probability of each value of the newest step.

    Raises:
        ConfigError: If the score, the device or a number cannot be used.
        BundleError: If the bundle's weights do not fit its architecture, or it lacks the score's
            fitted tensors.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        score: str = "auto",
        device: str = "auto",
        max_batch: int = 256,
        with_log_probability: bool = False,
    ) -> None:
        self.score_name = bundle.spec.score if score == "auto" else score
        if self.score_name not in bundle.spec.calibration:
            raise ConfigError(unusable_score(self.score_name, bundle.spec.calibration))
        if max_batch < 1:
            raise ConfigError(f"max_batch: found {max_batch}, expected >= 1")
        self.spec = bundle.spec
        self.device = resolve_device(device)
        self._score = build_score(bundle, self.score_name, self.device)
        self._reconstructor = Reconstructor(
            bundle, [self._score], device=self.device, max_batch=max_batch
        )
        # Overwritten by each call: float64 work and its result, as large as any batch.
        shape = (
            self._reconstructor.max_batch,
            bundle.spec.window_length,
            len(bundle.spec.features),
        )
        self._work, self._scaled = np.empty(shape), np.empty(shape, np.float32)
        self._with_log_probability = with_log_probability
        self._missing_weight = self._score.step_weight(shape[1]).to(self.device)
        self._step_weight: NDArray[np.float32] = self._score.step_weight(shape[1]).numpy()
        self._categorical = np.array([one.kind == "categorical" for one in bundle.spec.features])
        # Over a whole window at once: numpy's inner loop over F values alone takes twice as long.
        scaler, T = bundle.spec.scaler, bundle.spec.window_length
        self._window_scaler = scaler.repeated(T)

    def score(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
        """Score windows; implements `stream_vae.core.model_spec.Scorer`.

        Args:
            values: (B, T, F) in input units; NaN = not observed.
            end_times: (B,) start of the newest step, nanoseconds since 1970.

        Returns:
            Scores; that of a window with nothing observed is finite but meaningless.

        Raises:
            ShapeError: If the shapes are not the model's.
        """
        limit = self._reconstructor.max_batch
        if 0 < len(values) <= limit:
            return self._score_batch(values, end_times)
        parts = [
            self._score_batch(values[at : at + limit], end_times[at : at + limit])
            for at in range(0, max(len(values), 1), limit)
        ]
        return Scores(
            value=np.concatenate([part.value for part in parts]),
            contribution=np.concatenate([part.contribution for part in parts]),
            expected=np.concatenate([part.expected for part in parts]),
            expected_std=np.concatenate([part.expected_std for part in parts]),
            probability=_joined([part.probability for part in parts]),
            log_probability=_joined([part.log_probability for part in parts]),
            windows=tuple(chunk for part in parts for chunk in part.windows),
            evidence=_joined([part.evidence for part in parts]),
            missing=_joined([part.missing for part in parts]),
        )

    @torch.inference_mode()
    def _score_batch(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
        B = len(values)
        output = self._reconstructor.reconstruct(self._scale(values), end_times)
        evidence, residuals = None, []
        if isinstance(self._score, Tracked):
            residuals = self._score.residuals_of_members(output)
            evidence = self._score.evidence(output, residuals)
            score, parts = self._score.of_evidence(evidence)
        else:
            score, parts = self._score(output)
        windows = self._windows(output, residuals, B)
        expected = self.spec.scaler.inverse(windows.expected[:, -1])
        spread = windows.spread[:, -1].astype(np.float64)
        is_wanted = self._with_log_probability or self._categorical.any()
        log_probability = self._log_probability(output, values) if is_wanted else None
        return Scores(
            value=score[:B].double().cpu().numpy(),
            contribution=_shares(parts[:B]).cpu().numpy(),
            expected=expected,
            expected_std=self.spec.scaler.inverse_spread(spread, expected),
            probability=self._probability(log_probability),
            log_probability=log_probability if self._with_log_probability else None,
            windows=(windows,),
            evidence=None if evidence is None else evidence[:B].cpu().numpy(),
            missing=missing_share(output, self._missing_weight)[:B].cpu().numpy(),
        )

    def _windows(
        self, output: WindowOutput, residuals: Sequence[Tensor], n: int
    ) -> ExpectedWindows:
        """Return all steps of the first n windows; on the CPU views of the model's output."""
        logs = output.log_probability[:n].cpu().numpy() if self._categorical.any() else None
        return ExpectedWindows(
            expected=output.expected[:n].cpu().numpy(),
            spread=output.spread[:n].cpu().numpy(),
            step_weight=self._step_weight,
            log_probability=logs,
            residuals=tuple(residual[:n].cpu().numpy() for residual in residuals),
        )

    def _log_probability(
        self, output: WindowOutput, values: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return (B, F) of the newest step; the mean over samples."""
        newest = output.newest().log_probability[: len(values), 0].double().cpu().numpy()
        return np.where(np.isnan(values[:, -1]), np.nan, newest)

    def _probability(
        self, log_probability: NDArray[np.float64] | None
    ) -> NDArray[np.float64] | None:
        """Return (B, F) probabilities of categories, if there are; over samples geometric means."""
        if log_probability is None or not self._categorical.any():
            return None
        return np.where(self._categorical, np.exp(np.minimum(log_probability, 0.0)), np.nan)

    def _scale(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return (B, T, F) scaled and clipped, in a buffer that the next call overwrites."""
        if values.shape[1:] != self._work.shape[1:]:
            raise ShapeError(
                f"values {values.shape}, expected (B, {self._work.shape[1]}, {self._work.shape[2]})"
            )
        B = len(values)
        flat = (B, self._window_scaler.mean.size)
        scaled = self._scaled[:B]
        self._window_scaler.transform_into(
            values.reshape(flat), self._work[:B].reshape(flat), scaled.reshape(flat)
        )
        return scaled


def _joined(parts: list[NDArray[_Number] | None]) -> NDArray[_Number] | None:
    found = [part for part in parts if part is not None]
    return np.concatenate(found) if found else None


def _shares(parts: Tensor) -> Tensor:
    """Return (B, F) parts divided by their row sums; equal shares where the sum is 0."""
    total = parts.sum(dim=1, keepdim=True)
    return torch.where(total > 0, parts / total.clamp(min=1e-30), 1.0 / parts.shape[1])
