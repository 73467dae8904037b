from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature
from stream_vae.detect.config import TrackingConfig
from stream_vae.detect.tracking import ResidualTracker
from stream_vae.errors import ConfigError
from stream_vae.models.bundle_format import decode_bundle, encode_bundle
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.scores import SCORES
from stream_vae.models.scoring import WindowScorer
from stream_vae.models.training.fitting import Listeners
from stream_vae.models.training.reports import BatchReport, EpochReport
from stream_vae.models.training.train import TrainedModel, fingerprint, train
from stream_vae.models.training.training_windows import TrainingSeries

STEP_NS = 60 * 10**9
T = 6
ARCHITECTURE = ArchitectureConfig(window_length=T, hidden_size=8, latent_size=2)
TRAINING = TrainingConfig(epochs=4, min_steps=16, batch_size=16, device="cpu")
FEATURES = (Feature(name="wave", unit="bar"), Feature(name="echo"), Feature(name="flat"))
NOW = datetime(2024, 5, 6, tzinfo=UTC)


def make_values(n_rows: int = 200) -> NDArray[np.float64]:
    """Return a wave, its negative with noise, and a constant."""
    phase = 2 * np.pi * np.arange(n_rows) / 9
    noise = np.random.default_rng(0).normal(size=n_rows) * 0.05
    return np.stack((50 + 10 * np.sin(phase), -np.sin(phase) + noise, np.full(n_rows, 7.0)), axis=1)


def make_series(values: NDArray[np.float64] | None = None, key: str = "a") -> TrainingSeries:
    values = make_values() if values is None else values
    times = (1000 + np.arange(len(values), dtype=np.int64)) * STEP_NS
    return TrainingSeries(key=key, times=times, values=values)


def make_model(
    *series: TrainingSeries,
    training: TrainingConfig = TRAINING,
    architecture: ArchitectureConfig = ARCHITECTURE,
    features: tuple[Feature, ...] = FEATURES,
) -> TrainedModel:
    return train(
        series or (make_series(),),
        features=features,
        step_seconds=60.0,
        architecture=architecture,
        training=training,
        model_id="pump",
        now=NOW,
    )


