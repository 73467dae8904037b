"""Input format `json`: one object a record, a field a feature, one reading."""

from collections.abc import Sequence

from stream_vae.core.model_spec import Feature
from stream_vae.errors import ConfigError
from stream_vae.inputs.field_kinds import VALUES
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.record_layout import RecordLayout, split_path


def object_layout(features: Sequence[Feature], fmt: ReadingFormat) -> RecordLayout:
    """Return the layout of time, series and features in an object.

    A feature without an entry in `feature_fields` is the top-level field of exactly its name,
    including dots, so CSV headers such as `cpu.load` work as they are. Absent and null are not
    observed.

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
