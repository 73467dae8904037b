"""One test's stage: its topics, the daemons that work on them, and what they leave behind."""

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
from confluent_kafka import Message
from prometheus_client.parser import text_string_to_metric_families

from tests.system.broker import KafkaCluster
from tests.system.harness import DaemonProcess, Topics, make_config

Headers = list[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Topics and a group of their own on a broker that others use too."""

    kafka: KafkaCluster
    topics: Topics
    bundle: Path
    directory: Path

    def config(self, **overrides: object) -> Path:
        """Write a configuration; `kafka__start="latest"` sets `kafka.start`."""
        dotted = {name.replace("__", "."): value for name, value in overrides.items()}
        return make_config(self.directory, self.kafka, self.topics, self.bundle, dotted)

    def daemon(self, config: Path | None = None, **overrides: object) -> DaemonProcess:
        """Start a daemon with this configuration, or with one made of the overrides."""
        return DaemonProcess(config or self.config(**overrides))

    def ends(self) -> dict[int, int]:
        """Return, per input partition, the offset after its last committed record."""
        last: dict[int, int] = {}
        for message in self.kafka.consume_all(self.topics.input):
            last[message.partition() or 0] = (message.offset() or 0) + 1
        return last

    def committed(self) -> dict[int, int]:
        """Return the group's committed offset of each input partition that has one."""
        found = self.kafka.committed(self.topics.group, self.topics.input)
        return {partition: offset for partition, offset in found.items() if offset >= 0}

    def await_committed(
        self, ends: Mapping[int, int], *daemons: DaemonProcess, timeout_s: float = 60.0
    ) -> None:
        """Wait until the group has committed these offsets.

        Raises:
            AssertionError: If it has not in time, or one of the daemons ended; shows its log.
        """
        deadline = time.monotonic() + timeout_s
        while (found := self.committed()) != ends:
            dead = [d for d in daemons if d.exit_code is not None]
            if dead or time.monotonic() > deadline:
                logs = "\n".join(d.tail() for d in daemons)
                msg = f"committed {found}, expected {dict(ends)}, ended: {len(dead)}. Log:\n{logs}"
                raise AssertionError(msg)
            time.sleep(0.1)

    def alerts(self) -> list[dict[str, Any]]:
        """Return all committed alert events as plain JSON values."""
        return [msgspec.json.decode(m.value() or b"") for m in self.records(self.topics.alerts)]

    def records(self, topic: str) -> list[Message]:
        """Return all committed records of a topic."""
        return self.kafka.consume_all(topic)


def headers_of(message: Message) -> Headers:
    """Return a record's headers, in order."""
    found = message.headers() or []
    pairs = found.items() if isinstance(found, dict) else found
    return [(name, v.encode() if isinstance(v, str) else v) for name, v in pairs]


def identities(alerts: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Return what must be unique about alert events."""
    return [(alert["incident_id"], alert["sequence"]) for alert in alerts]


def origins(records: list[Message]) -> dict[int, list[int]]:
    """Return, per input partition, the offsets that dead or late letters came from, ascending."""
    found: dict[int, list[int]] = defaultdict(list)
    for record in records:
        headers = dict(headers_of(record))
        partition = int(headers["dlq.source.partition"] or b"")
        found[partition].append(int(headers["dlq.source.offset"] or b""))
    return {partition: sorted(offsets) for partition, offsets in found.items()}


def probe(daemon: DaemonProcess, path: str) -> httpx.Response:
    """Ask the daemon's endpoint."""
    return httpx.get(f"http://127.0.0.1:{daemon.http_port}/{path}", timeout=5.0)


def metrics(daemon: DaemonProcess) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every sample the daemon exposes."""
    return {
        (sample.name.removeprefix("stream_vae_"), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(probe(daemon, "metrics").text)
        for sample in family.samples
    }
