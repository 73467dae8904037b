"""What the Kafka clients say of themselves, as events."""

from stream_vae.delivery.committer import Recorder
from stream_vae.edges.kafka.broker_watch import BrokerWatch
from stream_vae.events import BrokerReached, BrokerUnreachable, ConsumptionDelayed, RecordsLost


class ClientNotices:
    """Turns the clients' notices into events.

    Args:
        recorder: Takes events.
        deadline_s: After which the clients give up.
        topic: The input topic.
    """

    def __init__(self, recorder: Recorder, deadline_s: float, topic: str) -> None:
        self._recorder = recorder
        self._deadline_s = deadline_s
        self._topic = topic

    def watch(self, doing: str) -> BrokerWatch:
        """Return a watch over brokers that tells of them here."""
        watch = BrokerWatch(
            doing,
            self._deadline_s,
            on_wait=lambda detail: self.waiting(detail, watch.out_s),
            on_back=self.reached,
        )
        return watch

    def waiting(self, detail: str, waited_s: float) -> None:
        """No broker answers."""
        self._recorder.record(
            BrokerUnreachable(detail=detail, waited_s=waited_s, deadline_s=self._deadline_s)
        )

    def reached(self, waited_s: float) -> None:
        """A broker answers (again)."""
        self._recorder.record(BrokerReached(waited_s=waited_s))

    def delayed(self, detail: str, waited_s: float) -> None:
        """Brokers answer, but the input cannot be consumed yet."""
        self._recorder.record(
            ConsumptionDelayed(detail=detail, waited_s=waited_s, deadline_s=self._deadline_s)
        )

    def history_lost(self, partition: int, wanted: int, oldest: int) -> None:
        """The input topic no longer holds what comes next."""
        self._recorder.record(
            RecordsLost(
                topic=self._topic, partition=partition, wanted_offset=wanted, oldest_offset=oldest
            )
        )
