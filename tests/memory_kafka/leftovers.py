"""What instances leave behind, in a form in which two runs over one input can be compared."""

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

from stream_vae.core.records import Headers
from tests.memory_kafka.partition_log import Entry
from tests.memory_kafka.scene import DEAD_LETTERS, LATE, Scene, make_settings
from tests.state.saved_state import State

Aside = tuple[bytes | None, bytes | None, Headers]
"""Key, value and headers of a record that was put aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """Everything that must not depend on what happened to the instances."""

    alerts: dict[str, list[dict[str, Any]]]
    """Series -> its alert events in the order of the topic."""
    dead_letters: list[Aside]
    late: list[Aside]
    committed: dict[int, int]
    state: State


def leftovers(scene: Scene) -> Leftovers:
    """Return what a scene's instances have left behind, once they have stopped in good order."""
    alerts: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in scene.alerts():
        alerts[event["series"]["key"]].append(event)
    return Leftovers(
        alerts=dict(alerts),
        dead_letters=_asides(scene.entries(DEAD_LETTERS)),
        late=_asides(scene.entries(LATE)),
        committed=scene.committed,
        state=scene.state().comparable(),
    )


def undisturbed(scene: Scene) -> Leftovers:
    """Return what one instance leaves behind that reads a scene's input and nothing happens to.

    It reads in few large polls, since how the input is cut must not matter either.
    """
    parts = replace(scene.parts, settings=make_settings(kafka={"poll_records": 500}))
    quiet = Scene(scene.n_partitions, parts, like=scene)
    one = quiet.start("undisturbed")
    quiet.settle(one)
    one.stop()
    return leftovers(quiet)


def _asides(entries: list[Entry]) -> list[Aside]:
    return sorted(
        ((entry.key, entry.value, entry.headers) for entry in entries),
        key=lambda aside: sorted((name, value or b"") for name, value in aside[2]),
    )
