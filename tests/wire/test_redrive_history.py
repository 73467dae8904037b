"""No choice of runs, and no crash between them, moves a record twice or leaves one out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.errors import ConfigError
from stream_vae.wire.redrive_history import (
    LARGEST_NOTE_BYTES,
    Candidate,
    RedriveHistory,
    Selection,
    decode_history,
)

REASONS = ["late", "not_json", "too_large"]
TOPICS = ["a", "b"]
SMALL = st.none() | st.integers(0, 12)
SELECTIONS = st.builds(
    Selection,
    reasons=st.lists(st.sampled_from(REASONS), unique=True).map(lambda r: tuple(sorted(r))),
    since_ms=SMALL,
    until_ms=SMALL,
    from_offset=SMALL,
    to_offset=SMALL,
    source_topic=st.none() | st.sampled_from(TOPICS),
)
TRAITS = st.tuples(st.sampled_from(REASONS), st.sampled_from(TOPICS), st.integers(0, 12))
RECORDS = st.lists(TRAITS, max_size=12).map(
    lambda traits: [
        Candidate(reason=reason, source_topic=topic, offset=i, time_ms=time_ms)
        for i, (reason, topic, time_ms) in enumerate(traits)
    ]
)
RUNS = st.lists(st.tuples(SELECTIONS, st.integers(1, 4), st.integers(0, 5)), max_size=6)


@given(RECORDS, RUNS)
def test_each_record_that_is_meant_is_moved_once(
    records: list[Candidate], runs: list[tuple[Selection, int, int]]
) -> None:
    """Each run commits a few records at a time, and is killed after some commits."""
    note, at = "", 0
    moved: list[int] = []
    for selection, batch, n_commits in runs:
        history = decode_history(note, at)
        chosen = [r.offset for r in records if selection.matches(r) and not history.has_moved(r)]
        for begin in range(0, len(chosen), batch)[:n_commits]:
            taken = chosen[begin : begin + batch]
            moved += taken
            at = taken[-1] + 1
            history = history.after(selection, at)
            assert history.encode() != note, "or a lost answer could not be found out"
            note = history.encode()
    assert len(moved) == len(set(moved))
    history = decode_history(note, at)
    assert {r.offset for r in records if history.has_moved(r)} == set(moved)


@given(SELECTIONS, SELECTIONS, RECORDS)
def test_a_selection_that_covers_another_matches_all_it_matches(
    one: Selection, other: Selection, records: list[Candidate]
) -> None:
    if one.covers(other):
        assert all(one.matches(r) for r in records if other.matches(r))


def test_a_history_stays_short_when_broad_runs_follow_narrow_ones() -> None:
    history = RedriveHistory()
    for day in range(20):
        history = history.after(Selection(since_ms=day), 10 + day)
    assert len(history.runs) == 20
    assert len(history.after(Selection(), 30).runs) == 1
    assert len(history.since(20).runs) == 9
    assert len(history.encode()) < LARGEST_NOTE_BYTES


def test_an_offset_set_by_hand_means_that_all_before_it_was_moved() -> None:
    """As after `kafka-consumer-groups --reset-offsets`, which drops the note."""
    history = decode_history("", 5)
    fourth = Candidate(reason="late", source_topic="a", offset=4, time_ms=0)
    fifth = Candidate(reason="late", source_topic="a", offset=5, time_ms=0)
    assert history.has_moved(fourth)
    assert not history.has_moved(fifth)
    assert not decode_history("", -1001).has_moved(fourth), "no offset was ever committed"


@pytest.mark.parametrize("note", ["{", "[]", '{"version":2}', "checkpoint"])
def test_a_note_of_another_program_or_release_is_refused(note: str) -> None:
    with pytest.raises(ConfigError, match="expected version 1"):
        decode_history(note, 7)
