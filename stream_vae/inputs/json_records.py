"""JSON records to raw readings, a poll at a time; shared by the JSON-based formats.

The fast path costs about a microsecond per record: one msgspec struct each, then whole columns.
Only records that it rejects take the slow path (`decode_slowly`). Records are never joined into one
document: a malicious one could absorb the next.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import printable
from stream_vae.core.model_spec import Feature
from stream_vae.core.records import RecordBatch
from stream_vae.errors import DecodeError
from stream_vae.inputs.categories import CategoryCodes
from stream_vae.inputs.decode_slow_path import decode_slowly
from stream_vae.inputs.nesting import MAX_NESTING, is_too_deep, may_be_too_deep
from stream_vae.inputs.raw_readings import DecodeErrors, RawReadings
from stream_vae.inputs.record_layout import RecordLayout

MAX_UNKNOWN_FIELDS = 100
"""Most unknown fields reported over a parser's lifetime; more are ignored silently."""


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
        self._codes = {
            position: CategoryCodes(feature.categories)
            for position, feature in enumerate(features)
            if feature.kind == "categorical"
        }
        self._max_bytes = max_bytes
        self._decode_one = msgspec.json.Decoder(layout.record_type).decode
        self._reported: set[str] = set()

    def parse(self, batch: RecordBatch, errors: DecodeErrors) -> RawReadings:
        """Return the readings of the valid records; add the errors of the others to `errors`."""
        index, records = self._structs(batch.values, errors)
        series_of = self._layout.series_of
        return RawReadings(
            index=index,
            series=None if series_of is None else list(map(series_of, records)),
            times=list(map(self._layout.time_of, records)),
            values=self._values(records),
            unknown_fields=self._unknown_fields(batch.values[int(index[0])]) if len(index) else (),
        )

    def _values(self, records: Sequence[msgspec.Struct]) -> NDArray[np.float64]:
        """Return (R, F) values, categories as codes."""
        rows = list(map(self._layout.values_of, records))
        if not self._codes:
            return np.array(rows, dtype=np.float64).reshape(len(records), self._n_features)
        values = np.empty((len(records), self._n_features))
        # attrgetter of one field returns the value itself, of several a row of them.
        is_row = bool(rows) and isinstance(rows[0], tuple | list)
        columns = zip(*rows, strict=True) if is_row else [rows]
        for position, column in enumerate(columns):
            codes = self._codes.get(position)
            values[:, position] = column if codes is None else codes.encode(column)
        return values

    def _structs(
        self, raws: Sequence[bytes | None], errors: DecodeErrors
    ) -> tuple[NDArray[np.int64], list[msgspec.Struct]]:
        """Return the rows that could be parsed and their records."""
        decode_one: Any = self._decode_one
        if self._is_plain(raws):
            try:
                return np.arange(len(raws)), [decode_one(raw) for raw in raws]
            except (msgspec.DecodeError, UnicodeDecodeError):
                pass
        rows: list[int] = []
        records: list[msgspec.Struct] = []
        for row, raw in enumerate(raws):
            try:
                records.append(self._parse_one(raw))
            except DecodeError as error:
                errors[row] = error
            else:
                rows.append(row)
        return np.array(rows, dtype=np.int64), records

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
            return self._decode_one(raw)
        except msgspec.DecodeError:
            return decode_slowly(raw, self._layout)

    def _unknown_fields(self, raw: bytes | None) -> tuple[str, ...]:
        """Return the fields of a poll's first record that are not in the layout: a cheap sample."""
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
