"""JSON records to raw readings, a poll at a time; shared by the JSON-based formats.

The fast path costs about a microsecond per record: one msgspec struct each, then whole columns. A
poll that it rejects is decoded to structs that hold any value of a feature (`CellReader.loose`
reads these), and only records that do not fit there either take the slow path (`decode_slowly`).
Records are never joined into one document: a malicious one could absorb the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import excerpt, printable
from stream_vae.core.model_spec import Feature
from stream_vae.core.records import RecordBatch
from stream_vae.errors import DecodeError
from stream_vae.inputs.cells import CellReader
from stream_vae.inputs.decode_errors import CellError, DecodeErrors
from stream_vae.inputs.decode_slow_path import decode_slowly, parse_document
from stream_vae.inputs.nesting import MAX_NESTING, is_too_deep, may_be_too_deep
from stream_vae.inputs.raw_readings import RawReadings
from stream_vae.inputs.record_layout import RecordLayout, leaf_paths

MAX_UNKNOWN_FIELDS = 100
"""Most unknown fields reported over a parser's lifetime; more are ignored silently."""

MAX_FIELDS_TOLD = 50
"""Most fields named of a record without any of the model's features."""


@dataclass(frozen=True, slots=True)
class _Parsed:
    """R records that could be parsed, as structs of the layout."""

    rows: NDArray[np.int64]
    """(R,) positions in the batch."""
    records: Sequence[msgspec.Struct]
    is_strict: bool
    """All are of the strict type."""


