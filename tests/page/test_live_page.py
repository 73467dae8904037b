"""What the live page shows of a daemon in memory."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream_vae.core.log_templates import LINES, LogSpec, LogTemplate
from stream_vae.core.series_index import SeriesIndex
from stream_vae.page.bounds import CELLS, HISTORIES, INCIDENTS, RANKED, STEPS
from stream_vae.page.histories import JudgedSteps, StepHistories
from stream_vae.page.incident_list import IncidentList
from stream_vae.page.ranking import Ranking
from stream_vae.page.view import PageView
from stream_vae.wire.alerts import decode_alert
from tests.memory_kafka.scene import INPUT, reading
from tests.page.showing import Watcher, page_scene

GOLDEN = Path(__file__).parents[1] / "golden" / "alert_v1.json"
HOSTILE = "<img src=x onerror=alert(1)>\u202e\u200b'\""


def test_an_incident_is_shown_from_its_opening_to_its_end() -> None:
    scene = page_scene()
    one = scene.start()
    watcher = Watcher(one)
    scene.feed_series("s", range(20))
    scene.settle(one)
    assert watcher.summary()["incidents"] == []
    scene.feed_series("s", range(20, 24), anomalies=range(20, 24))
    scene.settle(one)
    summary = watcher.summary()
    (firing,) = summary["incidents"]
    assert firing["firing"]
    assert summary["ranking"][0]["firing"]
    assert firing["source"] == {
        "topic": INPUT,
        "partition": 0,
        "offset_start": 20,
        "offset_end": firing["source"]["offset_end"],
    }
    shares = [feature["contribution"] for feature in firing["features"]]
    assert sum(shares) == pytest.approx(1, abs=0.01)
    assert "expected 0 ± 1" in firing["features"][0]["words"]
    scene.feed_series("s", range(24, 50))
    scene.settle(one)
    (over,) = watcher.summary()["incidents"]
    assert not over["firing"]
    assert over["reason"] == "back_to_normal"
    assert over["features"], "of the anomaly; those of the end are normal"
    assert over["id"] == firing["id"]
    one.stop()


def test_series_are_ranked_by_how_far_they_are_above_their_threshold() -> None:
    scene = page_scene()
    one = scene.start()
    for name, level in (("quiet", 0.0), ("loud", 9.0), ("louder", 15.0)):
        scene.feed(name, [reading(step, level) for step in range(10)])
    scene.settle(one)
    summary = Watcher(one).summary()
    assert [each["key"] for each in summary["ranking"]] == ["louder", "loud", "quiet"]
    assert summary["n_series"] == 3
    found = json.loads(Watcher(one).view.search("OUDE"))
    assert [each["key"] for each in found["series"]] == ["louder"]
    assert found["is_all"]
    scene.group.assign({})
    one.turn(3)
    assert Watcher(one).summary()["ranking"] == [], "what this instance has no longer is not shown"


def test_of_very_many_series_the_highest_are_shown() -> None:
    index = SeriesIndex(5_000)
    rows, _ = index.rows([(0, f"s{i}") for i in range(5_000)])
    ranking = Ranking(index)
    ranking.observe(rows, rows.astype(float), np.zeros(5_000), rows.astype(np.int64))
    top = ranking.top(RANKED)
    assert [one.name[1] for one in top] == [f"s{4_999 - i}" for i in range(RANKED)]
    index.release(rows[-10:])
    index.rows([(0, "another")])
    assert [one.name[1] for one in ranking.top(2)] == ["s4989", "s4988"], "a row's former series"


def test_a_picked_series_has_its_steps_with_what_was_expected_and_then_the_new_ones_alone() -> None:
    scene = page_scene()
    one = scene.start()
    scene.feed_series("s", range(30))
    scene.settle(one)
    watcher = Watcher(one, (0, "s"))
    steps = watcher.steps()
    assert steps is not None
    assert steps["is_new"]
    assert len(steps["t"]) == 23, "30 less those of the first window but its last"
    actual, expected, low, high = steps["values"][0]
    assert actual[-1] == pytest.approx(json.loads(reading(29))["f0"])
    assert (expected[-1], low[-1], high[-1]) == (0.0, -2.0, 2.0)
    assert steps["score"][-1] < steps["threshold"][-1]
    assert watcher.steps() is None, "it has all of them"
    scene.feed_series("s", range(30, 32))
    scene.settle(one)
    more = watcher.steps()
    assert more is not None
    assert not more["is_new"]
    assert len(more["t"]) == 2


def test_a_series_without_a_history_shows_its_window_until_its_next_reading() -> None:
    scene = page_scene(capacity=128)
    one = scene.start()
    names = [f"s{i}" for i in range(HISTORIES + 1)]
    for name in names:
        scene.feed_series(name, range(9))
    scene.settle(one)
    (late,) = set(names) - {
        one.pipeline.store.index.name(row)[1]
        for row in one.loop._parts.page._board._histories.rows  # type: ignore[union-attr]
    }
    watcher = Watcher(one, (0, late))
    bare = watcher.steps()
    assert bare is not None
    assert len(bare["t"]) == 8
    assert bare["values"][0][0][-1] == pytest.approx(json.loads(reading(8))["f0"])
    assert bare["values"][0][1] == [None] * 8, "what was expected of them is not kept"
    scene.feed_series(late, range(9, 10))
    scene.settle(one)
    told = watcher.steps()
    assert told is not None
    assert told["values"][0][1][-1] == 0.0


@pytest.mark.parametrize("n_features", [1, 30, 1_000, 10_000])
def test_histories_take_bounded_memory_and_keep_what_is_wanted(n_features: int) -> None:
    index = SeriesIndex(100)
    histories = StepHistories(index, n_features)
    assert histories.nbytes <= 4 * 8 * HISTORIES * max(CELLS, STEPS) * 1.2
    rows, _ = index.rows([(0, str(i)) for i in range(100)])
    wanted = set(rows[: histories.n_series].tolist())
    for row in rows.tolist():
        histories.keep(row, wanted)
    assert set(histories.rows) == wanted, "no ring that is wanted is given away"
    n = 2 * histories.n_steps + 3
    told = JudgedSteps(
        times=np.arange(n),
        score=np.arange(n, dtype=np.float64),
        threshold=np.zeros(n),
        values=np.zeros((4, n, n_features)),
    )
    histories.add(np.zeros(n, np.int32), told)
    copied = histories.copy(0)
    assert copied is not None
    assert copied.total == n
    assert copied.steps.times.tolist() == list(range(n - histories.n_steps, n))


def test_series_that_take_the_rows_of_others_keep_their_steps() -> None:
    index = SeriesIndex(HISTORIES)
    histories = StepHistories(index, 1)
    rows, _ = index.rows([(0, str(i)) for i in range(HISTORIES)])
    for row in rows.tolist():
        histories.keep(row, ())
    index.release(rows)
    back, _ = index.rows([(1, str(i)) for i in range(HISTORIES)])
    assert back.tolist() != rows.tolist(), "control: in another order"
    for row in back.tolist():
        histories.keep(row, ())
    assert len(histories.kept(back)) == HISTORIES


def test_nothing_is_handed_over_while_nobody_watches() -> None:
    scene = page_scene()
    one = scene.start()
    scene.feed_series("s", range(20))
    scene.settle(one)
    one._kafka.clock.sleep(5.0)
    one.turn(3)
    assert one.loop.page is not None
    assert one.loop.page.news(0) == (0, [])
    assert Watcher(one).summary()["ranking"], "control"


def test_what_is_shown_of_the_stream_can_control_nothing() -> None:
    scene = page_scene()
    one = scene.start()
    scene.feed_series(HOSTILE, range(20), anomalies=range(14, 20))
    scene.feed(HOSTILE, [b"\x1b[2J<script>"])
    scene.settle(one)
    summary = Watcher(one).summary()
    key = summary["ranking"][0].pop("key")
    assert key == HOSTILE, "as it is, to ask for it"
    summary["incidents"][0].pop("key")
    assert all(text.isprintable() for text in texts(summary))
    (letter,) = summary["dead_letters"]["newest"]
    assert letter["offset"] == 20
    assert sum(summary["dead_letters"]["counts"].values()) == 1


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for each in pair for text in texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in texts(each)]
    return [value] if isinstance(value, str) else []


def test_an_incident_that_another_instance_opened_is_shown_with_what_is_known_of_it() -> None:
    scene = page_scene()
    one = scene.start()
    scene.feed_series("s", range(24), anomalies=range(20, 24))
    scene.settle(one)
    one.stop()
    heir = scene.start("b")
    scene.settle(heir)
    (found,) = Watcher(heir).summary()["incidents"]
    assert found["firing"]
    assert found["source"]["offset_start"] == 20
    assert found["features"] == []


def test_of_incidents_only_those_that_changed_are_sent_again() -> None:
    scene = page_scene(capacity=128)
    one = scene.start()
    names = [f"s{i}" for i in range(12)]
    for name in names:
        scene.feed_series(name, range(24), anomalies=range(20, 24))
    scene.settle(one)
    watcher = Watcher(one)
    whole = watcher.news()["incidents"]
    assert whole["is_whole"]
    assert [number for number, _ in whole["changed"]] == whole["order"]
    assert len(whole["order"]) == len(names)

    scene.feed_series("s3", range(24, 50))
    scene.settle(one)
    news = watcher.news()["incidents"]
    assert not news["is_whole"]
    ((number, over),) = news["changed"]
    assert (over["key"], over["firing"]) == ("s3", False)
    assert news["order"] == [n for n in whole["order"] if n != number] + [number], "the rest fires"
    assert Watcher(one).news()["incidents"]["is_whole"], "another reader has nothing yet"

    scene.feed_series("s5", range(24, 26))
    scene.settle(one)
    assert watcher.news().keys() == {"series"}, "verdicts alone"
    assert watcher.news() == {}, "nothing has changed"
    scene.feed("s5", [b"no reading"])
    scene.settle(one)
    assert watcher.news().keys() == {"dead_letters"}


def test_an_incident_taken_over_is_sent_again_as_it_grows_and_goes_with_its_partition() -> None:
    scene = page_scene()
    one = scene.start()
    scene.feed_series("s", range(24), anomalies=range(20, 24))
    scene.settle(one)
    one.stop()
    heir = scene.start("b")
    scene.settle(heir)
    watcher = Watcher(heir)
    ((number, found),) = watcher.news()["incidents"]["changed"]
    scene.feed_series("s", range(24, 25), anomalies=[24])
    scene.settle(heir)
    ((same, grown),) = watcher.news()["incidents"]["changed"]
    assert (same, grown["id"]) == (number, found["id"])
    assert grown["source"]["offset_end"] == 24
    scene.group.assign({})
    heir.turn(3)
    assert watcher.news()["incidents"] == {"is_whole": False, "order": [], "changed": []}


def test_incidents_are_bounded_and_those_that_fire_stay() -> None:
    golden, incidents = decode_alert(GOLDEN.read_bytes()), IncidentList()
    firing = replace(golden, status="firing", ends_at=None, reason=None)
    incidents.add(replace(firing, incident_id="first"))
    for i in range(2 * INCIDENTS):
        incidents.add(replace(firing, incident_id=str(i)))
        over = replace(firing, incident_id=str(i), status="resolved", ends_at=firing.starts_at)
        incidents.add(over)
    found = [one.newest.incident_id for one in incidents.newest_first()]
    assert len(found) == INCIDENTS
    assert found[:2] == ["first", str(2 * INCIDENTS - 1)]


def test_incidents_of_a_key_in_two_partitions_are_two_although_they_have_one_id() -> None:
    """Control: a second event of the same series is of the same incident."""
    golden, incidents = decode_alert(GOLDEN.read_bytes()), IncidentList()
    source = replace(golden.source, partition=golden.source.partition + 1)
    other = replace(golden, source=source)
    for event in (golden, other, golden):
        incidents.add(event)
    assert [one.newest for one in incidents.newest_first()] == [golden, other]
    key = golden.series.key
    assert incidents.has((golden.source.partition, key), golden.incident_id)
    assert not incidents.has((source.partition + 1, key), golden.incident_id)


def test_of_many_features_those_that_deviate_most_are_drawn() -> None:
    scene = page_scene()
    one = scene.start()
    page = one.loop.page
    assert page is not None
    wide = replace(
        one.pipeline.detector.spec,
        features=tuple(
            replace(one.pipeline.detector.spec.features[0], name=f"g{i}") for i in range(20)
        ),
    )
    view = PageView(page._board, wide, INPUT)
    deviation = np.ones((5, 20))
    deviation[3, 17] = 9.0
    steps = JudgedSteps(
        times=np.arange(5), score=np.zeros(5), threshold=np.zeros(5),
        values=np.stack([deviation] * 4),
    )  # fmt: skip
    drawn = view._drawn(steps, ())
    assert len(drawn) == 8
    assert 17 in drawn
    calm = (0, 1, 2, 3, 4, 5, 6, 7)
    assert view._drawn(steps, calm) != calm, "it must be seen"
    assert view._drawn(replace(steps, values=np.ones((4, 5, 20))), calm) == calm, "nothing flickers"


def test_charts_of_logs_are_named_by_what_their_lines_say() -> None:
    scene = page_scene()
    one = scene.start()
    page = one.loop.page
    assert page is not None
    templates = [
        ("t1", "disk <v> full", "t4f2a"),
        ("t2", "seldom", "rare.0"),
        ("t3", "rarer", "rare.0"),
    ]
    logs = LogSpec(
        templates=tuple(
            LogTemplate(id=name, pattern=pattern, example="", count=9 - i, feature=feature)
            for i, (name, pattern, feature) in enumerate(templates)
        ),
        masks=(),
        lines=20,
    )
    feature = one.pipeline.detector.spec.features[0]
    names = ("t4f2a", "rare.0", LINES, "level.error")
    spec = replace(
        one.pipeline.detector.spec,
        features=tuple(replace(feature, name=name) for name in names),
        logs=logs,
    )
    view = PageView(page._board, spec, INPUT)
    assert [view._of_feature(each)["name"] for each in spec.features] == [
        "disk <*> full",
        "rare: seldom, …",
        "all lines",
        "level.error",
    ]
