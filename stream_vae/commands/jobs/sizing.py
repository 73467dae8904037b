"""How much memory, how many cores and pods a stream takes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

MIB = 2**20

UTILISATION = 0.5
"""Share of an instance's most readings a second that it is given: the rest is for catching up after
a restart, and for the partitions of an instance that is lost."""

LIBRARIES_MIB = 800
"""Resident memory without any series: torch, the Kafka client, the model and what is in flight."""

IDLE_CORES = 0.35
"""What an instance takes beside its readings: polls, a batch every 20 ms, commits, a scrape."""

_LEAST_CPU = 0.5
_SPARE = 1.25
"""Rows beyond the series that are known now."""

_DIRTY = 2.0
"""Most bytes on disk for one that is live, at `min.cleanable.dirty.ratio` 0.5."""

SEGMENT_MIB = 64
"""The changelog's `segment.bytes`: the newest segment of a partition is never compacted."""

MUCH_STATE = 4 * MIB
"""Bytes of state a second, one copy: a third of a terabyte a day, most of it dropped later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What is to be judged."""

    n_series: int
    readings_per_second: float
    n_partitions: int
    replication: int
    """Copies of each partition of the changelog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesBytes:
    """What one series takes."""

    parts: Mapping[str, int]
    """Part of its state -> bytes in memory."""
    saved: int
    """Bytes of its record in the changelog, key and headers included, before compression."""

    @property
    def total(self) -> int:
        """In memory."""
        return sum(self.parts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What one instance can do."""

    readings: float
    """Judged a second, at most, on a core of its own for the model beside one for the rest."""
    restored: float
    """Bytes of saved state a second."""
    origin: str
    """Where the figures come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """What a deployment takes."""

    stream: Stream
    series: SeriesBytes
    speed: Speed
    snapshot_interval_s: float
    least_rows: int
    """Twice `kafka.poll_records`."""
    asked_replicas: int | None = None

    @property
    def needed_replicas(self) -> int:
        """By the rate."""
        return max(
            1, math.ceil(self.stream.readings_per_second / (UTILISATION * self.speed.readings))
        )

    @property
    def replicas(self) -> int:
        """As asked, or as needed."""
        return self.asked_replicas or self.needed_replicas

    @property
    def usual_share(self) -> float:
        """Of the stream that the fullest instance has.

        Partitions are dealt whole: with eight of them on three instances, the fullest has three.
        """
        return self._share(self.replicas)

    @property
    def share(self) -> float:
        """Of the stream that the fullest instance has while one other is away."""
        return self._share(self.replicas - 1)

    def _share(self, n_instances: int) -> float:
        n_partitions = self.stream.n_partitions
        return math.ceil(n_partitions / max(1, min(n_instances, n_partitions))) / n_partitions

    @property
    def fullest_series(self) -> int:
        """Series of the fullest instance."""
        return math.ceil(self.stream.n_series * self.share)

    @property
    def budget_mib(self) -> int:
        """`state.memory_budget_mb` that holds them, in steps of 16 MiB."""
        rows = max(self.fullest_series * _SPARE, self.least_rows)
        return _up(rows * self.series.total / MIB, 16)

    @property
    def memory_request_mib(self) -> int:
        """Of a pod, while it holds the series there are."""
        return _up(LIBRARIES_MIB + self.fullest_series * self.series.total / MIB, 64)

    @property
    def memory_limit_mib(self) -> int:
        """Of a pod whose budget is used up, and a quarter for what a restart reads at once."""
        return _up((LIBRARIES_MIB + self.budget_mib) * _SPARE, 64)

    @property
    def cores(self) -> float:
        """Of one instance with its even share."""
        usual = self.stream.readings_per_second / self.replicas
        return IDLE_CORES + usual / self.speed.readings

    @property
    def cpu_request(self) -> float:
        """Of a pod, in steps of a tenth of a core."""
        return max(_LEAST_CPU, math.ceil(round(self.cores * 10, 6)) / 10)

    @property
    def live_bytes(self) -> float:
        """Of the changelog, one copy, compacted."""
        return float(self.stream.n_series * self.series.saved)

    @property
    def disk_bytes(self) -> float:
        """Of the changelog, all copies, at most."""
        newest = self.stream.n_partitions * SEGMENT_MIB * MIB
        return (self.live_bytes * _DIRTY + newest) * self.stream.replication

    @property
    def saved_per_second(self) -> float:
        """Bytes of state written, one copy: each changed series once an interval."""
        changed = self.stream.readings_per_second * self.snapshot_interval_s
        return min(self.stream.n_series, changed) * self.series.saved / self.snapshot_interval_s

    @property
    def calm_interval_s(self) -> int:
        """`state.snapshot_interval_s`, in steps of 10 s, that writes no more than `MUCH_STATE`."""
        return _up(self.live_bytes / MUCH_STATE, 10)

    @property
    def restore_s(self) -> float:
        """From the partitions of a restarted instance being assigned until they are loaded."""
        return self.live_bytes * self.usual_share / self.speed.restored

    @property
    def replay_s(self) -> float:
        """Then, to read again what came since the state was saved, two intervals at most.

        New readings come meanwhile; infinite if they are more than can be judged.
        """
        rate = self.stream.readings_per_second * self.usual_share
        spare = self.speed.readings - rate
        return rate * 2 * self.snapshot_interval_s / spare if spare > 0 else math.inf


def _up(value: float, step: int) -> int:
    """Return the next multiple of a step."""
    return math.ceil(round(value, 6) / step) * step
