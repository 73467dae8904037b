"""JSON records to raw readings, a poll at a time: a field for each feature, or an array of all."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import excerpt, printable
from stream_vae.core.model_spec import Feature
from stream_vae.core.records import RecordBatch
from stream_vae.errors import DecodeError
from stream_vae.inputs.decode_errors import CellError, DecodeErrors
from stream_vae.inputs.decode_slow_path import parse_document, unframed
from stream_vae.inputs.feature_cells import FeatureCells
from stream_vae.inputs.json_elements import JsonElementParser, element_documents
from stream_vae.inputs.raw_readings import RawReadings
from stream_vae.inputs.reading_format import ReadingFormat, cell_format
from stream_vae.inputs.record_layout import Elements, RecordLayout, leaf_paths

MAX_UNKNOWN_FIELDS = 100
"""Most unknown fields reported over a parser's lifetime; more are ignored silently."""

MAX_FIELDS_TOLD = 50
"""Most fields named of a record without any of the model's features."""


class JsonRecordParser:
    """Parses records whose elements hold one reading each.

    Its only state is which unknown fields were reported.

    Args:
        layout: Where a record keeps its parts.
        features: F, in the order of the layout's values.
        fmt: The operator's choices.
    """

    def __init__(
        self, layout: RecordLayout, features: Sequence[Feature], fmt: ReadingFormat
    ) -> None:
        self._layout = layout
        self._n_features = len(features)
        self._cells = FeatureCells(features, _field_names(layout, features), cell_format(fmt))
        self._elements = JsonElementParser(layout, fmt.max_record_bytes)
        self._others = [k for k, value in enumerate(layout.values) if value.other is not None]
        self._vector = fmt.vector
        self._reported: set[str] = set()

    def parse(self, batch: RecordBatch, errors: DecodeErrors) -> RawReadings:
        """Return the readings of the valid elements; add the errors of the others to `errors`."""
        elements = self._elements.parse(batch, errors)
        unknown_fields = self._unknown_fields(batch.values, elements.rows)
        elements, values, cell_errors, surplus = self._values(elements, errors)
        ignored: list[int] = list(elements.empty)
        if len(values) and np.isnan(values[:, 0]).any():
            without = self._without_feature(batch.values, elements, values, cell_errors)
            if without:
                elements, values, cell_errors, others = _dropped(
                    elements, values, cell_errors, without
                )
                ignored += [row for row in others if row not in errors]
                ignored.sort()
        return RawReadings(
            index=elements.rows,
            series=self._layout.series_of(elements),
            times=self._layout.times_of(elements),
            values=values,
            cell_errors=cell_errors,
            elements=numbers_of(elements),
            ignored=ignored,
            ignored_fields=fields_of(batch.values[ignored[0]]) if ignored else (),
            unknown_fields=(*unknown_fields, *self._new_fields(surplus)),
        )

    def _values(
        self, elements: Elements, errors: DecodeErrors
    ) -> tuple[Elements, NDArray[np.float64], list[CellError], Iterable[str]]:
        """Return (E, F) values, what could not be read, the elements they belong to, and surplus.

        The surplus are the names of the values of arrays that are longer than the model's.
        """
        rows = self._layout.rows_of(elements)
        surplus: Iterable[str] = ()
        if elements.is_strict:
            return elements, self._strict(elements, rows), [], surplus
        if self._layout.array_length is not None:
            elements, rows = self._arrays(elements, rows, errors)
            name = ".".join(self._layout.values[0].path)
            longest = max(map(len, rows), default=0)
            surplus = (f"{name}[{place}]" for place in range(self._n_features, longest))
            rows = [row[: self._n_features] for row in rows]
        elif self._others:
            rows = self._with_others(elements, rows)
        values, cell_errors = self._cells.loose(rows)
        return elements, values, cell_errors, surplus

    def _strict(self, elements: Elements, rows: Sequence[Any]) -> NDArray[np.float64]:
        values = self._cells.strict(rows)
        for feature in self._others:
            missing = np.flatnonzero(np.isnan(values[:, feature])).tolist()
            if missing:
                structs = [elements.structs[i] for i in missing]
                cells = self._layout.others_of(feature, structs)
                values[missing, feature] = self._cells.column(feature, cells)[0]
        return values

    def _with_others(self, elements: Elements, rows: Sequence[Any]) -> list[Any]:
        """Return rows where what a path did not find is what stands in the other place."""
        columns = [list(column) for column in zip(*rows, strict=True)]
        for feature in self._others if columns else ():
            column = columns[feature]
            missing = [i for i, cell in enumerate(column) if cell is None or _is_error(cell)]
            found = self._layout.others_of(feature, [elements.structs[i] for i in missing])
            for i, cell in zip(missing, found, strict=True):
                column[i] = column[i] if cell is None else cell
        return list(zip(*columns, strict=True))

    def _arrays(
        self, elements: Elements, found: Sequence[Any], errors: DecodeErrors
    ) -> tuple[Elements, list[Any]]:
        """Return the elements whose values are an array of the right length, and these."""
        kept: list[int] = []
        for position, value in enumerate(found):
            try:
                self._check_array(value)
            except DecodeError as error:
                row = int(elements.rows[position])
                if elements.numbers is None or elements.sizes is None:
                    errors.reject(row, error)
                else:
                    numbers = [elements.numbers[position]]
                    errors.reject_elements(row, numbers, elements.sizes[position], error)
            else:
                kept.append(position)
        rows = elements.rows[np.array(kept, dtype=np.int64)]
        n = self._n_features
        arrays = [found[i] for i in kept]
        if self._vector == "padded":
            arrays = [array + [None] * (n - len(array)) for array in arrays]
        return elements.take(kept, rows), arrays

    def _check_array(self, found: object) -> None:
        if isinstance(found, DecodeError):
            raise found
        name = printable(".".join(self._layout.values[0].path))
        expected = f"expected an array of {self._n_features} values"
        if found is None:
            raise DecodeError("values_missing", f"field {name}: absent or null; {expected}")
        if not isinstance(found, list):
            detail = f"field {name}: found {excerpt(found)}; {expected}"
            raise DecodeError("values_not_an_array", detail)
        is_longer = len(found) > self._n_features
        if is_longer and self._vector == "exact":
            raise DecodeError("wrong_length", f"field {name}: found {excerpt(found)}; {expected}")
        if len(found) < self._n_features and self._vector != "padded":
            detail = f"field {name}: found {excerpt(found)}; {expected} (or input.vector padded)"
            raise DecodeError("wrong_length", detail)

    def _without_feature(
        self,
        raws: Sequence[bytes | None],
        elements: Elements,
        values: NDArray[np.float64],
        cell_errors: Sequence[CellError],
    ) -> list[int]:
        """Return the positions of elements that do not have the field of any feature."""
        empty = np.flatnonzero(np.isnan(values).all(axis=1)).tolist()
        unreadable = {cell.position for cell in cell_errors}
        parsed: dict[int, Sequence[Any]] = {}
        without = []
        for position in empty:
            if position in unreadable:
                continue
            row = int(elements.rows[position])
            if row not in parsed:
                parsed = {row: element_documents(parse_document(raws[row] or b""), self._layout)}
            number = 1 if elements.numbers is None else elements.numbers[position]
            if not self._layout.names_feature(parsed[row][number - 1]):
                without.append(position)
        return without

    def _unknown_fields(
        self, raws: Sequence[bytes | None], rows: NDArray[np.int64]
    ) -> tuple[str, ...]:
        """Return the fields of a poll's first record that are not in the layout: a cheap sample."""
        raw = raws[int(rows[0])] if len(rows) else None
        if raw is None or len(self._reported) >= MAX_UNKNOWN_FIELDS:
            return ()
        try:
            document = msgspec.json.decode(unframed(raw))
        except (msgspec.DecodeError, DecodeError):
            return ()
        return self._new_fields(self._layout.unknown_fields(document))

    def _new_fields(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Return the names not told before."""
        new: dict[str, None] = {}
        for path in paths:
            if len(self._reported) + len(new) >= MAX_UNKNOWN_FIELDS:
                break
            name = printable(path, 100)
            if name not in self._reported:
                new[name] = None
        self._reported.update(new)
        return tuple(new)


def numbers_of(elements: Elements) -> Any:
    """Return what `RawReadings.elements` is for readings of one element each."""
    numbers, sizes = elements.numbers, elements.sizes
    if numbers is None or sizes is None:
        return None
    return lambda position: ([numbers[position]], sizes[position])


def fields_of(raw: bytes | None) -> tuple[str, ...]:
    """Return what a valid record names, for messages."""
    document = parse_document(raw or b"")
    return tuple(printable(path, 100) for path in leaf_paths(document, MAX_FIELDS_TOLD))


def _dropped(
    elements: Elements,
    values: NDArray[np.float64],
    cell_errors: Sequence[CellError],
    without: Sequence[int],
) -> tuple[Elements, NDArray[np.float64], list[CellError], list[int]]:
    """Return what is left without some elements, and the records of which nothing is."""
    mask = np.ones(len(values), dtype=bool)
    mask[list(without)] = False
    kept = np.flatnonzero(mask)
    place = {old: new for new, old in enumerate(kept.tolist())}
    moved = [replace(cell, position=place[cell.position]) for cell in cell_errors]
    rows = elements.rows[kept]
    others = np.setdiff1d(elements.rows[~mask], rows).tolist()
    return elements.take(kept.tolist(), rows), values[kept], moved, others


def _field_names(layout: RecordLayout, features: Sequence[Feature]) -> list[str]:
    names = [".".join(value.path) for value in layout.values]
    if layout.array_length is None:
        return names
    return [f"{names[0]}[{position}]" for position in range(len(features))]


def _is_error(cell: object) -> bool:
    return isinstance(cell, DecodeError)
