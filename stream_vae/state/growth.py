"""Adds partitions to the changelog when the input has more."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from stream_vae.core.ports import Clock, EventSink, InputConsumer, PartitionAdder, RangeReader
from stream_vae.errors import KafkaUnavailableError
from stream_vae.events import ChangelogExtended, ChangelogTooNarrow
from stream_vae.state.partitions import Partition

_REPORT_PAUSE_S = 5.0
_RETRY_PAUSE_S = 30.0  # somebody may have granted the right meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthParts:
    """Collaborators of `ChangelogGrowth`."""

    consumer: InputConsumer
    reader: RangeReader
    """Of the changelog."""
    adder: PartitionAdder
    events: EventSink
    clock: Clock


class ChangelogGrowth:
    """Holds back input partitions without a changelog partition until that is created.

    The others continue.

    Args:
        topic: The input topic.
        changelog: The compacted topic.
        parts: See `GrowthParts`.
    """

    def __init__(self, topic: str, changelog: str, parts: GrowthParts) -> None:
        self._topic = topic
        self._changelog = changelog
        self._parts = parts
        self._count = self._wanted = 0
        self._waiting: tuple[int, ...] = ()
        self.lag_records: dict[int, int] = {}
        """Of those that wait, as a broker reported when it was last told of them."""
        self._failure = ""
        self._report_at = self._add_at = -float("inf")

    @property
    def complaint(self) -> str:
        """What a person must know and do; "" if there is nothing."""
        if not self._waiting:
            return ""
        names = ", ".join(map(str, self._waiting))
        return (
            f"input partitions {names} wait for topic {self._changelog!r}, which has {self._count} "
            f"partitions: run `{self._parts.adder.command(self._waiting[-1] + 1)}`"
        )

    @property
    def waiting(self) -> tuple[int, ...]:
        """Input partitions that the changelog has no place for."""
        return self._waiting

    @property
    def is_extending(self) -> bool:
        """Whether partitions were asked for that are not known to be there yet.

        The input partition that needs them may have gone to another instance meanwhile.
        """
        return bool(self._wanted)

    def placed(self, held: Sequence[Partition]) -> list[Partition]:
        """Return those that have a place; see that the others get one.

        Args:
            held: None, while all that needed a place went to other instances.

        Raises:
            KafkaUnavailableError: If no broker answers.
        """
        if self._wanted or max((one.number for one in held), default=-1) >= self._count:
            self._count = self._parts.reader.n_partitions()
        self._waiting = tuple(sorted(one.number for one in held if one.number >= self._count))
        if 0 < self._wanted <= self._count:
            self._wanted, self._failure = 0, ""
            self._parts.events.record(
                ChangelogExtended(topic=self._changelog, n_partitions=self._count)
            )
        if self._waiting:
            self._extend()
        elif self._wanted and (self._parts.adder.take_failure() or self._failure):
            self._wanted, self._failure = 0, ""  # another instance asks for them now, and tells
        return [one for one in held if one.number < self._count]

    def close(self) -> None:
        """End what is in progress."""
        self._parts.adder.close()

    def _extend(self) -> None:
        now, adder, wanted = self._parts.clock.monotonic(), self._parts.adder, self._waiting[-1] + 1
        self._wanted = wanted
        if now >= self._add_at:
            self._add_at = now + _RETRY_PAUSE_S
            adder.add(wanted)
        self._failure = adder.take_failure() or self._failure
        # If permitted, this takes a moment, and is reported when done.
        if self._failure and now >= self._report_at:
            self._report_at = now + _REPORT_PAUSE_S
            self.lag_records = self._lag()
            self._parts.events.record(
                ChangelogTooNarrow(
                    topic=self._topic,
                    partitions=self._waiting,
                    changelog=self._changelog,
                    n_partitions=self._count,
                    detail=self._failure,
                    command=adder.command(wanted),
                    lag_records=self.lag_records,
                )
            )

    def _lag(self) -> dict[int, int]:
        """Return partition -> records that wait, as far as a broker reports."""
        offsets, lag = self._parts.consumer.offsets, {}
        with suppress(KafkaUnavailableError):
            committed = offsets.committed(self._waiting)
            for number in self._waiting:
                begin = committed.get(number)
                begin = offsets.oldest(number) if begin is None else begin
                lag[number] = max(offsets.end(number) - begin, 0)
        return lag
