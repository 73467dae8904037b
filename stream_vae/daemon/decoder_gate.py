"""Holds records back while the decoder lacks what it needs to read them, such as a schema."""

from collections.abc import Callable, Collection

from stream_vae.core.ports import Clock, EventSink, InputConsumer
from stream_vae.core.records import RecordBatch
from stream_vae.events import DecodingContinued, DecodingHeld
from stream_vae.inputs.decoder import Decoder


class DecoderGate:
    """Lets through what can be decoded; the loop goes on turning meanwhile.

    What was polled too early is given back to the consumer, so that nothing of it is on the way:
    offsets, ends of partitions and lags are as if it had not been polled. What is replayed cannot
    be given back, and waits here.

    Args:
        decoder: Tells what it lacks, and fetches it in the background.
        consumer: Of the input.
        events: Receives when records are held back, and no longer.
        clock: The time.
    """

    def __init__(
        self, decoder: Decoder, consumer: InputConsumer, *, events: EventSink, clock: Clock
    ) -> None:
        self._decoder = decoder
        self._consumer = consumer
        self._events = events
        self._clock = clock
        self._rejected: RecordBatch | None = None
        self._replayed: RecordBatch | None = None
        self._lacking = {"polled": "", "replayed": ""}
        self._held_since: float | None = None
        self.waiting_for = ""
        """What is lacking, for a person; "" if nothing is."""

    @property
    def is_open(self) -> bool:
        """Whether polled records may be decoded, as far as is known."""
        if self._rejected is not None and self._can_decode("polled", self._rejected):
            self._rejected = None
        return self._rejected is None

    def admits(self, records: RecordBatch) -> bool:
        """Return whether a poll can be decoded; if not, it will be polled again."""
        if self._can_decode("polled", records):
            return True
        self._rejected = records
        self._consumer.rewind(records.first_offsets())
        return False

    def replayed(self, poll: Callable[[], RecordBatch | None]) -> RecordBatch | None:
        """Return what is replayed, once it can be decoded.

        Args:
            poll: Returns what comes next; not called while something waits.
        """
        records = poll() if self._replayed is None else self._replayed
        if records is not None and not self._can_decode("replayed", records):
            self._replayed = records
            return None
        self._replayed = None
        return records

    @property
    def holds_replayed(self) -> bool:
        """Whether something that is replayed waits."""
        return self._replayed is not None

    def forget(self, partitions: Collection[int]) -> None:
        """Drop what waits of partitions that are no longer this instance's."""
        self._rejected = None  # the others are polled again
        self._tell("polled", "")
        if self._replayed is not None:
            left = self._replayed.without(partitions)
            self._replayed = left if len(left) else None
            if self._replayed is None:
                self._tell("replayed", "")

    def _can_decode(self, which: str, records: RecordBatch) -> bool:
        lacking = self._decoder.lacks(records)
        if lacking or self._held_since is not None:
            self._tell(which, lacking)
        return not lacking

    def _tell(self, which: str, lacking: str) -> None:
        before, self._lacking[which] = self.waiting_for, lacking
        self.waiting_for = "; ".join(dict.fromkeys(filter(None, self._lacking.values())))
        now = self._clock.monotonic()
        if self.waiting_for:
            self._held_since = now if self._held_since is None else self._held_since
            if self.waiting_for != before:
                self._events.record(DecodingHeld(waiting_for=self.waiting_for))
        elif self._held_since is not None:
            self._events.record(DecodingContinued(waited_s=now - self._held_since))
            self._held_since = None
