"""Where a record names its schema: in its first five bytes, or in a header."""

from uuid import UUID

from stream_vae.core.excerpts import excerpt
from stream_vae.core.records import Headers
from stream_vae.errors import DecodeError
from stream_vae.inputs.registry.schemas import SchemaId

VALUE_HEADER = "__value_schema_id"
KEY_HEADER = "__key_schema_id"
_PREFIX_BYTES = 5
_NUMBER, _GUID = 0, 1  # magic bytes


def schema_id(raw: bytes, headers: Headers, name: str) -> tuple[SchemaId, int]:
    """Return the id of a record's schema, and where its content begins.

    A header comes first: content may begin with any byte.

    Args:
        raw: The key or value.
        headers: Of the record.
        name: Of the header: `VALUE_HEADER` or `KEY_HEADER`.

    Raises:
        DecodeError: `schema_id_missing`.
    """
    for header, value in headers:
        if header == name and value is not None:
            return _from_header(value), 0
    if len(raw) >= _PREFIX_BYTES and raw[0] == _NUMBER:
        return int.from_bytes(raw[1:_PREFIX_BYTES], "big"), _PREFIX_BYTES
    detail = f"begins with {raw[:5].hex()}; expected 00 and four bytes, or the header {name}"
    raise DecodeError("schema_id_missing", detail)


def _from_header(value: bytes) -> SchemaId:
    if len(value) == _PREFIX_BYTES and value[0] == _NUMBER:
        return int.from_bytes(value[1:], "big")
    if len(value) == 17 and value[0] == _GUID:
        return str(UUID(bytes=value[1:]))
    detail = f"header of the schema's id: found {excerpt(value)!r}; expected 5 or 17 bytes"
    raise DecodeError("schema_id_missing", detail)