class JsonRecordParser:
    """Parses records that hold one reading each.

    Its only state is which unknown fields were reported.

    Args:
        layout: Where a record keeps its parts.
        features: F, in the order of the layout's values.
        max_bytes: Longer records are rejected.
    """

    def __init__(self, layout: RecordLayout, features: Sequence[Feature], max_bytes: int) -> None:
        self._layout = layout
        self._n_features = len(features)
        self._cells = CellReader(features, _field_names(layout, features))
        self._max_bytes = max_bytes
        self._decode_strictly = msgspec.json.Decoder(layout.strict_type).decode
        self._decode_loosely = msgspec.json.Decoder(layout.loose_type).decode
        self._reported: set[str] = set()

    def parse(self, batch: RecordBatch, errors: DecodeErrors) -> RawReadings:
        """Return the readings of the valid records; add the errors of the others to `errors`."""
        parsed = self._structs(batch.values, errors)
        unknown_fields = self._unknown_fields(batch.values, parsed.rows)
        parsed, values, cell_errors = self._values(parsed, errors)
        ignored = self._without_feature(batch.values, parsed.rows, values, cell_errors)
        if ignored:
            kept = np.setdiff1d(np.arange(len(parsed.rows)), ignored)
            place = {old: new for new, old in enumerate(kept.tolist())}
            cell_errors = [replace(cell, position=place[cell.position]) for cell in cell_errors]
            values = values[kept]
        else:
            kept = np.arange(len(parsed.rows))
        records = [parsed.records[i] for i in kept.tolist()] if ignored else parsed.records
        series_of, time_of = self._layout.series_of, self._layout.time_of
        ignored_rows = parsed.rows[ignored].tolist()
        return RawReadings(
            index=parsed.rows[kept] if ignored else parsed.rows,
            series=None if series_of is None else list(map(series_of, records)),
            times=None if time_of is None else list(map(time_of, records)),
            values=values,
            cell_errors=cell_errors,
            ignored=ignored_rows,
            ignored_fields=_fields_of(batch.values[ignored_rows[0]]) if ignored else (),
            unknown_fields=unknown_fields,
        )

    def _values(
        self, parsed: _Parsed, errors: DecodeErrors
    ) -> tuple[_Parsed, NDArray[np.float64], list[CellError]]:
        """Return (R, F) values, what could not be read, and the records that they belong to."""
        found = self._layout.rows_of(parsed.records)
        if parsed.is_strict:
            return parsed, self._cells.strict(found), []
        if self._layout.array_length is not None:
            parsed, found = self._arrays(parsed, found, errors)
        values, cell_errors = self._cells.loose(found)
        return parsed, values, cell_errors

    def _arrays(
        self, parsed: _Parsed, found: Sequence[Any], errors: DecodeErrors
    ) -> tuple[_Parsed, list[Any]]:
        """Return the records whose values are an array of the right length, and these."""
        kept: list[int] = []
        for position, value in enumerate(found):
            try:
                self._check_array(value)
            except DecodeError as error:
                errors.reject(int(parsed.rows[position]), error)
            else:
                kept.append(position)
        records = [parsed.records[i] for i in kept]
        rows = parsed.rows[np.array(kept, dtype=np.int64)]
        return _Parsed(rows, records, is_strict=False), [found[i] for i in kept]

    def _check_array(self, found: object) -> None:
        if isinstance(found, DecodeError):
            raise found
        name = printable(".".join(self._layout.value_paths[0]))
        expected = f"expected an array of {self._n_features} values"
        if found is None:
            raise DecodeError("values_missing", f"field {name}: absent or null; {expected}")
        if not isinstance(found, list):
            detail = f"field {name}: found {excerpt(found)}; {expected}"
            raise DecodeError("values_not_an_array", detail)
        if len(found) != self._n_features:
            raise DecodeError("wrong_length", f"field {name}: found {excerpt(found)}; {expected}")

    def _without_feature(
        self,
        raws: Sequence[bytes | None],
        rows: NDArray[np.int64],
        values: NDArray[np.float64],
        cell_errors: Sequence[CellError],
    ) -> list[int]:
        """Return the positions of records that do not have the field of any feature."""
        if not np.isnan(values[:, 0]).any():
            return []
        empty = np.flatnonzero(np.isnan(values).all(axis=1)).tolist()
        unreadable = {cell.position for cell in cell_errors}
        return [
            position
            for position in empty
            if position not in unreadable
            and not self._layout.names_feature(parse_document(raws[int(rows[position])] or b""))
        ]

    def _structs(self, raws: Sequence[bytes | None], errors: DecodeErrors) -> _Parsed:
        """Return the records that could be parsed."""
        strictly: Any = self._decode_strictly
        loosely: Any = self._decode_loosely
        if self._is_plain(raws):
            everything = np.arange(len(raws))
            try:
                return _Parsed(everything, [strictly(raw) for raw in raws], is_strict=True)
            except (msgspec.DecodeError, UnicodeDecodeError):
                pass
            try:
                return _Parsed(everything, [loosely(raw) for raw in raws], is_strict=False)
            except (msgspec.DecodeError, UnicodeDecodeError):
                pass
        rows: list[int] = []
        records: list[msgspec.Struct] = []
        for row, raw in enumerate(raws):
            try:
                records.append(self._parse_one(raw))
            except DecodeError as error:
                errors.reject(row, error)
            else:
                rows.append(row)
        return _Parsed(np.array(rows, dtype=np.int64), records, is_strict=False)

    def _is_plain(self, raws: Sequence[bytes | None]) -> bool:
        """Return whether no record is null, too large, or needs its UTF-8 or nesting checked.

        msgspec does not check the encoding of unknown fields. Joining is safe here: concatenated
        ASCII stays ASCII.
        """
        present = [raw for raw in raws if raw is not None]
        longest = max(map(len, present), default=0)
        return (
            len(present) == len(raws)
            and longest <= self._max_bytes
            and (longest <= MAX_NESTING or not any(map(may_be_too_deep, present)))
            and b"".join(present).isascii()
        )

    def _parse_one(self, raw: bytes | None) -> msgspec.Struct:
        if raw is None:
            raise DecodeError("null_value", "the record has no value; expected a JSON object")
        if len(raw) > self._max_bytes:
            detail = f"{len(raw)} bytes; expected at most {self._max_bytes}"
            raise DecodeError("too_large", detail)
        try:
            raw.decode()
        except UnicodeDecodeError as exc:
            detail = f"byte 0x{raw[exc.start]:02x} at position {exc.start}; expected UTF-8"
            raise DecodeError("not_utf8", detail) from None
        if is_too_deep(raw):
            raise DecodeError("too_deep", f"nested deeper than {MAX_NESTING} levels")
        try:
            return self._decode_loosely(raw)
        except msgspec.DecodeError:
            return decode_slowly(raw, self._layout)

    def _unknown_fields(
        self, raws: Sequence[bytes | None], rows: NDArray[np.int64]
    ) -> tuple[str, ...]:
        """Return the fields of a poll's first record that are not in the layout: a cheap sample."""
        raw = raws[int(rows[0])] if len(rows) else None
        if raw is None or len(self._reported) >= MAX_UNKNOWN_FIELDS:
            return ()
        try:
            document = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            return ()
        new: dict[str, None] = {}
        for path in self._layout.unknown_fields(document):
            if len(self._reported) + len(new) >= MAX_UNKNOWN_FIELDS:
                break
            name = printable(path, 100)
            if name not in self._reported:
                new[name] = None
        self._reported.update(new)
        return tuple(new)


def _field_names(layout: RecordLayout, features: Sequence[Feature]) -> list[str]:
    names = [".".join(path) for path in layout.value_paths]
    if layout.array_length is None:
        return names
    return [f"{names[0]}[{position}]" for position in range(len(features))]


def _fields_of(raw: bytes | None) -> tuple[str, ...]:
    """Return what a valid record names, for messages."""
    document = parse_document(raw or b"")
    return tuple(printable(path, 100) for path in leaf_paths(document, MAX_FIELDS_TOLD))
