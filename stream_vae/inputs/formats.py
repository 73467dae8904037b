"""The input formats by their name in `input.format`.

To add one: a module with a `Decoder`, its line below, and its name and meaning in
`reading_format`. `raw_readings` does what all formats share.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from stream_vae.core.model_spec import Feature
from stream_vae.inputs.decoder import Decoder
from stream_vae.inputs.json_objects import JsonObjectDecoder
from stream_vae.inputs.reading_format import InputFormat, ReadingFormat
from stream_vae.inputs.vectors import VectorDecoder


class _DecoderType(Protocol):
    def __call__(
        self, features: Sequence[Feature], fmt: ReadingFormat, *, is_events: bool = False
    ) -> Decoder: ...


DECODERS: Mapping[InputFormat, _DecoderType] = {
    "json": JsonObjectDecoder,
    "vector": VectorDecoder,
}
"""Name -> decoder of F features, in the model's order, from records of a format."""


def build_decoder(
    features: Sequence[Feature], fmt: ReadingFormat, *, is_events: bool = False
) -> Decoder:
    """Return the decoder of a format.

    Args:
        features: F, in the model's order.
        fmt: The operator's choices.
        is_events: Records are events without order in time (window length 1): one without a
            timestamp has its record's, and one without a key belongs to the series `events`.

    Raises:
        ConfigError: If the format is inconsistent or does not fit the features.
    """
    return DECODERS[fmt.format](features, fmt, is_events=is_events)
