"""The score of the feature that is farthest off, over one step or a few."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from stream_vae.models.outputs import WindowOutput
from stream_vae.models.scores.score import FittingData, Score, mean_residual

SPANS = (1, 3, 10)
"""Newest steps that are judged together: a burst, what stops, and what changes for good."""

_LEVEL = 0.99
"""Quantile of held-out windows that tells how wide a feature scatters."""
_LEAST_BEYOND = 5
"""Windows beyond it, or of few windows the largest would be the scale, and none be surprising."""
_LEAST_LEVEL = 0.75
_MOST_EVIDENCE = 8_000_000
"""Numbers kept of held-out windows, which bounds the memory of fitting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstFeature(Score):
    """The largest surprise of any feature, above or below the expected, over the newest steps.

    A value's departure is the square root of its deviance, with the sign of the residual: about
    standard normal where the model is right, whatever the kind of the feature. Those of the newest
    1, 3 and 10 steps are added up, over the square root of how many were observed, and divided by
    the `scale`; the score is half the square of the largest sum, in nats: up to a term that grows
    with its logarithm, -log of the probability of as much. So one feature alone, which a mean over
    many would hide, is told, and a small departure that lasts. Steps of opposite sign cancel.

    References:
        Tippett (1931), The Methods of Statistics: the smallest of several p-values.
        McCullagh & Nelder (1989), Generalized Linear Models, section 2.4.3: deviance residuals.
    """

    name: ClassVar[str] = "worst_feature"
    scale: Tensor
    """(2, K, F) of sums below and above the expected, over each span, >= 1."""

    def __call__(self, output: WindowOutput) -> tuple[Tensor, Tensor]:
        """Score windows."""
        total = departures(output)
        scale = self.scale.to(total.dtype)
        surprise = 0.5 * (total / torch.where(total < 0, scale[0], scale[1])) ** 2
        part = surprise.amax(dim=1)
        return part.amax(dim=1), part

    def step_weight(self, n_steps: int) -> Tensor:
        """Return (T,) how much a step weighs in the means over the spans, all together."""
        age = torch.arange(n_steps - 1, -1, -1)
        return sum(((age < span) / span for span in SPANS), torch.zeros(n_steps))

    @classmethod
    def fitted(cls, data: FittingData) -> Self:
        """Return the score with the scales of held-out windows; 1 of too few, or none observed.

        A scale never is below that of the model, by which a rare event is as surprising as it is
        rare even if none was among the windows.
        """
        K, F = len(SPANS), data.n_features
        found, room = [np.zeros((0, K, F), np.float32)], _MOST_EVIDENCE // (K * F)
        for output in data.held_out_outputs():
            is_window = output.observed.any(dim=2).any(dim=1)
            found.append(departures(output)[is_window][:room].cpu().numpy())
            room -= len(found[-1])
        total = np.concatenate(found)
        scale = np.ones((2, K, F))
        level = min(_LEVEL, 1 - _LEAST_BEYOND / max(len(total), 1))
        if level > _LEAST_LEVEL:
            sides = np.stack([np.quantile(side, level, axis=0) for side in (-total, total)])
            scale = np.maximum(sides / NormalDist().inv_cdf(level), 1.0)
        return cls(scale=torch.from_numpy(scale).to(data.device))


def departures(output: WindowOutput) -> Tensor:
    """Return (B, K, F) sums of signed roots of deviances over the spans, over roots of counts.

    0 where nothing was observed.
    """
    newest = output.newest(max(SPANS))
    one = torch.sqrt(newest.deviance)
    signed = torch.where(mean_residual(newest) < 0, -one, one)
    sums = []
    for span in SPANS:
        count = newest.observed[:, -span:].sum(dim=1).clamp(min=1)
        sums.append(signed[:, -span:].sum(dim=1) / torch.sqrt(count.to(one.dtype)))
    return torch.stack(sums, dim=1)
