"""Scores against independent formulas and the libraries that they are fitted with."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.ensemble import IsolationForest
from sklearn.svm import SVC

from stream_vae.errors import BundleError
from stream_vae.models.likelihoods import GaussianReconstruction
from stream_vae.models.outputs import Posterior, WindowOutput
from stream_vae.models.scores.combined import Combined, tail_surprisal
from stream_vae.models.scores.error import AbsoluteError, SquaredError
from stream_vae.models.scores.latent import LatentCluster, LatentOutlier, LatentWasserstein
from stream_vae.models.scores.likelihood import LogProbability, SampleCovariance, UnitVariance
from stream_vae.models.scores.score import FittingData, LatentSample, part_residuals
from stream_vae.models.scores.supervised import Supervised

CPU = torch.device("cpu")
B, T, F, L, Z = 4, 3, 2, 5, 2
SIGMA = torch.tensor([0.5, 2.0])


def draw(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def make(
    *, observed: torch.Tensor | None = None, posterior: Posterior | None = None
) -> tuple[torch.Tensor, Sequence[torch.Tensor], WindowOutput]:
    """Return the values, the L reconstructions, and the output."""
    values = 2 * draw(B, T, F, seed=1)
    means = [draw(B, T, F, seed=10 + number) for number in range(L)]
    seen = torch.ones(B, T, F, dtype=torch.bool) if observed is None else observed
    made = GaussianReconstruction(values, means=means, sigma=SIGMA)
    return values, means, WindowOutput(made, seen, posterior)


def latent_sample(n_windows: int = 80, seed: int = 3) -> LatentSample:
    mean = draw(n_windows, Z, seed=seed).double()
    mean[60:] += 4
    labels = torch.where(torch.arange(n_windows) < 60, 0, 1).to(torch.int8)
    log_var = 0.3 * draw(n_windows, Z, seed=seed + 1).double() - 1
    return LatentSample(
        mean=mean,
        log_var=log_var,
        log_error=mean.sum(dim=1),
        residuals=draw(n_windows, T * F, seed=seed + 2).double(),
        labels=labels,
    )


def data(training: LatentSample) -> FittingData:
    return FittingData(n_features=F, device=CPU, held_out=[], training=training)


def output_at(mean: torch.Tensor, log_var: torch.Tensor) -> WindowOutput:
    return make(posterior=Posterior(mean, log_var))[2]


def test_unit_variance_is_the_normal_density_about_the_mean_reconstruction() -> None:
    values, means, output = make()
    mean = torch.stack([*means]).mean(dim=0)
    density = multivariate_normal(np.zeros(T * F), np.eye(T * F))
    expected = -density.logpdf((values - mean).reshape(B, -1).numpy()) / (T * F)
    np.testing.assert_allclose(UnitVariance()(output)[0].numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("missing", [False, True])
def test_sample_covariance_is_the_normal_density_of_the_observed_values(missing: bool) -> None:
    observed = draw(B, T, F, seed=2) > -0.5 if missing else torch.ones(B, T, F, dtype=torch.bool)
    values, means, output = make(observed=observed)
    found = SampleCovariance()(output)[0].numpy()
    for row in range(B):
        samples = np.stack([mean[row].flatten().numpy().astype(np.float64) for mean in means])
        covariance = np.cov(samples.T, bias=True) + np.diag(SIGMA.tile(T).numpy() ** 2)
        seen = observed[row].flatten().numpy()
        density = multivariate_normal(samples.mean(axis=0)[seen], covariance[np.ix_(seen, seen)])
        expected = -density.logpdf(values[row].flatten().numpy()[seen]) / seen.sum()
        assert found[row] == pytest.approx(expected, rel=1e-5)


def test_sample_covariance_of_one_sample_is_the_log_probability() -> None:
    values = draw(B, T, F, seed=1)
    made = GaussianReconstruction(values, means=[draw(B, T, F, seed=2)], sigma=SIGMA)
    output = WindowOutput(made, torch.ones(B, T, F, dtype=torch.bool))
    found, parts = SampleCovariance()(output)
    expected, expected_parts = LogProbability()(output)
    torch.testing.assert_close(found, expected.double())
    torch.testing.assert_close(parts, expected_parts.double())


def test_errors_are_means_over_values_and_samples() -> None:
    values, means, output = make()
    each = torch.stack([values - mean for mean in means])
    torch.testing.assert_close(AbsoluteError()(output)[0], each.abs().mean(dim=(0, 2, 3)))
    torch.testing.assert_close(SquaredError()(output)[0], (each**2).mean(dim=(0, 2, 3)))


def test_wasserstein_between_gaussians() -> None:
    """The closed form of diagonal ones by hand, against three training posteriors."""
    score = LatentWasserstein(
        mean=torch.tensor([[0.0, 0.0], [3.0, 4.0], [1.0, 1.0]]),
        std=torch.tensor([[1.0, 1.0], [1.0, 2.0], [0.5, 0.5]]),
    )
    posterior = Posterior(torch.zeros(B, 2), torch.zeros(B, 2))
    distances = [0.0, 9 + 16 + 1, 1 + 1 + 0.25 + 0.25]
    found = score(make(posterior=posterior)[2])[0]
    torch.testing.assert_close(found, torch.full((B,), sorted(distances)[1]))


def test_wasserstein_keeps_few_windows_and_none_labelled_anomalous() -> None:
    score = LatentWasserstein.fitted(data(latent_sample()))
    assert score is not None
    assert score.mean.shape == (60, Z)
    many = latent_sample(2000)
    kept = LatentWasserstein.fitted(
        data(
            LatentSample(
                mean=many.mean,
                log_var=many.log_var,
                log_error=many.log_error,
                residuals=many.residuals,
                labels=torch.full((2000,), -1, dtype=torch.int8),
            )
        )
    )
    assert kept is not None
    assert 128 < len(kept.mean) <= 256


def test_outlier_is_scikit_learns_isolation_forest() -> None:
    training = latent_sample()
    score = LatentOutlier.fitted(data(training))
    assert score is not None
    normal = training.mean[:60].float().numpy()
    oracle = IsolationForest(n_estimators=len(score.cut), max_samples=60, random_state=0)
    mean = 2 * draw(B, Z, seed=5)
    expected = -oracle.fit(normal).score_samples(mean.numpy())
    found = score(output_at(mean, torch.zeros(B, Z)))[0]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_cluster_is_the_distance_to_the_larger_one() -> None:
    """Its centre is near that of its windows, and its distance 0; the smaller one is far."""
    training = latent_sample()
    score = LatentCluster.fitted(data(training))
    assert score is not None
    centre = torch.cat((training.mean, training.log_error[:, None]), dim=1)[:60].mean(dim=0)
    torch.testing.assert_close(score.centre[0], centre, atol=0.05, rtol=0)
    near, far = centre[:Z].float().tile(B, 1), (centre[:Z] + 4).float().tile(B, 1)
    closer = score(output_at(near, torch.zeros(B, Z)))[0]
    farther = score(output_at(far, torch.zeros(B, Z)))[0]
    assert (farther > closer).all()


def test_supervised_is_scikit_learns_machine() -> None:
    training = latent_sample()
    score = Supervised.fitted(data(training))
    assert score is not None
    columns = (training.mean, training.log_var, training.log_error[:, None], training.residuals)
    inputs = torch.cat(columns, dim=1).numpy()
    white = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0, ddof=1)
    oracle = SVC(C=3.0, gamma=0.3 / white.shape[1]).fit(white, training.labels.numpy())
    mean, log_var = draw(B, Z, seed=6), draw(B, Z, seed=7)
    output = output_at(mean, log_var)
    error = torch.log(output.deviance.mean(dim=(1, 2)) + 1e-3)
    residuals = torch.stack(list(output.residuals)).mean(dim=0).flatten(1)
    row = torch.cat((mean, log_var, error[:, None], residuals), dim=1).double().numpy()
    row = (row - inputs.mean(axis=0)) / inputs.std(axis=0, ddof=1)
    support = oracle.support_vectors_

    def nearest(rows: np.ndarray) -> np.ndarray:
        apart: np.ndarray = ((rows[:, None] - support) ** 2).mean(axis=2)
        least: np.ndarray = 0.3 * apart.min(axis=1)
        return least

    beyond = np.maximum(nearest(row) - nearest(white).max(), 0)
    assert (beyond > 0).any()
    expected = oracle.decision_function(row) + 0.3 * beyond
    np.testing.assert_allclose(score(output)[0].numpy(), expected, rtol=1e-4, atol=1e-4)


def test_part_residuals_are_means_of_what_was_observed_in_each_part() -> None:
    steps = torch.arange(70.0)[None, :, None]
    seen = torch.ones(1, 70, 1, dtype=torch.bool)
    seen[:, 0], seen[:, 2:4] = False, False
    made = GaussianReconstruction(steps, means=[steps - steps], sigma=torch.ones(1))
    found = part_residuals(WindowOutput(made, seen))
    assert found.shape == (1, 32)  # 70 steps in 32 parts of two or three
    torch.testing.assert_close(found[0, :3], torch.tensor([1.0, 0.0, 4.5]))
    many = GaussianReconstruction(torch.ones(1, 9, 40), means=[torch.zeros(1, 9, 40)], sigma=SIGMA)
    parts = part_residuals(WindowOutput(many, torch.ones(1, 9, 40, dtype=torch.bool)))
    torch.testing.assert_close(parts, torch.ones(1, 40))  # each of many features is one part


def test_surprisal_is_that_of_the_rank() -> None:
    """Of 9 quantiles the k-th lowest has probability (10 - k) / 10 of a score as high."""
    quantiles = torch.arange(9, dtype=torch.float64)
    found = tail_surprisal(torch.tensor([-5.0, 0.0, 4.0, 4.5, 8.0], dtype=torch.float64), quantiles)
    between = (-math.log(0.5) - math.log(0.4)) / 2
    expected = [-math.log(0.9), -math.log(0.9), -math.log(0.5), between, -math.log(0.1)]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_surprisal_beyond_the_largest_grows_with_the_score() -> None:
    quantiles = torch.linspace(0, 1, 101, dtype=torch.float64)
    found = tail_surprisal(torch.tensor([1.0, 1.5, 2.0, 9.0], dtype=torch.float64), quantiles)
    steps = found.diff()
    assert (steps > 0).all()
    torch.testing.assert_close(steps[0], steps[1])


def test_combined_is_the_sum_of_surprisals() -> None:
    _, _, output = make()
    scores = {"squared_error": SquaredError(), "log_probability": LogProbability()}
    quantiles = {name: torch.linspace(0, 9, 50, dtype=torch.float64) for name in scores}
    combined = Combined.of(scores, quantiles)
    expected = torch.stack(
        [
            tail_surprisal(score(output)[0].double(), quantiles[name])
            for name, score in scores.items()
        ]
    ).sum(dim=0)
    torch.testing.assert_close(combined(output)[0], expected)


def test_combined_of_unknown_scores_is_refused() -> None:
    state = {"elbo.quantiles": torch.zeros(3)}
    with pytest.raises(BundleError, match=r"score combined: found tensors \['elbo.quantiles'\]"):
        Combined.from_state(state, CPU)
