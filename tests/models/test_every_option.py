"""Every option of architecture and training trains, repeats itself and survives its bundle.

What is the same for all options, calibration above all, is left out: `train` is called for few.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from stream_vae.core.model_spec import Feature, Scores
from stream_vae.models.bundle import Bundle, build_model
from stream_vae.models.bundle_format import decode_bundle, encode_bundle, with_version
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.scoring import WindowScorer
from stream_vae.models.training.fitting import Fitting
from stream_vae.models.training.loss import loss_terms
from stream_vae.models.training.train import train
from stream_vae.models.training.training_windows import TrainingSeries, WindowSet
from stream_vae.models.vae.sequence_vae import SequenceVae

MakeBundle = Callable[..., Bundle]

CPU = torch.device("cpu")
STEP_NS = 60 * 10**9
FEATURES = [Feature(name=name) for name in "abc"]
HALF = Feature(name="half", kind="categorical", categories=("lower", "upper"))
PLAIN = ArchitectureConfig(window_length=6, hidden_size=8, latent_size=2)
TRAINING = TrainingConfig(
    epochs=4, min_steps=20, batch_size=16, learning_rate=0.05, beta=0.1, device="cpu"
)
FIRST_STEPS = 3

ARCHITECTURES: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "calendar": {"calendar": True},
    "unidirectional": {"bidirectional": False},
    "two layers": {"layers": 2},
    "three layers, unidirectional": {"layers": 3, "bidirectional": False},
    "dropout": {"layers": 2, "dropout": 0.2},
    "attention": {"attention": "variational"},
    "attention, calendar, two layers": {
        "attention": "variational",
        "calendar": True,
        "layers": 2,
        "dropout": 0.1,
    },
    "attention, odd sizes": {
        "attention": "variational",
        "bidirectional": False,
        "window_length": 9,
        "hidden_size": 7,
        "latent_size": 3,
    },
    "window of one step": {"window_length": 1},
    "window of one step, LSTM": {"window_length": 1, "cell": "lstm"},
    "window of one step, calendar, dropout": {
        "window_length": 1,
        "calendar": True,
        "dropout": 0.2,
    },
    "window of one step, two layers": {"window_length": 1, "layers": 2},
    "feed-forward": {"cell": "feed_forward"},
    "a category one-hot": {},
    "a category embedded": {"categories": "embedding", "embedding_size": 2},
}

TRAININGS: Mapping[str, Mapping[str, Any]] = {
    "sparse latent": {"latent_sparsity": 0.5},
    "cyclical annealing": {"annealing_shape": "cyclical", "annealing_cycles": 3},
    "no annealing": {"annealing": 0.0},
    "adam, weight decay": {"optimizer": "adam", "weight_decay": 1e-3},
    "adamw, weight decay": {"weight_decay": 1e-2},
    "rmsprop": {"optimizer": "rmsprop", "learning_rate": 0.01},
    "sgd": {"optimizer": "sgd", "learning_rate": 1.0},
    "sgd without momentum": {"optimizer": "sgd", "learning_rate": 1.0, "momentum": 0.0},
    "free bits": {"free_bits": 0.1},
    "no noise": {"denoising": 0.0, "missing_rate": 0.0},
    "much noise": {"denoising": 0.5, "missing_rate": 0.3},
}

CALLED = ("attention, odd sizes", "window of one step, LSTM", "cyclical annealing")
"""Of those that follow, what `train` is called with."""

OPTIONS = {
    **{name: (replace(PLAIN, **fields), TRAINING) for name, fields in ARCHITECTURES.items()},
    **{name: (PLAIN, replace(TRAINING, **fields)) for name, fields in TRAININGS.items()},
}


def features_of(name: str) -> list[Feature]:
    return [*FEATURES[:2], HALF] if name.startswith("a category") else FEATURES


def make_series(name: str, n_rows: int = 160) -> TrainingSeries:
    """Return three waves of one period, of which the last may be told by its sign alone."""
    phase = 2 * np.pi * np.arange(n_rows) / 9
    noise = np.random.default_rng(0).normal(size=(n_rows, 3)) * 0.05
    waves = np.stack((np.sin(phase), -np.sin(phase), np.cos(phase)), axis=1)
    times = (1000 + np.arange(n_rows, dtype=np.int64)) * STEP_NS
    values = 50 + 10 * (waves + noise)
    if HALF in features_of(name):
        values[:, 2] = values[:, 2] > 50
    return TrainingSeries(key="a", times=times, values=values)


def make_windows(name: str) -> WindowSet:
    """Return 75 windows of the scaled waves."""
    series = make_series(name)
    steps = (series.values - 50) / 10
    if HALF in features_of(name):
        steps[:, 2] = series.values[:, 2] / len(HALF.categories)
    return WindowSet(
        steps=steps.astype(np.float32),
        times=series.times,
        starts=np.arange(0, 150, 2, dtype=np.int64),
        window_length=OPTIONS[name][0].window_length,
    )


def make_fitting(name: str) -> Fitting:
    """Return a model with its first weights."""
    architecture, training = OPTIONS[name]
    return Fitting(
        make_windows(name),
        features=features_of(name),
        architecture=architecture,
        training=training,
        step_ns=STEP_NS,
        device=CPU,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What an option's training leaves behind, without calibration."""

    first: Mapping[str, Tensor]
    """Weights after the first steps."""
    model: SequenceVae
    """After the last."""


