"""What waits for the transaction."""

import numpy as np
import pytest

from stream_vae.core.records import Headers, OutputRecord, RecordBatch, Rejection
from stream_vae.delivery.outbox import LARGEST_ASIDE_BYTES, Outbox

TOPICS = {"alerts": "a", "dead_letters": "d", "late": "l"}


def put_aside(value: bytes | None, key: bytes | None = b"k", headers: Headers = ()) -> OutputRecord:
    records = RecordBatch(
        topic="readings",
        partitions=np.array([3, 4], np.int32),
        offsets=np.array([7, 9]),
        timestamps=np.zeros(2, np.int64),
        timed_by_broker=False,
        keys=[b"other", key],
        values=[b"{}", value],
        headers=lambda i: headers if i == 1 else [],
    )
    outbox = Outbox("pumps", TOPICS)
    outbox.add_dead_letter(records, Rejection(index=1, reason="too_large", detail="why"))
    return outbox.waiting.dead_letters[0]


def size_of(record: OutputRecord) -> int:
    texts = [text for header in record.headers for text in header]
    return sum(len(part) for part in (record.key, record.value, *texts) if part is not None)


def test_a_dead_letter_is_the_record_as_it_came() -> None:
    headers: Headers = [("trace", b"1"), ("trace", None)]
    letter = put_aside(b"\xff\x00 not json", headers=headers)
    assert (letter.topic, letter.key, letter.value) == ("d", b"k", b"\xff\x00 not json")
    assert (letter.partition, list(letter.headers[:2])) == (4, headers)
    assert ("dlq.source.offset", b"9") in letter.headers
    assert "dlq.omitted" not in dict(letter.headers)


@pytest.mark.parametrize("part", ["value", "key", "headers"])
def test_a_record_too_large_to_publish_leaves_a_dead_letter_that_is_not(part: str) -> None:
    """The brokers measure batches compressed, so 17 MB of blanks fit through any topic."""
    blanks = b" " * 17_000_000
    letter = {
        "value": lambda: put_aside(blanks),
        "key": lambda: put_aside(b"v", key=blanks),
        "headers": lambda: put_aside(b"v", headers=[("h", blanks)]),
    }[part]()
    told = dict(letter.headers)
    assert size_of(letter) < LARGEST_ASIDE_BYTES
    assert told["dlq.reason"] == b"too_large"
    assert told["dlq.source.offset"] == b"9"
    assert int((told["dlq.omitted"] or b"").split()[0]) > 17_000_000


def test_what_just_fits_is_published_whole() -> None:
    letter = put_aside(b" " * (LARGEST_ASIDE_BYTES - 1), key=None)
    assert len(letter.value or b"") == LARGEST_ASIDE_BYTES - 1
    assert put_aside(b" " * (LARGEST_ASIDE_BYTES + 1), key=None).value is None, "control"


def test_what_stems_from_a_lost_partition_is_dropped() -> None:
    records = RecordBatch(
        topic="readings",
        partitions=np.array([0, 1], np.int32),
        offsets=np.array([5, 6]),
        timestamps=np.zeros(2, np.int64),
        timed_by_broker=False,
        keys=[None, None],
        values=[b"x", b"y"],
        headers=lambda _: [],
    )
    outbox = Outbox("pumps", TOPICS)
    for i in (0, 1):
        outbox.add_dead_letter(records, Rejection(index=i, reason="not_json", detail=""))
        outbox.add_late(records, Rejection(index=i, reason="late", detail=""))
    outbox.drop({0})
    assert [record.value for record in outbox.waiting.records()] == [b"y", b"y"]
