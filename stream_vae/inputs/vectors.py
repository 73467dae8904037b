"""Input format `vector`: one object a record with an array of all features, one reading.

For parsed log vectors and embeddings, whose features have positions rather than names.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from stream_vae.core.model_spec import Feature
from stream_vae.errors import ConfigError
from stream_vae.inputs.field_kinds import VALUE_TYPES
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.record_layout import RecordLayout, ValueField, split_path


def vector_layout(features: Sequence[Feature], fmt: ReadingFormat) -> RecordLayout:
    """Return the layout of time, series and an array of exactly F values; null is not observed.

    Raises:
        ConfigError: If paths contradict each other or features are mapped to fields.
    """
    if fmt.feature_fields:
        raise ConfigError(
            "input.feature_fields has no meaning with input.format vector: features stand in "
            "the array in the model's order"
        )
    types = [VALUE_TYPES[feature.kind] for feature in features]
    return RecordLayout(
        fmt,
        [ValueField(path=split_path(fmt.values_field), type=_array_of(types))] if types else [],
        array_length=len(types),
    )


def _array_of(types: Sequence[Any]) -> Any:
    if all(kind == VALUE_TYPES["numeric"] for kind in types):
        exact = msgspec.Meta(min_length=len(types), max_length=len(types))
        return Annotated[list[float | None], exact]
    return tuple[tuple(types)]  # type: ignore[misc]
