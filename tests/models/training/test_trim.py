"""Refitting without the worst-scored training windows."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature
from stream_vae.models.bundle_format import decode_bundle, encode_bundle
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.provenance import TrimmedSpan
from stream_vae.models.training.fitting import Listeners
from stream_vae.models.training.train import TrainedModel, train
from stream_vae.models.training.training_windows import TrainingSeries, WindowSet
from stream_vae.models.training.trim import (
    spans_of,
    without_steps_of,
    without_windows,
    worst_windows,
)

STEP_NS = 60 * 10**9
NORMAL = np.random.default_rng(0).normal(size=1000)


@pytest.mark.parametrize(
    ("trim", "n_far", "expected"),
    [
        ("off", 20, 0),
        ("auto", 0, 0),
        ("auto", 20, 20),
        ("auto", 200, 50),
        (0.1, 0, 100),
        (0.0, 9, 0),
    ],
)
def test_as_many_windows_are_dropped_as_the_rule_says(
    trim: str | float, n_far: int, expected: int
) -> None:
    """`auto`: those 10 robust standard deviations above the held-out median, 5 % at most."""
    scores = NORMAL.copy()
    scores[:n_far] += 40
    found = worst_windows(scores, NORMAL, trim)  # type: ignore[arg-type]  # a parameter's type
    assert len(found) == expected
    if len(found):
        assert scores[found].min() >= np.delete(scores, found).max()
        assert (np.diff(found) > 0).all()


def windows() -> WindowSet:
    """Two series of ten steps; windows of 4 steps at every second one."""
    starts = np.array([0, 2, 4, 6, 10, 12, 14, 16])
    return WindowSet(
        steps=np.zeros((20, 1), np.float32),
        times=np.tile(np.arange(10), 2) * STEP_NS,
        starts=starts,
        window_length=4,
        step_series=np.repeat([0, 1], 10),
    )


def two_series() -> list[TrainingSeries]:
    return [
        TrainingSeries(key=key, times=np.arange(15) * STEP_NS, values=np.ones((15, 1)))
        for key in "ab"
    ]


def hidden_rows(series: list[TrainingSeries]) -> list[list[int]]:
    return [np.flatnonzero(np.isnan(one.values[:, 0])).tolist() for one in series]


def test_values_that_only_dropped_windows_hold_are_hidden() -> None:
    """Windows 1 and 2 hold steps 2 to 7 of `a`; 0 and 3 keep 2, 3, 6 and 7."""
    given = two_series()
    found = without_steps_of(given, windows(), np.array([1, 2]))
    assert hidden_rows(found) == [[4, 5], []]
    assert hidden_rows(given) == [[], []]
    assert all((one.times == given[0].times).all() for one in found)
    assert hidden_rows(without_steps_of(given, windows(), np.array([4]))) == [[], [0, 1]]


def test_dropped_windows_are_gone_and_told_as_spans() -> None:
    dropped = np.array([1, 2, 4, 7])
    rest = without_windows(windows(), windows().starts[dropped])
    assert rest.starts.tolist() == [0, 6, 12, 14]
    spans = [("a", 2, 7, 2), ("b", 0, 3, 1), ("b", 6, 9, 1)]
    assert spans_of(two_series(), windows(), dropped) == tuple(
        TrimmedSpan(series=key, start_ns=start * STEP_NS, end_ns=end * STEP_NS, windows=n)
        for key, start, end, n in spans
    )


def wave(*, spoilt: bool) -> NDArray[np.float64]:
    phase = 2 * np.pi * np.arange(400) / 9
    noise = np.random.default_rng(0).normal(size=(400, 2)) * 0.1
    values = np.stack((np.sin(phase), np.cos(phase)), axis=1) + noise
    if spoilt:
        values[100:104] += 30
    return values


def fit(
    trim: str | float, *, spoilt: bool, on_refit: Callable[[float], None] | None = None
) -> TrainedModel:
    base = TrainingConfig(epochs=2, min_steps=60, batch_size=16, device="cpu")
    return train(
        [TrainingSeries(key="pump", times=np.arange(400) * STEP_NS, values=wave(spoilt=spoilt))],
        features=[Feature(name="x"), Feature(name="y")],
        step_seconds=60.0,
        architecture=ArchitectureConfig(window_length=6, hidden_size=8, latent_size=2),
        training=replace(base, trim=trim),  # type: ignore[arg-type]  # a parameter's type
        model_id="pump",
        now=datetime(2024, 5, 6, tzinfo=UTC),
        listeners=Listeners(refit=on_refit),
    )


@pytest.mark.slow
def test_a_planted_anomaly_is_trimmed_and_told() -> None:
    shares: list[float] = []
    trained = fit("auto", spoilt=True, on_refit=shares.append)
    (told,) = [one for one in trained.report.advice if one.kind == "trimmed"]
    assert "pump 1970-01-01T01:" in told.text
    assert len(shares) == 1
    assert 0 < shares[0] <= 0.05
    stored = decode_bundle(encode_bundle(trained.bundle)).training.trimmed
    assert {one.series for one in stored} == {"pump"}
    assert sum(one.windows for one in stored) == round(shares[0] * 138)
    # The scaler no longer knows the spike, which alone has a standard deviation of 3.
    assert trained.bundle.spec.scaler.std.max() < 1.0
    assert trained.report.windows["training"] < fit("off", spoilt=True).report.windows["training"]


@pytest.mark.slow
def test_clean_data_are_left_alone() -> None:
    trained, plain = fit("auto", spoilt=False), fit("off", spoilt=False)
    (told,) = [one for one in trained.report.advice if one.kind == "trimmed"]
    assert told.text.startswith("no training window")
    assert trained.bundle.spec.version == plain.bundle.spec.version
