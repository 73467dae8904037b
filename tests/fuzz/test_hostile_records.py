"""Hostile records, briefly; `python -m tests.fuzz` sends a million."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stream_vae.core.model_spec import Scores
from stream_vae.core.records import RecordBatch
from stream_vae.inputs.decoder import Decoded, Decoder
from stream_vae.models.bundle import Bundle
from tests.fuzz.fuzz_driver import FuzzDriver, train_bundle
from tests.fuzz.layouts import LAYOUTS, NUMERIC, Layout
from tests.fuzz.log_layouts import LOG_LAYOUTS
from tests.fuzz.log_model import LOG_FEATURES
from tests.fuzz.mutators import KINDS
from tests.fuzz.state import paths_of_numbers
from tests.fuzz.stream import CLEAN, HOSTILE_A_POLL, HostileStream

N_POLLS = 4


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return train_bundle()


def test_hostile_records_are_accounted_for_and_harm_nobody(bundle: Bundle) -> None:
    """No crash, no unsound number, accepted + rejected = sent, clean series undisturbed."""
    driver = FuzzDriver(LAYOUTS[0], bundle, seed=11)
    for _ in range(N_POLLS):
        driver.run_poll()
    driver.look()
    tally = driver.tally
    assert tally.hostile == N_POLLS * HOSTILE_A_POLL
    assert tally.sent.total() == tally.outcomes.total()
    assert tally.rejected(CLEAN) == 0
    assert tally.alerts


@pytest.mark.slow
@pytest.mark.parametrize(
    "layout",
    [each for each in LAYOUTS if each.features is NUMERIC and not each.is_events],
    ids=lambda layout: layout.name,
)
def test_each_layout_has_hostile_records_that_harm_nobody(layout: Layout, bundle: Bundle) -> None:
    """Those of another model than the others' wait for the million."""
    driver = FuzzDriver(layout, bundle, seed=11)
    driver.run_poll()
    tally = driver.tally
    assert tally.sent.total() == tally.outcomes.total() > HOSTILE_A_POLL
    assert tally.rejected(CLEAN) == 0
    rejected = sum(tally.rejected(kind) for kind in KINDS)
    assert 0 < rejected < tally.hostile, "control: some are readings, some are not"


@pytest.fixture(scope="module")
def bundle_of_logs() -> Bundle:
    return train_bundle(LOG_FEATURES)


@pytest.mark.slow
@pytest.mark.parametrize("layout", [LOG_LAYOUTS[1], LOG_LAYOUTS[9]], ids=lambda layout: layout.name)
def test_hostile_lines_are_accounted_for_and_harm_nobody(
    layout: Layout, bundle_of_logs: Bundle
) -> None:
    """Text and JSON of several lines; the other layouts of logs wait for the million."""
    driver = FuzzDriver(layout, bundle_of_logs, seed=11)
    driver.run_poll()
    driver.look()
    tally = driver.tally
    assert tally.sent.total() == tally.outcomes.total() > HOSTILE_A_POLL
    assert tally.rejected(CLEAN) == 0
    rejected = sum(tally.rejected(kind) for kind in KINDS)
    assert 0 < rejected < tally.hostile, "control: some are lines, some are not"
    assert driver.pipeline.unseen_lines is not None
    assert driver.pipeline.unseen_lines.lines > 0


def test_the_same_seed_makes_the_same_records() -> None:
    for layout in LAYOUTS[::5]:
        one, two, other = (HostileStream(layout, seed).poll() for seed in (3, 3, 4))
        assert one.records.values == two.records.values
        assert one.records.keys == two.records.keys
        assert one.records.values != other.records.values, "control"


def test_what_is_looked_at_holds_every_part_that_remembers(bundle: Bundle) -> None:
    driver = FuzzDriver(LAYOUTS[0], bundle, seed=0)
    for _ in range(4):
        driver.run_poll()
    paths = " ".join(paths_of_numbers(driver.pipeline))
    for part in ("windows.state", "index.state", "threshold.state", "_adwin.", "peak_score"):
        assert part in paths


class TestControls:
    """The same run fails where a law is broken."""

    def test_a_record_swallowed(self, bundle: Bundle) -> None:
        driver = FuzzDriver(LAYOUTS[0], bundle, seed=0)
        driver._decoder = _Spoilt(driver._decoder, lambda d: {"rejections": d.rejections[1:]})
        with pytest.raises(AssertionError):
            driver.run_poll()

    def test_a_record_read_in_place_of_another(self, bundle: Bundle) -> None:
        driver = FuzzDriver(LAYOUTS[0], bundle, seed=0)
        driver._decoder = _Spoilt(driver._decoder, lambda d: {"index": d.index[::-1]})
        with pytest.raises(AssertionError):
            driver.run_poll()

    def test_a_neighbour_that_matters(self, bundle: Bundle) -> None:
        """Scores that hang on the company in the batch, in the last bits alone."""
        driver = FuzzDriver(LAYOUTS[0], bundle, seed=0)
        scorer = driver.pipeline.detector.scorer

        class Sociable:
            def score(self, values: Any, end_times: Any) -> Scores:
                scores = scorer.score(values, end_times)
                assert scores.evidence is not None
                moved = scores.evidence * np.float32(1 + 1e-6 * len(values))
                return dataclasses.replace(scores, evidence=moved)

        for pipeline in (driver.pipeline, driver._undisturbed):
            pipeline.detector.scorer = Sociable()
        driver.run_poll()  # no series has a window yet that is full
        with pytest.raises(AssertionError, match="score"):
            driver.run_poll()

    @pytest.mark.parametrize("number", [np.nan, np.inf])
    def test_an_unsound_number_remembered(self, bundle: Bundle, number: float) -> None:
        driver = FuzzDriver(LAYOUTS[0], bundle, seed=0)
        driver.run_poll()
        driver.look()
        driver.pipeline.detector.threshold.state["scores"][0, 3] = number
        with pytest.raises(AssertionError, match=r"threshold\.state"):
            driver.look()


class _Spoilt:
    """Changes what a real decoder found."""

    def __init__(self, decoder: Decoder, change: Callable[[Decoded], dict[str, Any]]) -> None:
        self._decoder = decoder
        self._change = change

    def lacks(self, batch: RecordBatch) -> str:
        return self._decoder.lacks(batch)

    def decode(self, batch: RecordBatch, now_ns: int, read_since_ns: int | None = None) -> Decoded:
        decoded = self._decoder.decode(batch, now_ns, read_since_ns)
        return dataclasses.replace(decoded, **self._change(decoded))
