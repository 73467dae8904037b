import math

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    Distribution,
    Independent,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from stream_vae.models.likelihoods import gaussian_nll, masked_sum, standard_normal_kl


def log_density(distribution: Distribution, x: Tensor) -> Tensor:
    found = distribution.log_prob(x)
    assert isinstance(found, Tensor)
    return found


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_gaussian_nll_by_hand() -> None:
    """At the mean with sigma 1 it is half the log of 2 pi; two sigmas off adds 2."""
    found = gaussian_nll(torch.tensor([0.0, 4.0]), torch.tensor([1.0, 1.0]))
    half = 0.5 * math.log(2 * math.pi)
    torch.testing.assert_close(found, torch.tensor([half, half + 2.0]))


def test_gaussian_nll_is_the_normal_density(rng: torch.Generator) -> None:
    x, mean = torch.randn((4, 5, 3), generator=rng), torch.randn((4, 5, 3), generator=rng)
    sigma = torch.tensor([0.3, 1.0, 2.5])
    torch.testing.assert_close(
        gaussian_nll((x - mean) ** 2, sigma), -log_density(Normal(mean, sigma), x)
    )


def test_kl_is_the_closed_form(rng: torch.Generator) -> None:
    mean, log_var = torch.randn((4, 2), generator=rng), torch.randn((4, 2), generator=rng)
    oracle = kl_divergence(Normal(mean, (0.5 * log_var).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(standard_normal_kl(mean, log_var), oracle)


def test_kl_of_the_prior_is_zero() -> None:
    assert standard_normal_kl(torch.zeros(4, 2), torch.zeros(4, 2)).abs().max() == 0


@pytest.mark.parametrize("junk", [1e30, float("nan"), float("inf")])
def test_masked_amounts_add_nothing(junk: float) -> None:
    amounts = torch.arange(24.0).reshape(2, 4, 3)
    observed = torch.ones(2, 4, 3, dtype=torch.bool)
    observed[0, 1, 2] = False
    expected = torch.tensor([66.0 - 5.0, 210.0])
    torch.testing.assert_close(masked_sum(amounts, observed), expected)
    amounts[0, 1, 2] = junk
    torch.testing.assert_close(masked_sum(amounts, observed), expected)


def test_lower_bound_never_exceeds_the_likelihood_of_a_linear_gaussian(
    rng: torch.Generator,
) -> None:
    """With one latent the true posterior is in the family, and there the bound is tight."""
    loading, sigma = torch.randn((3, 1), generator=rng), torch.tensor([0.5, 0.8, 1.1])
    x = torch.randn(3, generator=rng)
    covariance = loading @ loading.T + torch.diag(sigma**2)
    log_likelihood = log_density(MultivariateNormal(torch.zeros(3), covariance), x)

    precision = 1 + (loading[:, 0] ** 2 / sigma**2).sum()
    posterior_mean = (loading[:, 0] * x / sigma**2).sum() / precision

    def bound(mean: Tensor, variance: Tensor) -> Tensor:
        # E_q (x - W z)^2, exactly: the Gaussian term is linear in the squared residual.
        squared = (x - loading[:, 0] * mean) ** 2 + loading[:, 0] ** 2 * variance
        nll = gaussian_nll(squared, sigma).sum()
        return -nll - standard_normal_kl(mean, variance.log()).sum()

    torch.testing.assert_close(bound(posterior_mean, 1 / precision), log_likelihood)
    for step in (-0.5, 0.1, 2.0):
        assert bound(posterior_mean + step, 1 / precision) < log_likelihood
        assert bound(posterior_mean, math.exp(step) / precision) < log_likelihood


def test_independent_is_the_sum_over_values(rng: torch.Generator) -> None:
    """A window's density is the product over its steps and features."""
    x, mean = torch.randn((4, 5, 3), generator=rng), torch.randn((4, 5, 3), generator=rng)
    sigma = torch.tensor([0.3, 1.0, 2.5])
    everything = torch.ones(4, 5, 3, dtype=torch.bool)
    oracle = -log_density(Independent(Normal(mean, sigma.expand(4, 5, 3)), 2), x)
    torch.testing.assert_close(masked_sum(gaussian_nll((x - mean) ** 2, sigma), everything), oracle)
