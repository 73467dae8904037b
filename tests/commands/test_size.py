"""`stream-vae size`: its figures are those of the tables that the daemon keeps series in."""

import ctypes
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest
import yaml

from stream_vae.commands.jobs.assumed_model import assumed_spec
from stream_vae.commands.jobs.size import series_bytes, values_text, warnings
from stream_vae.commands.jobs.sizing import MUCH_STATE, SeriesBytes, Sizing, Speed, Stream
from stream_vae.core.model_spec import Scorer
from stream_vae.pipeline.detector import Detector
from stream_vae.pipeline.series_store import SeriesStore
from stream_vae.settings import Settings
from tests.commands.conftest import RunProgram

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "stream-vae"
SIZING = Sizing(
    stream=Stream(n_series=20_000, readings_per_second=15_000.0, n_partitions=8, replication=3),
    series=SeriesBytes(parts={"windows": 2_000, "threshold": 20_000}, saved=22_500),
    speed=Speed(readings=12_000.0, restored=85e6, origin="stated"),
    snapshot_interval_s=30.0,
    least_rows=1_000,
)


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


def test_ten_thousand_series_take_the_memory_that_is_told(scorer: Scorer) -> None:
    """Within 15 % of how much this process grows; the pages of what is allocated, not reserved."""
    n = 10_000
    settings = Settings.model_validate({"detect": {"threshold": {"window": 200}}})
    spec = assumed_spec(settings, window_length=32, n_features=8, step_seconds=60.0)
    told = series_bytes(spec, settings)
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        pytest.skip("no malloc_trim here: what other tests freed would be used again, unseen")
    trim(0)
    before = resident()
    detector = Detector(spec, scorer, settings.detect, n)
    store = SeriesStore(spec, settings.detect, n, detector.parts)
    store.rows([(0, f"series-of-the-fleet-{i}") for i in range(n)])
    grown = resident() - before
    assert grown == pytest.approx(n * told.total, rel=0.15)
    assert told.total == store.series_bytes


def test_the_fullest_instance_takes_over_whole_partitions_of_one_that_is_away() -> None:
    assert SIZING.needed_replicas == 3  # 15,000 at 6,000 each
    assert SIZING.usual_share == 3 / 8
    assert SIZING.share == 4 / 8
    assert SIZING.fullest_series == 10_000
    assert SIZING.budget_mib >= 1.25 * 10_000 * 22_000 / 2**20
    assert SIZING.memory_limit_mib > SIZING.memory_request_mib > SIZING.budget_mib
    alone = replace(SIZING, asked_replicas=1)
    assert (alone.share, alone.fullest_series) == (1.0, 20_000)
    assert alone.replay_s == float("inf")  # never: more come than it can judge
    assert SIZING.replay_s < 120


def test_the_values_fit_the_chart_and_the_settings() -> None:
    values: dict[str, Any] = yaml.safe_load(values_text(SIZING))
    jsonschema.validate(values, json.loads((CHART / "values.schema.json").read_text()))
    assert Settings.model_validate(values["config"]).state.memory_budget_mb == SIZING.budget_mib


def test_what_is_needed_and_what_cannot_work_is_said(
    run_program: RunProgram, tmp_path: Path
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(f"bundle: {{path: {tmp_path / 'none'}}}\n")
    told = ("--features", 8, "--step-seconds", 1)
    ran = run_program("size", "--config", config, "--series", 100_000, *told, "--partitions", 2)
    assert ran.code == 0
    assert yaml.safe_load(ran.out)["replicas"] == 17
    assert "17 instances, but 2 partitions" in ran.err
    assert "state.memory_budget_mb is 512" in ran.err
    refused = run_program("size", "--config", config, "--series", 10)
    assert refused.code == 2
    assert "expected --bundle DIR, or --features and --step-seconds" in refused.err


def test_much_state_is_warned_of_with_the_interval_that_writes_less() -> None:
    """Control: with that interval it is no longer."""
    told = [text for text in warnings(SIZING, Settings()) if "of state" in text]
    assert told
    assert "14.3 MiB/s" in told[0]
    assert f"snapshot_interval_s {SIZING.calm_interval_s} " in told[0]
    calm = replace(SIZING, snapshot_interval_s=float(SIZING.calm_interval_s))
    assert calm.saved_per_second <= MUCH_STATE
    assert [text for text in warnings(calm, Settings()) if "of state" in text] == []


def test_a_single_pod_is_not_recommended_in_silence() -> None:
    """Control: of several, none is missed while another takes over."""
    alone = replace(SIZING, stream=replace(SIZING.stream, readings_per_second=100.0))
    assert alone.replicas == 1
    assert [text for text in warnings(alone, Settings()) if text.startswith("one pod")]
    assert [text for text in warnings(SIZING, Settings()) if text.startswith("one pod")] == []


def test_figures_have_units_and_no_secret_is_needed(
    run_program: RunProgram, tmp_path: Path
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(
        "kafka: {security_protocol: SASL_SSL, sasl_mechanism: PLAIN, sasl_username: me}\n"
    )
    told = ("--features", 1, "--step-seconds", 60, "--config", config)
    ran = run_program("size", "--series", 100, *told)
    assert ran.code == 0, ran.err
    for unit in (" 1 pod ", " cores ", " 100 series ", " bytes ", " MiB ", " readings/s "):
        assert unit in ran.err.replace("\u2502", " "), unit
