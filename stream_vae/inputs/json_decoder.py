"""The decoder of all formats whose records are JSON."""

from typing import Protocol

from stream_vae.core.records import RecordBatch
from stream_vae.inputs.decode_errors import DecodeErrors
from stream_vae.inputs.decoder import Decoded, Decoder
from stream_vae.inputs.raw_readings import RawReadings, ReadingBuilder
from stream_vae.inputs.reading_format import ReadingFormat


class JsonParser(Protocol):
    """Finds the raw readings in JSON records of one shape."""

    def parse(self, batch: RecordBatch, errors: DecodeErrors) -> RawReadings:
        """Return the valid readings; add the errors of the others to `errors`."""
        ...


class JsonDecoder(Decoder):
    """Decodes records of one shape.

    Args:
        parser: Finds the readings in a record.
        fmt: The operator's choices.
        is_events: As in `build_decoder`.
    """

    def __init__(self, parser: JsonParser, fmt: ReadingFormat, *, is_events: bool = False) -> None:
        self._parser = parser
        self._builder = ReadingBuilder(fmt, is_events=is_events)

    def decode(self, batch: RecordBatch, now_ns: int, read_since_ns: int | None = None) -> Decoded:
        """See `Decoder.decode`."""
        errors = DecodeErrors()
        raw = self._parser.parse(batch, errors)
        return self._builder.build(batch, raw, errors, now_ns, read_since_ns)
