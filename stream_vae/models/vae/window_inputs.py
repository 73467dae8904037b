"""What the encoder is given of a window."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from stream_vae.core.model_spec import Feature
from stream_vae.models.likelihoods.categorical import category_codes
from stream_vae.models.vae.calendar import CALENDAR_INPUTS


class WindowInputs:
    """Scaled windows as inputs: values, categories one-hot, which were observed, the calendar.

    Args:
        features: F, in the order of the windows' columns.
        calendar: Whether calendar inputs are given.
    """

    def __init__(self, features: Sequence[Feature], *, calendar: bool) -> None:
        self._sizes = {
            f: len(feature.categories)
            for f, feature in enumerate(features)
            if feature.kind == "categorical"
        }
        self._others = [f for f in range(len(features)) if f not in self._sizes]
        n_values = len(self._others) + sum(size + 1 for size in self._sizes.values())
        self.width = n_values + len(features) + (CALENDAR_INPUTS if calendar else 0)
        """I, numbers per step."""

    def __call__(self, values: Tensor, observed: Tensor, calendar: Tensor | None) -> Tensor:
        """Return (B, T, I): values, one-hot categories (`unseen` last), observed, the calendar.

        What was not observed is 0, and so are all K + 1 places of a category.

        Args:
            values: (B, T, F) scaled; entries that were not observed are ignored.
            observed: (B, T, F) bool.
            calendar: (B, T, 4), or None if the architecture has no calendar inputs.
        """
        seen = torch.where(observed, values, values.new_zeros(()))
        shown = observed.to(values.dtype)
        parts = [*self._expanded(seen, shown), shown]
        if calendar is not None:
            parts.append(calendar)
        return torch.cat(parts, dim=-1)

    def _expanded(self, seen: Tensor, shown: Tensor) -> list[Tensor]:
        """Return the values of other kinds, and each category in its K + 1 places."""
        if not self._sizes:
            return [seen]
        parts = [seen[..., self._others]]
        for f, size in self._sizes.items():
            places = one_hot(category_codes(seen[..., f], size), size + 1)
            parts.append(places.to(seen.dtype) * shown[..., f, None])
        return parts
