"""What was seen of an instance at one time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from stream_vae.daemon.conditions import InstanceProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Series and incidents as they were last observed."""

    series: int = 0
    warmed_up: int = 0
    blind: int = 0
    blind_examples: tuple[str, ...] = ()
    repeated: int = 0
    """Keys that stand in several partitions."""
    incidents_open: int = 0
    silences_open: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseenTemplate:
    """What some lines of no template look like."""

    template: str
    """Printable, as `example`."""
    lines: int
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One observation; never changed, so that any thread may read it."""

    at: datetime
    at_monotonic: float
    progress: InstanceProgress
    counts: Counts
    unseen: tuple[UnseenTemplate, ...] = ()
    """Of logs: what lines of no template look like, most frequent first; once a minute."""
    since: Mapping[str, float]
    """Code of each condition -> monotonic seconds since when it holds."""
