"""Thresholds of every method in the daemon: state, restarts, and a change of the method."""

from dataclasses import replace

import numpy as np
import pytest

from stream_vae.detect.config import ThresholdConfig
from stream_vae.settings import Settings
from tests.conftest import make_spec
from tests.memory_kafka.instance import Parts
from tests.memory_kafka.scene import Scene, make_settings, reading

THRESHOLDS = {
    "percentile": ThresholdConfig(quantile=0.999, window=100, refresh_every=4),
    "mean_sd": ThresholdConfig(
        method="mean_sd", standard_deviations=6, window=100, refresh_every=4
    ),
    "fixed": ThresholdConfig(method="fixed", value=4.5),
    "labelled": ThresholdConfig(method="labelled", criterion="best_f1"),
    "pot": ThresholdConfig(method="pot", quantile=0.999, peaks=50, window=100, refresh_every=4),
}
WORDS = {
    "percentile": "rolling percentile 99.9 of 100 scores",
    "mean_sd": "rolling mean + 6 robust sd of 100 scores",
    "fixed": "fixed value 4.5",
    "labelled": "best F1 on labelled validation data",
    "pot": "generalised Pareto tail 99.9 of 50 peaks over the drift of 100 scores",
}
every_method = pytest.mark.parametrize("method", THRESHOLDS)


def parts_with(method: str) -> Parts:
    spec = replace(
        make_spec(), labelled_thresholds={"mean_square": {"youden": 2.0, "best_f1": 4.0}}
    )
    return Parts(settings=settings_with(method), spec=spec)


def settings_with(method: str) -> Settings:
    usual = make_settings()
    return usual.model_copy(update={"detect": replace(usual.detect, threshold=THRESHOLDS[method])})


@every_method
def test_crashes_change_nothing_that_is_left_behind(method: str) -> None:
    """State as of a snapshot, and the input since then read again, are as if nothing happened."""
    scene = Scene(parts=parts_with(method))
    scene.feed_series("s", range(40), anomalies=range(30, 34))
    scene.feed_series("t", range(40))
    first = scene.start()
    scene.settle(first)
    first.kill()
    scene.feed_series("s", range(40, 60), anomalies=range(50, 53))
    scene.feed_series("t", range(40, 60))
    second = scene.start()
    scene.assert_undisturbed(second)
    assert [one.state for one in second.restored] == ["restored"]
    firing = [event for event in scene.alerts() if event["status"] == "firing"]
    assert firing
    assert {event["threshold_method"] for event in scene.alerts()} == {WORDS[method]}
    assert all(event["threshold"] < event["score"] for event in firing)
    assert all(0 <= event["grade"] <= 1 for event in scene.alerts())


@every_method
def test_another_method_begins_from_the_calibration_and_says_so(method: str) -> None:
    """Control: started again with the same method, it goes on from where it was."""
    before = "fixed" if method == "percentile" else "percentile"
    scene = Scene(parts=parts_with(before))
    scene.feed_series("s", range(60))
    first = scene.start()
    scene.settle(first)
    first.stop()
    started = Scene(parts=parts_with(method)).start().pipeline.detector.threshold
    started.start(np.array([0], np.int32))
    restored = []
    for step in (60, 61):
        scene.feed("s", [reading(step)])
        one = scene.start(settings=settings_with(method))
        scene.settle(one)
        store, threshold = one.pipeline.store, one.pipeline.detector.threshold
        row = store.index.find((0, "s"))
        assert row is not None
        assert store.index.warmed_up[row], "its window is kept"
        assert threshold.in_force(row) == pytest.approx(started.in_force(0))
        restored += [each.state for each in one.restored]
        one.stop()
    assert restored == ["carried over", "restored"]
