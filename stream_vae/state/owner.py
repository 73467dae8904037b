"""Which input a changelog keeps the state of, as its own records tell."""

from collections.abc import Callable

from stream_vae.core.ports import Clock, RangeReader
from stream_vae.core.records import RecordBatch
from stream_vae.errors import StateError
from stream_vae.wire.snapshots import INPUT, SavedInput, decode_value

_CHUNK = 500
_MOST_RECORDS = 10_000
_LIMIT_S = 5.0
_PAUSE_S = 0.01


def find_owner(
    reader: RangeReader, *, clock: Clock, stopping: Callable[[], bool]
) -> SavedInput | None:
    """Return what the first record that names an input says.

    That stands before all that has offsets, so that it is among the oldest of its partition, also
    where the topic was compacted. Reading is bounded all the same: state of an early build names
    its input after its rows, and is looked at again when it is loaded.

    Args:
        reader: Of the changelog, which exists; nothing is being read.
        clock: The time.
        stopping: Asked whether to give up.

    Returns:
        None where nothing names one: the topic is empty, or not found out within the bounds.

    Raises:
        KafkaUnavailableError: If no broker answers.
        KafkaRefusedError: If one refuses the topic.
    """
    ends = reader.end_offsets(range(reader.n_partitions()))
    wanted = {partition for partition, end in ends.items() if end > 0}
    for partition in wanted:
        reader.add(partition, None, ends[partition])
    n_read, since = 0, clock.monotonic()
    while wanted and n_read < _MOST_RECORDS and not stopping():
        records = reader.poll(_CHUNK)
        if records is not None:
            n_read += len(records.keys)
            found = _first_named(records)
            if found is not None:
                return found
        wanted.difference_update(reader.take_finished())
        if records is None:
            if clock.monotonic() - since > _LIMIT_S:
                break
            clock.sleep(_PAUSE_S)
    return None


def _first_named(records: RecordBatch) -> SavedInput | None:
    for key, value in zip(records.keys, records.values, strict=True):
        if key == INPUT and value is not None:
            try:
                return decode_value(value, SavedInput)[0]
            except StateError:
                return None  # told of with its place when it is loaded
    return None
