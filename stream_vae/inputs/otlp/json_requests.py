"""Export requests of OpenTelemetry in JSON to structs."""

from typing import Generic, TypeVar

import msgspec

from stream_vae.core.excerpts import excerpt, printable
from stream_vae.errors import DecodeError
from stream_vae.inputs.nesting import MAX_NESTING, is_too_deep

Request = TypeVar("Request", bound=msgspec.Struct)


class RequestParser(Generic[Request]):
    """Parses requests of one signal.

    Args:
        kind: Of the request.
        max_bytes: Longer records are rejected.
        signal: What they hold, for messages: metrics or logs.
    """

    def __init__(self, kind: type[Request], max_bytes: int, signal: str) -> None:
        self._parse = msgspec.json.Decoder(kind).decode
        self._max_bytes = max_bytes
        self._signal = signal

    def parse(self, raw: bytes | None) -> Request:
        """Return a record's request.

        Raises:
            DecodeError: `null_value`, `too_large`, `not_utf8`, `too_deep`, `not_otlp`, `not_json`.
        """
        if raw is None:
            detail = f"the record has no value; expected OTLP {self._signal}"
            raise DecodeError("null_value", detail)
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
        expected = f"expected OTLP {self._signal} in JSON"
        try:
            return self._parse(raw)
        except msgspec.ValidationError as exc:
            detail = f"{printable(str(exc), 120)}; {expected}"
            raise DecodeError("not_otlp", detail) from None
        except msgspec.DecodeError as exc:
            detail = f"{printable(str(exc), 80)} in {excerpt(raw)!r}; {expected}"
            raise DecodeError("not_json", detail) from None
