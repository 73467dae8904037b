"""What an alert tells of a feature of each kind, and that its schema and text agree."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from scipy import stats

from stream_vae.core.alerts import AlertDeviation, AlertFeature
from stream_vae.core.count_interval import central_interval
from stream_vae.core.feature_words import peak_in_words, values_in_words
from stream_vae.core.model_spec import Feature, FeatureKind, Scores
from stream_vae.pipeline.alert_features import alert_feature
from stream_vae.pipeline.explanation import Explanation, deviations, sizes
from stream_vae.wire.alert_text import format_alert
from stream_vae.wire.alerts import alert_schema, decode_alert, encode_alert

EVENT = decode_alert((Path(__file__).parents[1] / "golden" / "alert_v1.json").read_bytes())
NAN = float("nan")
JOBS = ("clerk", "nurse")


def told(
    kind: FeatureKind, *, actual: float, expected: float, std: float, probability: float = NAN
) -> AlertFeature:
    categories = JOBS if kind == "categorical" else ()
    codes = np.array([[probability]]) if kind == "categorical" else None
    feature = Feature(name="x", kind=kind, categories=categories)
    cell = [np.array([[one]]) for one in (actual, expected, std)]
    explanation = Explanation(
        times=np.array([0]),
        actual=cell[0],
        expected=cell[1],
        expected_std=cell[2],
        deviation=(deviation := deviations([feature], cell[0], cell[1], cell[2], codes)),
        size=sizes([feature], cell[0], cell[1], cell[2], deviation),
        probability=codes,
        part=np.ones((1, 1)),
    )
    return alert_feature(feature, explanation, 0, 1.0)


CASES = {
    "numeric": (
        told("numeric", actual=2, expected=1, std=0.5),
        {},
        "2, expected 1 ± 0.5",
    ),
    "count": (
        told("count", actual=20, expected=4, std=2),
        {"kind": "count", "expected_low": 1.0, "expected_high": 8.0},
        "20, expected 4 (1 to 8)",
    ),
    "one": (
        told("binary", actual=1, expected=0.25, std=0.4),
        {"kind": "binary", "actual_probability": 0.25, "expected_probability": 0.75},
        "1, probability 0.25",
    ),
    "zero": (
        told("binary", actual=0, expected=0.75, std=0.4),
        {"kind": "binary", "actual_probability": 0.25, "expected_probability": 0.75},
        "0, probability 0.25",
    ),
    "category": (
        told("categorical", actual=1, expected=0, std=0.25, probability=0.125),
        {
            "kind": "categorical",
            "actual_category": "nurse",
            "actual_probability": 0.125,
            "expected_category": "clerk",
            "expected_probability": 0.75,
        },
        '"nurse", probability 0.12, expected "clerk" (probability 0.75)',
    ),
    "unseen category": (
        told("categorical", actual=2, expected=0, std=0.25, probability=0.125),
        {
            "kind": "categorical",
            "actual_probability": 0.125,
            "expected_category": "clerk",
            "expected_probability": 0.75,
        },
        'a value not seen in training, probability 0.12, expected "clerk" (probability 0.75)',
    ),
    "no category": (
        told("categorical", actual=NAN, expected=1, std=0.25),
        {"kind": "categorical", "expected_category": "nurse", "expected_probability": 0.75},
        'not observed, expected "nurse" (probability 0.75)',
    ),
    "no binary value": (
        told("binary", actual=NAN, expected=0.25, std=0.4),
        {"kind": "binary", "expected_probability": 0.75},
        "not observed, expected 1 with probability 0.25",
    ),
}
ALWAYS = {"name", "unit", "actual", "expected", "expected_std", "contribution"}
IF_OBSERVED = {"deviation", "worst"}


@pytest.mark.parametrize("case", CASES)
def test_an_alert_tells_of_each_kind_what_was_expected(case: str) -> None:
    """Of a numeric feature what earlier releases told, its deviation and its worst step."""
    feature, added, words = CASES[case]
    event = replace(EVENT, features=(feature,))
    data = encode_alert(event)
    assert decode_alert(data) == event
    jsonschema.validate(json.loads(data), alert_schema())
    [written] = json.loads(data)["features"]
    observed = IF_OBSERVED if feature.actual is not None else set()
    assert written.keys() - added.keys() == ALWAYS | observed
    assert {name: written[name] for name in added} == added
    assert values_in_words(feature) == words
    newest = replace(event, window=replace(event.window, end=datetime(1970, 1, 1, tzinfo=UTC)))
    assert words.replace("±", "+-") in format_alert(newest)


def test_a_reader_that_checks_the_schema_refuses_a_wrong_field_of_a_kind() -> None:
    """Control for the validation above."""
    feature = replace(CASES["category"][0], actual_probability=1.5)
    data = encode_alert(replace(EVENT, features=(feature,)))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(data), alert_schema())


def test_text_of_the_stream_cannot_control_a_terminal() -> None:
    hostile = replace(CASES["category"][0], actual_category="\x1b[2J" * 100)
    assert values_in_words(hostile).isprintable()
    assert len(values_in_words(hostile)) < 200


@pytest.mark.parametrize("mean", [0.01, 0.7, 4.0, 250.0])
def test_the_interval_of_a_count_is_that_of_its_distribution(mean: float) -> None:
    expected = stats.poisson(mean).interval(0.95)
    assert central_interval(mean, math.sqrt(mean)) == expected
    low, high = stats.norm(mean, math.sqrt(mean) / 2).interval(0.95)
    normal = (max(round(low), 0), round(high))
    assert central_interval(mean, math.sqrt(mean) / 2) == normal, "a variance below the mean's"
    variance = mean + mean**2 / 3
    expected = stats.nbinom(3, mean / variance).interval(0.95)
    assert central_interval(mean, math.sqrt(variance)) == expected


def test_the_interval_of_a_huge_count_is_found_at_once() -> None:
    assert central_interval(1e9, 4e4) == pytest.approx(
        stats.norm(1e9, 4e4).interval(0.95), rel=1e-6
    )
    for shape in (1, 3, 50):
        found = central_interval(1e6, 1e6 / math.sqrt(shape))
        expected = stats.gamma(shape, scale=1e6 / shape).interval(0.95)
        assert found == pytest.approx(expected, rel=0.03, abs=2e4)
    assert central_interval(0.0, 1.0) == (0.0, 0.0)


def test_parts_of_scores_keep_their_probabilities() -> None:
    scores = Scores(
        value=np.arange(3.0),
        contribution=np.ones((3, 1), dtype=np.float32),
        expected=np.zeros((3, 1)),
        expected_std=np.ones((3, 1)),
        probability=np.array([[0.1], [0.2], [0.3]]),
    )
    first, second = scores.split([1, 2])
    assert first.probability is not None
    assert second.probability is not None
    assert first.probability.tolist() == [[0.1]]
    assert second.probability.tolist() == [[0.2], [0.3]]


def test_what_made_an_incident_severe_is_told_where_its_first_feature_does_not_show_it() -> None:
    feature = CASES["numeric"][0]  # 2 sd off
    assert peak_in_words(31.4, feature) == ["peak 31.4 sd off"]
    assert peak_in_words(2.0, feature) == []
    event = replace(EVENT, status="firing", features=(feature,))
    event = replace(event, deviation=AlertDeviation(newest=2.0, window=2.0, peak=31.4))
    assert format_alert(event).endswith("  peak 31.4 sd off")
