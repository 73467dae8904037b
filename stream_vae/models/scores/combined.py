"""Several scores as one."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from stream_vae.errors import BundleError
from stream_vae.models.outputs import WindowOutput
from stream_vae.models.scores.score import FittingData, Score
from stream_vae.models.scores.single import SINGLE_SCORES

_TAIL = 0.1
"""Share of the held-out scores that the tail beyond the largest is extrapolated from."""

_QUANTILES = "quantiles"


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined(Score):
    """Fisher's rule on the tail probabilities of several scores among held-out windows.

    The score is -sum(log p), nats, where p is the probability that a held-out window scores as high
    or higher: interpolated between the n quantiles of the calibration, (rank + 1) / (n + 1) at
    each, so it is never 0; beyond the largest it falls exponentially with the mean excess over the
    90 % quantile. The scores are not independent, so the sum is no chi-square; it is calibrated
    like any other score. Contributions are those of the scores, in shares, each weighted by its
    -log p.

    References:
        Fisher (1932), Statistical Methods for Research Workers, 4th edition, section 21.1.
    """

    name: ClassVar[str] = "combined"
    scores: tuple[Score, ...]
    """Two or more."""
    quantiles: tuple[Tensor, ...]
    """Of each, (n,) evenly spaced quantiles of held-out scores, ascending, float64."""

    def __call__(self, output: WindowOutput) -> tuple[Tensor, Tensor]:
        """Score windows."""
        values: dict[str, Tensor] = {}
        parts = torch.zeros((), device=output.observed.device)
        for score, quantiles in zip(self.scores, self.quantiles, strict=True):
            value, part = score(output)
            values[score.name] = value.double()
            share = part / part.sum(dim=1, keepdim=True).clamp(min=1e-30)
            surprisal = tail_surprisal(values[score.name], quantiles)
            parts = parts + surprisal[:, None] * share
        return self.total(values), parts

    def total(self, values: Mapping[str, Tensor]) -> Tensor:
        """Return the (B,) scores of windows for which each combined score was computed.

        Args:
            values: Score -> (B,) float64.
        """
        total = torch.zeros((), dtype=torch.float64)
        for score, quantiles in zip(self.scores, self.quantiles, strict=True):
            total = total.to(quantiles) + tail_surprisal(values[score.name], quantiles)
        return total

    def misfit(self, output: WindowOutput) -> str:
        """Return what the combined scores hold, or which quantiles are none."""
        for quantiles in self.quantiles:
            if quantiles.ndim != 1 or len(quantiles) < 2 or bool((quantiles.diff() < 0).any()):
                return f"quantiles of shape {tuple(quantiles.shape)} that do not ascend"
        return next(filter(None, (score.misfit(output) for score in self.scores)), "")

    @classmethod
    def fitted(cls, data: FittingData) -> Self | None:
        """Return None: it is made of fitted scores, by `of`."""
        return None

    @classmethod
    def of(cls, scores: Mapping[str, Score], quantiles: Mapping[str, Tensor]) -> Self:
        """Return the combination of fitted scores with their quantiles, by name."""
        return cls(
            scores=tuple(scores[name] for name in sorted(scores)),
            quantiles=tuple(quantiles[name].double() for name in sorted(scores)),
        )

    def state(self) -> dict[str, Tensor]:
        """Return the tensors of the scores as `SCORE.TENSOR`, and of each `SCORE.quantiles`."""
        state: dict[str, Tensor] = {}
        for score, quantiles in zip(self.scores, self.quantiles, strict=True):
            # Copies: a bundle's file cannot hold one tensor under two names.
            of_score = {_QUANTILES: quantiles, **score.state()}
            state |= {f"{score.name}.{name}": one.cpu().clone() for name, one in of_score.items()}
        return state

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], device: torch.device) -> Self:
        """Return the score that `state` was taken from.

        Raises:
            BundleError: If the tensors are not those of known scores.
        """
        states: dict[str, dict[str, Tensor]] = {}
        for full_name, tensor in state.items():
            score, _, name = full_name.partition(".")
            states.setdefault(score, {})[name] = tensor
        if not states or any(
            score not in SINGLE_SCORES or _QUANTILES not in own for score, own in states.items()
        ):
            raise BundleError(
                f"score {cls.name}: found tensors {sorted(state)}, expected those of the scores "
                "that it combines, with quantiles; a model trained before this score existed must "
                "be retrained to use it"
            )
        quantiles = {name: own.pop(_QUANTILES).to(device) for name, own in states.items()}
        scores = {name: SINGLE_SCORES[name].from_state(own, device) for name, own in states.items()}
        return cls.of(scores, quantiles)


def tail_surprisal(value: Tensor, quantiles: Tensor) -> Tensor:
    """Return -log of the probability that a held-out score is as high as each value, nats, > 0.

    Args:
        value: (B,) float64.
        quantiles: (n,) evenly spaced quantiles of the held-out scores, ascending, float64.
    """
    n = len(quantiles)
    surprisal = -torch.log(torch.arange(n, 0, -1, device=value.device).double() / (n + 1))
    above = torch.searchsorted(quantiles, value.contiguous(), right=True).clamp(1, n - 1)
    low, high = quantiles[above - 1], quantiles[above]
    share = ((value - low) / (high - low).clamp(min=1e-300)).clamp(0, 1)
    within = surprisal[above - 1] + share * (surprisal[above] - surprisal[above - 1])
    tail = quantiles[-math.ceil(_TAIL * n) :]
    # Scores that are all alike have no tail; the size of the scores is then the scale.
    scale = torch.maximum((tail - tail[0]).mean(), 1e-6 * tail[-1].abs() + 1e-12)
    return within + (value - quantiles[-1]).clamp(min=0) / scale
