"""Which fault comes when: drawn once from a seed, so that any run can be repeated."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

SESSION_TIMEOUT_S = 3.0
"""After this long without a heartbeat the group reassigns a daemon's partitions."""

TRANSACTION_TIMEOUT_S = 4.0
"""After so long the broker aborts what a daemon left open."""

EVERYBODY = -1


class Kind(StrEnum):
    """What can happen to a daemon, to the broker or to what lies between."""

    KILL = "SIGKILL and restart"
    TERMINATE = "SIGTERM and restart"
    FREEZE = "SIGSTOP beyond the session timeout"
    FREEZE_IN_TRANSACTION = "SIGSTOP in mid transaction beyond its timeout"
    KILL_BEFORE_COMMIT = "SIGKILL just before a commit"
    KILL_AFTER_COMMIT = "SIGKILL just after a commit"
    SCALE = "an instance joins or leaves"
    KILL_ALL = "SIGKILL of all daemons and restart"
    BROKER_KILL = "broker SIGKILL and restart"
    NETWORK_CUT = "connections closed and refused"
    NETWORK_STALL = "connections silent"
    NETWORK_SLOW = "connections slow"
    WORKER_SLOW = "worker slow"
    WORKER_RAISE = "worker raises once"
    CLOCK_JUMP = "clock jumps"
    POISON_BURST = "burst of poison records"
    DISK_FULL = "broker's disk full until it dies, restart with space"
    PARTITIONS_ADDED = "partition added to the input"
    OFFSETS_DELETED = "group's offsets deleted while no daemon runs"
    OFFSETS_BEYOND_END = "group's offsets set beyond the end"
    RENAMED = "detector renamed, daemon by daemon"
    KEYS_MOVED = "some series move to another partition"
    OFFSETS_SET_BACK = "group's offsets set back"
    CHANGELOG_DELETED = "changelog deleted, another named"
    INPUT_RECREATED = "input topic deleted and made anew"


TOLD = (Kind.OFFSETS_SET_BACK, Kind.CHANGELOG_DELETED, Kind.INPUT_RECREATED)
"""Those after which outputs may differ, as is told: invariants hold instead."""

OPERATOR = (
    Kind.PARTITIONS_ADDED,
    Kind.OFFSETS_DELETED,
    Kind.OFFSETS_BEYOND_END,
    Kind.RENAMED,
    Kind.KEYS_MOVED,
    *TOLD,
)
"""What people do. It takes longer: brokers change offsets of an empty group alone."""

USUAL = tuple(kind for kind in Kind if kind not in {Kind.DISK_FULL, *OPERATOR})
"""Those that need no right to mount a disk, and no operator."""

AT_REST = {Kind.OFFSETS_BEYOND_END, Kind.INPUT_RECREATED}
"""Those played when all input so far is committed, before more comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault as it was drawn."""

    kind: Kind
    target: int
    """Number of the daemon; `EVERYBODY` for all of them, where the network fails."""
    hold_s: float
    """How long it lasts (until the restart, until the network is back)."""
    pause_s: float
    """Quiet time after it."""
    strength: float
    """Seconds of delay, or by which the clock jumps; a share of records."""


def draw_schedule(
    seed: int, n_faults: int, n_daemons: int, kinds: Sequence[Kind] = USUAL
) -> tuple[Fault, ...]:
    """Return the faults of a run; each kind comes once before any comes again.

    >>> draw_schedule(1, 20, 3)[:5] == draw_schedule(1, 5, 3)
    True
    """
    rng = np.random.default_rng([seed, 1])
    order: list[Kind] = []
    while len(order) < n_faults:
        order += [kinds[i] for i in rng.permutation(len(kinds))]
    # Every fault draws from a generator of its own: a longer schedule begins as a shorter one.
    return tuple(
        _draw(kind, n_daemons, np.random.default_rng([seed, 2, i]))
        for i, kind in enumerate(order[:n_faults])
    )


def _draw(kind: Kind, n_daemons: int, rng: np.random.Generator) -> Fault:
    hits_all = kind in _NETWORK and rng.random() < 0.3
    long_pause = rng.random() < 0.3
    return Fault(
        kind=kind,
        target=EVERYBODY if hits_all else int(rng.integers(n_daemons)),
        hold_s=_hold_s(kind, rng),
        pause_s=float(rng.uniform(3, 6) if long_pause else rng.uniform(0.2, 1.5)),
        strength=_strength(kind, rng),
    )


_NETWORK = {Kind.NETWORK_CUT, Kind.NETWORK_STALL, Kind.NETWORK_SLOW}


def _hold_s(kind: Kind, rng: np.random.Generator) -> float:
    match kind:
        case Kind.FREEZE:
            return SESSION_TIMEOUT_S + float(rng.uniform(0.5, 2.0))
        case Kind.FREEZE_IN_TRANSACTION:
            return TRANSACTION_TIMEOUT_S + float(rng.uniform(0.7, 2.0))
        case Kind.NETWORK_CUT | Kind.NETWORK_STALL:
            return float(np.exp(rng.uniform(np.log(0.5), np.log(20.0))))
        case Kind.NETWORK_SLOW | Kind.WORKER_SLOW:
            return float(rng.uniform(2.0, 4.0))
        case Kind.WORKER_RAISE | Kind.CLOCK_JUMP | Kind.POISON_BURST | Kind.SCALE:
            return 0.0
        case _:
            return float(rng.uniform(0.0, 1.5))


def _strength(kind: Kind, rng: np.random.Generator) -> float:
    match kind:
        case Kind.NETWORK_SLOW:
            return float(rng.uniform(0.01, 0.2))
        case Kind.WORKER_SLOW:
            return float(rng.uniform(0.05, 0.5))
        case Kind.OFFSETS_SET_BACK:  # by this share of all records
            return float(rng.uniform(0.1, 0.4))
        case Kind.CLOCK_JUMP:  # from a second to a day, forwards or backwards
            return float(rng.choice([-1, 1]) * np.exp(rng.uniform(0, np.log(86_400))))
        case _:
            return 0.0
