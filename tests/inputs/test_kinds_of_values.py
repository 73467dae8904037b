"""Values of features of every kind in JSON records and vectors."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.core.model_spec import Feature, FeatureKind
from stream_vae.core.records import RecordBatch
from stream_vae.inputs.categories import CategoryCodes, category_text
from stream_vae.inputs.decoder import Decoded
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.reading_encoder import ReadingEncoder
from stream_vae.inputs.reading_format import InputFormat, ReadingFormat
from stream_vae.inputs.series_keys import RawKey

NOW_NS = 1_700_000_000 * 10**9
NAN = float("nan")
CITIES = ("200", "north", "true")
UNSEEN = float(len(CITIES))
FEATURES = (
    Feature(name="income"),
    Feature(name="errors", kind="count"),
    Feature(name="open", kind="binary"),
    Feature(name="city", kind="categorical", categories=CITIES),
)
FORMATS: tuple[InputFormat, ...] = ("json", "vector")


def make_batch(values: Sequence[bytes], keys: Sequence[bytes | None]) -> RecordBatch:
    n = len(values)
    return RecordBatch(
        topic="events",
        partitions=np.zeros(n, dtype=np.int32),
        offsets=np.arange(n, dtype=np.int64),
        timestamps=np.full(n, NOW_NS - 7 * 10**9),
        timed_by_broker=False,
        keys=list(keys),
        values=list(values),
        headers=lambda _: [],
    )


def decode(
    *rows: Sequence[object],
    form: InputFormat = "json",
    features: Sequence[Feature] = FEATURES,
) -> Decoded:
    """Rows of values in the features' order; `...` leaves a field out (null in a vector)."""
    raws = []
    for row in rows:
        if form == "vector":
            content: dict[str, object] = {"values": [None if v is ... else v for v in row]}
        else:
            named = zip(features, row, strict=True)
            content = {feature.name: value for feature, value in named if value is not ...}
        raws.append(json.dumps({"timestamp": 1, **content}).encode())
    decoder = build_decoder(features, ReadingFormat(format=form))
    return decoder.decode(make_batch(raws, [b"a"] * len(raws)), NOW_NS)


@pytest.mark.parametrize("form", FORMATS)
def test_a_reading_has_a_number_for_a_value_of_every_kind(form: InputFormat) -> None:
    decoded = decode(
        [1.5, 3, True, "north"],
        [-2, 0, 0, True],
        [0, 2.0, 1.0, 200],
        [0, 1, False, "south"],
        [0, 1, False, 200.0],
        [0, 1, False, " north "],
        [0, 1, False, "TRUE"],
        [0, 1, False, 2**70],
        form=form,
    )
    assert decoded.rejections == []
    assert decoded.readings.values.tolist() == [
        [1.5, 3, 1, 1],
        [-2, 0, 0, 2],
        [0, 2, 1, 0],
        [0, 1, 0, UNSEEN],
        [0, 1, 0, 0],
        [0, 1, 0, 1],
        [0, 1, 0, 2],
        [0, 1, 0, UNSEEN],
    ]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("missing", [None, ..., NAN])
def test_what_was_not_observed_is_nan_for_every_kind(form: InputFormat, missing: object) -> None:
    """Text that reads like a missing number is text where it may be a category."""
    row = [1, 2, True, "nan"]
    rows = [[*row[:i], missing, *row[i + 1 :]] for i in range(4)]
    values = decode(*rows, form=form).readings.values
    read = np.array([1, 2, 1, UNSEEN])
    np.testing.assert_array_equal(values, np.where(np.eye(4, dtype=bool), NAN, read))


WRONG: list[tuple[str, object, str]] = [
    ("income", "north", "value_not_a_number"),
    ("income", [1], "value_not_a_number"),
    ("errors", 1.5, "value_not_a_count"),
    ("errors", -1, "value_not_a_count"),
    ("errors", "3.5", "value_not_a_count"),
    ("errors", "three", "value_not_a_count"),
    ("errors", 10**400, "value_out_of_range"),
    ("open", 2, "value_not_binary"),
    ("open", 0.5, "value_not_binary"),
    ("open", "2", "value_not_binary"),
    ("open", [], "value_not_binary"),
    ("open", 10**400, "value_not_binary"),
    ("city", {"name": "north"}, "value_not_a_category"),
    ("city", ["north"], "value_not_a_category"),
    ("city", 10**400, "value_out_of_range"),
]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("name", "found", "reason"), WRONG, ids=[f"{n}-{row[2]}" for n, row in enumerate(WRONG)]
)
def test_a_value_of_another_kind_costs_its_feature_or_all_if_nothing_is_left(
    name: str, found: object, reason: str, form: InputFormat
) -> None:
    good: list[object] = [1, 2, True, "north"]
    at = [feature.name for feature in FEATURES].index(name)
    bad = [*good[:at], found, *good[at + 1 :]]
    decoded = decode(good, bad, good, form=form)
    assert decoded.rejections == []
    expected = np.array([[1, 2, 1, 1]] * 3, np.float64)
    expected[1, at] = NAN
    np.testing.assert_array_equal(decoded.readings.values, expected)
    [(key, unreadable)] = decoded.unreadable.items()
    assert (key, unreadable.index) == ((name, reason), 1)
    alone: list[object] = [None] * 4
    alone[at] = found
    decoded = decode(good, alone, good, form=form)
    assert decoded.index.tolist() == [0, 2]
    [rejection] = decoded.rejections
    assert (rejection.index, rejection.reason) == (1, reason)
    for detail in (rejection.detail, unreadable.detail):
        assert (name if form == "json" else f"values[{at}]") in detail
        assert "expected" in detail


