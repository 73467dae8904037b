"""Depth is the record's own, whatever stands on the stack."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.core.model_spec import numeric_features
from stream_vae.core.records import RecordBatch
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.nesting import MAX_NESTING, is_too_deep
from stream_vae.inputs.reading_format import ReadingFormat


def decode_below(frames: int, raw: bytes) -> list[str]:
    """Return the reasons of rejection when called `frames` frames further down."""
    if frames:
        return decode_below(frames - 1, raw)
    batch = RecordBatch(
        topic="readings",
        partitions=np.zeros(1, np.int32),
        offsets=np.zeros(1, np.int64),
        timestamps=np.zeros(1, np.int64),
        timed_by_broker=False,
        keys=[b"pump-7"],
        values=[raw],
        headers=lambda _: [],
    )
    decoded = build_decoder(numeric_features(["flow"]), ReadingFormat()).decode(batch, 10**18)
    return [rejection.reason for rejection in decoded.rejections]


@pytest.mark.parametrize("text", [b"flow", b"fl\xc3\xb6w"])  # the fast way and the careful one
@pytest.mark.parametrize(
    ("levels", "reasons"), [(MAX_NESTING, []), (MAX_NESTING + 1, ["too_deep"])]
)
def test_a_nested_record_has_the_same_outcome_wherever_it_is_decoded(
    levels: int, reasons: list[str], text: bytes
) -> None:
    """A replay calls from another depth than the poll loop; parsers stop by the stack."""
    nest = b"[" * (levels - 1) + b"]" * (levels - 1)
    raw = b'{"timestamp":1,"flow":1,"' + text + b'2":' + nest + b"}"
    assert decode_below(0, raw) == decode_below(200, raw) == reasons


@given(
    st.recursive(
        st.none() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_depth_is_that_of_the_parsed_value(value: object) -> None:
    """Brackets and quotes within text do not count, escaped or not."""
    for extra in (MAX_NESTING - depth_of(value), MAX_NESTING + 1 - depth_of(value)):
        raw = b"[" * extra + json.dumps(value).encode() + b"]" * extra
        assert is_too_deep(raw) == (extra + depth_of(value) > MAX_NESTING)


def depth_of(value: object) -> int:
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 0
