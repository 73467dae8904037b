"""The stated largest record of each kind holds for records of the real kind."""

import string
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from stream_vae.core.alerts import AlertDetector, AlertFeature, AlertSession
from stream_vae.core.excerpts import printable
from stream_vae.core.incidents import Silence
from stream_vae.core.log_templates import UNSEEN, LogSpec, LogTemplate
from stream_vae.core.model_spec import ModelSpec
from stream_vae.core.partition_clocks import PartitionClocks
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import OutputRecord, RecordBatch
from stream_vae.core.sessions import (
    LineSessions,
    SessionAssembler,
    SessionConfig,
    largest_saved,
)
from stream_vae.daemon.largest_records import largest_alert, largest_checkpoint, largest_state
from stream_vae.daemon.topics import owned_topics
from stream_vae.delivery.outbox import Outbox
from stream_vae.detect.config import DetectConfig, ThresholdConfig
from stream_vae.errors import ConfigError
from stream_vae.inputs.log_lines.line_counts import features_of
from stream_vae.pipeline.alert_builder import AlertBuilder, SilentSeries
from stream_vae.pipeline.incident_ids import Origin
from stream_vae.pipeline.pipeline import store_of_one
from stream_vae.pipeline.unseen_examples import EXAMPLE_CHARACTERS
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


def test_an_alert_of_logs_is_counted_with_its_session_its_templates_and_a_line_never_seen(
    origin: Origin,
) -> None:
    """Whatever stands in them; control: of readings none of it is counted."""
    templates = tuple(
        LogTemplate(
            id=name, pattern=f"{name} <v> " * 20, example="\x1b" * 200, count=9, feature=name
        )
        for name in ("begin", "end")
    )
    logs = LogSpec(templates=templates, masks=(), lines=18)
    features = features_of(templates, (), of_sessions=True)
    spec = replace(make_spec(), features=features, logs=logs, window_length=1)
    lines = printable("\U0010ffff" * 300, EXAMPLE_CHARACTERS)
    told = [
        AlertFeature(
            name=one.name,
            unit=one.unit,
            actual=1.5e-300,
            expected=1.5e-300,
            expected_std=1.5e-300,
            contribution=0.5,
            kind="count",
            expected_low=0.0,
            expected_high=1.5e-300,
            direction="missing",
            template=templates[0].text if one.name != UNSEEN else None,
            example=templates[0].example if one.name != UNSEEN else lines,
        )
        for one in features
    ]
    session = AlertSession(
        key="\x01" * 200,
        lines=10_000,
        starts_at=NOW,
        ends_at=NOW,
        offset_start=2**40,
        offset_end=2**40,
        closed="ended",
    )
    bare = replace(spec, logs=None, window_length=T)
    added = [largest_alert(one, origin, 10, "lines") for one in (spec, bare)]
    texts = len(msgspec.json.encode([one.template for one in told]))
    texts += len(msgspec.json.encode([one.example for one in told]))
    assert added[0] - added[1] > texts + len(msgspec.json.encode(session))
    assert added[0] < 60_000, "stated in proportion"


def test_as_many_open_sessions_as_there_may_be_take_no_more_than_stated() -> None:
    """Also of texts that no compression makes smaller; it grows with what is open."""
    rng = np.random.default_rng(0)
    letters = np.array(list(string.ascii_letters + string.digits + string.punctuation))
    n, config = 300, SessionConfig(max_open=300)
    features = ("a", "b", "c")
    texts = ["".join(rng.choice(letters, size)) for size in (200, 100, 120) for _ in range(n)]
    keys, series, unseen = texts[:n], texts[n : 2 * n], texts[2 * n :]
    offsets = np.arange(n) + 2**40
    records = RecordBatch(
        topic="lines",
        partitions=np.zeros(n, np.int32),
        offsets=offsets,
        timestamps=np.arange(n) + 1,
        timed_by_broker=False,
        keys=[None] * n,
        values=[b""] * n,
        headers=lambda _: (),
    )
    lines = ReadingBatch(
        topic="lines",
        partitions=np.zeros(n, np.int32),
        offsets=offsets,
        series=series,
        times=rng.integers(1, 2**60, n),
        arrivals=np.zeros(n, np.int64),
        values=rng.random((n, len(features))),
        unseen=np.array(unseen, object),
    )
    assembler = SessionAssembler(config, features, PartitionClocks())
    found = LineSessions(keys=keys, ends=np.zeros(n, np.bool_))
    closed, _ = assembler.assemble(lines, np.arange(n), found, records)
    assert not len(closed)
    saved = assembler.save(0) or b""
    assert len(saved) <= largest_saved(config, len(features), 100) < 2 * len(saved)
    more = replace(config, max_open=5000)
    spec = make_spec()
    stated = [largest_checkpoint(spec, one) for one in (None, config, more)]
    assert stated[0] == 0
    assert stated[1] > len(saved)
    assert stated[2] > 10 * stated[1]


def test_sessions_that_fit_into_no_record_are_refused(spec: ModelSpec, origin: Origin) -> None:
    wide = replace(spec, features=tuple(replace(spec.features[0], name=f"{n}") for n in range(999)))
    sessions = {"format": "log_lines", "session_pattern": "(a)", "session_max_open": 8000}
    settings = Settings.model_validate({"input": sessions})
    with pytest.raises(ConfigError, match=r"8000 open sessions.* lower input.session_max_open"):
        owned_topics(settings, wide, origin)
    (topic,) = [one for one in owned_topics(settings, spec, origin) if one.kind == "changelog"]
    assert topic.largest_record == largest_checkpoint(spec, settings.input.sessions)


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
