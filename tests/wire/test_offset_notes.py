"""The note beside a committed offset names the changelog its state went to."""

import json

from hypothesis import given
from hypothesis import strategies as st

from stream_vae.wire.offset_notes import (
    TopicIdentity,
    changelog_of,
    encode_note,
    given_up_of,
    partitions_of_another,
)
from stream_vae.wire.redrive_history import LARGEST_NOTE_BYTES

OURS = TopicIdentity(name="state", id="A1")
REMADE = TopicIdentity(name="state", id="B2")
ELSEWHERE = TopicIdentity(name="state-2", id="C3")
FIRST_RELEASE = "0f8c8d6e9f8b4a3c9d1e2f3a4b5c6d7e"


def test_a_topic_made_anew_under_the_same_name_is_found_out() -> None:
    notes = {0: encode_note("x", OURS), 1: encode_note("y", OURS), 2: encode_note("z", REMADE)}
    assert partitions_of_another(notes, REMADE) == {0: "A1", 1: "A1"}


def test_nothing_is_held_against_the_same_topic_or_a_new_name() -> None:
    """A new name is how an operator says to go on without the state."""
    notes = {0: encode_note("x", OURS), 1: encode_note("y", OURS)}
    assert partitions_of_another(notes, OURS) == {}
    assert partitions_of_another(notes, ELSEWHERE) == {}


def test_notes_that_name_no_changelog_are_taken_as_they_are() -> None:
    """Of the first release, of an offset set by hand, of a daemon without state, of a redrive."""
    notes = {0: FIRST_RELEASE, 1: "", 2: encode_note("x", None), 3: '{"runs":[],"version":1}'}
    assert partitions_of_another(notes, OURS) == {}


@given(st.text(max_size=200))
def test_whatever_stands_in_a_note_is_read(note: str) -> None:
    assert changelog_of(note) is None
    assert given_up_of(json.dumps({"transaction": "x", "given_up": f"a{note}"})) == ()


@given(st.sets(st.integers(0, 10**17), max_size=60))
def test_what_was_given_up_is_read_as_it_was_noted(offsets: set[int]) -> None:
    note = encode_note("x", None, given_up=sorted(offsets))
    assert {offset for run in given_up_of(note) for offset in run} == offsets


def test_of_very_much_that_was_given_up_the_latest_is_noted() -> None:
    note = encode_note("f" * 32, None, given_up=range(0, 10_000, 2))
    noted = [offset for run in given_up_of(note) for offset in run]
    assert noted == list(range(noted[0], 10_000, 2))
    assert len(noted) > 300
    assert len(note) < LARGEST_NOTE_BYTES * 3 / 4


def test_the_longest_note_fits() -> None:
    longest = TopicIdentity(name="t" * 249, id="A" * 22)
    assert len(encode_note("f" * 32, longest)) < LARGEST_NOTE_BYTES / 4
