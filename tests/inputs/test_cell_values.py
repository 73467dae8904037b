"""Text to numbers: what is read, what is missing, and what is not guessed at."""

from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.inputs.cell_values import MISSING_WORDS, CellFormat, CellReader

PLAIN = CellFormat()
POINT = CellFormat(decimal=".")
COMMA = CellFormat(decimal=",")
UNITS = CellFormat(units=True)
OWN = CellFormat(missing_words=["Wartung", "-999"], value_words={"Open": 1, "shut": 0})


@pytest.mark.parametrize(
    ("fmt", "text", "expected"),
    [
        (PLAIN, "18.471", 18.471),
        (PLAIN, " -3e5 ", -3e5),
        (PLAIN, "\u22125.5", -5.5),
        (PLAIN, "+Inf", inf),
        (PLAIN, "-infinity", -inf),
        (PLAIN, "true", 1.0),
        (PLAIN, "False", 0.0),
        (PLAIN, "1,234.5", 1234.5),
        (PLAIN, "1,234,567", 1_234_567.0),
        (PLAIN, "1'234.5", 1234.5),
        (PLAIN, "1\u202f234", 1234.0),
        (POINT, "1,234", 1234.0),
        (COMMA, "1,234", 1.234),
        (COMMA, "-1.234,5", -1234.5),
        (COMMA, "1 234,5e-1", 123.45),
        (UNITS, "23.4 °C", 23.4),
        (UNITS, "45%", 45.0),
        (UNITS, "5 m3/h", 5.0),
        (UNITS, "1,234.5 kg·m⁻²", 1234.5),
        (CellFormat(decimal=",", units=True), "20,1 L/s", 20.1),
        (OWN, " open", 1.0),
        (OWN, "SHUT", 0.0),
    ],
)
def test_numbers_as_people_and_programs_write_them(
    fmt: CellFormat, text: str, expected: float
) -> None:
    assert CellReader(fmt).number(text) == expected


@pytest.mark.parametrize("text", [*sorted(MISSING_WORDS), " NaN ", "Unavailable", "#N/A", "\\N"])
def test_words_for_a_value_that_is_not_there_are_missing(text: str) -> None:
    value = CellReader().number(text)
    assert value is not None
    assert isnan(value)
    assert CellReader().is_missing(text)
    assert not CellReader().is_missing("0")


def test_own_words_are_missing_besides_the_known_ones() -> None:
    reader = CellReader(OWN)
    assert [reader.is_missing(text) for text in ("wartung", "-999", "nan", "-998")] == [
        True,
        True,
        True,
        False,
    ]
    read = reader.numbers(["-999", "1", "WARTUNG"])
    assert np.isnan(read.values).tolist() == [True, False, True]
    assert not len(read.unreadable)


@pytest.mark.parametrize(
    ("fmt", "text", "remedy"),
    [
        (PLAIN, "1,234", "decimal"),  # 1234 or 1.234: a factor of a thousand
        (PLAIN, "20,1", "decimal"),
        (COMMA, "20.1", "decimal"),
        (PLAIN, "23.4 °C", "units"),
        (PLAIN, "20,1 L/s", "units"),
        (UNITS, "20,1 L/s", "decimal"),
        (PLAIN, "on", "missing_words"),  # a setpoint that says `off` is not 0
        (UNITS, "12 of 20", "missing_words"),
        (UNITS, "5h30m", "missing_words"),
        (PLAIN, "1_000", "missing_words"),
        (PLAIN, "0x1F", "missing_words"),
        (PLAIN, "12:30", "missing_words"),
    ],
)
def test_what_could_mean_something_else_is_unreadable_and_names_the_remedy(
    fmt: CellFormat, text: str, remedy: str
) -> None:
    assert CellReader(fmt).number(text) is None
    assert CellReader(fmt).remedy(text) == remedy


def test_truth_words_are_read_where_a_feature_has_two_values() -> None:
    reader = CellReader(OWN)
    words = ["ON", "off", "t", "No", "1", "0.0", "open", "true"]
    assert [reader.truth(word) for word in words] == [1, 0, 1, 0, 1, 0, 1, 1]
    assert reader.truth("2") is None
    assert reader.truth("warm") is None
    missing = reader.truth("n/a")
    assert missing is not None
    assert isnan(missing)


def test_a_unit_that_changes_within_a_column_is_told() -> None:
    """Displays change from mA to A on their own: a factor of a thousand."""
    read = CellReader(UNITS).numbers(["900 mA", "nan", "950 mA", "1.1 A"])
    assert read.units == {"mA": 0, "A": 3}
    assert CellReader(UNITS).numbers(["900 mA", "950 mA"]).units == {"mA": 0}


texts = st.one_of(
    st.floats().map(repr),
    st.floats(0, 1e6).map(lambda value: f"{value:,.2f} °C"),
    st.floats(0, 1e6).map(lambda value: f"{value:.3f}".replace(".", ",")),
    st.sampled_from(["", "unavailable", "true", "1_0", "1,234", "5 %", "7 A", "9 mA", "x", "-999"]),
    st.text(max_size=8),
)


@given(st.lists(texts, max_size=6), st.sampled_from([PLAIN, POINT, COMMA, UNITS, OWN]))
def test_a_column_is_read_as_its_cells_are(cells: list[str], fmt: CellFormat) -> None:
    reader = CellReader(fmt)
    singly = [reader.number(cell) for cell in cells]
    read = reader.numbers(cells)
    assert read.unreadable.tolist() == [row for row, one in enumerate(singly) if one is None]
    np.testing.assert_array_equal(read.values, [nan if one is None else one for one in singly])
