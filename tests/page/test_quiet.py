"""A page does not leave a person alone with a red number beside "no incident"."""

import pytest

from stream_vae.core.event_time import END_NS
from stream_vae.core.incidents import IncidentState, JudgedReading
from stream_vae.detect.config import IncidentConfig
from stream_vae.page.quiet import why_quiet
from tests.memory_kafka.scene import reading
from tests.page.showing import Watcher, page_scene


def judged(*, anomalous: bool, time: int = 0, deviation: float = 0.0) -> JudgedReading:
    return JudgedReading(
        step=0, time=time, offset=0, anomalous=anomalous, score=9.0, grade=0.5, deviation=deviation
    )


def state(*recent: JudgedReading, resolved: JudgedReading | None = None) -> IncidentState:
    return IncidentState(recent=recent, incident=None, normal_run=0, resolved=resolved)


@pytest.mark.parametrize(
    ("saved", "rules", "deviation", "words"),
    [
        (
            state(judged(anomalous=True)),
            IncidentConfig(open_after=3, open_within=5),
            None,
            "above the threshold in 1 of the last 5 readings, an incident opens at 3 "
            "(detect.incident.open_after)",
        ),
        (
            state(judged(anomalous=True), judged(anomalous=False, deviation=4.02)),
            IncidentConfig(min_deviation=10.0),
            None,
            "its largest deviation, 4.02 sd, is below 10 sd (detect.incident.min_deviation)",
        ),
        (
            None,
            IncidentConfig(min_deviation=10.0),
            None,
            "its largest deviation is below 10 sd (detect.incident.min_deviation)",
        ),
        (
            None,
            IncidentConfig(min_deviation=10.0),
            3.0,
            "its largest deviation, 3 sd, is below 10 sd (detect.incident.min_deviation)",
        ),
        (
            state(judged(anomalous=True), resolved=judged(anomalous=False, time=10**18)),
            IncidentConfig(open_after=1, cooldown_s=60.0),
            None,
            "its last incident has just ended, the next may open from 2001-09-09 01:47:40 UTC "
            "(detect.incident.cooldown_s)",
        ),
        (
            state(judged(anomalous=True), resolved=judged(anomalous=False, time=END_NS - 1)),
            IncidentConfig(open_after=1, cooldown_s=1e9),
            None,
            "its last incident has just ended, the next may open from 2199-12-31 23:59:59 UTC "
            "(detect.incident.cooldown_s)",
        ),
        (None, IncidentConfig(), None, ""),
        (state(judged(anomalous=True)), IncidentConfig(open_after=1), None, ""),
    ],
)
def test_each_rule_that_keeps_an_incident_from_opening_is_named(
    saved: IncidentState | None, rules: IncidentConfig, deviation: float | None, words: str
) -> None:
    assert why_quiet(saved, rules, deviation) == words


def test_a_series_above_its_threshold_without_an_incident_says_why_until_one_opens() -> None:
    scene = page_scene()
    one = scene.start()
    scene.feed_series("s", range(20))
    scene.settle(one)
    watcher = Watcher(one, (0, "s"))
    assert watcher.summary()["ranking"][0]["quiet"] == "", "below its threshold"
    steps = watcher.steps()
    assert steps is not None
    assert steps["quiet"] == ""

    scene.feed_series("s", range(20, 21), anomalies=[20])
    scene.settle(one)
    (row,) = watcher.summary()["ranking"]
    assert row["score"] > row["threshold"]
    assert row["quiet"].startswith("above the threshold in 1 of the last 3 readings")
    steps = watcher.steps()
    assert steps is not None
    assert steps["quiet"] == row["quiet"]

    scene.feed_series("s", range(21, 23), anomalies=[21, 22])
    scene.settle(one)
    (row,) = watcher.summary()["ranking"]
    assert (row["firing"], row["quiet"]) == (True, "")


def test_a_deviation_that_is_too_small_to_matter_is_told_with_its_size() -> None:
    scene = page_scene(detect={"incident": IncidentConfig(min_deviation=1000.0)})
    one = scene.start()
    scene.feed_series("s", range(23), anomalies=range(20, 23))
    scene.settle(one)
    watcher = Watcher(one, (0, "s"))
    (row,) = watcher.summary()["ranking"]
    assert row["quiet"].startswith("its largest deviation is below 1,000 sd")
    scene.feed_series("s", range(23, 24), anomalies=[23])
    scene.settle(one)
    steps = watcher.steps()
    assert steps is not None
    assert "its largest deviation, 20." in steps["quiet"]
    assert watcher.summary()["incidents"] == []


def test_the_time_of_the_newest_reading_is_that_of_the_readings() -> None:
    scene = page_scene()
    one = scene.start()
    assert Watcher(one).summary()["newest_at"] is None
    scene.feed("s", [reading(step) for step in range(12)])
    scene.settle(one)
    (row,) = Watcher(one).summary()["ranking"]
    assert Watcher(one).summary()["newest_at"] == row["at"]
