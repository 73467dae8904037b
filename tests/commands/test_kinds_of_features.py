"""Kinds of features and event records as a data scientist meets them in `train` and `score`."""

import csv
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from stream_vae.edges.files.bundle_files import load_bundle
from stream_vae.models.scoring import WindowScorer
from stream_vae.wire.alerts import alert_schema
from tests.commands.conftest import RunProgram

JOBS = ("clerk", "engineer", "nurse")


def write_events(path: Path, n: int = 200, *, city: str = "") -> Path:
    """Write records of people without a time; `city` is that of the last one."""
    generator = np.random.default_rng(1)
    lines = ["age,children,smokes,city,job"]
    for i in range(n):
        job = int(generator.integers(3))
        lived = city if city and i == n - 1 else ("north", "south")[job % 2]
        lines.append(
            f"{20 + 10 * job + generator.normal():.2f},{generator.poisson(1.5)},"
            f"{int(generator.random() < 0.3)},{lived},{JOBS[job]}"
        )
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def event_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("settings") / "events.yaml"
    path.write_text(
        "model: {window_length: 1, hidden_size: 8, latent_size: 2, features: {children: count}}\n"
        "training: {epochs: 2, min_steps: 40, batch_size: 32, injected_faults: 1, device: cpu}\n"
        "worker: {device: cpu}\n"
    )
    return path


def test_event_records_are_trained_on_and_scored_by_the_categories_of_the_bundle(
    run_program: RunProgram, event_config: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    data = write_events(tmp_path / "people.csv")
    done = run_program("train", "--input", data, "--bundle", bundle, "--config", event_config)
    assert done.code == 0, done.err
    for words in (
        "2: city (2 categories), job (3 categories)",
        "1: children",
        "look like binary (declare with --kind NAME=binary)",
        "1: smokes",
    ):
        assert words in done.out
    kinds = {one.name: one.kind for one in load_bundle(bundle).spec.features}
    assert kinds == {
        "age": "numeric",
        "children": "count",
        "smokes": "numeric",
        "city": "categorical",
        "job": "categorical",
    }
    scores, alerts = tmp_path / "scores.csv", tmp_path / "alerts.jsonl"
    odd = write_events(tmp_path / "odd.csv", city="atlantis")
    done = run_program(
        *("score", "--bundle", bundle, "--input", odd, "--output", scores),
        *("--alerts", alerts, "--config", event_config),
    )
    assert done.code == 0, done.err
    with scores.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 200
    assert all(row["score"] for row in rows)
    for line in alerts.read_text().splitlines():
        jsonschema.validate(json.loads(line), alert_schema())
    _check_probabilities(bundle)


def _check_probabilities(bundle: Path) -> None:
    """A category's is what the spread leaves if it is the likeliest; other kinds have none."""
    scorer = WindowScorer(load_bundle(bundle), device="cpu", max_batch=8)
    events = np.array([[[30.0, 1, 0, code, 1]] for code in (0, 1, 2, np.nan)])
    scores = scorer.score(events, np.zeros(4, np.int64))
    assert scores.probability is not None
    assert scores.log_probability is None
    model = load_bundle(bundle)
    asked = WindowScorer(model, device="cpu", max_batch=8, with_log_probability=True)
    of_all = asked.score(np.repeat(events, 3, axis=0), np.zeros(12, np.int64)).log_probability
    assert of_all is not None
    np.testing.assert_array_equal(np.isnan(of_all), np.isnan(np.repeat(events[:, -1], 3, axis=0)))
    np.testing.assert_allclose(np.exp(of_all[:9:3, 3]), scores.probability[:3, 3], rtol=1e-6)
    assert np.isnan(scores.probability[:, :3]).all()
    assert np.isnan(scores.probability[3, 3])
    told = scores.probability[:3, 3]
    assert ((told > 0) & (told <= 1)).all()
    likeliest = scores.expected[:3, 3] == events[:3, 0, 3]
    np.testing.assert_allclose(
        told[likeliest], 1 - scores.expected_std[:3, 3][likeliest], rtol=1e-4
    )
    assert (told[~likeliest] <= scores.expected_std[:3, 3][~likeliest] + 1e-6).all()
    many = scorer.score(np.repeat(events, 5, axis=0), np.zeros(20, np.int64))
    assert many.probability is not None
    np.testing.assert_allclose(many.probability[::5], scores.probability, rtol=1e-6)


def test_kinds_of_flags_win_over_settings_and_auto_proposals(
    run_program: RunProgram, event_config: Path, tmp_path: Path
) -> None:
    config = tmp_path / "auto.yaml"
    config.write_text(
        event_config.read_text().replace("device: cpu}", "device: cpu, kinds: auto}", 1)
    )
    bundle = tmp_path / "bundle"
    done = run_program(
        *("train", "--input", write_events(tmp_path / "people.csv"), "--bundle", bundle),
        *("--config", config, "--kind", "children=numeric", "--unit", "age=a"),
    )
    assert done.code == 0, done.err
    kinds = {one.name: one.kind for one in load_bundle(bundle).spec.features}
    assert (kinds["children"], kinds["smokes"]) == ("numeric", "binary")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--kind", "age=count"), ("people.csv, line 2, column age", "kind numeric would fit")),
        (("--kind", "job=binary"), ("line 2, column job", "kind categorical would fit")),
        (("--kind", "job"), ("--kind 'job'", "FEATURE=KIND")),
        (("--kind", "job=text"), ("--kind 'job=text'", "categorical")),
        (("--kind", "jop=categorical"), ("'jop'", "city, job")),
        (("--kind", "age=categorical"), ("column age", "at most 64", "--ignore", "hash")),
    ],
    ids=lambda value: value[-1] if value[0] == "--kind" else "",
)
def test_kinds_that_do_not_fit_are_refused(
    run_program: RunProgram,
    event_config: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    words: tuple[str, ...],
) -> None:
    data = write_events(tmp_path / "people.csv")
    done = run_program(
        *("train", "--input", data, "--bundle", tmp_path / "b", "--config", event_config),
        *arguments,
    )
    assert done.code == 2
    for word in words:
        assert word in done.err
    assert not (tmp_path / "b").exists()