@pytest.mark.parametrize("kind", ["count", "binary", "categorical"])
@pytest.mark.parametrize("form", FORMATS)
def test_one_feature_of_a_kind_is_a_column_too(kind: FeatureKind, form: InputFormat) -> None:
    feature = Feature(name="x", kind=kind, categories=("0", "1") if kind == "categorical" else ())
    decoded = decode([1], [0], features=[feature], form=form)
    assert decoded.readings.values.tolist() == [[1], [0]]


def test_a_vector_of_another_length_is_refused() -> None:
    decoded = decode([1, 2, True], form="vector", features=FEATURES)
    assert [rejection.reason for rejection in decoded.rejections] == ["wrong_length"]


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
anything = plain | st.lists(plain, max_size=2) | st.sampled_from(["north", "true", 200, 1, 0])


@given(st.lists(st.lists(anything, min_size=4, max_size=4), max_size=4), st.sampled_from(FORMATS))
def test_any_value_is_read_or_refused_whatever_stands_beside_it(
    rows: list[list[object]], form: InputFormat
) -> None:
    together = decode(*rows, form=form)
    values = together.readings.values
    assert not np.isinf(values).any()
    codes = values[:, 3][~np.isnan(values[:, 3])]
    assert set(codes.tolist()) <= {0.0, 1.0, 2.0, UNSEEN}
    kept = iter(values.tolist())
    for row, raw in enumerate(rows):
        alone = decode(raw, form=form)
        if row in together.index:
            np.testing.assert_array_equal(alone.readings.values[0], next(kept))
        else:
            [mine] = [r for r in together.rejections if r.index == row]
            [found] = alone.rejections
            assert (mine.reason, mine.detail) == (found.reason, found.detail)


@given(plain.filter(lambda value: value is not None))
def test_the_text_of_a_category_is_stable(value: str | bool | float) -> None:
    if isinstance(value, float) and not np.isfinite(value):
        return
    text = category_text(value)
    assert category_text(text) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-0.0, "0"),
        ("-0.0", "0"),
        ("3.00", "3"),
        ("3.10", "3.10"),
        ("03", "03"),
        ("1e3", "1e3"),
        (1e3, "1000"),
        (1e300, "1e+300"),
        (2**60, "1152921504606846976"),
        ("False", "false"),
        ("", ""),
    ],
)
def test_categories_have_one_form(value: str | float, text: str) -> None:
    assert category_text(value) == text


def test_a_truth_value_is_not_the_number_one() -> None:
    codes = CategoryCodes(("1", "true"))
    assert codes.encode([1, True, "1", "true", 1.0, None])[:5].tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("form", FORMATS)
def test_encoded_readings_of_every_kind_are_decoded_as_they_were(form: InputFormat) -> None:
    fmt = ReadingFormat(format=form)
    rows = [[1.5, 3.0, 1.0, 0.0], [NAN, NAN, NAN, NAN], [0.0, 0.0, 0.0, 2.0]]
    encoder = ReadingEncoder(FEATURES, fmt)
    raws = [encoder.encode(series="a", time_ns=0, values=row) for row in rows]
    decoded = build_decoder(FEATURES, fmt).decode(make_batch(raws, [b"a"] * 3), NOW_NS)
    np.testing.assert_array_equal(decoded.readings.values, rows)
    if form == "json":
        assert json.loads(raws[0])["city"] == "200"


@pytest.mark.parametrize("code", [UNSEEN, -1.0, 0.5])
def test_a_code_without_a_text_is_not_written(code: float) -> None:
    encoder = ReadingEncoder(FEATURES, ReadingFormat())
    with pytest.raises(ValueError, match="expected a position in 3 categories"):
        encoder.encode(series="a", time_ns=0, values=[0, 0, 0, code])


def decode_events(raws: Sequence[bytes], keys: Sequence[RawKey], *, is_events: bool) -> Decoded:
    decoder = build_decoder(FEATURES, ReadingFormat(), is_events=is_events)
    return decoder.decode(make_batch(raws, keys), NOW_NS)  # type: ignore[arg-type]


def test_events_need_neither_time_nor_series() -> None:
    """Control: readings in order of time need both."""
    raws = [b'{"city":"north"}', b'{"timestamp":5,"city":"north"}']
    decoded = decode_events(raws, [None, b"shop-1"], is_events=True)
    assert decoded.rejections == []
    assert decoded.readings.times.tolist() == [NOW_NS - 7 * 10**9, 5 * 10**9]
    assert decoded.readings.series == ["events", "shop-1"]
    refused = decode_events(raws, [b"", b"shop-1"], is_events=False).rejections
    assert [rejection.reason for rejection in refused] == ["key_missing"]
    refused = decode_events(raws, [b"a", b"shop-1"], is_events=False).rejections
    assert [rejection.reason for rejection in refused] == ["timestamp_missing"]


def test_a_wrong_time_of_an_event_is_still_refused() -> None:
    decoded = decode_events(
        [b'{"timestamp":"noon","city":"north"}', b'{"city":"north"}'], [b"a", b"a"], is_events=True
    )
    assert [rejection.reason for rejection in decoded.rejections] == ["timestamp_unparsable"]
