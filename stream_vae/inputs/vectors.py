"""Input format `vector`: one object a record with an array of all features, one reading.

For parsed log vectors and embeddings, whose features have positions rather than names.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from stream_vae.core.excerpts import excerpt
from stream_vae.core.model_spec import Feature
from stream_vae.errors import ConfigError, DecodeError
from stream_vae.inputs.field_kinds import VALUES, FieldKind
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
    path = split_path(fmt.values_field)
    kinds = [VALUES[feature.kind] for feature in features]
    return RecordLayout(fmt, [path] if kinds else [], [_array_of(kinds)] if kinds else [])


def _array_of(kinds: Sequence[FieldKind]) -> FieldKind:
    length = len(kinds)
    is_plain = all(kind is VALUES["numeric"] for kind in kinds)

    def check(found: Any, name: str) -> list[Any]:
        expected = f"expected an array of {length} {'numbers' if is_plain else 'values'}"
        if found is None:
            raise DecodeError("values_missing", f"field {name}: absent or null; {expected}")
        if not isinstance(found, list):
            detail = f"field {name}: found {excerpt(found)}; {expected}"
            raise DecodeError("values_not_an_array", detail)
        if len(found) != length:
            raise DecodeError("wrong_length", f"field {name}: found {excerpt(found)}; {expected}")
        return [
            kind.check(value, f"{name}[{position}]")
            for position, (kind, value) in enumerate(zip(kinds, found, strict=True))
        ]

    exact = msgspec.Meta(min_length=length, max_length=length)
    array: Any = Annotated[list[float | None], exact]
    if not is_plain:
        array = tuple[tuple(kind.type for kind in kinds)]  # type: ignore[misc]
    return FieldKind(type=array, check=check, is_required=True)
