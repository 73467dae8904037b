import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.core.event_time import END_NS
from stream_vae.core.model_spec import numeric_features
from stream_vae.core.records import RecordBatch
from stream_vae.errors import ConfigError
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.reading_encoder import ReadingEncoder, encode_reading
from stream_vae.inputs.reading_format import ReadingFormat

FEATURES = ("flow", "cpu.load", "größe")


@given(
    st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=20),
    st.integers(min_value=0, max_value=END_NS - 1),
    st.lists(st.floats(allow_infinity=False), min_size=3, max_size=3),
    st.sampled_from(
        [
            ReadingFormat(series_field="id"),
            ReadingFormat(series_field="meta.id", timestamp_field=r"meta.a\.t"),
            ReadingFormat(series_field="id", timestamp_format="ns"),
            ReadingFormat(series_field="id", feature_fields={"flow": "s.f", "cpu.load": "s.c"}),
            ReadingFormat(series_field="id", format="vector", values_field="v.x"),
        ]
    ),
)
def test_encoded_readings_are_decoded_as_they_were(
    series: str, time_ns: int, values: list[float], fmt: ReadingFormat
) -> None:
    raw = ReadingEncoder(numeric_features(FEATURES), fmt).encode(
        series=series, time_ns=time_ns, values=values
    )
    batch = RecordBatch(
        topic="readings",
        partitions=np.zeros(1, dtype=np.int32),
        offsets=np.zeros(1, dtype=np.int64),
        timestamps=np.zeros(1, np.int64),
        timed_by_broker=False,
        keys=[None],
        values=[raw],
        headers=lambda _: [],
    )
    decoded = build_decoder(numeric_features(FEATURES), fmt).decode(batch, now_ns=END_NS)
    assert decoded.rejections == []
    assert decoded.unknown_fields == ()
    assert decoded.readings.series == [series]
    assert decoded.readings.times.tolist() == [time_ns]
    np.testing.assert_array_equal(decoded.readings.values, [values])


def test_missing_values_are_left_out() -> None:
    raw = encode_reading(
        series="a",
        time_ns=1_500_000_000,
        values=[math.nan, 2.0],
        feature_names=["flow", "speed"],
        fmt=ReadingFormat(),
    )
    assert json.loads(raw) == {"timestamp": "1970-01-01T00:00:01.500Z", "speed": 2.0}


@pytest.mark.parametrize(
    ("unit", "expected"), [("s", 1.5), ("ms", 1500), ("us", 1_500_000), ("ns", 1_500_000_000)]
)
def test_epoch_formats_are_written_as_numbers(unit: str, expected: float) -> None:
    fmt = ReadingFormat(timestamp_format=unit)
    encoder = ReadingEncoder(numeric_features(["flow"]), fmt)
    raw = encoder.encode(series="a", time_ns=1_500_000_000, values=[1.0])
    assert json.loads(raw)["timestamp"] == expected


@pytest.mark.parametrize("values", [[1.0], [1.0, math.inf], [1.0, 2.0, 3.0]])
def test_what_could_not_be_read_back_is_refused(values: list[float]) -> None:
    encoder = ReadingEncoder(numeric_features(["flow", "speed"]), ReadingFormat())
    with pytest.raises(ValueError, match="expected 2 values, none infinite"):
        encoder.encode(series="a", time_ns=0, values=values)


@pytest.mark.parametrize(
    "setting", [{"records_path": "$"}, {"value_field": "value"}, {"series_field": "{a}/{b}"}]
)
def test_forms_that_are_only_read_are_refused_with_their_setting(setting: dict[str, str]) -> None:
    [name] = setting
    with pytest.raises(ConfigError, match=f"input.{name}"):
        ReadingEncoder(numeric_features(FEATURES), ReadingFormat(**setting))  # type: ignore[arg-type]
