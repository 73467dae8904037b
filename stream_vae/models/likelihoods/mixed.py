"""Likelihoods of features of several kinds, side by side."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from stream_vae.models.likelihoods.likelihood import Likelihood
from stream_vae.models.outputs import Reconstruction


class Mixed(Likelihood):
    """One likelihood per kind of feature, each for its own columns.

    Args:
        heads: Kind -> likelihood of its features, in their order.
        columns: Kind -> positions of its features among all F.
    """

    def __init__(
        self, heads: Mapping[str, Likelihood], columns: Mapping[str, Sequence[int]]
    ) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(heads)
        self.n_outputs = sum(head.n_outputs for head in heads.values())
        self._columns = {kind: tuple(columns[kind]) for kind in heads}

    def forward(self, states: Tensor) -> Tensor:
        """Return the outputs of all heads side by side (B, T, P)."""
        return torch.cat([head(states) for head in self._heads().values()], dim=-1)

    def reconstruct(self, values: Tensor, samples: Sequence[Tensor]) -> "MixedReconstruction":
        """Compare values with the outputs of L samples, each kind by its own head."""
        heads = self._heads()
        widths = [head.n_outputs for head in heads.values()]
        # Contiguous: torch's functions give other last bits for strided input.
        of_samples = [
            [part.contiguous() for part in torch.split(one, widths, dim=-1)] for one in samples
        ]
        parts = [
            head.reconstruct(
                values[..., list(self._columns[kind])].contiguous(),
                [of_one[i] for of_one in of_samples],
            )
            for i, (kind, head) in enumerate(heads.items())
        ]
        return MixedReconstruction(parts, list(self._columns.values()))

    def scales(self) -> Sequence[nn.Parameter]:
        """Return those of all heads."""
        return [scale for head in self._heads().values() for scale in head.scales()]

    def _heads(self) -> dict[str, Likelihood]:
        return {kind: head for kind, head in self.heads.items() if isinstance(head, Likelihood)}


class MixedReconstruction:
    """Values of several kinds under their likelihoods; a `Reconstruction`.

    Args:
        parts: (B, T, F_i) of each kind.
        columns: Positions of each part's features among all F.
    """

    def __init__(self, parts: Sequence[Reconstruction], columns: Sequence[Sequence[int]]) -> None:
        self._parts = parts
        self._columns = columns
        order = [column for of_part in columns for column in of_part]
        self._place = [order.index(column) for column in range(len(order))]

    @cached_property
    def log_probability(self) -> Tensor:
        """Log-probability, nats."""
        return self._together([part.log_probability for part in self._parts])

    @cached_property
    def deviance(self) -> Tensor:
        """Unit deviance, nats."""
        return self._together([part.deviance for part in self._parts])

    @cached_property
    def squared_residual(self) -> Tensor:
        """Squared distance to the expected value, scaled units."""
        return self._together([part.squared_residual for part in self._parts])

    @cached_property
    def expected(self) -> Tensor:
        """Expected value, scaled units."""
        return self._together([part.expected for part in self._parts])

    @cached_property
    def spread(self) -> Tensor:
        """Spread, scaled units."""
        return self._together([part.spread for part in self._parts])

    @cached_property
    def residuals(self) -> Sequence[Tensor]:
        """Difference to the expected value of each posterior sample, scaled units."""
        of_parts = [part.residuals for part in self._parts]
        return [self._together(of_one) for of_one in zip(*of_parts, strict=True)]

    def newest(self, n_steps: int = 1) -> "MixedReconstruction":
        """Return the newest n steps alone."""
        return MixedReconstruction([part.newest(n_steps) for part in self._parts], self._columns)

    def _together(self, arrays: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(arrays), dim=-1)[..., self._place].contiguous()
