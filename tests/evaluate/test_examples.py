"""Example data follow their stated rules, and the recipes find what breaks them."""

from collections import Counter
from datetime import datetime
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from stream_vae.commands.jobs.example import write_example
from stream_vae.commands.jobs.train import train_bundle
from stream_vae.edges.files.bundle_files import load_bundle
from stream_vae.edges.files.csv_header import ColumnChoice
from stream_vae.errors import ConfigError
from stream_vae.evaluate.examples import EXAMPLES, Example, Row, events
from stream_vae.models.scoring import WindowScorer

RECIPES = Path(__file__).parents[2] / "configs" / "recipes"


@cache
def example(name: str, seed: int) -> Example:
    return EXAMPLES[name](seed)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_seed_gives_one_data_set_and_another_gives_another(name: str) -> None:
    made, again, other = example(name, 0), EXAMPLES[name](0), EXAMPLES[name](1)
    assert made == again
    assert made.train != other.train
    assert {len(row) for row in made.train} == {len(made.header)}
    assert {len(row) for row in made.test} == {len(made.header) + 2}


@pytest.mark.parametrize("name", EXAMPLES)
def test_training_data_are_normal_and_a_few_test_rows_are_not(name: str) -> None:
    made = example(name, 0)
    labels = Counter(row[-2] for row in made.test)
    assert 0 < labels["1"] < 0.1 * len(made.test)
    assert all((row[-2] == "1") == bool(row[-1]) for row in made.test)


def test_events_keep_their_rules_but_where_they_are_broken() -> None:
    made = events(3)
    city, job = made.header.index("city"), made.header.index("job")
    known = {(row[job], row[city]) for row in made.train}
    assert len(known) == 6
    for row in made.test:
        assert ((row[job], row[city]) in known) == (row[-1] != "city")
    gain: dict[str, list[float]] = {row[-1]: [] for row in made.test}
    for row in made.test:
        gain[row[-1]].append(_pay_over_rule(row))
    assert np.quantile(np.abs(np.log(gain[""])), 0.99) < 0.15
    assert np.abs(np.log(gain["income"])).min() > 0.6


def test_days_and_minutes_follow_each_other() -> None:
    for made, seconds in ((example("daily", 0), 900), (example("logs", 0), 60)):
        times = [datetime.fromisoformat(row[0]) for row in (*made.train, *made.test)]
        gaps = {(b - a).total_seconds() for a, b in pairwise(times)}
        assert gaps == {seconds}


def test_an_unknown_example_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"found 'x', expected one of .*'daily', 'events', 'logs'"
    ):
        write_example("x", tmp_path, 0)


@pytest.mark.slow
def test_the_recipe_for_events_ranks_what_is_broken_and_names_the_column(tmp_path: Path) -> None:
    """It ranks better than the squared error of the same network, and names it in 4 of 5."""
    write_example("events", tmp_path, 1)
    train_bundle(
        [tmp_path / "train.csv"],
        tmp_path / "bundle",
        ColumnChoice(),
        {"training.injected_faults": 0},
        RECIPES / "events.yaml",
        name=None,
        step_seconds=None,
        units=[],
        kinds=[],
        rules=[],
        force=False,
    )
    bundle = load_bundle(tmp_path / "bundle")
    names = [feature.name for feature in bundle.spec.features]
    rows = events(1).test
    values = np.array([_coded(row, bundle.spec.features) for row in rows])[:, None, :]
    times = np.arange(len(rows), dtype=np.int64) * 10**9
    label, broken = [row[-2] == "1" for row in rows], [row[-1] for row in rows]
    found = {}
    for score in ("log_probability", "squared_error"):
        scores = WindowScorer(bundle, score=score, device="cpu").score(values, times)
        first = [names[top] for top in scores.contribution.argmax(axis=1)]
        hits = [one == what for one, what in zip(first, broken, strict=True) if what]
        found[score] = average_precision_score(label, scores.value), np.mean(hits)
    assert found["log_probability"][0] > found["squared_error"][0]
    assert found["log_probability"][1] >= 0.8


def _pay_over_rule(row: Row) -> float:
    _, age, _, income, job = row[:5]
    entry, rise = {
        "engineering": (45_000, 1_600),
        "sales": (30_000, 1_200),
        "support": (25_000, 900),
    }[job]
    return float(income) / (entry + rise * (int(age) - 22))


def _coded(row: Row, features: object) -> list[float]:
    assert isinstance(features, tuple)
    return [
        float(feature.categories.index(cell)) if feature.categories else float(cell)
        for feature, cell in zip(features, row, strict=False)
    ]
