"""Values of features as records hold them, to columns of numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import printable
from stream_vae.core.model_spec import Feature
from stream_vae.errors import DecodeError
from stream_vae.inputs.categories import CategoryCodes
from stream_vae.inputs.decode_errors import CellError
from stream_vae.inputs.field_kinds import VALUES

_PLAIN = frozenset({float, int, type(None)})


class CellReader:
    """Reads the values of F features.

    Args:
        features: F, in the model's order.
        field_names: F, where the values stand, for messages.
    """

    def __init__(self, features: Sequence[Feature], field_names: Sequence[str]) -> None:
        self._features = tuple(features)
        self._names = [printable(name) for name in field_names]
        self._codes = {
            position: CategoryCodes(feature.categories)
            for position, feature in enumerate(features)
            if feature.kind == "categorical"
        }

    def strict(self, rows: Sequence[Any]) -> NDArray[np.float64]:
        """Return (R, F) values of rows whose cells are of the types of their kinds, or None.

        Args:
            rows: R rows of F values.
        """
        if not self._codes:
            return np.array(rows, dtype=np.float64).reshape(len(rows), len(self._features))
        values = np.empty((len(rows), len(self._features)))
        for position, column in enumerate(zip(*rows, strict=True)):
            codes = self._codes.get(position)
            values[:, position] = column if codes is None else codes.encode(column)
        return values

    def loose(self, rows: Sequence[Any]) -> tuple[NDArray[np.float64], list[CellError]]:
        """Return (R, F) values of rows of anything, and what could not be read (it is NaN).

        Each result depends on its own cell alone. A cell may be a `DecodeError` found earlier.

        Args:
            rows: As for `strict`.
        """
        values = np.full((len(rows), len(self._features)), np.nan)
        errors: list[CellError] = []
        for position, column in enumerate(zip(*rows, strict=True)):
            self._read_column(position, column, values[:, position], errors)
        errors.sort(key=lambda error: error.position)
        return values, errors

    def _read_column(
        self,
        position: int,
        column: Sequence[Any],
        out: NDArray[np.float64],
        errors: list[CellError],
    ) -> None:
        feature = self._features[position]
        if feature.kind == "numeric" and _PLAIN.issuperset(map(type, column)):
            try:
                found = np.array(column, dtype=np.float64)
            except OverflowError:
                pass
            else:
                if not np.isinf(found).any():
                    out[:] = found
                    return
        check, codes = VALUES[feature.kind].check, self._codes.get(position)
        name = self._names[position]
        for row, found in enumerate(column):
            try:
                if isinstance(found, DecodeError):
                    raise found
                value = check(found, name)
            except DecodeError as error:
                errors.append(CellError(position=row, feature=feature.name, error=error))
                continue
            if codes is not None:
                out[row] = codes.code(value)
            elif value is not None:
                out[row] = value
