"""The topics the daemon writes: their settings at creation, and checks of existing ones."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from stream_vae.core.records import LARGEST_RECORD_BYTES

TopicKind = Literal["alerts", "scores", "dead_letters", "late", "changelog"]
Right = Literal["Read", "Write"]

_SETTINGS: Mapping[TopicKind, str] = {
    "alerts": "output.alerts_topic",
    "scores": "output.scores_topic",
    "dead_letters": "output.dead_letter_topic",
    "late": "output.late_topic",
    "changelog": "state.topic",
}
_LOST_BY_COMPACTION: Mapping[TopicKind, str] = {
    "alerts": "compaction drops the older alert events of a series, so incidents would go missing",
    "scores": "compaction drops the older scores of a series",
    "dead_letters": "compaction drops records of the same key and refuses those without one",
    "late": "compaction drops older readings of the same key",
}
_CONTENT: Mapping[TopicKind, str] = {
    "alerts": "an alert event",
    "scores": "a score",
    "dead_letters": "a dead letter",
    "late": "a late reading",
    "changelog": "a series' state",
}

_DAY_MS = 24 * 60 * 60 * 1000

_MADE_WITH: Mapping[str, str] = {
    # A dead letter must fit, whatever the input topic accepts.
    "max.message.bytes": str(LARGEST_RECORD_BYTES),
    "cleanup.policy": "delete",
}
_CHANGELOG_MADE_WITH: Mapping[str, str] = {
    **_MADE_WITH,
    "cleanup.policy": "compact",
    # A restore that reads for longer than this could miss a tombstone.
    "delete.retention.ms": str(_DAY_MS),
    # The newest segment is never compacted, so a restore reads all of it: a second's worth.
    "segment.bytes": str(64 * 1024 * 1024),
    # Compacted once 3 of 10 bytes are out of date, so a restore reads at most 1.4 times the state.
    "min.cleanable.dirty.ratio": "0.3",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedTopic:
    """A topic that the daemon writes, and creates if it is missing."""

    name: str
    kind: TopicKind
    largest_record: int = 0
    """Bytes of the largest record that the daemon writes itself; 0 if the input determines it."""
    batch_bytes: int = 0
    """`batch.size` of the producer."""

    @property
    def rights(self) -> tuple[Right, ...]:
        """Rights that the daemon needs on it."""
        return ("Read", "Write") if self.kind == "changelog" else ("Write",)

    @property
    def made_with(self) -> Mapping[str, str]:
        """Its topic-level settings at creation."""
        return _CHANGELOG_MADE_WITH if self.kind == "changelog" else _MADE_WITH


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTopic:
    """A topic as the brokers describe it."""

    name: str
    n_partitions: int
    settings: Mapping[str, str]
    """Topic-level settings in force; empty if the brokers cannot describe them."""


def topic_errors(
    topic: OwnedTopic,
    found: FoundTopic,
    source: FoundTopic,
    bootstrap: str,
) -> Iterator[str]:
    """Yield what makes an existing topic unusable: found, expected, and the command that fixes it.

    A changelog that is not compacted loses the state of quiet series, or grows without bound. The
    other topics must keep every record, and accept what the input accepts. All must accept the
    largest record and the largest batch: the client does not split a batch that brokers refuse.

    Args:
        topic: Its use.
        found: Its description by the brokers.
        source: The input topic.
        bootstrap: Brokers, for the commands that fix it.
    """
    policy = found.settings.get("cleanup.policy")
    policies = set(filter(None, (policy or "").split(",")))
    place = f"topic {topic.name!r} ({_SETTINGS[topic.kind]})"
    alter = f"kafka-configs.sh --bootstrap-server {bootstrap} --alter --topic {topic.name}"
    another = f"or name another topic in {_SETTINGS[topic.kind]}"
    if topic.kind == "changelog":
        if policy is not None and policies != {"compact"}:
            yield (
                f"{place} has cleanup.policy={policy}; expected compact, or the state of quiet "
                f"series is lost: run `{alter} --add-config cleanup.policy=compact`, {another}"
            )
    elif "compact" in policies:
        yield (
            f"{place} has cleanup.policy={policy}; expected delete: "
            f"{_LOST_BY_COMPACTION[topic.kind]}; run `{alter} --add-config cleanup.policy=delete`, "
            f"{another}"
        )
    largest = _largest_batch(found)
    if largest is None:
        return
    for wanted, why in _sizes(topic, source):
        if largest < wanted:
            mend = f"run `{alter} --add-config max.message.bytes={wanted}`, {another}"
            yield (
                f"{place} has max.message.bytes={largest}; expected at least {wanted}, {why}: "
                f"{mend}"
            )
            return


def _sizes(topic: OwnedTopic, source: FoundTopic) -> Iterator[tuple[int, str]]:
    """Yield the bytes that a topic must accept, and why, the largest first."""
    sizes = [
        (topic.largest_record, f"the largest record of {_CONTENT[topic.kind]}"),
        (
            topic.batch_bytes,
            "what the producer sends at once (or lower `batch.size` in kafka.producer)",
        ),
    ]
    taken = _largest_batch(source)
    if topic.kind in {"dead_letters", "late"} and taken is not None:
        sizes.append(
            (
                taken,
                f"what the input topic {source.name!r} accepts, or a record could be too large "
                "for it",
            )
        )
    yield from sorted(sizes, reverse=True)


def _largest_batch(topic: FoundTopic) -> int | None:
    """Return the largest batch, or single record, a topic accepts, at most what we can write."""
    found = topic.settings.get("max.message.bytes")
    return None if found is None else min(int(found), LARGEST_RECORD_BYTES)
