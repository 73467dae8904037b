"""The decoder of all formats whose records are JSON."""

from collections.abc import Sequence

from stream_vae.core.model_spec import Feature
from stream_vae.core.records import RecordBatch
from stream_vae.inputs.decode_errors import DecodeErrors
from stream_vae.inputs.decoder import Decoded
from stream_vae.inputs.json_records import JsonRecordParser
from stream_vae.inputs.raw_readings import ReadingBuilder
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.record_layout import RecordLayout


class JsonDecoder:
    """Decodes records of one layout, each a reading.

    Args:
        layout: Where a record keeps time, series and features.
        features: F, in the model's order.
        fmt: The operator's choices.
        is_events: As in `build_decoder`.
    """

    def __init__(
        self,
        layout: RecordLayout,
        features: Sequence[Feature],
        fmt: ReadingFormat,
        *,
        is_events: bool = False,
    ) -> None:
        self._parser = JsonRecordParser(layout, features, fmt)
        self._builder = ReadingBuilder(fmt, is_events=is_events)

    def lacks(self, batch: RecordBatch) -> str:
        """Return "": a record says all by itself."""
        return ""

    def decode(self, batch: RecordBatch, now_ns: int, read_since_ns: int | None = None) -> Decoded:
        """See `Decoder.decode`."""
        errors = DecodeErrors()
        raw = self._parser.parse(batch, errors)
        return self._builder.build(batch, raw, errors, now_ns, read_since_ns)
