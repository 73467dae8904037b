"""JSON records of one named value each, or of an object of them, to raw readings.

`{"name": "pump_flow", "value": 18.4, "labels": {"unit": "pump-7"}, "timestamp": ...}`: the name,
or a text that it is part of, is that of a feature; values of one series and time in a record are
one reading, and those of several records meet in their step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import excerpt, printable
from stream_vae.core.model_spec import Feature
from stream_vae.core.records import RecordBatch
from stream_vae.errors import ConfigError, DecodeError
from stream_vae.inputs.decode_errors import DecodeErrors
from stream_vae.inputs.feature_cells import FeatureCells
from stream_vae.inputs.json_elements import JsonElementParser
from stream_vae.inputs.points import Points, merge_points
from stream_vae.inputs.raw_readings import RawReadings
from stream_vae.inputs.reading_format import ReadingFormat, cell_format
from stream_vae.inputs.record_layout import Elements, RecordLayout, ValueField, split_path
from stream_vae.inputs.remembered import Remembered
from stream_vae.inputs.templates import TextTemplate

_SCALARS = frozenset({str, int, float, bool, type(None)})
_Scalar = float | str | bool | None
_NONE = -1
_MOST_NAMES = 50


class JsonPointParser:
    """Parses records whose elements hold a value, or an object of values, with their names.

    Args:
        features: F, in the model's order.
        fmt: The operator's choices.

    Raises:
        ConfigError: If the format is inconsistent or does not fit the features.
    """

    def __init__(self, features: Sequence[Feature], fmt: ReadingFormat) -> None:
        if fmt.value_field is None or fmt.format != "json":
            raise ConfigError(
                f"input.value_field has no meaning with input.format {fmt.format}: expected json"
            )
        self._template = TextTemplate(fmt.feature_name, "input.feature_name")
        self._is_object = "field" in self._template.fields
        labels = [_label(part, fmt) for part in self._template.fields if part != "field"]
        type_ = dict[str, _Scalar] if self._is_object else _Scalar
        path, _, other = fmt.value_field.partition("|")
        value = ValueField(
            path=split_path(path), type=type_, other=split_path(other) if other else None
        )
        self._layout = RecordLayout(fmt, [value], labels=labels)
        self._names = [feature.name for feature in features]
        sent = {name: fmt.feature_fields.get(name, name) for name in self._names}
        self._feature_of = {sent[name]: k for k, name in enumerate(self._names)}
        self._is_numeric = all(feature.kind == "numeric" for feature in features)
        field_names = [f"{fmt.value_field} of {sent[name]}" for name in self._names]
        self._cells = FeatureCells(features, field_names, cell_format(fmt))
        self._elements = JsonElementParser(self._layout, fmt.max_record_bytes)
        self._tables = Remembered[tuple[Any, ...], dict[str, int]]()

    def parse(self, batch: RecordBatch, errors: DecodeErrors) -> RawReadings:
        """Return the readings of the valid elements; add the errors of the others to `errors`."""
        elements = self._elements.parse(batch, errors)
        labels = [_scalars(self._layout.column(field, elements)) for field in self._layout.labels]
        found = self._cells_of(elements)
        if self._is_object:
            owners, features, cells = self._objects(elements, labels, found, errors)
        else:
            owners, cells = None, found
            features = self._features(labels, len(found))
        values, cell_errors = self._values(np.array(features, dtype=np.int64), cells)
        raw = merge_points(
            self._points(elements, owners, features, values, cell_errors), self._names
        )
        ignored = [row for row in raw.ignored if row not in errors]
        return replace(
            raw,
            ignored=ignored,
            ignored_fields=self._names_in(elements, labels, found, ignored[0]) if ignored else (),
        )

    def _cells_of(self, elements: Elements) -> list[Any]:
        """Return what stands in the one or the other place of the value."""
        found = self._layout.cells_of(elements)
        if self._layout.values[0].other is None or None not in found:
            return found
        others = self._layout.others_of(0, elements.structs)
        return [other if cell is None else cell for cell, other in zip(found, others, strict=True)]

    def _features(self, labels: Sequence[Sequence[Any]], n: int) -> list[int]:
        """Return the feature of each element."""
        get = self._feature_of.get
        if self._template.is_one_field:
            return [get(name, _NONE) for name in labels[0]]
        if not labels:
            return [_NONE] * n
        names = map(self._template.fill, zip(*labels, strict=True))
        return [_NONE if name is None else get(name, _NONE) for name in names]

    def _objects(
        self,
        elements: Elements,
        labels: Sequence[Sequence[Any]],
        found: Sequence[Any],
        errors: DecodeErrors,
    ) -> tuple[list[int], list[int], list[Any]]:
        """Return element, feature and value of each value in the elements' objects."""
        owners: list[int] = []
        features: list[int] = []
        cells: list[Any] = []
        keys = zip(*labels, strict=True) if labels else [()] * len(found)
        for position, (key, values) in enumerate(zip(keys, found, strict=True)):
            if not isinstance(values, dict):
                self._note_no_object(elements, position, values, errors)
                continue
            table = self._tables.get(key)
            if table is None:
                table = self._table(key)
            for name, cell in values.items():
                feature = table.get(name)
                if feature is not None:
                    owners.append(position)
                    features.append(feature)
                    cells.append(cell)
            if not owners or owners[-1] != position:
                owners.append(position)  # so that the record is known to be without a feature
                features.append(_NONE)
                cells.append(None)
        return owners, features, cells

    def _table(self, key: tuple[Any, ...]) -> dict[str, int]:
        """Return name in an object -> feature, for elements with these labels."""
        table: dict[str, int] = {}
        for name, feature in self._feature_of.items():
            field = self._field_of(key, name)
            if field is not None:
                table[field] = feature
        # As keys, 1 and True are the same.
        if all(part is None or type(part) is str for part in key):
            lengths = map(len, (*filter(None, key), *table))
            self._tables.keep(key, table, n_characters=sum(lengths))
        return table

    def _field_of(self, key: tuple[Any, ...], name: str) -> str | None:
        """Return the name in an object whose value is that of a feature, None if there is none."""
        before, after = self._template.around("field", key)
        if before is None or after is None or len(name) <= len(before) + len(after):
            return None
        if not (name.startswith(before) and name.endswith(after)):
            return None
        return name[len(before) : len(name) - len(after)]

    def _note_no_object(
        self, elements: Elements, position: int, found: object, errors: DecodeErrors
    ) -> None:
        if found is None:
            return
        error = found
        if not isinstance(error, DecodeError):
            name = printable(".".join(self._layout.values[0].path))
            detail = f"field {name}: found {excerpt(found)}; expected an object of values"
            error = DecodeError("not_an_object", detail)
        row = int(elements.rows[position])
        if elements.numbers is None or elements.sizes is None:
            errors.reject(row, error)
        else:
            numbers = [elements.numbers[position]]
            errors.reject_elements(row, numbers, elements.sizes[position], error)

    def _values(
        self, features: NDArray[np.int64], cells: Sequence[Any]
    ) -> tuple[NDArray[np.float64], list[tuple[int, DecodeError]]]:
        """Return (P,) values, NaN for those of no feature, and what could not be read."""
        values = np.full(len(cells), np.nan)
        if self._is_numeric and set(map(type, cells)) <= {float, type(None)}:
            values[:] = cells
            if not np.isinf(values).any():  # as 1e999 is
                return values, []
            values[:] = np.nan
        errors: list[tuple[int, DecodeError]] = []
        for feature in np.unique(features).tolist():
            if feature == _NONE:
                continue
            which = np.flatnonzero(features == feature)
            chosen = which.tolist()
            values[which], wrong = self._cells.column(feature, [cells[i] for i in chosen])
            errors += [(chosen[at], error) for at, error in wrong]
        errors.sort(key=lambda error: error[0])
        return values, errors

    def _points(
        self,
        elements: Elements,
        owners: list[int] | None,
        features: Sequence[int],
        values: NDArray[np.float64],
        cell_errors: Sequence[tuple[int, DecodeError]],
    ) -> Points:
        rows = elements.rows
        series = self._layout.series_of(elements)
        times = self._layout.times_of(elements)
        numbers, sizes = elements.numbers, elements.sizes
        empty = set(elements.empty)
        if owners is not None:
            rows = rows[np.array(owners, dtype=np.int64)]
            series, times, numbers, sizes = (
                None if column is None else [column[i] for i in owners]
                for column in (series, times, numbers, sizes)
            )
            empty |= set(elements.rows.tolist()) - set(rows.tolist())
        return Points(
            index=rows,
            series=series,
            times=times,
            features=np.array(features, dtype=np.int64),
            values=values,
            errors=cell_errors,
            empty=sorted(empty),
            numbers=numbers,
            sizes=sizes,
        )

    def _names_in(
        self,
        elements: Elements,
        labels: Sequence[Sequence[Any]],
        found: Sequence[Any],
        row: int,
    ) -> tuple[str, ...]:
        """Return what the values of a record would be called as features."""
        names: list[str | None] = []
        for position in np.flatnonzero(elements.rows == row)[:_MOST_NAMES].tolist():
            parts = {
                field: column[position]
                for field, column in zip(
                    (part for part in self._template.fields if part != "field"), labels, strict=True
                )
            }
            values = found[position] if self._is_object else None
            for name in list(values)[:_MOST_NAMES] if isinstance(values, Mapping) else [None]:
                parts["field"] = name
                names.append(self._template.fill(tuple(parts[f] for f in self._template.fields)))
        return tuple(printable(name) for name in names[:_MOST_NAMES] if name is not None)


def _label(part: str, fmt: ReadingFormat) -> str:
    """Return the path of a part of the feature's name."""
    if part != "name":
        return part
    if fmt.name_field is None:
        raise ConfigError(
            f"input.feature_name {fmt.feature_name!r} asks for {{name}}: expected input.name_field "
            "to say where it stands, or other fields in braces"
        )
    return fmt.name_field


def _scalars(column: Sequence[Any]) -> Sequence[Any]:
    """Return a column in which objects and arrays are None."""
    if set(map(type, column)) <= _SCALARS:
        return column
    return [cell if type(cell) in _SCALARS else None for cell in column]
