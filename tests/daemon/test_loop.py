"""The loop between edges in memory: restoring, ingest, back-pressure, saving and delivery."""

from tests.memory_kafka.scene import Scene, reading


def test_what_goes_in_comes_out_once_and_is_committed_to_the_end() -> None:
    scene = Scene()
    scene.feed_series("s", range(40), anomalies=range(20, 26))
    scene.feed("s", [b"poison", reading(3)])
    scene.feed_committed("s", [b"more poison"])
    one = scene.start()
    scene.settle(one)
    assert scene.told() == [("s", "firing", 0), ("s", "resolved", 1)]
    assert scene.dead_letters() == [b"poison", b"more poison"]
    assert scene.late() == [reading(3)]
    assert scene.committed == {0: 44}, "past the transaction marker"
    one.stop()
    assert scene.committed == {0: 44}
    assert len(scene.state().rows) == 1
