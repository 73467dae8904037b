"""Input format `registry`: Avro, or JSON, of a schema that the record names by its id.

Content becomes the JSON object that it means, and that is read as JSON records are: with the same
settings of fields, names, times and values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from stream_vae.core.excerpts import excerpt
from stream_vae.core.records import RecordBatch, Rejection
from stream_vae.errors import DecodeError
from stream_vae.inputs.decoder import Decoded, Decoder, Unreadable
from stream_vae.inputs.nesting import is_too_deep
from stream_vae.inputs.registry.avro_reader import Reader, avro_reader
from stream_vae.inputs.registry.framing import KEY_HEADER, VALUE_HEADER, schema_id
from stream_vae.inputs.registry.schemas import (
    RegisteredSchema,
    SchemaId,
    SchemaSource,
    UnknownSchema,
)

_Framed = tuple[SchemaId, int] | DecodeError | None
"""A record's schema and where its content begins, or why not; None of a null value."""


_Answer = RegisteredSchema | UnknownSchema
_MOST_READERS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """What was found out about a batch before it is decoded."""

    batch: RecordBatch
    values: Sequence[_Framed]
    keys: Sequence[_Framed]
    """Of keys that are read; else none."""
    schemas: Mapping[SchemaId, _Answer]


class RegistryDecoder:
    """Decodes records of registered schemas.

    Args:
        inner: Decodes the JSON.
        schemas: Where schemas come from.
        max_bytes: Longer records are rejected.
        reads_keys: Keys are of registered schemas too, and name the series.
    """

    def __init__(
        self, inner: Decoder, schemas: SchemaSource, max_bytes: int, *, reads_keys: bool = False
    ) -> None:
        self._reads_keys = reads_keys
        self._inner = inner
        self._schemas = schemas
        self._max_bytes = max_bytes
        self._prepared: _Prepared | None = None
        self._readers: dict[SchemaId, tuple[object, Reader | DecodeError | None]] = {}

    def lacks(self, batch: RecordBatch) -> str:
        """Return which schemas have not arrived yet."""
        rows = range(len(batch))
        values = [self._frame(batch, row, batch.values[row], VALUE_HEADER) for row in rows]
        keys: list[_Framed] = []
        if self._reads_keys:
            keys = [self._frame(batch, row, batch.keys[row], KEY_HEADER) for row in rows]
        wanted = {each[0] for each in (*values, *keys) if isinstance(each, tuple)}
        found = self._schemas.find(wanted)
        self._prepared = None
        if found.keys() == wanted:
            self._prepared = _Prepared(batch=batch, values=values, keys=keys, schemas=found)
        return "; ".join(sorted(self._schemas.waiting_for(one) for one in wanted - found.keys()))

    def decode(self, batch: RecordBatch, now_ns: int, read_since_ns: int | None = None) -> Decoded:
        """See `Decoder.decode`."""
        lacking = ""
        if self._prepared is None or self._prepared.batch is not batch:
            lacking = self.lacks(batch)
        prepared, self._prepared = self._prepared, None
        if prepared is None:
            msg = f"decoded before its schemas arrived: {lacking}"
            raise RuntimeError(msg)
        rejections: list[Rejection] = []
        rows: list[int] = []
        documents: list[bytes | None] = []
        keys: list[bytes | None] = []
        for row, raw in enumerate(batch.values):
            try:
                document = self._document(raw, prepared.values[row], prepared.schemas)
                if prepared.keys:
                    keys.append(self._key(batch.keys[row], prepared.keys[row], prepared.schemas))
                documents.append(document)
                rows.append(row)
            except DecodeError as error:
                rejections.append(Rejection(index=row, reason=error.reason, detail=error.detail))
        sub = batch.take(rows) if rejections else batch
        as_json = replace(sub, values=documents, keys=keys if prepared.keys else sub.keys)
        decoded = self._inner.decode(as_json, now_ns, read_since_ns)
        return _placed(decoded, rows, rejections) if rejections else decoded

    def _frame(self, batch: RecordBatch, row: int, raw: bytes | None, header: str) -> _Framed:
        if raw is None:
            return None
        if len(raw) > self._max_bytes:
            detail = f"{len(raw)} bytes; expected at most {self._max_bytes}"
            return DecodeError("too_large", detail)
        try:
            return schema_id(raw, batch.headers(row), header)
        except DecodeError as error:
            return error

    def _document(
        self, raw: bytes | None, framed: _Framed, schemas: Mapping[SchemaId, _Answer]
    ) -> bytes | None:
        if isinstance(framed, DecodeError):
            raise framed
        if raw is None or framed is None:
            return None
        found, begin = framed
        reader = self._reader(found, schemas[found])
        if reader is None:
            return raw[begin:]
        try:
            return msgspec.json.encode(reader(raw, begin))
        except (TypeError, ValueError, RecursionError) as exc:
            raise DecodeError("not_avro", f"{exc}; expected plain values") from None

    def _key(
        self, raw: bytes | None, framed: _Framed, schemas: Mapping[SchemaId, _Answer]
    ) -> bytes | None:
        """Return the text of a key: of a plain value, or of an object's values, with slashes."""
        document = self._document(raw, framed, schemas)
        if document is None:
            return None
        try:
            found = None if is_too_deep(document) else msgspec.json.decode(document)
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = None  # nothing that names
        parts = list(found.values()) if isinstance(found, dict) else [found]
        if not parts or not all(isinstance(part, str | int) for part in parts):
            detail = (
                f"key {excerpt(found)}; expected text, an integer or an object of these, or the "
                "series in input.series_field"
            )
            raise DecodeError("key_not_text", detail)
        return "/".join(map(str, parts)).encode()

    def _reader(self, schema_id: SchemaId, schema: _Answer) -> Reader | None:
        """Return the reader of a schema's content; None of JSON."""
        known = self._readers.get(schema_id)
        if known is None or known[0] is not schema:
            if len(self._readers) >= _MOST_READERS:
                self._readers.clear()
            known = self._readers[schema_id] = schema, _reader_of(schema_id, schema)
        error = known[1]
        if isinstance(error, DecodeError):
            # Another each time: one that is remembered would keep the frames, and so the polls.
            raise DecodeError(error.reason, error.detail)
        return error


def _reader_of(found: SchemaId, schema: _Answer) -> Reader | DecodeError | None:
    if not isinstance(schema, RegisteredSchema):
        return DecodeError("schema_unknown", f"schema {found}: {schema.detail}")
    if schema.kind == "JSON":
        return None
    if schema.kind != "AVRO":
        detail = f"schema {found} is {schema.kind}; expected AVRO or JSON"
        return DecodeError("schema_unusable", detail)
    try:
        return avro_reader(schema.text, schema.references)
    except DecodeError as error:
        return DecodeError(error.reason, f"schema {found}: {error.detail}")


def _placed(decoded: Decoded, rows: Sequence[int], rejections: Sequence[Rejection]) -> Decoded:
    """Return what was decoded of some records of a batch as of the batch, with the others."""
    place = np.array(rows, dtype=np.int64)
    moved = [replace(each, index=rows[each.index]) for each in decoded.rejections]
    unreadable: Mapping[tuple[str, str], Unreadable] = {
        key: replace(each, index=rows[each.index]) for key, each in decoded.unreadable.items()
    }
    return replace(
        decoded,
        index=place[decoded.index],
        rejections=sorted([*moved, *rejections], key=lambda each: each.index),
        unreadable=unreadable,
        ignored=[rows[row] for row in decoded.ignored],
    )
