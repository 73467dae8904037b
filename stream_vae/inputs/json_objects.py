"""Input format `json`: one object a record, a field a feature, one reading."""

from collections.abc import Mapping, Sequence

from stream_vae.core.model_spec import Feature
from stream_vae.errors import ConfigError
from stream_vae.inputs.field_kinds import VALUE_TYPES
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.record_layout import FieldPath, RecordLayout, ValueField, split_path


def object_layout(features: Sequence[Feature], fmt: ReadingFormat) -> RecordLayout:
    """Return the layout of time, series and features in an object.

    A feature without an entry in `feature_fields` is the top-level field of exactly its name,
    including dots, so CSV headers such as `cpu.load` work as they are; where there is none, its
    dots lead through objects. An entry is a path first, and where that finds nothing a top-level
    field of this name. Absent and null are not observed.

    Raises:
        ConfigError: If paths contradict each other or a name cannot be a field's.
    """
    names = [feature.name for feature in features]
    unknown = sorted(set(fmt.feature_fields) - set(names))
    if unknown:
        raise ConfigError(f"input.feature_fields names {unknown}; the model's features are {names}")
    return RecordLayout(fmt, [_value_field(feature, fmt.feature_fields) for feature in features])


def _value_field(feature: Feature, mapped: Mapping[str, str]) -> ValueField:
    literal: FieldPath = (feature.name,)
    other: FieldPath | None
    path = split_path(mapped[feature.name]) if feature.name in mapped else literal
    if feature.name in mapped:
        other = (".".join(path),) if len(path) > 1 else None
    else:
        names = tuple(feature.name.split("."))
        other = names if len(names) > 1 and all(names) else None
    return ValueField(path=path, type=VALUE_TYPES[feature.kind], other=other)
