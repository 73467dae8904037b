"""The smallest thing that can be learnt of a partition as a whole: how many readings it had."""

import numpy as np

from stream_vae.core.records import RecordBatch
from stream_vae.inputs.decoder import Decoded, Decoder


class PartitionCounter:
    """Counts the readings of each partition; part of the state, if a pipeline is given it."""

    name = "counter"

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}

    def save(self, partition: int) -> bytes | None:
        count = self.counts.get(partition)
        return None if count is None else str(count).encode()

    def load(self, partition: int, saved: bytes) -> None:
        self.counts[partition] = int(saved)

    def forget(self, partition: int) -> None:
        self.counts.pop(partition, None)


class CountingDecoder:
    """Tells a counter of every reading it decodes."""

    def __init__(self, decoder: Decoder, counter: PartitionCounter) -> None:
        self._decoder = decoder
        self._counter = counter

    def lacks(self, batch: RecordBatch) -> str:
        return self._decoder.lacks(batch)

    def decode(self, batch: RecordBatch, now_ns: int, read_since_ns: int | None = None) -> Decoded:
        decoded = self._decoder.decode(batch, now_ns, read_since_ns)
        counts = self._counter.counts
        partitions, found = np.unique(decoded.readings.partitions, return_counts=True)
        for partition, n in zip(partitions.tolist(), found.tolist(), strict=True):
            counts[partition] = counts.get(partition, 0) + n
        return decoded
