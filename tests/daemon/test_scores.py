"""Scores of chosen series are published once, and are the same whatever happens to instances."""

import json
from collections import Counter
from functools import cache
from typing import Any

import jsonschema
import pytest

from stream_vae.settings.model import OutputConfig
from stream_vae.wire.scores import score_schema
from tests.memory_kafka.instance import Parts
from tests.memory_kafka.scene import ALERTS, Scene, make_settings

SCORES = "scores"
ANOMALIES = range(30, 33)

_checked = jsonschema.Draft202012Validator(
    score_schema(), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
)


def scene_with_scores(*patterns: str) -> Scene:
    output = OutputConfig(scores_topic=SCORES, scores_series=patterns)
    settings = make_settings().model_copy(update={"output": output})
    scene = Scene(parts=Parts(settings=settings))
    scene.kafka.create_topic(SCORES, 2)
    for series in ("pump[1]", "fan-1"):
        scene.feed_series(series, range(50), anomalies=ANOMALIES)
    return scene


def scores(scene: Scene) -> list[dict[str, Any]]:
    found = [json.loads(entry.value or b"") for entry in scene.entries(SCORES)]
    for one in found:
        _checked.validate(one)
    return sorted(found, key=lambda one: (one["series"], one["time"]))


@cache
def undisturbed() -> list[dict[str, Any]]:
    scene = scene_with_scores("pump[1]*")
    one = scene.start()
    scene.settle(one)
    one.stop()
    return scores(scene)


def test_only_the_series_that_are_named_are_told_with_what_was_expected() -> None:
    assert {one["series"] for one in undisturbed()} == {"pump[1]"}
    assert len(undisturbed()) > 30
    found = [one for one in undisturbed() if one["verdict"] == "anomalous"]
    assert len(found) >= len(ANOMALIES)
    assert all(one["score"] > one["threshold"] for one in found)
    for one in undisturbed():
        for feature in one["features"]:
            assert feature["lower"] < feature["expected"] < feature["upper"]
            outside = not feature["lower"] <= feature["actual"] <= feature["upper"]
            assert feature["anomalous"] is (one["verdict"] == "anomalous" and outside)
    assert any(feature["anomalous"] for one in found for feature in one["features"])


@pytest.mark.parametrize("place", ["producer.publish", "producer.commit", "producer.committed"])
def test_a_crash_repeats_no_score_and_loses_none(place: str) -> None:
    scene = scene_with_scores("pump[1]*")
    first = scene.start()
    for _ in range(200):
        if not first.is_running or scene.entries(SCORES):
            break
        first.turn()
    first.faults.crash_at = place
    for _ in range(200):
        if not first.is_running:
            break
        first.turn()
    assert first.status == "dead", "control"
    second = scene.start("b")
    scene.kafka.clock.sleep(100.0)
    scene.settle(second)
    second.stop()
    found = scores(scene)
    assert max(Counter((one["series"], one["time"]) for one in found).values()) == 1
    assert found == undisturbed()
    assert scene.entries(ALERTS), "control"


def test_a_topic_without_series_and_series_without_a_topic_are_refused() -> None:
    for wrong in ({"scores_topic": "s"}, {"scores_series": ("a",)}):
        with pytest.raises(ValueError, match="together"):
            OutputConfig(**wrong)
    with pytest.raises(ValueError, match="101"):
        OutputConfig(scores_topic="s", scores_series=("a",) * 101)
