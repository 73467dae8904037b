"""Whether numbers fit their features."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature
from stream_vae.errors import ConfigError, DecodeError
from stream_vae.inputs.cell_values import CellFormat
from stream_vae.inputs.feature_cells import FeatureCells

PointError = tuple[int, DecodeError]
"""Position of a point whose value cannot be used -> why."""


class NumberChecks:
    """Checks values of features that are numbers, counts or binary.

    Args:
        features: F, in the model's order.
        name: Of the input format, for messages.

    Raises:
        ConfigError: If a feature is a category.
    """

    def __init__(self, features: Sequence[Feature], name: str) -> None:
        texts = [feature.name for feature in features if feature.kind == "categorical"]
        if texts:
            raise ConfigError(f"input.format {name} has numbers alone; {texts} are categories")
        self._cells = FeatureCells(features, [each.name for each in features], CellFormat())
        self._is_count = np.array([feature.kind == "count" for feature in features])
        self._is_binary = np.array([feature.kind == "binary" for feature in features])

    def check(self, values: NDArray[np.float64], places: NDArray[np.int64]) -> list[PointError]:
        """Return what is wrong; such values become NaN.

        Args:
            values: (P,)
            places: (P,) positions of their features.
        """
        suspect = np.isinf(values)
        if self._is_count.any():
            suspect |= self._is_count[places] & ((values < 0) | (values != np.floor(values)))
        if self._is_binary.any():
            suspect |= self._is_binary[places] & (values != 0) & (values != 1)
        found: list[PointError] = []
        for at in np.flatnonzero(suspect & ~np.isnan(values)).tolist():
            _, errors = self._cells.column(int(places[at]), [float(values[at])])
            found += [(at, error) for _, error in errors]
            values[at] = np.nan
        return found
