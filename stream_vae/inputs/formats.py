"""The input formats by their name in `input.format`.

To add one: a module with a `Decoder`, its line below, and its name and meaning in
`reading_format`. `raw_readings` does what all formats share.
"""

from collections.abc import Callable, Mapping, Sequence

from stream_vae.inputs.decoder import Decoder
from stream_vae.inputs.json_objects import JsonObjectDecoder
from stream_vae.inputs.reading_format import InputFormat, ReadingFormat
from stream_vae.inputs.vectors import VectorDecoder

DECODERS: Mapping[InputFormat, Callable[[Sequence[str], ReadingFormat], Decoder]] = {
    "json": JsonObjectDecoder,
    "vector": VectorDecoder,
}
"""Name -> decoder of F features, by name in the model's order, from records of a format."""


def build_decoder(feature_names: Sequence[str], fmt: ReadingFormat) -> Decoder:
    """Return the decoder of a format.

    Args:
        feature_names: F names, in the model's order.
        fmt: The operator's choices.

    Raises:
        ConfigError: If the format is inconsistent or does not fit the features.
    """
    return DECODERS[fmt.format](feature_names, fmt)
