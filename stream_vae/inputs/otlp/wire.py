"""Protocol buffers' wire format: the fields of a message, as places in the record's bytes."""

from stream_vae.errors import DecodeError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

_WIDTHS = {FIXED64: 8, FIXED32: 4}
_KINDS = (FIXED64, BYTES, FIXED32)

Field = tuple[int, int, int, int]
"""(number, wire type, begin, end): of a varint its value in the place of begin."""


def fields(raw: bytes, begin: int, end: int) -> list[Field]:
    """Return the fields of the message in raw[begin:end].

    Raises:
        DecodeError: `not_protobuf`.
    """
    found: list[Field] = []
    at = begin
    while at < end:
        tag = raw[at]
        at += 1
        if tag > 127:
            tag, at = varint(raw, at - 1, end)
        kind = tag & 7
        if kind == VARINT:
            value, at = varint(raw, at, end)
            found.append((tag >> 3, kind, value, at))
            continue
        size = _WIDTHS.get(kind)
        if size is None:
            size, at = varint(raw, at, end)
        here, at = at, at + size
        if at > end or kind not in _KINDS:
            found_there = f"a field of wire type {kind} and {size} bytes, {end - here} are left"
            raise _broken(here, found_there)
        found.append((tag >> 3, kind, here, at))
    return found


def varint(raw: bytes, at: int, end: int) -> tuple[int, int]:
    """Return a number of up to 64 bits and the place after it.

    Raises:
        DecodeError: `not_protobuf`.
    """
    if at < end and raw[at] < 128:
        return raw[at], at + 1
    value = shift = 0
    while at < end and shift < 70:
        byte = raw[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
    raise _broken(at, "a number without an end")


def text(raw: bytes, begin: int, end: int) -> str:
    """Return text.

    Raises:
        DecodeError: `not_protobuf`.
    """
    try:
        return raw[begin:end].decode()
    except UnicodeDecodeError:
        raise _broken(begin, "text that is not UTF-8") from None


def _broken(at: int, found: str) -> DecodeError:
    detail = f"byte {at}: {found}; expected an OTLP metrics message"
    return DecodeError("not_protobuf", detail)
