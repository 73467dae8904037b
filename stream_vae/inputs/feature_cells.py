"""Values of features as records hold them, to columns of numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import excerpt, printable
from stream_vae.core.model_spec import Feature, FeatureKind
from stream_vae.errors import DecodeError
from stream_vae.inputs.categories import CategoryCodes
from stream_vae.inputs.cell_values import CellFormat, CellReader
from stream_vae.inputs.decode_errors import CellError
from stream_vae.inputs.field_kinds import check_category

_PLAIN = frozenset({float, int, type(None)})
_TEXT = frozenset({str})
_NOT_OF_KIND = {
    "numeric": ("value_not_a_number", "a number or null"),
    "count": ("value_not_a_count", "a whole number of 0 or more, or null"),
    "binary": ("value_not_binary", "true, false, 0, 1 or null"),
}

Column = tuple[NDArray[np.float64], list[tuple[int, DecodeError]]]
"""(R,) values, and position -> why it is NaN, ascending."""


class FeatureCells:
    """Reads the values of F features.

    Args:
        features: F, in the model's order.
        field_names: F, where the values stand, for messages.
        fmt: How numbers are written as text.
    """

    def __init__(
        self, features: Sequence[Feature], field_names: Sequence[str], fmt: CellFormat
    ) -> None:
        self._features = tuple(features)
        self._names = [printable(name) for name in field_names]
        self._reader = CellReader(fmt)
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
            values[:, position], found = self.column(position, column)
            name = self._features[position].name
            errors += [CellError(position=at, feature=name, error=error) for at, error in found]
        errors.sort(key=lambda error: error.position)
        return values, errors

    def column(self, feature: int, cells: Sequence[Any]) -> Column:
        """Return the values of one feature, by its position; see `loose`."""
        kind = self._features[feature].kind
        if kind == "categorical":
            return self._categories(feature, cells)
        kinds = set(map(type, cells))
        errors: list[tuple[int, DecodeError]] = []
        if kinds <= _PLAIN:
            values = _numbers(cells)
        elif kinds == _TEXT and kind != "binary":
            read = self._reader.numbers(cells)
            values = np.where(np.isinf(read.values), np.nan, read.values)
            errors = [(at, self._wrong(feature, cells[at])) for at in read.unreadable.tolist()]
        else:
            values, errors = self._one_by_one(feature, kind, cells)
        outside = np.flatnonzero(_is_outside(kind, values)).tolist()
        if outside:
            errors += [(at, self._wrong(feature, cells[at], values[at])) for at in outside]
            errors.sort(key=lambda error: error[0])
            values[outside] = np.nan
        return values, errors

    def _one_by_one(self, feature: int, kind: FeatureKind, cells: Sequence[Any]) -> Column:
        values = np.full(len(cells), np.nan)
        errors: list[tuple[int, DecodeError]] = []
        for at, found in enumerate(cells):
            if isinstance(found, str):
                value = (
                    self._reader.truth(found) if kind == "binary" else self._reader.number(found)
                )
                if value is None:
                    errors.append((at, self._wrong(feature, found)))
                elif not np.isinf(value):  # as a word for what is missing
                    values[at] = value
            elif isinstance(found, int | float):
                values[at] = _float(found)
            elif found is not None:
                error = found if isinstance(found, DecodeError) else self._wrong(feature, found)
                errors.append((at, error))
        return values, errors

    def _categories(self, feature: int, cells: Sequence[Any]) -> Column:
        values = np.full(len(cells), np.nan)
        errors: list[tuple[int, DecodeError]] = []
        for at, found in enumerate(cells):
            if isinstance(found, DecodeError):
                errors.append((at, found))
                continue
            try:
                value = check_category(found, self._names[feature])
            except DecodeError as error:
                errors.append((at, error))
            else:
                values[at] = self._codes[feature].code(value)
        return values, errors

    def _wrong(self, feature: int, found: object, value: float = 0.0) -> DecodeError:
        """Return the error of a cell.

        Args:
            feature: Its position.
            found: What stands there.
            value: The number that it is.
        """
        reason, expected = _NOT_OF_KIND[self._features[feature].kind]
        if np.isinf(value) and reason != "value_not_binary":
            reason, expected = "value_out_of_range", "a finite number or null"
        detail = f"field {self._names[feature]}: found {excerpt(found)}; expected {expected}"
        if isinstance(found, str) and reason == "value_not_a_number":
            detail += f" (input.{self._reader.remedy(found)}: text of another form)"
        return DecodeError(reason, detail)


def _numbers(cells: Sequence[Any]) -> NDArray[np.float64]:
    try:
        return np.array(cells, dtype=np.float64)
    except OverflowError:
        nan = float("nan")
        return np.array([nan if cell is None else _float(cell) for cell in cells])


def _float(found: float) -> float:
    try:
        return float(found)
    except OverflowError:
        return float("inf")


def _is_outside(kind: FeatureKind, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which values the kind does not have."""
    outside = np.isinf(values)
    if kind == "count":
        outside |= (values < 0) | (~np.isnan(values) & (values != np.floor(values)))
    elif kind == "binary":
        outside |= ~np.isnan(values) & (values != 0) & (values != 1)
    return outside
