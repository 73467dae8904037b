"""Restarts with another model, and with state of a partition as a whole."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from stream_vae.detect.config import IncidentConfig
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.reading_format import ReadingFormat
from tests.conftest import SCALER, F, make_spec
from tests.inputs.point_lists import PointListDecoder, point_list
from tests.memory_kafka.clock import START_S
from tests.memory_kafka.instance import Instance, Parts
from tests.memory_kafka.scene import Scene, make_settings, reading
from tests.state.partition_counter import CountingDecoder, PartitionCounter


def start(
    scene: Scene, name: str, *, keeps_counts: bool = True
) -> tuple[Instance, PartitionCounter]:
    """Start an instance that counts the readings of each partition."""
    counter = PartitionCounter()
    decoder = CountingDecoder(build_decoder(make_spec().features, ReadingFormat()), counter)
    parts = [counter] if keeps_counts else []
    return scene.start(name, decoder=decoder, partition_parts=parts), counter


def pass_rounds(scene: Scene, one: Instance) -> None:
    """Let snapshot rounds begin and end."""
    for _ in range(6):
        scene.kafka.clock.sleep(1.0)
        one.turn(3)


@pytest.mark.parametrize("since_round", [0, 1, 17, 40])
@pytest.mark.parametrize("stops_in_order", [True, False])
def test_a_part_of_a_partition_counts_every_reading_once_over_a_restart(
    since_round: int, *, stops_in_order: bool
) -> None:
    """Whatever was read between the last checkpoint and the end is counted again from there."""
    scene = Scene(2)
    scene.feed_series("s", range(30), partition=0)
    scene.feed_series("t", range(20), partition=1)
    first, counter = start(scene, "a")
    scene.settle(first)
    pass_rounds(scene, first)
    assert counter.counts == {0: 30, 1: 20}
    scene.feed_series("s", range(30, 30 + since_round), partition=0)
    scene.settle(first)
    if stops_in_order:
        first.stop()
    else:
        first.kill()
    scene.feed_series("s", range(100, 107), partition=0)
    second, found = start(scene, "a")
    scene.settle(second)
    assert found.counts == {0: 37 + since_round, 1: 20}


def test_a_part_that_the_pipeline_is_not_told_of_is_lost_at_a_restart() -> None:
    """The control: the count is not there for another reason."""
    scene = Scene()
    scene.feed_series("s", range(30))
    first, counter = start(scene, "a", keeps_counts=False)
    scene.settle(first)
    pass_rounds(scene, first)
    first.stop()
    assert counter.counts == {0: 30}
    scene.feed_series("s", range(30, 37))
    second, found = start(scene, "a", keeps_counts=False)
    scene.settle(second)
    assert found.counts[0] < 37


def test_the_next_model_sees_readings_as_they_came_however_the_last_one_clipped_them() -> None:
    """The first clips at 100: a 500 in the window that it leaves is a 500 for its successor."""
    scene = Scene()
    scene.feed_series("s", range(20))
    scene.feed("s", [reading(20, 500.0)])
    first = scene.start("a")
    scene.settle(first)
    first.stop()
    scaler = replace(SCALER, mean=SCALER.mean + 3, std=SCALER.std * 40)
    second = scene.start("a", spec=replace(make_spec(), version="2", scaler=scaler))
    scene.settle(second)
    store = second.pipeline.store
    row = store.index.find((0, "s"))
    newest = store.windows.state["values"][row][-1]
    np.testing.assert_allclose(newest, 500.0, atol=1)
    assert scaler.transform(newest)[0] == pytest.approx(497 / 40, abs=0.1)


def events(wild: Sequence[bool], per_record: int) -> list[bytes]:
    """Return records of so many events each, all of one series and one millisecond."""
    points = [
        ["events", START_S, *[9.0 if is_wild else 0.1 * (i % 7)] * F]
        for i, is_wild in enumerate(wild)
    ]
    return [point_list(*points[i : i + per_record]) for i in range(0, len(points), per_record)]


@pytest.mark.parametrize("per_record", [1, 3])
def test_events_of_one_time_are_told_once_each_under_ids_of_their_own_over_a_crash(
    per_record: int,
) -> None:
    """Each incident is one event; its id is the same whoever finds it, also after the crash."""
    incident = IncidentConfig(open_after=1, open_within=1, resolve_after=1)
    calibration = {"mean_square": np.random.default_rng(1).chisquare(F, 1001) / F}
    scene = Scene(
        parts=Parts(
            settings=make_settings(detect={"incident": incident}),
            spec=replace(
                make_spec(),
                window_length=1,
                calibration={name: np.sort(found) for name, found in calibration.items()},
            ),
            decoder=PointListDecoder(F),
        )
    )
    wild = [i % 4 in (0, 2) for i in range(24)]
    scene.feed("gateway", events(wild, per_record))
    first = scene.start()
    scene.settle(first)
    first.kill()
    scene.feed("gateway", events(wild, per_record))
    second = scene.start()
    scene.assert_undisturbed(second)
    firing = [event for event in scene.alerts() if event["status"] == "firing"]
    assert len(firing) == 24
    assert len({event["incident_id"] for event in firing}) == 24
    assert {event["starts_at"] for event in firing} == {firing[0]["starts_at"]}
