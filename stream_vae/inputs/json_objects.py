"""Input format `json`: one object a record, a field a feature, one reading."""

from collections.abc import Sequence

from stream_vae.core.model_spec import Feature
from stream_vae.core.records import RecordBatch
from stream_vae.errors import ConfigError
from stream_vae.inputs.decoder import Decoded
from stream_vae.inputs.field_kinds import VALUES
from stream_vae.inputs.json_records import JsonRecordParser
from stream_vae.inputs.raw_readings import DecodeErrors, ReadingBuilder
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.record_layout import RecordLayout, split_path


class JsonObjectDecoder:
    """Decodes objects.

    A feature without an entry in `feature_fields` is the top-level field of exactly its name,
    including dots, so CSV headers such as `cpu.load` work as they are. Absent and null are not
    observed.

    Args:
        features: F, in the model's order.
        fmt: Where a record keeps its parts.
        is_events: As in `build_decoder`.

    Raises:
        ConfigError: If the format is inconsistent or does not fit the features.
    """

    def __init__(
        self, features: Sequence[Feature], fmt: ReadingFormat, *, is_events: bool = False
    ) -> None:
        layout = object_layout(features, fmt)
        self._parser = JsonRecordParser(layout, features, fmt.max_record_bytes)
        self._builder = ReadingBuilder(fmt, is_events=is_events)

    def decode(self, batch: RecordBatch, now_ns: int, read_since_ns: int | None = None) -> Decoded:
        """See `Decoder.decode`."""
        errors: DecodeErrors = {}
        raw = self._parser.parse(batch, errors)
        return self._builder.build(batch, raw, errors, now_ns, read_since_ns)


def object_layout(features: Sequence[Feature], fmt: ReadingFormat) -> RecordLayout:
    """Return the layout of time, series and features in an object.

    Raises:
        ConfigError: If paths contradict each other or a name cannot be a field's.
    """
    names = [feature.name for feature in features]
    unknown = sorted(set(fmt.feature_fields) - set(names))
    if unknown:
        raise ConfigError(f"input.feature_fields names {unknown}; the model's features are {names}")
    mapped = fmt.feature_fields
    paths = [split_path(mapped[name]) if name in mapped else (name,) for name in names]
    return RecordLayout(fmt, paths, [VALUES[feature.kind] for feature in features])
