"""Training on features of several kinds, from values to scores."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature, Scores
from stream_vae.errors import ConfigError
from stream_vae.models.bundle import Bundle
from stream_vae.models.bundle_format import decode_bundle, encode_bundle, with_version
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.device import limit_threads
from stream_vae.models.scoring import WindowScorer
from stream_vae.models.training.train import TrainedModel, train
from stream_vae.models.training.training_windows import TrainingSeries

limit_threads(1)

pytestmark = pytest.mark.slow

STEP_NS = 10**9
FEATURES = (
    Feature(name="pay", unit="EUR"),
    Feature(name="job", kind="categorical", categories=("clerk", "cook", "pilot")),
    Feature(name="trips", kind="count"),
    Feature(name="city", kind="categorical", categories=("Bonn", "Kiel", "Ulm")),
    Feature(name="remote", kind="binary"),
)
PAY, JOB, TRIPS, CITY, REMOTE = range(5)
TRAINING = TrainingConfig(
    epochs=6, min_steps=240, batch_size=32, stride=1, learning_rate=1e-2, device="cpu"
)
NOW = datetime(2024, 5, 6, tzinfo=UTC)


def make_values(n_rows: int = 400, seed: int = 0) -> NDArray[np.float64]:
    """Return records in which the job decides the pay, the city, the trips and who is remote.

    Twelve records in a row are of one job.
    """
    rng = np.random.default_rng(seed)
    job = np.repeat(rng.integers(0, 3, n_rows // 12 + 1), 12)[:n_rows]
    pay = np.array([30.0, 40.0, 90.0])[job] + rng.normal(size=n_rows) * 3
    trips = rng.poisson(np.array([1.0, 0.2, 60.0])[job])
    remote = rng.random(n_rows) < np.array([0.9, 0.01, 0.05])[job]
    values = np.stack((pay, job, trips, job, remote), axis=1).astype(float)
    values[rng.random(values.shape) < 0.02] = np.nan
    return values


def make_model(window_length: int, values: NDArray[np.float64] | None = None) -> TrainedModel:
    values = make_values() if values is None else values
    times = np.arange(len(values), dtype=np.int64) * STEP_NS
    return train(
        [TrainingSeries(key="a", times=times, values=values)],
        features=FEATURES,
        step_seconds=1.0,
        architecture=ArchitectureConfig(
            window_length=window_length, hidden_size=16, latent_size=4, sigma_floor=0.2
        ),
        training=TRAINING,
        model_id="staff",
        now=NOW,
    )


@pytest.fixture(scope="module", params=[1, 4])
def model(request: pytest.FixtureRequest) -> TrainedModel:
    return make_model(request.param)


def windows_of(bundle: Bundle, seed: int, job: int | None = None) -> NDArray[np.float64]:
    """Return (N, T, F) windows within one job, all of that one if it is given."""
    T = bundle.spec.window_length
    records = make_values(1200, seed).reshape(100, 12, len(FEATURES))[:, :T]
    records = records[~np.isnan(records[:, -1]).any(axis=1)]
    return records if job is None else records[records[:, -1, JOB] == job]


def scored(bundle: Bundle, windows: NDArray[np.float64]) -> Scores:
    scorer = WindowScorer(bundle, score="log_probability", device="cpu")
    return scorer.score(windows, np.zeros(len(windows), np.int64))


def test_the_loss_falls_and_beats_a_constant(model: TrainedModel) -> None:
    losses = [epoch.reconstruction for epoch in model.report.history]
    assert losses[-1] < losses[0] - 0.2
    assert model.report.validation_log_likelihood > model.report.constant_log_likelihood + 0.2


def test_bundle_round_trip_keeps_kinds_and_scores(model: TrainedModel) -> None:
    again = decode_bundle(encode_bundle(model.bundle))
    assert again.spec.features == FEATURES
    assert again.spec.scaler.transforms == ("linear", "code", "log1p", "code", "linear")
    assert again.spec.version == model.bundle.spec.version
    windows = windows_of(model.bundle, seed=3)
    for name in ("value", "contribution", "expected", "expected_std"):
        found = getattr(scored(again, windows), name)
        np.testing.assert_array_equal(found, getattr(scored(model.bundle, windows), name))


@pytest.mark.parametrize(
    ("column", "value", "job"),
    [
        (CITY, 2.0, 0),
        (CITY, 3.0, 0),
        (TRIPS, 500.0, 1),
        (REMOTE, 1.0, 1),
        (PAY, 150.0, 0),
    ],
    ids=["city of another job", "unseen city", "impossible count", "rare state", "absurd pay"],
)
def test_a_planted_impossible_value_scores_higher_and_is_named(
    model: TrainedModel, column: int, value: float, job: int
) -> None:
    """In the newest of records that are ordinary otherwise."""
    windows = windows_of(model.bundle, seed=5, job=job)
    planted = windows.copy()
    planted[:, -1, column] = value
    before, after = scored(model.bundle, windows), scored(model.bundle, planted)
    assert (after.value > before.value).mean() > 0.9
    blamed = np.median(after.contribution, axis=0).argmax()
    assert blamed in ({column, JOB} if column in {CITY, PAY} else {column})


def test_expected_values_are_in_input_units(model: TrainedModel) -> None:
    of_pilots = scored(model.bundle, windows_of(model.bundle, seed=9, job=2))
    of_cooks = scored(model.bundle, windows_of(model.bundle, seed=9, job=1))
    assert np.median(of_pilots.expected, axis=0)[[JOB, CITY]].tolist() == [2.0, 2.0]
    assert np.median(of_cooks.expected, axis=0)[[JOB, CITY]].tolist() == [1.0, 1.0]
    assert np.median(of_pilots.expected[:, TRIPS]) == pytest.approx(60, rel=0.4)
    assert np.median(of_cooks.expected[:, TRIPS]) < 2
    for found in (of_pilots, of_cooks):
        assert ((found.expected[:, REMOTE] >= 0) & (found.expected[:, REMOTE] <= 1)).all()
        assert (found.expected_std > 0).all()
        assert (found.expected_std[:, [JOB, CITY, REMOTE]] <= 1).all()


def test_scores_do_not_depend_on_the_batch(model: TrainedModel) -> None:
    """Bit for bit, for every kind."""
    windows = np.concatenate([windows_of(model.bundle, seed) for seed in range(4, 8)])[:300]
    times = np.zeros(len(windows), np.int64)
    for name in model.bundle.spec.calibration:
        scorer = WindowScorer(model.bundle, score=name, device="cpu")
        whole = scorer.score(windows, times)
        for rows in (slice(0, 1), slice(5, 14), slice(255, 257), slice(40, 300)):
            part = scorer.score(windows[rows], times[rows])
            for array in ("value", "contribution", "expected", "expected_std"):
                found, expected = getattr(part, array), getattr(whole, array)[rows]
                np.testing.assert_array_equal(found, expected, err_msg=f"{name} {array}")


def test_categories_are_part_of_the_version(model: TrainedModel) -> None:
    """The same weights under other categories score other readings."""
    city = replace(FEATURES[CITY], categories=("Ulm", "Kiel", "Bonn"))
    features = (*FEATURES[:CITY], city, *FEATURES[CITY + 1 :])
    spec = replace(model.bundle.spec, features=features)
    other = with_version(replace(model.bundle, spec=spec))
    assert other.spec.version != model.bundle.spec.version


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (TRIPS, 1.5, r"series 'a', row 3, feature 'trips': found 1.5, expected a whole number"),
        (TRIPS, -1.0, "feature 'trips': found -1, expected a whole number >= 0"),
        (TRIPS, np.inf, "feature 'trips': found inf"),
        (REMOTE, 2.0, "feature 'remote': found 2, expected 0 or 1"),
        (CITY, 4.0, r"feature 'city': found 4, expected the code of a category, 0 to 3"),
        (CITY, 0.5, "feature 'city': found 0.5"),
    ],
)
def test_values_of_another_kind_are_refused(column: int, value: float, message: str) -> None:
    values = make_values(60)
    values[3, column] = value
    with pytest.raises(ConfigError, match=message):
        make_model(1, values)
