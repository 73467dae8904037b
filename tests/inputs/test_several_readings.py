"""One record, several readings: what every decoder that builds on the shared parts keeps."""

from collections.abc import Sequence
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.core.model_spec import numeric_features
from stream_vae.core.records import RecordBatch
from stream_vae.inputs.decoder import Decoded, Decoder
from stream_vae.inputs.formats import DECODERS, LAYOUTS, build_decoder
from stream_vae.inputs.log_lines.readers import READERS
from stream_vae.inputs.reading_format import InputFormat, ReadingFormat
from tests.inputs.point_lists import PointListDecoder, point_list

F = 2
NOW_S = 1_700_000_000
NOW_NS = NOW_S * 10**9
DECODER: Decoder = PointListDecoder(F)


def decode(*values: bytes | None) -> Decoded:
    n = len(values)
    batch = RecordBatch(
        topic="readings",
        partitions=np.arange(n, dtype=np.int32) % 2,
        offsets=np.arange(100, 100 + n, dtype=np.int64),
        timestamps=np.full(n, NOW_NS, np.int64),
        timed_by_broker=True,
        keys=[b"unused"] * n,
        values=list(values),
        headers=lambda _: [],
    )
    return DECODER.decode(batch, NOW_NS)


GOOD = point_list(["a", NOW_S, 1, 2], ["b", NOW_S, 3, None], ["a", NOW_S + 1, 5, 6])


def test_every_format_has_a_decoder() -> None:
    assert {*LAYOUTS, *DECODERS, *READERS, "registry"} == set(get_args(InputFormat))
    for name in LAYOUTS:
        build_decoder(numeric_features(["flow"]), ReadingFormat(format=name))


def test_readings_of_a_record_share_its_origin_and_keep_its_order() -> None:
    decoded = decode(GOOD, point_list(["c", NOW_S, 7, 8]))
    readings = decoded.readings
    assert decoded.index.tolist() == [0, 0, 0, 1]
    assert readings.series == ["a", "b", "a", "c"]
    assert readings.offsets.tolist() == [100, 100, 100, 101]
    assert readings.partitions.tolist() == [0, 0, 0, 1]
    assert len(set(readings.arrivals.tolist())) == 1
    nan = float("nan")
    np.testing.assert_array_equal(readings.values, [[1, 2], [3, nan], [5, 6], [7, 8]])


BAD_SECOND: list[tuple[str, Sequence[object]]] = [
    ("value_not_a_number", ["b", NOW_S, "x", 4]),
    ("key_missing", ["", NOW_S, 3, 4]),
    ("key_not_utf8", ["\ud800", NOW_S, 3, 4]),
    ("timestamp_missing", ["b", None, 3, 4]),
    ("timestamp_unparsable", ["b", "noon", 3, 4]),
    ("timestamp_in_future", ["b", NOW_S + 7200, 3, 4]),
]


@pytest.mark.parametrize(("reason", "point"), BAD_SECOND, ids=[row[0] for row in BAD_SECOND])
def test_one_bad_reading_is_rejected_and_named_and_the_others_count(
    reason: str, point: Sequence[object]
) -> None:
    bad = point_list(["a", NOW_S, 1, 2], point, ["a", NOW_S + 1, 5, 6])
    decoded = decode(GOOD, bad, GOOD)
    assert decoded.index.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert decoded.readings.series == ["a", "b", "a", "a", "a", "a", "b", "a"]
    assert decoded.readings.values[3:5].tolist() == [[1, 2], [5, 6]]
    [rejection] = decoded.rejections
    assert (rejection.index, rejection.reason, rejection.elements) == (1, reason, (2,))
    assert rejection.detail.startswith("reading 2 of 3: ")


