"""Input format `registry`: Avro, or JSON, of a schema that the record names by its id.

Content becomes the JSON object that it means, and that is read as JSON records are: with the same
settings of fields, names, times and values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from stream_vae.core.records import RecordBatch, Rejection
from stream_vae.errors import DecodeError
from stream_vae.inputs.decoder import Decoded, Decoder, Unreadable
from stream_vae.inputs.registry.avro_reader import Reader, avro_reader
from stream_vae.inputs.registry.framing import VALUE_HEADER, schema_id
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
    framed: Sequence[_Framed]
    schemas: Mapping[SchemaId, _Answer]


class RegistryDecoder:
    """Decodes records of registered schemas.

    Args:
        inner: Decodes the JSON.
        schemas: Where schemas come from.
        max_bytes: Longer records are rejected.
    """

    def __init__(self, inner: Decoder, schemas: SchemaSource, max_bytes: int) -> None:
        self._inner = inner
        self._schemas = schemas
        self._max_bytes = max_bytes
        self._prepared: _Prepared | None = None
        self._readers: dict[SchemaId, tuple[object, Reader | DecodeError | None]] = {}

    def lacks(self, batch: RecordBatch) -> str:
        """Return which schemas have not arrived yet."""
        framed = [self._frame(batch, row) for row in range(len(batch))]
        wanted = {each[0] for each in framed if isinstance(each, tuple)}
        found = self._schemas.find(wanted)
        self._prepared = _Prepared(batch=batch, framed=framed, schemas=found)
        return "; ".join(sorted(self._schemas.waiting_for(one) for one in wanted - found.keys()))

    def decode(self, batch: RecordBatch, now_ns: int, read_since_ns: int | None = None) -> Decoded:
        """See `Decoder.decode`."""
        if self._prepared is None or self._prepared.batch is not batch:
            self.lacks(batch)
        prepared, self._prepared = self._prepared, None
        assert prepared is not None  # noqa: S101 -- just set
        rejections: list[Rejection] = []
        rows: list[int] = []
        documents: list[bytes | None] = []
        for row, raw in enumerate(batch.values):
            try:
                documents.append(self._document(raw, prepared.framed[row], prepared.schemas))
                rows.append(row)
            except DecodeError as error:
                rejections.append(Rejection(index=row, reason=error.reason, detail=error.detail))
        sub = batch.take(rows) if rejections else batch
        decoded = self._inner.decode(replace(sub, values=documents), now_ns, read_since_ns)
        return _placed(decoded, rows, rejections) if rejections else decoded

    def _frame(self, batch: RecordBatch, row: int) -> _Framed:
        raw = batch.values[row]
        if raw is None:
            return None
        if len(raw) > self._max_bytes:
            detail = f"{len(raw)} bytes; expected at most {self._max_bytes}"
            return DecodeError("too_large", detail)
        try:
            return schema_id(raw, batch.headers(row), VALUE_HEADER)
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
        reader = self._reader(found, schemas.get(found))
        if reader is None:
            return raw[begin:]
        try:
            return msgspec.json.encode(reader(raw, begin))
        except (TypeError, ValueError, RecursionError) as exc:
            raise DecodeError("not_avro", f"{exc}; expected plain values") from None

    def _reader(self, schema_id: SchemaId, schema: _Answer | None) -> Reader | None:
        """Return the reader of a schema's content; None of JSON."""
        known = self._readers.get(schema_id)
        if known is None or known[0] is not schema:
            if len(self._readers) >= _MOST_READERS:
                self._readers.clear()
            known = self._readers[schema_id] = schema, _reader_of(schema_id, schema)
        if isinstance(known[1], DecodeError):
            raise known[1]
        return known[1]


def _reader_of(found: SchemaId, schema: _Answer | None) -> Reader | DecodeError | None:
    if not isinstance(schema, RegisteredSchema):
        detail = "the registry has not answered" if schema is None else schema.detail
        return DecodeError("schema_unknown", f"schema {found}: {detail}")
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
