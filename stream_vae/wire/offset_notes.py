"""The note that the group keeps beside each committed offset of the input.

It tells one transaction from all others, and which changelog the state behind that offset went to:
a topic that was deleted and made anew has the same name, but another id. It also tells how many
partitions the input had when the group began: all that the others hold came after that. A
forwarder's tells which records before the offset were given up: all others count as told.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from stream_vae.wire.rejections import number_ranges

_LONGEST_GIVEN_UP = 2000
"""Characters: half of the metadata that brokers take by default."""
_RANGES = re.compile(r"[0-9]{1,18}(-[0-9]{1,18})?(,[0-9]{1,18}(-[0-9]{1,18})?)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicIdentity:
    """One topic, told from another of the same name."""

    name: str
    id: str


class _Note(msgspec.Struct, frozen=True, omit_defaults=True):
    transaction: str
    changelog: str = ""
    changelog_id: str = ""
    began_with: int = 0
    given_up: str = ""
    version: Literal[1] = 1


def encode_note(
    transaction: str,
    changelog: TopicIdentity | None,
    began_with: int = 0,
    given_up: Sequence[int] = (),
) -> str:
    """Return the note of a transaction.

    Args:
        transaction: Its name.
        changelog: Where its state goes; None where none is kept.
        began_with: Partitions of the input when the group began.
        given_up: Offsets of records that were given up, ascending; of very many the latest are
            noted.

    >>> encode_note("7f", TopicIdentity(name="c", id="9"), 3)
    '{"transaction":"7f","changelog":"c","changelog_id":"9","began_with":3}'
    >>> encode_note("7f", None, given_up=[4, 5, 6, 9])
    '{"transaction":"7f","given_up":"4-6,9"}'
    """
    name, topic_id = ("", "") if changelog is None else (changelog.name, changelog.id)
    ranges = number_ranges(given_up)
    if len(ranges) > _LONGEST_GIVEN_UP:
        _, _, ranges = ranges[-_LONGEST_GIVEN_UP - 1 :].partition(",")
    note = _Note(
        transaction,
        changelog=name,
        changelog_id=topic_id,
        began_with=began_with,
        given_up=ranges,
    )
    return msgspec.json.encode(note).decode()


def given_up_of(note: str) -> tuple[range, ...]:
    """Return the offsets of the records that were given up, as a note tells.

    >>> given_up_of(encode_note("7f", None, given_up=[4, 5, 6, 9]))
    (range(4, 7), range(9, 10))
    >>> given_up_of(encode_note("7f", None)), given_up_of("5f0c6a1e2b"), given_up_of("")
    ((), (), ())
    """
    found = _decoded(note)
    if found is None or not _RANGES.fullmatch(found.given_up):
        return ()
    parts = [part.partition("-") for part in found.given_up.split(",")]
    return tuple(range(int(first), int(last or first) + 1) for first, _, last in parts)


def changelog_of(note: str) -> TopicIdentity | None:
    """Return the changelog that a note names.

    None where it names none: of an earlier release, or of somebody who set the offset by hand.

    >>> changelog_of(encode_note("7f", TopicIdentity(name="c", id="9")))
    TopicIdentity(name='c', id='9')
    >>> changelog_of("5f0c6a1e2b"), changelog_of("")
    (None, None)
    """
    found = _decoded(note)
    if found is None or not found.changelog:
        return None
    return TopicIdentity(name=found.changelog, id=found.changelog_id)


def partitions_at_begin(notes: Collection[str], n_partitions: int) -> int:
    """Return how many partitions the input had when the group began to consume it.

    Args:
        notes: Beside the group's offsets; none where the group begins now.
        n_partitions: Of the input now.

    Returns:
        0 where a note does not tell: of an earlier release, or of an offset that was set by hand.

    >>> partitions_at_begin([], 4), partitions_at_begin([encode_note("7f", None, 3)], 4)
    (4, 3)
    """
    found = [_decoded(note) for note in notes]
    return min((0 if one is None else one.began_with for one in found), default=n_partitions)


def partitions_of_another(notes: Mapping[int, str], changelog: TopicIdentity) -> dict[int, str]:
    """Return input partition -> id, where the state went to another topic of this name."""
    named = {partition: changelog_of(note) for partition, note in notes.items()}
    return {
        partition: other.id
        for partition, other in sorted(named.items())
        if other is not None and other.name == changelog.name and other.id != changelog.id
    }


def _decoded(note: str) -> _Note | None:
    try:
        return msgspec.json.decode(note, type=_Note)
    except msgspec.DecodeError:
        return None