@cache
def fitted(name: str) -> Fitted:
    fitting = make_fitting(name)
    for _ in range(FIRST_STEPS):
        fitting.step()
    first = {name: tensor.clone() for name, tensor in fitting.model.state_dict().items()}
    for _ in range(fitting.plan.steps - FIRST_STEPS):
        fitting.step()
    return Fitted(first=first, model=fitting.model.eval())


def bundle_of(name: str, make_bundle: MakeBundle) -> Bundle:
    """Return a bundle of the fitted network, with scores of the test's own."""
    architecture, training = OPTIONS[name]
    made = make_bundle(architecture=architecture, features=features_of(name))
    weights = {name: tensor.detach() for name, tensor in fitted(name).model.tensors().items()}
    summary = replace(made.training, config=training)
    return with_version(replace(made, weights=weights, training=summary))


def draw_windows(n_windows: int, bundle: Bundle) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(1)
    windows = rng.normal(size=(n_windows, bundle.architecture.window_length, 3))
    if HALF in bundle.spec.features:
        windows[..., 2] = rng.integers(0, 3, windows.shape[:2])
    windows[rng.random(windows.shape) < 0.1] = np.nan
    return windows, rng.integers(0, 2**60, n_windows)


def assert_same(found: Scores, expected: Scores, rows: NDArray[np.intp] | slice) -> None:
    for field in ("value", "contribution", "expected", "expected_std"):
        np.testing.assert_array_equal(getattr(found, field), getattr(expected, field)[rows])


@pytest.fixture(params=list(OPTIONS))
def name(request: pytest.FixtureRequest) -> str:
    option: str = request.param
    return option


def test_the_loss_falls(name: str) -> None:
    """On the same windows with the same noise, from the first weights to the trained ones."""
    fitting = make_fitting(name)
    windows = fitting.batch(make_windows(name), np.arange(75))

    def loss(model: SequenceVae) -> float:
        noise = torch.Generator().manual_seed(3)
        with torch.inference_mode():
            terms = loss_terms(model.eval(), windows, windows, noise)
        return float(terms.reconstruction.sum() / windows.observed.sum())

    before, after = loss(fitting.model), loss(fitted(name).model)
    assert after < before - 0.01


def test_a_second_training_is_the_same_bit_for_bit(name: str) -> None:
    second = make_fitting(name)
    for _ in range(FIRST_STEPS):
        second.step()
    found, expected = second.model.state_dict(), fitted(name).first
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_the_bundle_comes_back_whole_and_is_that_of_the_fitted_model(
    name: str, make_bundle: MakeBundle
) -> None:
    bundle = bundle_of(name, make_bundle)
    again = decode_bundle(encode_bundle(bundle))
    assert encode_bundle(again) == encode_bundle(bundle)
    assert again.training.config == OPTIONS[name][1]
    expected = fitted(name).model.tensors()
    assert again.weights.keys() == expected.keys()
    assert all(torch.equal(again.weights[name], tensor) for name, tensor in expected.items())
    assert not build_model(again, CPU).training


@pytest.mark.slow
@pytest.mark.parametrize("name", ["default", *CALLED], indirect=True)
def test_train_fits_as_the_option_says(name: str) -> None:
    architecture, training = OPTIONS[name]
    bundle = train(
        [make_series(name)],
        features=features_of(name),
        step_seconds=60.0,
        architecture=architecture,
        training=replace(training, epochs=1, min_steps=4),
        model_id="test",
        now=datetime(2024, 5, 6, tzinfo=UTC),
    ).bundle
    assert bundle.architecture == architecture
    windows, times = draw_windows(7, bundle)
    for score in (bundle.spec.score, "latent_wasserstein"):
        found = WindowScorer(bundle, score=score, device="cpu").score(windows, times)
        assert np.isfinite(found.value).all()


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_company_and_place_change_no_bit(architecture: str, make_bundle: MakeBundle) -> None:
    """Nor does a second call: dropout and the attention's noise are training's alone."""
    bundle = bundle_of(architecture, make_bundle)
    scorer = WindowScorer(bundle, device="cpu", max_batch=64)
    windows, times = draw_windows(150, bundle)
    whole = scorer.score(windows, times)
    assert_same(scorer.score(windows, times), whole, slice(None))
    rng = np.random.default_rng(2)
    for alone in (1, 2, 7, 8, 13, 33, 64):
        rows = rng.permutation(150)[:alone]
        assert_same(scorer.score(windows[rows], times[rows]), whole, rows)
    windows[0] += 5.0
    assert scorer.score(windows, times).value[0] != whole.value[0]


def test_each_option_changes_the_model() -> None:
    """The control of all above: no two options give the same weights."""
    weights = {
        tuple(float(tensor.double().sum()) for tensor in fitted(name).model.state_dict().values())
        for name in OPTIONS
    }
    assert len(weights) == len(OPTIONS)


def test_training_leaves_the_global_generator_alone() -> None:
    """Dropout, which torch draws from there, included."""
    torch.manual_seed(5)
    before = torch.get_rng_state()
    make_fitting("dropout").step()
    assert torch.equal(torch.get_rng_state(), before)
