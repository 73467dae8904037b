"""Event records of all kinds of features through a real broker: no key, no time of their own."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import numpy as np

from stream_vae.core.model_spec import Feature
from stream_vae.edges.files.bundle_files import save_bundle
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.device import limit_threads
from stream_vae.models.training.train import train
from stream_vae.models.training.training_windows import TrainingSeries
from stream_vae.wire.alerts import alert_schema
from stream_vae.wire.dead_letters import read_dead_letter
from tests.system.scene import Scene

FEATURES = (
    Feature(name="age", unit="a"),
    Feature(name="children", kind="count"),
    Feature(name="smokes", kind="binary"),
    Feature(name="job", kind="categorical", categories=("clerk", "nurse")),
)
ONE_EACH = {
    "detect__incident__open_after": 1,
    "detect__incident__open_within": 1,
    "detect__incident__resolve_after": 1,
}


def people(n: int, seed: int) -> np.ndarray:
    """Return (n, 4) values: nurses are 50, clerks 30."""
    generator = np.random.default_rng(seed)
    job = generator.integers(2, size=n)
    age = 30 + 20 * job + generator.normal(size=n)
    return np.column_stack([age, generator.poisson(1.5, n), generator.random(n) < 0.3, job]).astype(
        np.float64
    )


def train_event_bundle(folder: Path) -> Path:
    """Train a tiny network on events; takes about a second."""
    limit_threads(1)
    times = np.arange(600, dtype=np.int64) * 10**6
    trained = train(
        [TrainingSeries(key="events", times=times, values=people(600, seed=1))],
        features=FEATURES,
        step_seconds=0.001,
        architecture=ArchitectureConfig(window_length=1, hidden_size=8, latent_size=2),
        training=TrainingConfig(epochs=2, min_steps=80, batch_size=64, device="cpu"),
        model_id="people",
        now=datetime(2026, 1, 31, tzinfo=UTC),
    )
    save_bundle(trained.bundle, folder)
    return folder


def record(**changes: object) -> tuple[None, bytes]:
    usual = {"age": 30.5, "children": 1, "smokes": False, "job": "clerk"}
    return None, json.dumps(usual | changes).encode()


def test_events_of_mixed_kinds_are_told_by_their_values_and_wrong_kinds_are_dead_letters(
    scene: Scene, tmp_path: Path
) -> None:
    """The two odd events have one time: each is an incident of its own."""
    usual = [record(age=30 + i % 5 / 5) for i in range(20)]
    odd = [record(age=900.0, timestamp=1_767_225_600), record(timestamp=1_767_225_600)] * 2
    wrong = {
        "value_not_a_number": (None, b'{"age":"old"}'),
        "value_not_a_count": (None, b'{"children":1.5}'),
        "value_not_binary": (None, b'{"smokes":2}'),
        "value_not_a_category": (None, b'{"job":["clerk"]}'),
    }
    scene.kafka.produce(scene.topics.input, [*usual, *odd, *wrong.values(), record(job="pilot")])
    events = replace(scene, bundle=train_event_bundle(tmp_path / "events"))
    with events.daemon(**ONE_EACH) as daemon:
        events.await_committed({0: 29}, daemon)
        assert daemon.stop() == 0
    letters = [
        read_dead_letter(m.headers() or [])  # type: ignore[arg-type]  # pairs
        for m in scene.kafka.consume_all(scene.topics.dead_letters)
    ]
    assert [letter.reason for letter in letters if letter is not None] == list(wrong)
    alerts = [json.loads(m.value() or b"") for m in scene.kafka.consume_all(scene.topics.alerts)]
    for alert in alerts:
        jsonschema.validate(alert, alert_schema())
    firing = [alert for alert in alerts if alert["status"] == "firing"]
    found = {alert["source"]["offset_start"]: alert for alert in firing}
    assert found.keys() >= {20, 22}
    first, second = found[20], found[22]
    assert first["starts_at"] == second["starts_at"]
    assert first["incident_id"] != second["incident_id"]
    assert first["features"][0]["name"] == "age"
    assert {one["name"]: one.get("kind", "numeric") for one in first["features"]} == {
        feature.name: feature.kind for feature in FEATURES
    }
