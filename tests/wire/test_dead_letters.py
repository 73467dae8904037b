"""Dead letters can be decoded, with any original headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.core.records import Headers, Rejection, redriven_readings
from stream_vae.wire.dead_letters import read_dead_letter
from stream_vae.wire.rejections import rejection_headers

NAMES = st.sampled_from(
    ["trace", "dlq.reason", "dlq.detector", "dlq.source.topic", "dlq.readings", "dlq.other"]
)
HEADERS = st.lists(st.tuples(NAMES, st.none() | st.binary(max_size=5)), max_size=8)


def put_aside(original: Headers) -> Headers:
    rejection = Rejection(index=0, reason="not_json", detail="no brace")
    return rejection_headers(
        original, rejection, topic="readings", partition=3, offset=17, detector="pumps"
    )


@given(HEADERS)
def test_the_original_headers_come_back_untouched(original: Headers) -> None:
    """Those of the same names, of another dead-letter queue, among them."""
    letter = read_dead_letter(put_aside(original))
    assert letter is not None
    assert (letter.reason, letter.detail) == ("not_json", "no brace")
    assert (letter.source_topic, letter.source_partition) == ("readings", 3)
    assert not letter.is_omitted
    assert letter.redriven_headers() == [*original, ("dlq.redriven", b"1")]


def test_each_redrive_is_counted_in_one_header() -> None:
    headers: Headers = [("trace", b"1")]
    for count in (b"1", b"2", b"3"):
        letter = read_dead_letter(put_aside(headers))
        assert letter is not None
        headers = letter.redriven_headers()
        assert headers == [("trace", b"1"), ("dlq.redriven", count)]


def test_a_record_too_large_to_be_kept_is_known_as_such() -> None:
    letter = read_dead_letter(put_aside([("dlq.omitted", b"99 bytes")]))
    assert letter is not None
    assert letter.is_omitted


def test_what_another_program_put_there_is_no_dead_letter() -> None:
    whole = put_aside([])
    assert read_dead_letter([]) is None
    assert read_dead_letter([(n, v) for n, v in whole if n != "dlq.source.topic"]) is None
    assert read_dead_letter([*whole, ("added", b"by a copier")]) is None
    for partition in (b"x", b"-5", b"2147483648", b"9" * 5000):
        spoilt = [(n, partition if n == "dlq.source.partition" else v) for n, v in whole]
        assert read_dead_letter(spoilt) is None
    assert read_dead_letter(whole) is not None


@pytest.mark.parametrize("count", [b"x", b"", None, b"-1", b"9" * 4300, b"\xb2"])
def test_a_count_that_no_redrive_wrote_is_none(count: bytes | None) -> None:
    """A producer may write any: the record can be redriven all the same."""
    letter = read_dead_letter(put_aside([("dlq.redriven", count)]))
    assert letter is not None
    assert letter.redriven_headers() == [("dlq.redriven", b"1")]


def test_a_record_sent_again_stands_for_the_readings_that_were_rejected_and_no_others() -> None:
    """Also when it is rejected again, as a whole or in part."""
    headers: Headers = [("trace", b"7")]
    for elements, expected in (((2, 5, 6), b"2,5-6"), ((), b"2,5-6"), ((5,), b"5")):
        rejection = Rejection(index=0, reason="not_json", detail="", elements=elements)
        added = rejection_headers(
            headers, rejection, topic="readings", partition=0, offset=0, detector="d"
        )
        letter = read_dead_letter(added)
        assert letter is not None
        headers = letter.redriven_headers()
        assert dict(headers)["dlq.redriven.readings"] == expected
        chosen = redriven_readings(headers, 6)
        assert chosen is not None
        assert [i + 1 for i, one in enumerate(chosen) if one] == [
            n for n in (2, 5, 6) if n == 5 or expected != b"5"
        ]
    assert redriven_readings([("trace", b"7")], 6) is None, "control"
