"""What a start must know before it makes a topic or joins the group: is this state this input's?

Asked in one order: whose state the changelog keeps, whether it is the topic that the group wrote,
whether it has a place for every partition of the input. Where each partition goes on is asked
once it is assigned, see `begin`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stream_vae.errors import ConfigError, StateError
from stream_vae.wire.offset_notes import (
    TopicIdentity,
    changelog_of,
    partitions_at_begin,
    partitions_of_another,
)
from stream_vae.wire.snapshots import SavedInput


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicFacts:
    """A topic as brokers describe it."""

    name: str
    id: str = ""
    """"" where brokers know none."""
    n_partitions: int
    """0 where it does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Input, changelog and group as a start finds them."""

    group: str
    input: TopicFacts
    changelog: TopicFacts | None
    """None where no state is kept."""
    notes: Mapping[int, str]
    """Input partition -> note beside the group's offset, where it has one."""
    owner: SavedInput | None
    """What the changelog says of the input; None if that is not known."""

    @property
    def is_first(self) -> bool:
        """Whether nothing tells that the group was ever here."""
        return not self.notes and self.owner is None

    @property
    def began_with(self) -> int:
        """Partitions of the input when the group began: all that the others hold came after that.

        The changelog tells it where the group's offsets are gone.
        """
        if self.notes or self.owner is None or self.changelog is None:
            return partitions_at_begin(self.notes.values(), self.input.n_partitions)
        return self.owner.began_with or self.changelog.n_partitions

    def refuse_contradictions(self) -> None:
        """Refuse state that is another input's, or went to another topic.

        Raises:
            ConfigError: If the changelog keeps the state of another input.
            StateError: If the group wrote another topic of that name, deleted since.
        """
        if self.changelog is None:
            return
        refuse_another_input(self.owner, self.input.name, self.changelog.name)
        self._refuse_another_changelog(self.changelog)

    def partition_errors(self, widen: Callable[[int], str]) -> list[str]:
        """Return why the changelog has no fitting number of partitions, if it has not.

        One that is known to be this input's gets those that it lacks once they are needed.

        Args:
            widen: Returns the command that gives it so many partitions.
        """
        changelog, wanted = self.changelog, self.input.n_partitions
        if changelog is None or changelog.n_partitions in {0, wanted}:
            return []
        is_narrow = changelog.n_partitions < wanted
        if is_narrow and (self.owner is not None or self._is_named(changelog)):
            return []
        another = "name another topic in state.topic"
        mend = (
            f"run `{widen(wanted)}`, or {another}"
            if is_narrow
            else f"partitions cannot be removed: {another} (this state is lost)"
        )
        if self.owner is None:
            mend = f"If the state is another input's, correct input.topic; else {mend}"
        return [
            f"topic {changelog.name!r} (state.topic) has {changelog.n_partitions} partitions; "
            f"expected {wanted}, one for each of the input topic {self.input.name!r}. {mend}"
        ]

    def _is_named(self, changelog: TopicFacts) -> bool:
        named = map(changelog_of, self.notes.values())
        return any(one is not None and one.name == changelog.name for one in named)

    def _refuse_another_changelog(self, changelog: TopicFacts) -> None:
        exists = changelog.n_partitions > 0
        if exists and not changelog.id:
            return  # brokers that know no ids
        identity = TopicIdentity(name=changelog.name, id=changelog.id)
        others = partitions_of_another(self.notes, identity)
        if not others:
            return
        found = f"found the topic id {changelog.id}" if exists else "found no topic of that name"
        numbers, ids = ", ".join(map(str, others)), ", ".join(sorted(set(others.values())))
        raise StateError(
            f"topic {changelog.name!r} (state.topic) is not the one in which group {self.group!r} "
            f"kept the state of partitions {numbers} of {self.input.name!r}: {found}, expected "
            f"{ids}. That topic was deleted, with what was remembered of series and of open "
            "incidents. To go on without it, set state.topic to a new name: series warm up by what "
            "the input holds, and incidents still open on the alerts topic are taken over. To go "
            "on with a copy of it, set state.topic to the name of the copy"
        )


def refuse_another_input(saved: SavedInput | None, topic: str, changelog: str) -> None:
    """Refuse the state of another input topic.

    Args:
        saved: What the changelog says of its input.
        topic: The input topic.
        changelog: Its name.

    Raises:
        ConfigError: If it is that of another.
    """
    if saved is not None and saved.topic != topic:
        msg = (
            f"input.topic is {topic!r}, and topic {changelog!r} (state.topic) keeps the state of "
            f"the input topic {saved.topic!r}; expected the same: set input.topic to "
            f"{saved.topic!r}, or give this deployment a kafka.group_id and a state.topic of its "
            "own"
        )
        raise ConfigError(msg)
