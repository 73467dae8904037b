"""What a start refuses before it makes a topic or joins the group, and in which order."""

from dataclasses import replace

import pytest

from stream_vae.errors import ConfigError, StateError
from stream_vae.state.owner import find_owner
from stream_vae.state.standing import Standing, TopicFacts
from stream_vae.wire.offset_notes import TopicIdentity, encode_note
from stream_vae.wire.snapshots import INPUT, SavedInput, encode_value
from tests.memory_kafka.broker import MemoryKafka
from tests.memory_kafka.clock import ManualClock
from tests.memory_kafka.faults import Faults
from tests.memory_kafka.reader import MemoryReader

NOTE = encode_note("7f", TopicIdentity(name="state", id="old"), 2)
OWNER = SavedInput(topic="readings", id="r")
USUAL = Standing(
    group="g",
    input=TopicFacts(name="readings", id="r", n_partitions=4),
    changelog=TopicFacts(name="state", id="old", n_partitions=4),
    notes={1: NOTE},
    owner=OWNER,
)
GONE = TopicFacts(name="state", n_partitions=0)
ANEW = TopicFacts(name="state", id="new", n_partitions=3)


def faults(standing: Standing) -> list[str]:
    standing.refuse_contradictions()
    return standing.partition_errors(lambda n: f"widen to {n}")


def test_nothing_is_held_against_what_fits() -> None:
    assert faults(USUAL) == []
    assert faults(replace(USUAL, changelog=GONE, notes={}, owner=None)) == [], "it is made"
    assert faults(replace(USUAL, changelog=None)) == [], "no state is kept"


def test_a_start_is_the_first_one_if_neither_offsets_nor_state_tell_of_the_group() -> None:
    assert replace(USUAL, notes={}, owner=None).is_first
    assert not replace(USUAL, owner=None).is_first
    assert not replace(USUAL, notes={}).is_first


def test_it_is_asked_whose_state_it_is_before_anything_else() -> None:
    """Other advice would lead an operator astray whose `input.topic` is wrong."""
    other = replace(USUAL, owner=SavedInput(topic="other"), changelog=ANEW)
    with pytest.raises(ConfigError, match=r"set input\.topic to 'other'") as refused:
        faults(other)
    assert not isinstance(refused.value, StateError)
    with pytest.raises(StateError, match="found the topic id new, expected old"):
        faults(replace(other, owner=OWNER))


def test_a_changelog_that_is_gone_is_no_new_one() -> None:
    """It is not made, to be refused later. Control: the group wrote none, or another."""
    with pytest.raises(StateError, match="partitions 1 of 'readings': found no topic of that name"):
        faults(replace(USUAL, changelog=GONE, owner=None))
    for note in ("", encode_note("7f", TopicIdentity(name="other", id="old"))):
        assert faults(replace(USUAL, changelog=GONE, notes={1: note}, owner=None)) == []


def test_no_id_is_compared_where_brokers_know_none() -> None:
    assert faults(replace(USUAL, changelog=TopicFacts(name="state", n_partitions=4))) == []


@pytest.mark.parametrize(
    ("notes", "owner", "may_grow"),
    [({1: NOTE}, None, True), ({}, OWNER, True), ({}, None, False), ({1: ""}, None, False)],
    ids=["named by the group", "names the input", "of nobody", "offset set by hand"],
)
def test_a_changelog_known_to_be_this_inputs_may_lack_partitions(
    notes: dict[int, str], owner: SavedInput | None, *, may_grow: bool
) -> None:
    narrow = replace(USUAL.changelog or GONE, n_partitions=3)
    errors = faults(replace(USUAL, changelog=narrow, notes=notes, owner=owner))
    assert (errors == []) == may_grow
    for error in errors:
        assert "has 3 partitions; expected 4, one for each of the input topic 'readings'" in error
        assert "correct input.topic; else run `widen to 4`" in error


def test_one_with_more_partitions_cannot_be_mended() -> None:
    [error] = faults(replace(USUAL, changelog=replace(USUAL.changelog or GONE, n_partitions=5)))
    assert "cannot be removed" in error
    assert "widen" not in error


@pytest.mark.parametrize(
    ("notes", "owner", "expected"),
    [
        ({1: NOTE}, replace(OWNER, began_with=3), 2),
        ({}, replace(OWNER, began_with=3), 3),
        ({}, OWNER, 4),
        ({}, None, 6),
        ({1: "by hand"}, OWNER, 0),
    ],
)
def test_how_many_partitions_the_group_began_with_is_known_without_its_offsets(
    notes: dict[int, str], owner: SavedInput | None, expected: int
) -> None:
    wide = replace(USUAL.input, n_partitions=6)
    assert replace(USUAL, input=wide, notes=notes, owner=owner).began_with == expected


def test_the_owner_is_what_the_first_record_that_names_an_input_says() -> None:
    kafka = MemoryKafka(ManualClock())
    kafka.create_topic("state", 3)

    def found() -> SavedInput | None:
        reader = MemoryReader(kafka, "state", Faults(), "owner")
        return find_owner(reader, clock=kafka.clock, stopping=lambda: False)

    assert found() is None
    kafka.produce("state", b"{}", key=b"i series", partition=0)
    assert found() is None
    for topic in ("readings", "later"):
        kafka.produce("state", encode_value(SavedInput(topic=topic)), key=INPUT, partition=2)
    assert found() == SavedInput(topic="readings")
    kafka.create_topic("state")
    kafka.produce("state", b"damaged", key=INPUT, partition=0)
    assert found() is None, "it is told of with its place when it is loaded"