def tail_windows() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the 35 windows of the calibration part: the last 40 of 200 rows."""
    rows = make_values()[160:]
    windows = np.lib.stride_tricks.sliding_window_view(rows, T, axis=0).transpose(0, 2, 1)
    return windows, (1000 + np.arange(160 + T - 1, 200, dtype=np.int64)) * STEP_NS


def variance_of(model: TrainedModel) -> NDArray[np.float64]:
    """Return what the recency score learned."""
    return model.bundle.score_states["recency"]["residual_variance"].numpy()


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return make_model()


def test_training_is_reproducible_bit_for_bit(model: TrainedModel) -> None:
    """Same data, config and seed: the same version and scores. Another seed: others."""
    windows, times = tail_windows()
    scores = WindowScorer(model.bundle, score="tracked", device="cpu").score(windows, times).value
    again = make_model()
    assert again.bundle.spec.version == model.bundle.spec.version
    assert again.report == model.report
    found = WindowScorer(again.bundle, score="tracked", device="cpu").score(windows, times).value
    np.testing.assert_array_equal(found, scores)

    other = make_model(training=replace(TRAINING, seed=1))
    assert other.bundle.spec.version != model.bundle.spec.version
    scorer = WindowScorer(other.bundle, score="tracked", device="cpu")
    differing = scorer.score(windows, times).value
    assert (differing != scores).all()


@pytest.mark.slow
def test_model_beats_a_constant_on_a_wave() -> None:
    training = replace(TRAINING, min_steps=200, learning_rate=0.03)
    report = make_model(training=training).report
    assert report.validation_log_likelihood > report.constant_log_likelihood
    assert report.validation_log_likelihood == max(
        epoch.validation_log_likelihood for epoch in report.history
    )


def test_spec_says_what_was_trained(model: TrainedModel) -> None:
    spec = model.bundle.spec
    assert (spec.id, spec.trained_at, spec.features) == ("pump", NOW, FEATURES)
    assert (spec.window_length, spec.step_seconds, spec.score) == (T, 60.0, "fused")
    np.testing.assert_allclose(spec.scaler.mean, make_values()[:140].mean(axis=0))
    assert len(spec.version) == 16


def test_calibration_is_that_of_the_held_out_tail(model: TrainedModel) -> None:
    """Quantiles of every score are those of the tail's windows under the product's scorer."""
    windows, times = tail_windows()
    assert set(model.bundle.spec.calibration) == set(SCORES) - {"supervised", "fused_window"}
    for name, found in model.bundle.spec.calibration.items():
        scores = WindowScorer(model.bundle, score=name, device="cpu").score(windows, times)
        values = scores.value
        if scores.evidence is not None:
            tracker = ResidualTracker(model.bundle.spec.tracking[name], TrackingConfig(), 1)
            tracker.state.begin(np.zeros(1, np.int32))
            values = tracker.follow(np.zeros(len(values), np.int32), scores.evidence)
        expected = np.quantile(values, np.linspace(0, 1, 1001))
        np.testing.assert_array_equal(found, expected)


def test_residual_variance_is_that_of_the_held_out_tail(model: TrainedModel) -> None:
    """For one feature at a time it is that part of the mean squared reconstruction error."""
    windows, times = tail_windows()
    scorer = WindowScorer(model.bundle, score="squared_error", device="cpu")
    found = scorer.score(windows, times)
    expected = (found.value[:, None] * found.contribution * len(FEATURES)).mean(axis=0)
    np.testing.assert_allclose(variance_of(model), expected, rtol=1e-5)


def with_labels(*anomalous: int, known: slice = slice(None)) -> TrainingSeries:
    """Return the series with some rows labelled: the given ones 1, others of `known` 0."""
    labels = np.full(200, -1, np.int8)
    labels[known] = 0
    labels[list(anomalous)] = 1
    return replace(make_series(), labels=labels)


@pytest.mark.slow
def test_labels_fit_the_supervised_score_and_leave_the_network_alone(model: TrainedModel) -> None:
    """A few labelled rows are enough."""
    labelled = make_model(with_labels(10, 11, known=slice(0, 40))).bundle
    assert set(labelled.spec.calibration) == set(SCORES) - {"fused_window"}
    assert labelled.weights.keys() == model.bundle.weights.keys()
    for name, tensor in labelled.weights.items():
        assert torch.equal(tensor, model.bundle.weights[name])
    windows, times = tail_windows()
    for name in ("recency", "log_probability", "last_step"):
        found = WindowScorer(labelled, score=name, device="cpu").score(windows, times)
        unlabelled = WindowScorer(model.bundle, score=name, device="cpu").score(windows, times)
        np.testing.assert_array_equal(found.value, unlabelled.value)
    again = decode_bundle(encode_bundle(labelled))
    found = WindowScorer(again, score="supervised", device="cpu").score(windows, times)
    expected = WindowScorer(labelled, score="supervised", device="cpu").score(windows, times)
    np.testing.assert_array_equal(found.value, expected.value)


@pytest.mark.parametrize("anomalous", [[], range(200)], ids=["all normal", "all anomalous"])
def test_labels_of_one_kind_fit_nothing(anomalous: Sequence[int]) -> None:
    """The score is absent, and whoever asks for it is told what is missing."""
    trained = make_model(with_labels(*anomalous))
    bundle, told = trained.bundle, trained.report.labels
    assert (told.normal, told.anomalous) == (200 - len(anomalous), len(anomalous))
    lacking = "0" if anomalous else "1"
    for why in (told.without_supervised, told.without_thresholds):
        assert why is not None
        assert why.endswith(f"is labelled {lacking}")
    assert "supervised" not in bundle.spec.calibration
    with pytest.raises(ConfigError, match=r"'supervised' is missing: .* labels with both 0 and 1"):
        WindowScorer(bundle, score="supervised", device="cpu")


def test_windows_labelled_anomalous_are_not_calibrated_with(model: TrainedModel) -> None:
    """Row 180 is in six windows of the tail; all others make the quantiles."""
    windows, times = tail_windows()
    kept = np.delete(np.arange(35), np.arange(15, 21))
    labelled = make_model(with_labels(180)).bundle
    scorer = WindowScorer(model.bundle, score="log_probability", device="cpu")
    scores = scorer.score(windows[kept], times[kept]).value
    expected = np.quantile(scores, np.linspace(0, 1, 1001))
    np.testing.assert_array_equal(labelled.spec.calibration["log_probability"], expected)


@pytest.mark.parametrize("names", ["recency", "recency + recency", "recency + elbo", ""])
def test_combined_of_less_than_two_scores_is_refused(names: str) -> None:
    with pytest.raises(ConfigError, match=r"training.combined: found .* expected two or more of"):
        make_model(training=replace(TRAINING, combined=names))


@pytest.mark.slow
def test_combined_leaves_out_what_cannot_be_fitted() -> None:
    """Of two, one is left: there is nothing to combine."""
    training = replace(TRAINING, combined="recency + supervised")
    assert "combined" not in make_model(training=training).bundle.spec.calibration
    assert "combined" in make_model(with_labels(10), training=training).bundle.spec.calibration


def test_report_counts_rows_windows_and_features(model: TrainedModel) -> None:
    report = model.report
    assert (report.rows, report.series, report.score) == (200, 1, "fused")
    assert report.windows == {"training": 68, "validation": 15, "calibration": 35}
    assert [feature.is_constant for feature in report.features] == [False, False, True]
    assert [feature.observed_share for feature in report.features] == [1.0, 1.0, 1.0]
    assert report.parameters == sum(tensor.numel() for tensor in model.bundle.weights.values())
    quantiles = report.calibration_quantiles["recency"]
    assert quantiles[1.0] == model.bundle.spec.calibration["recency"][-1]


def test_constant_model_by_hand() -> None:
    """One feature, +-1 by turns: scaled it is +-1, sigma 1, density -1/2 - half log 2 pi."""
    values = np.tile([[1.0], [-1.0]], (60, 1))
    model = make_model(make_series(values), features=FEATURES[:1])
    expected = -0.5 - 0.5 * np.log(2 * np.pi)
    assert model.report.constant_log_likelihood == pytest.approx(expected, abs=1e-6)
    assert model.bundle.spec.score == "log_probability"


def test_missing_values_and_steps_are_trained_through() -> None:
    """A feature hardly seen and a few absent rows give a finite model, and are reported."""
    values = make_values()
    values[::3, 1] = np.nan
    values[10:, 2] = np.nan
    whole = make_series(values)
    kept = np.flatnonzero(np.arange(200) % 17 != 16)
    model = make_model(TrainingSeries(key="a", times=whole.times[kept], values=whole.values[kept]))
    features = model.report.features
    assert [feature.observed_share < 0.5 for feature in features] == [False, False, True]
    assert model.report.windows["training"] > 0
    assert np.isfinite(model.report.validation_log_likelihood)
    assert np.isfinite(variance_of(model)).all()
    assert variance_of(model)[2] == 1.0
    assert all(np.isfinite(found).all() for found in model.bundle.spec.calibration.values())


def test_several_series_share_one_model() -> None:
    short = make_series(make_values(12), key="short")
    report = make_model(make_series(), make_series(key="b"), short).report
    assert (report.rows, report.series) == (412, 3)
    assert report.windows["training"] == 2 * 68 + 2


@pytest.mark.parametrize(("period", "expected"), [(24, True), (9, False)])
def test_calendar_auto_is_decided_before_training_and_reported(
    period: int, *, expected: bool
) -> None:
    values = np.sin(2 * np.pi * np.arange(200) / period)[:, None] * np.ones(3)
    times = np.arange(200, dtype=np.int64) * 3600 * 10**9
    trained = train(
        [TrainingSeries(key="a", times=times, values=values)],
        features=FEATURES,
        step_seconds=3600.0,
        architecture=replace(ARCHITECTURE, calendar="auto"),
        training=replace(TRAINING, epochs=1, min_steps=1),
        model_id="pump",
        now=NOW,
    )
    assert trained.bundle.architecture.calendar is expected
    assert "calendar" in {one.kind for one in trained.report.advice}


def test_calendar_inputs_are_trained_and_scored() -> None:
    architecture = replace(ARCHITECTURE, calendar=True)
    model = make_model(architecture=architecture)
    windows, times = tail_windows()
    scorer = WindowScorer(model.bundle, score="tracked", device="cpu")
    half_day = np.int64(12 * 3600 * 10**9)
    moved = scorer.score(windows, times + half_day).value
    assert (moved != scorer.score(windows, times).value).any()


def test_progress_is_told_per_epoch_and_per_batch() -> None:
    epochs: list[EpochReport] = []
    batches: list[BatchReport] = []
    report = train(
        [make_series()],
        features=FEATURES,
        step_seconds=60.0,
        architecture=ARCHITECTURE,
        training=replace(TRAINING, min_steps=8, patience=4),
        model_id="pump",
        now=NOW,
        listeners=Listeners(epoch=epochs.append, batch=batches.append),
    ).report
    assert tuple(epochs) == report.history
    assert len(batches) == batches[-1].step == batches[-1].steps
    assert all(np.isfinite([batch.reconstruction, batch.kl]).all() for batch in batches)


def test_too_few_rows_are_refused() -> None:
    """20 % of 27 rows is a tail of 5, one short of a window; of 11, one block of two is."""
    held_out = replace(TRAINING, calibration="held_out", validation_fraction=0.3)
    with pytest.raises(ConfigError, match=r"calibration part: found 5 rows.*\(27 in all\).*= 6"):
        make_model(make_series(make_values(27)), training=held_out)
    with pytest.raises(ConfigError, match=r"found 11 rows.*two times window_length = 6"):
        make_model(make_series(make_values(11)))


def test_absent_device_is_refused() -> None:
    with pytest.raises(ConfigError, match="device"):
        make_model(training=replace(TRAINING, device="cuda:99"))


def test_fingerprint_knows_names_keys_times_and_values() -> None:
    series = make_series()
    original = fingerprint([series], FEATURES)
    assert fingerprint([make_series()], FEATURES) == original
    moved = replace(series, times=series.times + STEP_NS)
    touched = replace(series, values=series.values + np.eye(200, 3))
    renamed = (Feature(name="x"), *FEATURES[1:])
    others = {
        fingerprint([moved], FEATURES),
        fingerprint([touched], FEATURES),
        fingerprint([replace(series, key="b")], FEATURES),
        fingerprint([series], renamed),
        fingerprint([series, series], FEATURES),
    }
    assert len(others | {original}) == 6


SHORT = TrainingConfig(epochs=2, min_steps=4, batch_size=16, device="cpu")


@pytest.fixture(scope="module")
def short() -> TrainedModel:
    """Return a model of 100 rows: fewer than 25 windows end to end."""
    return make_model(make_series(make_values(100)), training=SHORT)


def test_short_history_is_fitted_whole_and_calibrated_in_folds(short: TrainedModel) -> None:
    """Four blocks of 25 rows hold 20 windows each; control: with more rows an end is held out."""
    assert short.report.folds == short.bundle.training.folds == 4
    assert short.report.windows == {"training": 48, "calibration": 80}
    np.testing.assert_allclose(short.bundle.spec.scaler.mean, make_values(100).mean(axis=0))
    assert set(short.bundle.spec.calibration) == set(SCORES) - {"supervised", "fused_window"}
    held_out = replace(SHORT, calibration="held_out")
    assert make_model(make_series(make_values(100)), training=held_out).report.folds == 0


def test_scores_of_a_short_history_are_those_of_rows_not_fitted(short: TrainedModel) -> None:
    """The memory knows each fitted window by heart, yet what is usual of it is not 0."""
    usual = short.bundle.spec.tracking["fused"]
    assert usual.variance[1, 1] > 1e-3
    assert decode_bundle(encode_bundle(short.bundle)).training.folds == 4


def test_a_member_worse_than_a_constant_is_left_out_of_fused_and_told(short: TrainedModel) -> None:
    """In noise the nearest of what has been is twice as far off as the mean; control: a wave."""
    noise = make_series(np.random.default_rng(3).normal(size=(100, 3)))
    model = make_model(noise, training=SHORT)
    usual = decode_bundle(encode_bundle(model.bundle)).spec.tracking["fused"]
    assert not usual.is_useful[1]
    told = {
        name: [text.text for text in one.report.advice if text.kind == "left_out_of_fused"]
        for name, one in (("noise", model), ("wave", short))
    }
    assert any(text.startswith("memory misses") for text in told["noise"])
    assert short.bundle.spec.tracking["fused"].is_useful[1]
    assert not any("memory" in text for text in told["wave"])


def test_many_short_series_are_held_out_whole() -> None:
    """Five of 7 rows, none of which could be cut in three; each fold holds out one or two."""
    rows = make_values(35)
    series = [make_series(rows[at : at + 7], key=str(at)) for at in range(0, 35, 7)]
    report = make_model(*series, training=SHORT).report
    assert report.folds == 4
    assert report.windows == {"training": 5, "calibration": 10}


def test_cross_validation_leaves_no_part_for_labels() -> None:
    labelled = replace(make_series(make_values(100)), labels=np.eye(100, dtype=np.int8)[50])
    crossed = replace(SHORT, calibration="cross_validation")
    with pytest.raises(ConfigError, match=r"training\.calibration: found cross_validation"):
        make_model(labelled, training=crossed)
    assert make_model(labelled, training=SHORT).report.folds == 0