def test_several_bad_readings_are_one_rejection() -> None:
    """Control: where all are bad, the record is rejected as a whole."""
    bad, good = ["b", "noon", 3, 4], ["a", NOW_S, 1, 2]
    [rejection] = decode(point_list(bad, good, bad)).rejections
    assert rejection.elements == (1, 3)
    assert rejection.detail.startswith('readings 1, 3 of 3: timestamp "noon"')
    [rejection] = decode(point_list(bad, bad)).rejections
    assert rejection.elements == ()


def test_the_first_fault_is_told_where_there_are_several() -> None:
    [rejection] = decode(point_list(["a", "noon", 1, 2], ["a", "one", 1, 2])).rejections
    assert rejection.detail.startswith('readings 1, 2 of 2: timestamp "noon"')


def test_the_only_reading_of_a_record_is_not_numbered() -> None:
    [rejection] = decode(point_list(["a", "noon", 1, 2])).rejections
    assert rejection.detail.startswith('timestamp "noon"')


def test_keys_are_those_of_their_records_where_a_poll_has_as_many_readings_as_records() -> None:
    """One record is refused and one gives two readings: two keys, two readings, no match."""
    batch = RecordBatch(
        topic="readings",
        partitions=np.zeros(2, np.int32),
        offsets=np.arange(2),
        timestamps=np.zeros(2, np.int64),
        timed_by_broker=False,
        keys=[b"refused", b"read"],
        values=[b"{", point_list(["-", NOW_S, 1, 2], ["-", NOW_S, 3, 4])],
        headers=lambda _: [],
    )
    assert PointListDecoder(F, keyed=True).decode(batch, NOW_NS).readings.series == ["read", "read"]


points = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", ""]),
        st.sampled_from([NOW_S, "2023-11-14T22:13:20Z", None, NOW_S + 7200]),
        st.sampled_from([1.5, None]),
        st.sampled_from([2, "x"]),
    ),
    max_size=3,
)
values = st.one_of(st.just(b"{"), st.just(GOOD), points.map(lambda found: point_list(*found)))


@given(st.lists(values, max_size=6))
def test_a_records_readings_and_rejection_are_its_own_whatever_stands_beside_it(
    records: list[bytes],
) -> None:
    together = decode(*records)
    rejected = {rejection.index: rejection for rejection in together.rejections}
    assert len(rejected) == len(together.rejections)
    assert set(rejected) | set(together.index.tolist()) == set(range(len(records)))
    both = set(rejected) & set(together.index.tolist())
    assert both == {row for row, rejection in rejected.items() if rejection.elements}
    for row, value in enumerate(records):
        alone = decode(value)
        mine = np.flatnonzero(together.index == row)
        assert [(r.reason, r.detail) for r in alone.rejections] == [
            (r.reason, r.detail) for r in together.rejections if r.index == row
        ]
        assert alone.readings.series == [together.readings.series[i] for i in mine.tolist()]
        assert alone.readings.times.tolist() == together.readings.times[mine].tolist()
        np.testing.assert_array_equal(alone.readings.values, together.readings.values[mine])


@pytest.mark.parametrize(
    ("chosen", "times"), [(b"2", [1]), (b"1,3", [0, 2]), (b"3-9", [2]), (b"7", [0, 1, 2])]
)
def test_a_record_sent_again_gives_only_the_readings_that_did_not_count(
    chosen: bytes, times: list[int]
) -> None:
    """A header that names none of them is not ours. Control: a record without it gives all."""
    value = point_list(*(["a", NOW_S + i, 1, 2] for i in range(3)))
    batch = RecordBatch(
        topic="readings",
        partitions=np.zeros(2, np.int32),
        offsets=np.arange(2),
        timestamps=np.zeros(2, np.int64),
        timed_by_broker=False,
        keys=[b"a"] * 2,
        values=[value, value],
        headers=lambda row: [("dlq.redriven.readings", chosen)] if row == 0 else [],
    )
    readings = DECODER.decode(batch, NOW_NS).readings
    assert (readings.times // 10**9 - NOW_S).tolist() == [*times, 0, 1, 2]
