"""What the encoder is given of a window."""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from stream_vae.core.model_spec import Feature
from stream_vae.models.config import ArchitectureConfig
from stream_vae.models.likelihoods.categorical import category_codes
from stream_vae.models.vae.calendar import CALENDAR_INPUTS


class WindowInputs(nn.Module):
    """Scaled windows as inputs: values, categories, which were observed, the calendar.

    Args:
        features: F, in the order of the windows' columns.
        architecture: Whether calendar inputs are given, and how categories are.

    References:
        Guo & Berkhahn (2016), Entity Embeddings of Categorical Variables.
    """

    def __init__(self, features: Sequence[Feature], architecture: ArchitectureConfig) -> None:
        super().__init__()
        positions = range(len(features))
        self._columns = [f for f in positions if features[f].kind == "categorical"]
        self._others = [f for f in positions if f not in self._columns]
        self._sizes = [len(features[f].categories) for f in self._columns]
        ends = list(accumulate(size + 1 for size in self._sizes))
        # Of the places of all categories side by side, those of each feature begin here.
        self._begins = [0, *ends[:-1]][: len(ends)]
        self._n_places = n_categorical = sum(self._sizes) + len(self._sizes)
        self.embedding: nn.Embedding | None = None
        if self._columns and architecture.categories == "embedding":
            self.embedding = nn.Embedding(self._n_places, architecture.embedding_size)
            n_categorical = len(self._columns) * architecture.embedding_size
            with torch.no_grad():  # training hardly ever shows an unseen category
                self.embedding.weight[[end - 1 for end in ends]] = 0
        n_calendar = CALENDAR_INPUTS if architecture.calendar else 0
        self.width = len(self._others) + n_categorical + len(features) + n_calendar
        """I, numbers per step."""

    def forward(self, values: Tensor, observed: Tensor, calendar: Tensor | None) -> Tensor:
        """Return (B, T, I): values, categories, observed, the calendar.

        What was not observed is 0, and so are all places of a category.

        Args:
            values: (B, T, F) scaled; entries that were not observed are ignored.
            observed: (B, T, F) bool.
            calendar: (B, T, 4), or None if the architecture has no calendar inputs.
        """
        seen = torch.where(observed, values, values.new_zeros(()))
        shown = observed.to(values.dtype)
        parts = [seen, shown]
        if self._columns:
            categories = self._categories(seen[..., self._columns], shown[..., self._columns])
            parts = [seen[..., self._others], categories, shown]
        if calendar is not None:
            parts.append(calendar)
        return torch.cat(parts, dim=-1)

    def _categories(self, codes: Tensor, shown: Tensor) -> Tensor:
        """Return each category in one of its feature's K + 1 places, `unseen` last, or embedded."""
        begins = torch.tensor(self._begins, device=codes.device)
        places = begins + category_codes(codes, self._sizes)
        if self.embedding is not None:
            vectors: Tensor = self.embedding(places) * shown.unsqueeze(-1)
            return vectors.flatten(-2)
        return shown.new_zeros((*shown.shape[:-1], self._n_places)).scatter(-1, places, shown)
