"""The note that the group keeps beside each committed offset of the input.

It tells one transaction from all others, and which changelog the state behind that offset went to:
a topic that was deleted and made anew has the same name, but another id.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicIdentity:
    """One topic, told from another of the same name."""

    name: str
    id: str


class _Note(msgspec.Struct, frozen=True, omit_defaults=True):
    transaction: str
    changelog: str = ""
    changelog_id: str = ""
    version: Literal[1] = 1


def encode_note(transaction: str, changelog: TopicIdentity | None) -> str:
    """Return the note of a transaction.

    >>> encode_note("7f", TopicIdentity(name="c", id="9"))
    '{"transaction":"7f","changelog":"c","changelog_id":"9"}'
    """
    if changelog is None:
        return msgspec.json.encode(_Note(transaction)).decode()
    return msgspec.json.encode(_Note(transaction, changelog.name, changelog.id)).decode()


def changelog_of(note: str) -> TopicIdentity | None:
    """Return the changelog that a note names.

    None where it names none: of an earlier release, or of somebody who set the offset by hand.

    >>> changelog_of(encode_note("7f", TopicIdentity(name="c", id="9")))
    TopicIdentity(name='c', id='9')
    >>> changelog_of("5f0c6a1e2b"), changelog_of("")
    (None, None)
    """
    try:
        found = msgspec.json.decode(note, type=_Note)
    except msgspec.DecodeError:
        return None
    return TopicIdentity(name=found.changelog, id=found.changelog_id) if found.changelog else None


def partitions_of_another(notes: Mapping[int, str], changelog: TopicIdentity) -> dict[int, str]:
    """Return input partition -> id, where the state went to another topic of this name."""
    named = {partition: changelog_of(note) for partition, note in notes.items()}
    return {
        partition: other.id
        for partition, other in sorted(named.items())
        if other is not None and other.name == changelog.name and other.id != changelog.id
    }
