"""What a forwarder is made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from stream_vae.core.alerts import Severity
from stream_vae.core.health import Heartbeat
from stream_vae.core.ports import Clock, InputConsumer, OutputProducer, Telemetry
from stream_vae.forwarding.receivers import Receiver


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardPlan:
    """What a forwarder does."""

    topic: str
    """The alerts topic."""
    dead_letter_topic: str
    group: str
    name: str
    """Of the detector, for dead letters."""
    receiver: str
    """Kind and address, for people."""
    start: Literal["latest", "earliest"]
    min_severity: Severity
    detectors: frozenset[str] = frozenset()
    """Whose events are told; empty: those of all."""
    retry_s: float
    """Failures in a row after which events are given up."""
    liveness_timeout_s: float
    poll_records: int = 500
    max_waiting: int = 1_000
    """Events waiting at which no more are fetched."""
    max_ended: int = 65_536
    """Incidents remembered after their end."""

    def concerns(self, detector: str) -> bool:
        """Return whether a detector's events are told."""
        return not self.detectors or detector in self.detectors


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardParts:
    """The parts of the loop."""

    consumer: InputConsumer
    producer: OutputProducer
    receiver: Receiver
    events: Telemetry
    heartbeat: Heartbeat
    clock: Clock
    chance: Callable[[], float]
    """Returns numbers between 0 and 1."""
