"""What every likelihood promises; scores rely on it without knowing which one they see."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from stream_vae.core.model_spec import Feature
from stream_vae.models.config import ArchitectureConfig
from stream_vae.models.likelihoods import Gaussian, Likelihood, build_likelihood
from stream_vae.models.vae.network import SequenceNetwork

B, T, F, H = 7, 5, 3, 8
FEATURES = [Feature(name=name) for name in "abc"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A likelihood and what torch's own distributions say of it."""

    make: Callable[[], Likelihood]
    oracle: Callable[[Likelihood, Tensor], Distribution]
    """The distribution that outputs (B, T, P) stand for."""


def make_gaussian() -> Gaussian:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        gaussian = Gaussian(F, hidden_size=H, sigma_floor=0.3)
    with torch.no_grad():
        gaussian.raw_sigma.copy_(torch.tensor([-3.0, 0.0, 2.0]))
    return gaussian


def normal(likelihood: Likelihood, outputs: Tensor) -> Distribution:
    assert isinstance(likelihood, Gaussian)
    return Normal(outputs, likelihood.sigma())


CASES = {"gaussian": Case(make=make_gaussian, oracle=normal)}


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def samples_of(likelihood: Likelihood, n_samples: int) -> Sequence[Tensor]:
    return [likelihood(draw(B, T, H, seed=10 + number)).detach() for number in range(n_samples)]


@pytest.mark.parametrize("n_samples", [1, 4])
def test_log_probability_is_the_mean_density_over_samples(case: Case, n_samples: int) -> None:
    likelihood, values = case.make(), draw(B, T, F)
    samples = samples_of(likelihood, n_samples)
    each = [case.oracle(likelihood, outputs).log_prob(values) for outputs in samples]
    found = likelihood.reconstruct(values, samples).log_probability
    torch.testing.assert_close(found, torch.stack(each).mean(dim=0))


def test_expected_and_spread_are_mean_and_standard_deviation(case: Case) -> None:
    likelihood, values = case.make(), draw(B, T, F)
    samples = samples_of(likelihood, 1)
    made, oracle = likelihood.reconstruct(values, samples), case.oracle(likelihood, samples[0])
    torch.testing.assert_close(made.expected, oracle.mean)
    torch.testing.assert_close(made.spread, oracle.stddev)
    assert (made.spread > 0).all()


@pytest.mark.parametrize("n_samples", [1, 4])
def test_squared_residual_is_the_mean_square_about_the_expected(case: Case, n_samples: int) -> None:
    likelihood, values = case.make(), draw(B, T, F)
    samples = samples_of(likelihood, n_samples)
    each = [(values - case.oracle(likelihood, outputs).mean) ** 2 for outputs in samples]
    found = likelihood.reconstruct(values, samples).squared_residual
    torch.testing.assert_close(found, torch.stack(each).mean(dim=0))


@pytest.mark.parametrize("n_samples", [1, 4])
def test_deviance_is_twice_the_log_probability_lost(case: Case, n_samples: int) -> None:
    """Against a fit at the value itself, whose own deviance is zero."""
    likelihood, values = case.make(), draw(B, T, F)
    made = likelihood.reconstruct(values, samples_of(likelihood, n_samples))
    best = likelihood.reconstruct(made.expected, [made.expected])
    assert best.deviance.abs().max() == 0
    lost = 2 * (best.log_probability - made.log_probability)
    torch.testing.assert_close(made.deviance, lost, atol=1e-5, rtol=1e-4)
    assert (made.deviance >= 0).all()


def test_arrays_are_per_step_and_feature(case: Case) -> None:
    likelihood = case.make()
    made = likelihood.reconstruct(draw(B, T, F), samples_of(likelihood, 2))
    for name in ("log_probability", "deviance", "squared_residual", "expected", "spread"):
        assert getattr(made, name).shape == (B, T, F), name


@pytest.mark.parametrize("n_samples", [1, 3])
def test_newest_is_the_last_step_of_everything(case: Case, n_samples: int) -> None:
    likelihood = case.make()
    made = likelihood.reconstruct(draw(B, T, F), samples_of(likelihood, n_samples))
    for name in ("log_probability", "deviance", "squared_residual", "expected", "spread"):
        assert torch.equal(getattr(made.newest(), name), getattr(made, name)[:, -1:]), name


def test_one_value_moves_its_own_entry_alone(case: Case) -> None:
    likelihood, values = case.make(), draw(B, T, F)
    samples = samples_of(likelihood, 1)
    before = likelihood.reconstruct(values, samples).log_probability
    values[2, 3, 1] += 1.0
    moved = likelihood.reconstruct(values, samples).log_probability != before
    assert moved.nonzero().tolist() == [[2, 3, 1]]


@pytest.mark.parametrize("scale", [0.0, 1.0, 10.0, 1e12])
def test_finite_for_any_finite_value(case: Case, scale: float) -> None:
    likelihood = case.make()
    made = likelihood.reconstruct(scale * draw(B, T, F), samples_of(likelihood, 1))
    for name in ("log_probability", "deviance", "squared_residual", "expected", "spread"):
        assert torch.isfinite(getattr(made, name)).all(), name


@pytest.mark.slow
def test_training_reaches_every_parameter(case: Case) -> None:
    """The loss falls by its own gradient, which no parameter is left out of."""
    likelihood, states, values = case.make(), draw(B, T, H), draw(B, T, F)
    optimizer = torch.optim.SGD(likelihood.parameters(), lr=0.01)
    losses = []
    for _ in range(20):
        loss = -likelihood.reconstruct(values, [likelihood(states)]).log_probability.mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        for name, parameter in likelihood.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


def test_scales_are_some_of_the_parameters(case: Case) -> None:
    likelihood = case.make()
    mine = {id(parameter) for parameter in likelihood.parameters()}
    assert {id(scale) for scale in likelihood.scales()} <= mine


def test_tensors_have_other_names_than_the_networks(case: Case) -> None:
    """A bundle keeps both side by side."""
    for calendar in (False, True):
        network = SequenceNetwork(F, ArchitectureConfig(calendar=calendar))
        assert not network.state_dict().keys() & case.make().state_dict().keys()


def test_every_likelihood_that_can_be_built_is_held_to_this() -> None:
    built = type(build_likelihood(FEATURES, ArchitectureConfig()))
    assert built in {type(case.make()) for case in CASES.values()}


def test_gaussian_sigma_keeps_its_floor_and_starts_at_one() -> None:
    likelihood = Gaussian(F, hidden_size=H, sigma_floor=0.3)
    torch.testing.assert_close(likelihood.sigma().detach(), torch.ones(F))
    with torch.no_grad():
        likelihood.raw_sigma.fill_(-1e6)
    torch.testing.assert_close(likelihood.sigma().detach(), torch.full((F,), 0.3))
