"""`ports.PartitionAdder` on the log in memory."""

from tests.memory_kafka.broker import MemoryKafka
from tests.memory_kafka.faults import Faults


class MemoryPartitionAdder:
    """Adds partitions at once, unless it may not.

    Args:
        kafka: The brokers.
        topic: The topic that grows.
        faults: What goes wrong.
    """

    def __init__(self, kafka: MemoryKafka, topic: str, faults: Faults) -> None:
        self._kafka = kafka
        self._topic = topic
        self._faults = faults
        self.refusal: str | None = None
        """Why it may not."""
        self._failure: str | None = None

    def command(self, n_partitions: int) -> str:
        return f"kafka-topics.sh --alter --topic {self._topic} --partitions {n_partitions}"

    def add(self, n_partitions: int) -> None:
        self._faults.step("adder.add")
        self._failure = self.refusal
        if self.refusal is None:
            self._kafka.add_partitions(self._topic, n_partitions)

    def take_failure(self) -> str | None:
        failure, self._failure = self._failure, None
        return failure

    def close(self) -> None: ...
