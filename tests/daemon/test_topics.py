"""The stated largest record of each kind holds for records of the real kind."""

from datetime import UTC, datetime

import pytest

from stream_vae.core.alerts import AlertDetector
from stream_vae.core.incidents import Silence
from stream_vae.core.model_spec import ModelSpec
from stream_vae.core.records import OutputRecord
from stream_vae.daemon.topics import largest_alert, largest_state, owned_topics
from stream_vae.delivery.outbox import Outbox
from stream_vae.detect.config import DetectConfig, ThresholdConfig
from stream_vae.errors import ConfigError
from stream_vae.pipeline.alert_builder import AlertBuilder, SilentSeries
from stream_vae.pipeline.incident_ids import Origin
from stream_vae.pipeline.pipeline import store_of_one
from stream_vae.settings import Settings
from stream_vae.settings.model import StateConfig
from stream_vae.state.changelog import ChangelogWriter
from tests.conftest import F, T, make_spec

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TOPICS = {"alerts": "a", "dead_letters": "d", "late": "l"}
KEYS = ["pump-7", "\x00" * 1024, "\U0001f600" * 1024, "é" * 1024]


@pytest.fixture
def origin() -> Origin:
    detector = AlertDetector(name="plant", version="0.1.0", instance="i" * 60)
    return Origin(
        detector=detector,
        topic="readings",
        group="g",
        labels={"site": "x" * 5000},
        links={"runbook": "y" * 500},
    )


@pytest.fixture
def spec() -> ModelSpec:
    return make_spec()


@pytest.mark.parametrize("key", KEYS)
def test_no_alert_event_is_larger_than_stated(spec: ModelSpec, origin: Origin, key: str) -> None:
    builder = AlertBuilder(spec, origin, threshold_method="quantile", max_features=10)
    silent = SilentSeries(key=key, topic="readings", partition=1, last_step=1, silent_s=9.0)
    silence = Silence(since=1, offset=1, arrived=1, allowed_s=3.0)
    outbox = Outbox("plant", TOPICS)
    outbox.add_alert(builder.build_silence(silent, silence, "warning", NOW), 0.0)
    (waiting,) = outbox.waiting.alerts
    stated = largest_alert(spec, origin, 10, "readings")
    assert size(waiting.record) <= stated
    assert stated < 40_000, "stated in proportion: no topic is refused for nothing"


def test_each_listed_feature_and_each_label_counts(spec: ModelSpec, origin: Origin) -> None:
    one, all_of_them = (largest_alert(spec, origin, n, "readings") for n in (1, F))
    assert all_of_them > one
    bare = Origin(detector=origin.detector, topic="readings", group="g")
    assert largest_alert(spec, origin, 1, "readings") - largest_alert(
        spec, bare, 1, "readings"
    ) == pytest.approx(5520, abs=100)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("window", [100, 5000])
def test_no_state_of_a_series_is_larger_than_stated(spec: ModelSpec, key: str, window: int) -> None:
    config = DetectConfig(threshold=ThresholdConfig(window=window))
    store = store_of_one(spec, config)
    saved = store.complete(store.capture(store.rows([(3, key)])))
    (record,) = ChangelogWriter("c", spec, "1234567890abcdef", store.layout).saved(
        saved, {3: 2**40}
    )
    stated = largest_state(spec, config)
    assert size(record) <= stated
    assert stated >= T * F * 8 + 4 * window, "the windows and the threshold are in it"
    assert stated < size(record) + 8 * 1024 + 1000 or window == 100


def size(record: OutputRecord) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


def test_a_model_whose_state_fits_into_no_record_is_refused(
    spec: ModelSpec, origin: Origin
) -> None:
    too_many = DetectConfig(threshold=ThresholdConfig(window=5_000_000))
    with pytest.raises(ConfigError, match="does not fit into a changelog record"):
        owned_topics(Settings(detect=too_many), spec, origin)
    stateless = Settings(detect=too_many, state=StateConfig(changelog=False))
    assert len(owned_topics(stateless, spec, origin)) == 3
    assert len(owned_topics(Settings(), spec, origin)) == 4
