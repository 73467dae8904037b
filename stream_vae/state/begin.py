"""Where a partition goes on: the group's offset, its saved state and the input, held together."""

from dataclasses import dataclass, replace
from typing import Literal

from stream_vae.core.ports import Clock, InputConsumer
from stream_vae.state.loader import ChangelogLoader
from stream_vae.state.partitions import Partition
from stream_vae.state.standing import refuse_another_input
from stream_vae.wire.snapshots import SavedInput

_SHORT_FOR_S = 2.0  # a new leader may not know at once how far its partition goes


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFacts:
    """What is known of the input topic at start."""

    topic: str
    id: str = ""
    """Of the topic; "" where the brokers know none."""
    began_with: int
    """Partitions when the group began: all that the others hold came after that."""
    start: Literal["latest", "earliest", "history"]
    """Where a group without an offset begins."""


class BeginFinder:
    """Finds where partitions go on.

    Args:
        facts: Of the input.
        changelog: The compacted topic, for messages; "" if there is none.
        consumer: Of the input; gives offsets.
        loader: Drops state whose offsets do not count.
        clock: The time.
    """

    def __init__(
        self,
        facts: InputFacts,
        changelog: str,
        *,
        consumer: InputConsumer,
        loader: ChangelogLoader,
        clock: Clock,
    ) -> None:
        self._facts = facts
        self._changelog = changelog
        self._consumer = consumer
        self._loader = loader
        self._clock = clock

    def is_taken(self, one: Partition, offset: int | None) -> bool:
        """Set the group's offset of a held partition; return whether it is certain.

        Raises:
            KafkaUnavailableError: If no broker answers.
        """
        found = one.restoration
        found.group_offset = one.committed = offset
        if offset is None:
            return True
        end = self._consumer.offsets.end(one.number)
        if offset <= end:
            found.short_since = None
            return True
        one.committed = end
        now = self._clock.monotonic()
        found.short_since = now if found.short_since is None else found.short_since
        return now - found.short_since >= _SHORT_FOR_S

    def find(self, one: Partition) -> None:
        """Set where a partition goes on, once its state is loaded.

        Raises:
            KafkaUnavailableError: If no broker answers.
            ConfigError: If the state is that of another input topic.
        """
        found, facts = one.restoration, self._facts
        refuse_another_input(found.input, facts.topic, self._changelog)
        newest, was = found.newest, found.input
        if was is not None and was.id and facts.id and was.id != facts.id:
            self._begin_anew(one)
        elif one.committed is not None:
            one.begin = one.committed
            if one.committed != found.group_offset:
                found.mismatch = "beyond_end"
            elif one.committed < newest:
                found.mismatch = "set_back"
        elif newest >= 0:
            self._go_on(one)
        elif self.reads_all(one):
            one.begin = self._consumer.offsets.oldest(one.number)
        else:
            one.begin = self._consumer.offsets.end(one.number)
            found.reads_history = facts.start == "history"
        found.newest = newest
        self._mark(one, is_anew=one.begin < newest or found.mismatch == "recreated")

    def reads_all(self, one: Partition) -> bool:
        """Tell whether a partition without a committed offset is read from its oldest record on."""
        is_new = one.number >= self._facts.began_with
        return one.committed is None and (is_new or self._facts.start == "earliest")

    def _go_on(self, one: Partition) -> None:
        """Go on where the state ends."""
        if one.restoration.newest > self._consumer.offsets.end(one.number):
            self._begin_anew(one)  # brokers delete offsets with their topic
        else:
            one.begin, one.restoration.mismatch = one.restoration.newest, "missing"

    def _begin_anew(self, one: Partition) -> None:
        one.begin = self._consumer.offsets.oldest(one.number)
        self._loader.begin_anew(one)
        one.committed, one.restoration.mismatch = None, "recreated"

    def _mark(self, one: Partition, *, is_anew: bool) -> None:
        """Have the changelog say which input later offsets belong to, where it does not."""
        found, facts = one.restoration, self._facts
        saved = SavedInput(topic=facts.topic, id=facts.id, began_with=facts.began_with)
        if is_anew:
            found.input_to_save = replace(saved, is_anew=True)
            found.is_marked = False
            self._loader.save_again(one)
            if one.checkpoint is not None and one.checkpoint.offset > one.begin:
                one.checkpoint = None
        elif found.input is None or (found.input.id != saved.id and saved.id):
            found.input_to_save = saved
