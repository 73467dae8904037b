"""Restarts with another model, and with state of a partition as a whole."""

from dataclasses import replace

import numpy as np
import pytest

from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.reading_format import ReadingFormat
from tests.conftest import SCALER, make_spec
from tests.memory_kafka.instance import Instance
from tests.memory_kafka.scene import Scene, reading
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
