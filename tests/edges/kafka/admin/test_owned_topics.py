"""A topic that exists is used only if nothing can be lost in it."""

from typing import Any

import pytest

from stream_vae.core.records import LARGEST_RECORD_BYTES
from stream_vae.edges.kafka.admin.owned_topics import (
    FoundTopic,
    OwnedTopic,
    TopicKind,
    topic_errors,
)

KINDS: list[TopicKind] = ["alerts", "dead_letters", "late", "changelog"]


RECORD, BATCH = 9_000, 400_000
"""Bytes of the daemon's largest record of its own, and of the largest batch of them."""


def faults(
    kind: TopicKind,
    n_partitions: int = 4,
    record: int = RECORD,
    **settings: str,
) -> list[str]:
    """Return what is wrong with a topic beside an input of 4 partitions and records of 1 MB."""
    found, source = (
        FoundTopic(
            name=name,
            n_partitions=n,
            settings={key.replace("_", "."): value for key, value in given.items()},
        )
        for name, n, given in (
            ("t", n_partitions, settings),
            ("in", 4, {"max_message_bytes": "1000000"}),
        )
    )
    topic = OwnedTopic(name="t", kind=kind, largest_record=record, batch_bytes=BATCH)
    return list(topic_errors(topic, found, source, "host:9092"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_topic_made_by_the_daemon_is_fit(kind: TopicKind) -> None:
    made = OwnedTopic(name="t", kind=kind).made_with
    settings = {key.replace(".", "_"): value for key, value in made.items()}
    assert faults(kind, 4, RECORD, **settings) == []


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_held_against_brokers_that_describe_no_topic(kind: TopicKind) -> None:
    assert faults(kind) == []


@pytest.mark.parametrize("policy", ["delete", "compact,delete", "delete,compact", ""])
def test_a_changelog_that_is_not_only_compacted_is_refused(policy: str) -> None:
    (fault,) = faults("changelog", cleanup_policy=policy)
    assert f"topic 't' (state.topic) has cleanup.policy={policy}; expected compact" in fault
    assert (
        "kafka-configs.sh --bootstrap-server host:9092 --alter --topic t "
        "--add-config cleanup.policy=compact" in fault
    )


@pytest.mark.parametrize("kind", ["alerts", "dead_letters", "late"])
@pytest.mark.parametrize("policy", ["compact", "compact,delete"])
def test_an_output_topic_that_is_compacted_is_refused(kind: TopicKind, policy: str) -> None:
    (fault,) = faults(kind, cleanup_policy=policy)
    assert f"has cleanup.policy={policy}; expected delete" in fault


@pytest.mark.parametrize("kind", ["alerts", "dead_letters", "late"])
@pytest.mark.parametrize("n_partitions", [1, 3, 5])
def test_an_output_topic_may_have_its_own_number_of_partitions(
    kind: TopicKind, n_partitions: int
) -> None:
    assert faults(kind, n_partitions, cleanup_policy="delete") == []


@pytest.mark.parametrize("kind", ["dead_letters", "late"])
def test_what_is_put_aside_must_fit(kind: TopicKind) -> None:
    (fault,) = faults(kind, max_message_bytes="999999")
    assert "max.message.bytes=999999; expected at least 1000000" in fault
    assert faults(kind, max_message_bytes="1000000") == []


def test_alert_events_need_not_be_as_large_as_readings() -> None:
    assert faults("alerts", max_message_bytes="999999") == []


@pytest.mark.parametrize("kind", ["alerts", "changelog"])
@pytest.mark.parametrize(
    ("record", "wanted", "why"),
    [
        (
            RECORD,
            BATCH,
            "what the producer sends at once (or lower `batch.size` in kafka.producer)",
        ),
        (2 * BATCH, 2 * BATCH, "the largest record of "),
    ],
)
def test_a_topic_that_takes_no_full_batch_or_not_the_largest_record_is_refused(
    kind: TopicKind, record: int, wanted: int, why: str
) -> None:
    (fault,) = faults(kind, record=record, max_message_bytes=str(wanted - 1))
    assert f"max.message.bytes={wanted - 1}; expected at least {wanted}, {why}" in fault
    assert f"--topic t --add-config max.message.bytes={wanted}`" in fault
    assert faults(kind, record=record, max_message_bytes=str(wanted)) == []


@pytest.mark.parametrize("kind", ["dead_letters", "late"])
def test_a_full_batch_of_what_is_put_aside_must_fit_however_small_the_inputs_records(
    kind: TopicKind,
) -> None:
    topic = OwnedTopic(name="t", kind=kind, batch_bytes=BATCH)
    found, source = (
        FoundTopic(name=name, n_partitions=1, settings={"max.message.bytes": "2000"})
        for name in ("t", "in")
    )
    (fault,) = topic_errors(topic, found, source, "host:9092")
    assert f"max.message.bytes=2000; expected at least {BATCH}" in fault


def test_no_dead_letter_is_larger_than_the_daemon_can_write() -> None:
    """A larger record is published without its bytes, whatever the input accepts."""
    made = OwnedTopic(name="t", kind="dead_letters")
    source = FoundTopic(name="in", n_partitions=1, settings={"max.message.bytes": "999000000"})
    largest: dict[str, Any] = {"max.message.bytes": str(LARGEST_RECORD_BYTES)}
    found = FoundTopic(name="t", n_partitions=1, settings=largest)
    assert list(topic_errors(made, found, source, "host:9092")) == []
