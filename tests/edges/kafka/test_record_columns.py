"""Messages as columns."""

from confluent_kafka import TIMESTAMP_CREATE_TIME, Message

from stream_vae.edges.kafka.record_columns import record_columns


def test_a_producer_may_send_any_time_whatever() -> None:
    """2**63 - 1 milliseconds are a million times what int64 holds in nanoseconds."""
    sent = [-(2**63), -1, 0, 1_767_225_600_000, 18_446_744_073_710, 2**63 - 1]
    messages = [
        Message(topic="readings", partition=0, offset=i, timestamp=(TIMESTAMP_CREATE_TIME, time))
        for i, time in enumerate(sent)
    ]
    found = record_columns("readings", messages).timestamps.tolist()
    assert found[:4] == [0, 0, 0, 1_767_225_600 * 10**9]
    assert found[4] == found[5] > found[3], "far ahead stays far ahead"
