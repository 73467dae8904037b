"""JSON records to structs of their elements, a poll at a time; shared by the JSON-based formats.

The fast path costs about a microsecond per record: one msgspec struct each. A poll that it rejects
is decoded to structs that hold any value of a feature, and only records that do not fit there
either take the slow path (`decode_slow_path`). Records are never joined into one document: a
malicious one could absorb the next.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from stream_vae.core.records import RecordBatch
from stream_vae.errors import DecodeError
from stream_vae.inputs.decode_errors import DecodeErrors
from stream_vae.inputs.decode_slow_path import (
    convert_outer,
    convert_slowly,
    parse_document,
    unframed,
)
from stream_vae.inputs.nesting import MAX_NESTING, is_too_deep, may_be_too_deep
from stream_vae.inputs.record_layout import WHOLE_RECORD, Elements, RecordLayout


class JsonElementParser:
    """Parses records of one layout.

    Args:
        layout: Where a record keeps its parts.
        max_bytes: Longer records are rejected.
    """

    def __init__(self, layout: RecordLayout, max_bytes: int) -> None:
        self._layout = layout
        self._max_bytes = max_bytes
        self._strictly: Any = msgspec.json.Decoder(layout.strict_type).decode
        self._loosely: Any = msgspec.json.Decoder(layout.loose_type).decode
        # Of a record that may be an element itself, an array of values may be absent.
        self._is_never_strict = layout.array_length is not None and layout.records_path is not None

    def parse(self, batch: RecordBatch, errors: DecodeErrors) -> Elements:
        """Return the elements that could be parsed; add the errors of the others to `errors`."""
        raws = self._plain(batch.values)
        if raws is not None:
            for decode_one, is_strict in ((self._strictly, True), (self._loosely, False)):
                if is_strict and self._is_never_strict:
                    continue
                found = _decode_all(decode_one, raws)
                if found is not None:
                    return self._flat(found, is_strict=is_strict)
        return self._one_by_one(batch, errors)

    def _flat(self, found: list[Any], *, is_strict: bool) -> Elements:
        """Return the elements of records that could all be parsed."""
        if self._layout.records_path is None:
            rows = np.arange(len(found))
            return Elements(rows=rows, structs=found, outers=found, is_strict=is_strict)
        collected = _Collected()
        for row, record in enumerate(found):
            collected.add_all(row, record, self._layout.elements_of(record))
        return collected.elements(is_strict=is_strict)

    def _one_by_one(self, batch: RecordBatch, errors: DecodeErrors) -> Elements:
        collected = _Collected()
        for row, raw in enumerate(batch.values):
            try:
                text = self._check_bytes(raw)
                try:
                    record: Any = self._loosely(text)
                except msgspec.DecodeError:
                    self._take_slowly(row, text, collected, errors)
                    continue
            except DecodeError as error:
                errors.reject(row, error)
                continue
            collected.add_all(row, record, self._layout.elements_of(record))
        if self._layout.records_path is None:
            return collected.records()
        return collected.elements(is_strict=False)

    def _take_slowly(
        self, row: int, raw: bytes, collected: "_Collected", errors: DecodeErrors
    ) -> None:
        document = parse_document(raw)
        elements = element_documents(document, self._layout)
        outer = convert_outer(document, self._layout)
        structs: list[Any] = []
        numbers: list[int] = []
        for number, element in enumerate(elements, 1):
            try:
                structs.append(convert_slowly(element, self._layout))
            except DecodeError as error:
                errors.reject_elements(row, [number], len(elements), error)
            else:
                numbers.append(number)
        collected.add(row, outer, structs, numbers, len(elements))

    def _plain(self, raws: Sequence[bytes | None]) -> Sequence[bytes] | None:
        """Return records of which none is null, too large, or needs its bytes or nesting checked.

        msgspec does not check the encoding of unknown fields. Joining is safe here: no character
        goes beyond a line break.
        """
        present = [raw for raw in raws if raw is not None]
        longest = max(map(len, present), default=0)
        if (
            len(present) < len(raws)
            or longest > self._max_bytes
            or (longest > MAX_NESTING and any(map(may_be_too_deep, _longer(present))))
        ):
            return None
        try:
            joined = b"\n".join(present)
            if b"\0" in joined:  # numbers of schemas, which may be no UTF-8
                present = list(map(unframed, present))
                joined = b"\n".join(present)
            if not joined.isascii():
                joined.decode()
        except (DecodeError, UnicodeDecodeError):
            return None
        return present

    def _check_bytes(self, raw: bytes | None) -> bytes:
        if raw is None:
            raise DecodeError("null_value", "the record has no value; expected a JSON object")
        if len(raw) > self._max_bytes:
            detail = f"{len(raw)} bytes; expected at most {self._max_bytes}"
            raise DecodeError("too_large", detail)
        raw = unframed(raw)
        try:
            raw.decode()
        except UnicodeDecodeError as exc:
            detail = f"byte 0x{raw[exc.start]:02x} at position {exc.start}; expected UTF-8"
            raise DecodeError("not_utf8", detail) from None
        if is_too_deep(raw):
            raise DecodeError("too_deep", f"nested deeper than {MAX_NESTING} levels")
        return raw


class _Collected:
    """Elements of a poll, gathered record by record."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._structs: list[Any] = []
        self._outers: list[Any] = []
        self._numbers: list[int] = []
        self._sizes: list[int] = []
        self._empty: list[int] = []

    def add(
        self, row: int, record: Any, elements: Sequence[Any], numbers: Sequence[int], size: int
    ) -> None:
        """Add the elements of a record; `numbers` are theirs, of `size` that it has."""
        if not size:
            self._empty.append(row)
            return
        n = len(elements)
        self._rows += [row] * n
        self._structs += elements
        self._outers += [record] * n
        self._numbers += numbers
        self._sizes += [size] * n

    def add_all(self, row: int, record: Any, elements: Sequence[Any]) -> None:
        """Add all elements of a record."""
        self.add(row, record, elements, range(1, len(elements) + 1), len(elements))

    def records(self) -> Elements:
        """Return the elements of records that have one each."""
        rows = np.array(self._rows, dtype=np.int64)
        structs = self._structs
        return Elements(rows=rows, structs=structs, outers=structs, is_strict=False)

    def elements(self, *, is_strict: bool) -> Elements:
        """Return the elements of records that may have several."""
        return Elements(
            rows=np.array(self._rows, dtype=np.int64),
            structs=self._structs,
            outers=self._outers,
            is_strict=is_strict,
            numbers=self._numbers,
            sizes=self._sizes,
            empty=self._empty,
        )


def _longer(raws: Sequence[bytes]) -> list[bytes]:
    """Return the records that are long enough to be too deep."""
    return [raw for raw in raws if len(raw) > MAX_NESTING]


def _decode_all(
    decode_one: Callable[[bytes | None], Any], raws: Sequence[bytes | None]
) -> list[Any] | None:
    try:
        return [decode_one(raw) for raw in raws]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def element_documents(document: Any, layout: RecordLayout) -> Sequence[Any]:
    """Return the elements of a parsed record; without an array, it is its only one."""
    if layout.records_path is None:
        return [document]
    found = document
    for name in () if layout.records_path == (WHOLE_RECORD,) else layout.records_path:
        found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, list):
        return found
    return [found if isinstance(found, dict) else document]
