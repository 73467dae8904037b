"""Sessions of logs from their lines to alerts, whatever happens to instances in between."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.core.model_spec import ModelSpec, Scores
from stream_vae.core.scaling import Scaler
from stream_vae.detect.config import IncidentConfig, ThresholdConfig
from stream_vae.events import LinesOdd, SessionsClosed, SessionsClosedEarly
from stream_vae.inputs.log_lines.line_counts import features_of
from stream_vae.logs.templates import mine
from tests.conftest import make_spec
from tests.memory_kafka.instance import Instance, Parts
from tests.memory_kafka.scene import Scene, make_settings

USUAL = ("begin {}", "wrote {}", "wrote {}", "checked {}", "end {}")
LOGS = mine([line.format(f"blk_{n}") for n in range(20) for line in USUAL])
FEATURES = features_of(LOGS.templates, (), of_sessions=True)
EXPECTED = np.array([2.0 if "wrote" in one.name else 1.0 for one in FEATURES[:-1]] + [0.0])


class CountScorer:
    """Expects the usual lines of a session, give or take a half."""

    def score(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
        squares = ((values[:, -1] - EXPECTED) / 0.5) ** 2
        n = len(end_times)
        return Scores(
            value=squares.sum(axis=1),
            contribution=(squares / np.maximum(squares.sum(axis=1, keepdims=True), 1e-9)).astype(
                np.float32
            ),
            expected=np.tile(EXPECTED, (n, 1)),
            expected_std=np.full((n, len(EXPECTED)), 0.5),
        )


def make_parts(**limits: float) -> Parts:
    spec: ModelSpec = replace(
        make_spec(),
        features=FEATURES,
        logs=LOGS,
        window_length=1,
        step_seconds=0.001,
        scaler=Scaler(mean=np.zeros(len(FEATURES)), std=np.ones(len(FEATURES))),
        score="counts",
        calibration={"counts": np.linspace(0, 1, 101)},
    )
    settings = make_settings(
        input={
            "format": "log_lines",
            "session_pattern": r"(blk_\d+)",
            "session_end_pattern": "^end ",
            "session_quiet_s": 300.0,
            **limits,
        },
        kafka={"poll_records": 7},
        detect={
            "threshold": ThresholdConfig(method="fixed", value=2.0),
            "incident": IncidentConfig(open_within=1, resolve_after=1),
        },
    )
    return Parts(settings=settings, spec=spec, scorer=CountScorer())


def lines_of(blocks: range, *, odd: dict[int, tuple[str, ...]]) -> list[bytes]:
    """Return the lines of some sessions, three of them under way at a time."""
    lines = []
    for first in range(blocks.start, blocks.stop, 3):
        some = range(first, min(first + 3, blocks.stop))
        of_each = [[one.format(f"blk_{n}") for one in odd.get(n, USUAL)] for n in some]
        for nth in range(max(map(len, of_each))):
            lines += [one[nth].encode() for one in of_each if nth < len(one)]
    return [*lines, b"heartbeat"]


def told(scene: Scene) -> list[tuple[str, str | None, str | None, str | None]]:
    """Return status, session, and its top feature's direction and lines, of all alert events."""
    found = []
    for event in scene.alerts():
        top, session = event["features"][0], event.get("session", {})
        lines = top.get("template", top.get("example"))
        found.append((event["status"], session.get("key"), top.get("direction"), lines))
    return found


ODD = {
    4: ("begin {}", "wrote {}", "checked {}", "end {}"),
    8: (*USUAL[:-1], "disk of {} is full", "end {}"),
    9: (*USUAL[:3], "wrote {}", "wrote {}", "checked {}", "end {}"),
    13: USUAL[:3],
}
"""One write less; a line never seen; two more; and it stops."""


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_an_alert_names_the_session_that_did_not_fit_whatever_happens_to_the_instance(
    how: str,
) -> None:
    """Killed in the midst of open sessions, it leaves behind what an undisturbed one does."""
    scene = Scene(parts=make_parts())
    lines = lines_of(range(18), odd=ODD)
    one = scene.start()
    for begin in range(0, len(lines), 20):
        scene.feed("jobs", lines[begin : begin + 20])
        one.turn(3)
        one = disturbed(scene, one, how)
    scene.kafka.clock.sleep(400.0)
    scene.feed("jobs", [b"heartbeat"])
    scene.settle(one)
    assert [one[1:] for one in told(scene) if one[0] == "firing"] == [
        ("blk_4", "missing", "wrote <*>"),
        ("blk_8", "unseen", "disk of blk_8 is full"),
        ("blk_9", "too_many", "wrote <*>"),  # after another odd one, with whose incident it goes on
        ("blk_13", "missing", "checked <*>"),
    ]
    scene.assert_undisturbed(one)


def test_the_evidence_is_the_lines_of_the_session_whichever_record_closes_it() -> None:
    """A line of its own, or one that comes long after it has stopped."""
    scene = Scene(parts=make_parts())
    one = scene.start()
    scene.feed("jobs", lines_of(range(18), odd=ODD))
    one.turn(9)
    scene.kafka.clock.sleep(400.0)
    scene.feed("jobs", [b"heartbeat"])
    scene.settle(one)
    firing = [event for event in scene.alerts() if event["status"] == "firing"]
    assert {event["session"]["closed"] for event in firing} == {"ended", "quiet"}
    for event in firing:
        worst, session = event["features"][0]["worst"], event["session"]
        assert worst["offset_start"] == session["offset_start"]
        assert worst["offset_end"] == session["offset_end"]


def disturbed(scene: Scene, one: Instance, how: str) -> Instance:
    """Return the instance that follows one that is killed, or stopped in good order."""
    if how == "killed":
        one.kill()
        scene.kafka.clock.sleep(60.0)
    else:
        one.stop()
    return scene.start()


def test_what_sessions_are_closed_by_is_counted_and_those_closed_early_are_told() -> None:
    """Also lines of none. Control: with room for them none is closed early."""
    for limits, early in (({"session_max_open": 2}, 6), ({}, 0)):
        scene = Scene(parts=make_parts(**limits))
        one = scene.start()
        scene.feed("jobs", lines_of(range(3), odd={}))
        scene.settle(one)
        closed: dict[str, int] = {}
        for event in one.events.of(SessionsClosed):
            for reason, n in event.closed.items():
                closed[reason] = closed.get(reason, 0) + n
        found = one.events.of(SessionsClosedEarly)
        assert sum(event.count for event in found) == closed.get("early", 0)
        assert bool(early) == bool(found)
        assert [odd.example for odd in one.events.of(LinesOdd) if odd.reason == "no_session"] == [
            "heartbeat"
        ]
