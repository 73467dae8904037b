"""What a defect of the live page does to the daemon: nothing, but that it is told."""

from typing import Any

import pytest

from stream_vae.daemon.live_page import LivePage
from stream_vae.events import PageFailed
from tests.memory_kafka.instance import Instance
from tests.memory_kafka.scene import Scene
from tests.page.showing import Watcher, page_scene

IN_THE_LOOP = ("observe", "add_alert", "tick")
OF_A_READER = ("watch", "news", "steps", "search")


def page_of(one: Instance) -> LivePage:
    assert one.loop.page is not None
    return one.loop.page


def break_page(monkeypatch: pytest.MonkeyPatch, page: LivePage, method: str) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("\x1b[2Jrow 7")

    part = page._board if method in IN_THE_LOOP else page._view
    monkeypatch.setattr(part, method, broken)


def run(scene: Scene, one: Instance) -> None:
    """Feed an incident and a damaged record, while the page is looked at."""
    watcher = Watcher(one, (0, "s"))
    for steps, anomalies in ((range(20), ()), (range(20, 24), range(20, 24)), (range(24, 50), ())):
        scene.feed_series("s", steps, anomalies=anomalies)
        scene.settle(one)
        watcher.news()
        watcher.steps()
        watcher.view.search("s")
    scene.feed("s", [b"no reading"])


@pytest.mark.parametrize("method", [None, *IN_THE_LOOP, *OF_A_READER])
def test_a_defect_of_the_page_is_told_once_and_detection_goes_on(
    monkeypatch: pytest.MonkeyPatch, method: str | None
) -> None:
    scene = page_scene()
    one = scene.start()
    page = page_of(one)
    if method is not None:
        break_page(monkeypatch, page, method)
    run(scene, one)
    failures = one.events.of(PageFailed)
    found = one.loop.status()["page"]
    if method is None:
        assert failures == [], "control"
        assert found == {"status": "ok", "reason": ""}
    else:
        assert [type(failure.exc_info) for failure in failures] == [KeyError]
        assert failures[0].exc_info.__traceback__ is not None
        assert isinstance(found, dict)
        assert found["status"] == "failed"
        assert "row 7" in found["reason"]
        assert found["reason"].isprintable()
        assert one.loop.readiness().status == "ok", "readings are judged as before"
    assert len(scene.alerts()) == 2
    scene.assert_undisturbed(one)


def test_who_opens_a_page_that_has_ended_sees_what_it_showed_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = page_scene()
    one = scene.start()
    run(scene, one)
    scene.settle(one)
    shown = Watcher(one).summary()
    break_page(monkeypatch, page_of(one), "observe")
    scene.feed_series("s", range(50, 60))
    scene.settle(one)
    assert len(one.events.of(PageFailed)) == 1, "control"
    assert Watcher(one).summary() == shown
    assert len(shown["incidents"]) == 1, "control"


@pytest.mark.parametrize(("cpu_s", "ends"), [(0.001, False), (2.0, True)])
def test_a_page_that_takes_the_loops_time_ends(*, cpu_s: float, ends: bool) -> None:
    scene = page_scene()
    one = scene.start()
    spent = iter(i * cpu_s / 2 for i in range(1_000_000))
    one.loop.page._cpu_s = lambda: next(spent)  # type: ignore[union-attr]
    run(scene, one)
    assert len(one.events.of(PageFailed)) == ends
    scene.assert_undisturbed(one)


def test_without_a_page_nothing_is_said_of_it() -> None:
    assert "page" not in Scene().start().loop.status()
