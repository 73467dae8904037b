"""Polls of hostile records with clean ones between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.records import RecordBatch
from stream_vae.inputs.reading_format import RECORD_TIME
from tests.fuzz.layouts import KINDS_OF_FEATURES, NAMES, Layout, of_kinds
from tests.fuzz.mutators import KINDS, OF_LOGS, Hostile, Material

F = len(NAMES)
STEP_NS = 60 * 10**9
START_NS = 1_767_225_600 * 10**9
N_PARTITIONS = 3
STEPS_A_POLL = 4
N_CLEAN, N_HOSTILE = 25, 100
"""Series; a poll holds `STEPS_A_POLL` records of each."""
HOSTILE_A_POLL = N_HOSTILE * STEPS_A_POLL

CLEAN = "clean"


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """N records, what each is, and the clock."""

    records: RecordBatch
    kinds: list[str]
    """N names in `KINDS`, or `CLEAN`."""
    now_ns: int


def signal(n: int, seed: int) -> NDArray[np.float64]:
    """Return (n, F) sines with noise."""
    generator = np.random.default_rng(seed)
    phase = generator.uniform(0, 2 * np.pi, F)
    sines = np.sin(np.arange(n)[:, None] / (3.0, 5.0, 8.0) + phase)
    return np.asarray(sines + 0.2 * generator.normal(size=(n, F)))


class HostileStream:
    """Makes the polls of one layout; the same seed makes the same ones.

    The clean series are not quiet: each has an anomaly of eight steps now and then.

    Args:
        layout: Of all records.
        seed: Of all chance.
        flood: Share of hostile records under a key never seen before.
    """

    def __init__(self, layout: Layout, seed: int, flood: float = 0.05) -> None:
        self._layout = layout
        self._rng = Random(seed)  # noqa: S311 -- to be repeated, not to be secret
        self._flood = flood
        self._signal = signal(1009, seed)
        self._kinds = [kind for kind in KINDS if layout.logs is not None or kind not in OF_LOGS]
        self._is_timed = layout.fmt.timestamp_field == RECORD_TIME
        self._polls = 0
        self._other = b"{}"
        self._next_offset = [0] * N_PARTITIONS

    def poll(self) -> Poll:
        """Return the next poll of `N_CLEAN` clean and `N_HOSTILE` hostile series."""
        rng = self._rng
        # Sometimes all kinds, sometimes one: then the whole poll may pass by the fast way.
        kinds = self._kinds
        chosen = rng.sample(kinds, rng.choice((1, 2, 5, len(kinds), len(kinds))))
        made: list[tuple[str, Hostile, int]] = []
        times: list[int] = []
        for k in range(STEPS_A_POLL):
            series = [*range(N_CLEAN + N_HOSTILE)]
            rng.shuffle(series)
            for i in series:
                step = self._polls * STEPS_A_POLL + k
                kind = CLEAN if i < N_CLEAN else rng.choice(chosen)
                made.append((kind, self._record(kind, i, step), i % N_PARTITIONS))
                times.append(START_NS + step * STEP_NS)
        self._polls += 1
        now_ns = START_NS + self._polls * STEPS_A_POLL * STEP_NS
        kinds = [kind for kind, *_ in made]
        stamps = self._timestamps(kinds, times, now_ns)
        records = self._batch([record for _, record, _ in made], [at for *_, at in made], stamps)
        return Poll(records=records, kinds=kinds, now_ns=now_ns)

    def _record(self, kind: str, i: int, step: int) -> Hostile:
        name = f"{CLEAN}-{i}" if kind == CLEAN else f"hostile-{i}"
        if kind != CLEAN and self._rng.random() < self._flood:
            name = f"flood-{self._rng.getrandbits(64):016x}"
        values = self._signal[(step + 40 * i) % len(self._signal)]
        if kind == CLEAN and (step + 37 * i) % 230 > 221:
            values = values + 9.0
        if self._layout.features is KINDS_OF_FEATURES:
            values = of_kinds(values[None])[0]
        time_ns = START_NS + step * STEP_NS
        value = self._layout.encode(series=name, time_ns=time_ns, values=values.tolist())
        key = self._layout.key(name) if self._layout.has_key else None
        if kind == CLEAN:
            return Hostile(key, value)
        write = self._layout.write_lines
        material = Material(
            layout=self._layout,
            key=key,
            clean=value,
            other=self._other,
            write=None if write is None else partial(write, name, time_ns),
        )
        self._other = value
        return KINDS[kind](self._rng, material)

    def _timestamps(
        self, kinds: Sequence[str], times: Sequence[int], now_ns: int
    ) -> NDArray[np.int64]:
        """Kafka's times; hostile producers set theirs as they like."""
        hostile = (0, 1, 10**6, now_ns - 1, now_ns + 10**12, 2**63 - 1, -(2**63), -1)
        own = times if self._is_timed else [now_ns] * len(times)
        is_own = 0.6 if self._is_timed else 0.0
        return np.array(
            [
                time if kind == CLEAN or self._rng.random() < is_own else self._rng.choice(hostile)
                for kind, time in zip(kinds, own, strict=True)
            ],
            np.int64,
        )

    def _batch(
        self, made: Sequence[Hostile], partitions: list[int], timestamps: NDArray[np.int64]
    ) -> RecordBatch:
        offsets = []
        for at in partitions:
            offsets.append(self._next_offset[at])
            self._next_offset[at] += 1
        return RecordBatch(
            topic="readings",
            partitions=np.array(partitions, np.int32),
            offsets=np.array(offsets, np.int64),
            timestamps=timestamps,
            timed_by_broker=self._rng.random() < 0.3,
            keys=[record.key for record in made],
            values=[record.value for record in made],
            headers=lambda i: made[i].headers,
        )
