"""Input format `vector`: one object a record with an array of all features, one reading.

For parsed log vectors and embeddings, whose features have positions rather than names.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from stream_vae.core.model_spec import Feature
from stream_vae.errors import ConfigError
from stream_vae.inputs.field_kinds import ANY, VALUES, FieldKind
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.record_layout import RecordLayout, split_path


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
    kinds = [VALUES[feature.kind] for feature in features]
    return RecordLayout(
        fmt,
        [split_path(fmt.values_field)] if kinds else [],
        [_array_of(kinds)] if kinds else [],
        array_length=len(kinds),
    )


def _array_of(kinds: Sequence[FieldKind]) -> FieldKind:
    exact = msgspec.Meta(min_length=len(kinds), max_length=len(kinds))
    array: Any = Annotated[list[float | None], exact]
    if any(kind is not VALUES["numeric"] for kind in kinds):
        array = tuple[tuple(kind.type for kind in kinds)]  # type: ignore[misc]
    return FieldKind(type=array, check=ANY.check, is_required=True)
