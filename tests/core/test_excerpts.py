import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.core.excerpts import excerpt, printable


@given(st.text(alphabet=st.characters(), max_size=300), st.integers(min_value=10, max_value=120))
def test_printable_text_is_bounded_and_printable(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert len(shown) <= limit
    assert shown.isprintable()


@given(st.text(alphabet=st.characters(categories=["L", "N", "P"]), max_size=50))
def test_plain_text_is_left_as_it_is(text: str) -> None:
    """Control: only what could steer a terminal is escaped."""
    assert printable(text, 50) == text


def test_right_to_left_override_is_escaped() -> None:
    assert printable("pump\u202e7") == "pump\\u202e7"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (False, "false"),
        ("a\tb", '"a\\tb"'),
        (b"a\xff", "a\\xff"),
        (1.5, "1.5"),
        ({}, "an object"),
        ([0] * 7, "an array of 7"),
    ],
)
def test_json_values_are_named_in_json_terms(value: object, shown: str) -> None:
    assert excerpt(value) == shown


def test_integers_python_refuses_to_write_out_are_named_by_size() -> None:
    assert excerpt(2**20_000) == "an integer of 20001 bits"
