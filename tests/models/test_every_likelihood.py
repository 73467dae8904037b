"""What every likelihood promises; scores rely on it without knowing which one they see."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import special, stats
from torch import Tensor

from stream_vae.core.model_spec import Feature, FeatureKind
from stream_vae.core.scaling import Scaler
from stream_vae.models.config import ArchitectureConfig
from stream_vae.models.likelihoods import Likelihood, build_likelihood, masked_sum
from stream_vae.models.likelihoods.bernoulli import Bernoulli
from stream_vae.models.likelihoods.categorical import Categorical
from stream_vae.models.likelihoods.counts import CountLikelihood
from stream_vae.models.likelihoods.gaussian import Gaussian, StepGaussian, UnitGaussian
from stream_vae.models.likelihoods.laplace import Laplace
from stream_vae.models.likelihoods.mixed import Mixed
from stream_vae.models.likelihoods.negative_binomial import NegativeBinomial
from stream_vae.models.likelihoods.poisson import Poisson
from stream_vae.models.likelihoods.student_t import StudentT
from stream_vae.models.outputs import Reconstruction
from stream_vae.models.vae.sequence_vae import SequenceVae

Floats = NDArray[np.float64]

B, T, H = 7, 5, 8
ARRAYS = ("log_probability", "deviance", "squared_residual", "expected", "spread")
ARCHITECTURE = ArchitectureConfig(window_length=T, hidden_size=H, latent_size=2, sigma_floor=0.3)
LOG_MEAN, LOG_STD = np.array([0.7, 2.0, 4.0]), np.array([0.9, 0.5, 1.2])
SIZES = (2, 4, 1)


def features_of(kind: FeatureKind) -> tuple[Feature, ...]:
    sizes = SIZES if kind == "categorical" else (0, 0, 0)
    return tuple(
        Feature(name=f"{kind}{f}", kind=kind, categories=tuple(map(str, range(size))))
        for f, size in enumerate(sizes)
    )


MIXED = tuple(
    feature
    for group in zip(
        *(features_of(kind) for kind in ("categorical", "numeric", "count", "binary")), strict=True
    )
    for feature in group
)
"""Twelve features, the kinds taking turns."""


def scaler_of(features: Sequence[Feature]) -> Scaler:
    """Return a scaler in which each kind's third feature has the third constants."""
    place = [int(feature.name[-1]) for feature in features]
    return Scaler(mean=LOG_MEAN[place], std=LOG_STD[place])


@dataclass(frozen=True, kw_only=True)
class Case:
    """A likelihood, with what scipy says of it."""

    features: tuple[Feature, ...]
    architecture: ArchitectureConfig = ARCHITECTURE

    def make(self) -> Any:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            made = build_likelihood(self.features, self.architecture, scaler_of(self.features))
            with torch.no_grad():
                for scale in made.scales():
                    scale.add_(torch.linspace(-2, 2, len(scale)))
                for name, parameter in made.named_parameters():
                    if name.endswith("weight"):
                        parameter.mul_(3)
        return made

    def values(self, seed: int = 0) -> Tensor:
        """Return (B, T, F) scaled values as a scaler gives them."""
        quantity = draw(B, T, len(self.features), seed=seed)
        chosen = [scaled_as(feature, quantity[..., f]) for f, feature in enumerate(self.features)]
        return torch.stack(chosen, dim=-1)


def scaled_as(feature: Feature, quantity: Tensor) -> Tensor:
    """Return what a standard normal quantity becomes as a value of the feature."""
    if feature.kind == "binary":
        return (quantity > 0).float()
    if feature.kind == "categorical":
        K = len(feature.categories)
        return (quantity.abs() * 2).floor().clamp(max=K) / max(K, 1)
    if feature.kind == "count":
        f = int(feature.name[-1])
        count = np.expm1(quantity.double().numpy() * LOG_STD[f] + LOG_MEAN[f]).clip(0).round()
        return torch.from_numpy((np.log1p(count) - LOG_MEAN[f]) / LOG_STD[f]).float()
    return quantity


NUMERIC_FAMILIES = get_args(get_type_hints(ArchitectureConfig)["numeric_likelihood"])
COUNT_FAMILIES = get_args(get_type_hints(ArchitectureConfig)["count_likelihood"])

CASES = {
    **{
        name: Case(
            features=features_of("numeric"),
            architecture=replace(ARCHITECTURE, numeric_likelihood=name),
        )
        for name in NUMERIC_FAMILIES
    },
    **{
        name: Case(
            features=features_of("count"), architecture=replace(ARCHITECTURE, count_likelihood=name)
        )
        for name in COUNT_FAMILIES
    },
    "bernoulli": Case(features=features_of("binary")),
    "categorical": Case(features=features_of("categorical")),
    "mixed": Case(features=MIXED),
    "mixed_other": Case(
        features=MIXED,
        architecture=replace(
            ARCHITECTURE, numeric_likelihood="student_t", count_likelihood="poisson"
        ),
    ),
}


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@dataclass(frozen=True, kw_only=True)
class Told:
    """What scipy says of (B, T, F) values; None where no oracle is."""

    log_probability: Floats
    best: Floats
    """Log-probability of the best fit at the same scale."""
    expected: Floats
    spread: Floats
    squared_residual: Floats


def told(likelihood: Likelihood, outputs: Tensor, values: Tensor) -> Told:
    oracle = next(oracle for kind, oracle in ORACLES.items() if isinstance(likelihood, kind))
    return oracle(likelihood, outputs.double().numpy(), values.double().numpy())


def told_of_location(distribution: Any, mean: Floats, values: Floats) -> Told:
    spread = np.broadcast_to(distribution.std(), values.shape)
    return Told(
        log_probability=distribution.logpdf(values),
        best=np.broadcast_to(distribution.logpdf(mean), values.shape),
        expected=mean,
        spread=spread,
        squared_residual=(values - mean) ** 2,
    )


def told_of_gaussian(likelihood: Any, outputs: Floats, values: Floats) -> Told:
    sigma = likelihood.sigma().detach().double().numpy()
    return told_of_location(stats.norm(outputs, sigma), outputs, values)


def told_of_unit(_: Any, outputs: Floats, values: Floats) -> Told:
    return told_of_location(stats.norm(outputs, 1.0), outputs, values)


def told_of_steps(likelihood: Any, outputs: Floats, values: Floats) -> Told:
    mean, raw = np.split(outputs, 2, axis=-1)
    sigma = likelihood.sigma_floor + np.logaddexp(0, raw)
    return told_of_location(stats.norm(mean, sigma), mean, values)


def told_of_laplace(likelihood: Any, outputs: Floats, values: Floats) -> Told:
    scale = likelihood.scale().detach().double().numpy()
    return told_of_location(stats.laplace(outputs, scale), outputs, values)


def told_of_student_t(likelihood: Any, outputs: Floats, values: Floats) -> Told:
    scale = likelihood.scale().detach().double().numpy()
    freedom = likelihood.freedom().detach().double().numpy()
    return told_of_location(stats.t(freedom, outputs, scale), outputs, values)


def rates_and_counts(outputs: Floats, values: Floats) -> tuple[Floats, Floats]:
    log_mean, log_std = (one.astype(np.float32).astype(float) for one in (LOG_MEAN, LOG_STD))
    rate = np.exp(outputs * log_std + np.log(np.expm1(log_mean)))
    return rate, np.expm1(values * log_std + log_mean).round()


def told_of_counts(
    rate: Floats, counts: Floats, values: Floats, distribution_of: Callable[[Floats], Any]
) -> Told:
    distribution = distribution_of(rate)
    expected = (np.log1p(rate) - LOG_MEAN) / LOG_STD
    # No distribution has mean 0; the limit of the log-probability of 0 is 0.
    at_counts = distribution_of(np.maximum(counts, 1e-12)).logpmf(counts)
    return Told(
        log_probability=distribution.logpmf(counts),
        best=np.where(counts == 0, 0.0, at_counts),
        expected=expected,
        spread=distribution.std() / (1 + rate) / LOG_STD,
        squared_residual=(values - expected) ** 2,
    )


def told_of_poisson(_: Any, outputs: Floats, values: Floats) -> Told:
    return told_of_counts(*rates_and_counts(outputs, values), values, stats.poisson)


def told_of_negative_binomial(likelihood: Any, outputs: Floats, values: Floats) -> Told:
    r = likelihood.total_count().detach().numpy()
    rate, counts = rates_and_counts(outputs, values)
    return told_of_counts(rate, counts, values, lambda mean: stats.nbinom(r, r / (r + mean)))


def told_of_bernoulli(_: Any, outputs: Floats, values: Floats) -> Told:
    distribution = stats.bernoulli(special.expit(outputs))
    return Told(
        log_probability=distribution.logpmf(values),
        best=np.zeros_like(values),
        expected=distribution.mean(),
        spread=distribution.std(),
        squared_residual=(values - distribution.mean()) ** 2,
    )


def told_of_categorical(likelihood: Any, outputs: Floats, values: Floats) -> Told:
    ends = np.cumsum([size + 1 for size in likelihood.sizes])[:-1]
    found = []
    for f, logits in enumerate(np.split(outputs, ends, axis=-1)):
        K = logits.shape[-1] - 1
        one_hot = np.eye(K + 1)[(values[..., f] * K).round().astype(int)]
        log_p = special.log_softmax(logits, axis=-1)
        p = np.exp(log_p)
        found.append(
            (
                (log_p * one_hot).sum(-1),
                p.argmax(-1) / K,
                1 - p.max(-1),
                ((p - one_hot) ** 2).sum(-1),
            )
        )
    log_probability, expected, spread, squared = np.moveaxis(np.array(found), 0, -1)
    return Told(
        log_probability=log_probability,
        best=np.zeros_like(values),
        expected=expected,
        spread=spread,
        squared_residual=squared,
    )


def told_of_mixed(likelihood: Any, outputs: Floats, values: Floats) -> Told:
    made = {name: np.empty_like(values) for name in Told.__dataclass_fields__}
    ends = np.cumsum([head.n_outputs for head in likelihood.heads.values()])[:-1]
    parts = np.split(outputs, ends, axis=-1)
    for (kind, head), part in zip(likelihood.heads.items(), parts, strict=True):
        columns = [f for f, feature in enumerate(MIXED) if feature.kind == kind]
        of_part = told(head, torch.from_numpy(part), torch.from_numpy(values[..., columns]))
        for name, array in made.items():
            array[..., columns] = getattr(of_part, name)
    return Told(**made)


ORACLES: dict[type[Likelihood], Callable[[Any, Floats, Floats], Told]] = {
    Gaussian: told_of_gaussian,
    UnitGaussian: told_of_unit,
    StepGaussian: told_of_steps,
    Laplace: told_of_laplace,
    StudentT: told_of_student_t,
    Poisson: told_of_poisson,
    NegativeBinomial: told_of_negative_binomial,
    Bernoulli: told_of_bernoulli,
    Categorical: told_of_categorical,
    Mixed: told_of_mixed,
}


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def samples_of(likelihood: Likelihood, n_samples: int) -> Sequence[Tensor]:
    return [likelihood(draw(B, T, H, seed=10 + number)).detach() for number in range(n_samples)]


def reconstructed(likelihood: Likelihood, values: Tensor, n_samples: int = 1) -> Reconstruction:
    with torch.no_grad():
        return likelihood.reconstruct(values, samples_of(likelihood, n_samples))


def assert_close(found: Tensor, expected: Floats) -> None:
    np.testing.assert_allclose(found.detach().double().numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_samples", [1, 4])
def test_log_probability_is_the_mean_density_over_samples(case: Case, n_samples: int) -> None:
    likelihood, values = case.make(), case.values()
    each = [told(likelihood, one, values) for one in samples_of(likelihood, n_samples)]
    made = reconstructed(likelihood, values, n_samples)
    assert_close(made.log_probability, np.mean([one.log_probability for one in each], axis=0))


def test_expected_and_spread_are_mean_and_standard_deviation(case: Case) -> None:
    likelihood, values = case.make(), case.values()
    made = reconstructed(likelihood, values)
    of_one = told(likelihood, samples_of(likelihood, 1)[0], values)
    assert_close(made.expected, of_one.expected)
    assert_close(made.spread, of_one.spread)
    assert (made.spread > 0).all()


@pytest.mark.parametrize("n_samples", [1, 4])
def test_squared_residual_is_the_mean_square_about_the_expected(case: Case, n_samples: int) -> None:
    likelihood, values = case.make(), case.values()
    each = [told(likelihood, one, values) for one in samples_of(likelihood, n_samples)]
    made = reconstructed(likelihood, values, n_samples)
    assert_close(made.squared_residual, np.mean([one.squared_residual for one in each], axis=0))


@pytest.mark.parametrize("n_samples", [1, 4])
def test_deviance_is_twice_the_log_probability_lost(case: Case, n_samples: int) -> None:
    """Against the best fit at the same scale; never less than nothing."""
    likelihood, values = case.make(), case.values()
    each = [told(likelihood, one, values) for one in samples_of(likelihood, n_samples)]
    made = reconstructed(likelihood, values, n_samples)
    lost = np.mean([2 * (one.best - one.log_probability) for one in each], axis=0)
    np.testing.assert_allclose(made.deviance.double().numpy(), lost, rtol=1e-4, atol=1e-4)
    assert (made.deviance >= 0).all()


@pytest.mark.parametrize("name", [*NUMERIC_FAMILIES, "log_gaussian"])
def test_deviance_at_the_expected_number_is_zero(name: str) -> None:
    likelihood = CASES[name].make()
    outputs = samples_of(likelihood, 1)
    made = likelihood.reconstruct(likelihood.reconstruct(draw(B, T, 3), outputs).expected, outputs)
    assert made.deviance.abs().max() == 0


@pytest.mark.parametrize("name", ["negative_binomial", "poisson"])
@pytest.mark.parametrize("count", [0.0, 1.0, 7.0, 1000.0])
def test_deviance_of_a_count_is_least_where_the_rate_is_the_count(name: str, count: float) -> None:
    likelihood: CountLikelihood = CASES[name].make()
    best = (np.log(max(count, 1e-6)) - np.log(np.expm1(LOG_MEAN))) / LOG_STD
    value = (np.log1p(count) - LOG_MEAN) / LOG_STD
    off = torch.linspace(-1, 1, 21)[:, None, None]
    outputs = torch.from_numpy(best).float() + off
    made = likelihood.reconstruct(torch.from_numpy(value).float().expand(21, 1, 3), [outputs])
    assert (made.deviance[10] < 1e-5).all()
    assert (made.deviance.diff(dim=0)[10:] > 0).all()
    if count:
        assert (made.deviance.diff(dim=0)[:10] < 0).all()


def test_arrays_are_per_step_and_feature(case: Case) -> None:
    likelihood, values = case.make(), case.values()
    made = reconstructed(likelihood, values, 2)
    for name in ARRAYS:
        assert getattr(made, name).shape == values.shape, name
        assert getattr(made, name).dtype == torch.float32, name
    assert [one.shape for one in made.residuals] == [values.shape] * 2


@pytest.mark.parametrize("name", [*NUMERIC_FAMILIES, *COUNT_FAMILIES, "bernoulli"])
def test_residuals_are_the_differences_to_each_samples_expectation(name: str) -> None:
    likelihood, values = CASES[name].make(), CASES[name].values()
    outputs = samples_of(likelihood, 3)
    for residual, one in zip(
        likelihood.reconstruct(values, outputs).residuals, outputs, strict=True
    ):
        assert_close(residual, values.double().numpy() - told(likelihood, one, values).expected)


def test_residual_of_a_category_is_what_its_probability_lacks() -> None:
    likelihood, values = CASES["categorical"].make(), CASES["categorical"].values()
    outputs = samples_of(likelihood, 2)
    for residual, one in zip(
        likelihood.reconstruct(values, outputs).residuals, outputs, strict=True
    ):
        assert_close(residual, 1 - np.exp(told(likelihood, one, values).log_probability))


@pytest.mark.parametrize("n_samples", [1, 3])
def test_newest_is_the_last_step_of_everything(case: Case, n_samples: int) -> None:
    made = reconstructed(case.make(), case.values(), n_samples)
    for name in ARRAYS:
        for n in (1, 2, T + 1):
            assert torch.equal(getattr(made.newest(n), name), getattr(made, name)[:, -n:]), name


def test_one_value_moves_its_own_entry_alone(case: Case) -> None:
    likelihood, values = case.make(), case.values()
    before = reconstructed(likelihood, values).log_probability
    values[2, 3, 1] = 0.0 if values[2, 3, 1] > 0.5 else 1.0
    moved = reconstructed(likelihood, values).log_probability != before
    assert moved.nonzero().tolist() == [[2, 3, 1]]


@pytest.mark.parametrize("scale", [0.0, 1.0, 10.0, 1e12])
def test_finite_for_any_finite_value(case: Case, scale: float) -> None:
    """Also for one that no scaler gives, such as what stands for a value that was not observed."""
    made = reconstructed(case.make(), scale * draw(B, T, len(case.features)))
    for name in ARRAYS:
        assert torch.isfinite(getattr(made, name)).all(), name


@pytest.mark.parametrize("scale", [30.0, 1e6])
def test_finite_for_any_state_of_the_decoder(case: Case, scale: float) -> None:
    likelihood, states = case.make(), scale * draw(B, T, H)
    made = likelihood.reconstruct(case.values(), [likelihood(states)])
    for name in ARRAYS:
        assert torch.isfinite(getattr(made, name)).all(), name
    assert (made.deviance >= 0).all()
    assert (made.spread > 0).all()
    torch.autograd.backward(made.log_probability.sum())
    for name, parameter in likelihood.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("rows", [slice(0, 1), slice(3, 11), slice(6, 7), slice(8, 40)])
def test_company_in_the_batch_changes_no_bit(case: Case, rows: slice) -> None:
    likelihood = case.make()
    states, values = (
        draw(40, T, H, seed=1),
        torch.cat([case.values(seed) for seed in range(6)])[:40],
    )
    with torch.no_grad():
        outputs = likelihood(states)
        whole = likelihood.reconstruct(values, [outputs])
        part = likelihood.reconstruct(values[rows].clone(), [outputs[rows].clone()])
    for name in ARRAYS:
        assert torch.equal(getattr(part, name), getattr(whole, name)[rows]), name


def test_what_was_not_observed_moves_no_parameter(case: Case) -> None:
    likelihood, states, values = case.make(), draw(B, T, H), case.values()
    observed = draw(*values.shape, seed=5) > -0.5
    gradients = []
    for other in (0.0, 7.0):
        filled = torch.where(observed, values, other)
        made = likelihood.reconstruct(filled, [likelihood(states)])
        loss = masked_sum(-made.log_probability, observed).sum()
        gradients.append(torch.autograd.grad(loss, list(likelihood.parameters())))
    for one, another in zip(*gradients, strict=True):
        assert torch.equal(one, another)


def test_a_planted_spike_never_lowers_the_deviance(case: Case) -> None:
    """Further from what is expected, or the least probable of the possible values."""
    likelihood, values = case.make(), case.values()
    made = reconstructed(likelihood, values)
    away = torch.where(values >= made.expected, 5.0, -5.0)
    of_quantity = reconstructed(likelihood, values + away).deviance
    codes = [torch.full_like(values, code) for code in torch.linspace(0, 1, 5).tolist()]
    of_each = torch.stack([reconstructed(likelihood, one).deviance for one in codes])
    of_codes = of_each.amax(dim=0)
    quantity = torch.tensor([one.kind in {"numeric", "count"} for one in case.features])
    assert (torch.where(quantity, of_quantity, of_codes) >= made.deviance).all()


def test_training_reaches_every_parameter(case: Case) -> None:
    """The loss falls by its own gradient, which no parameter is left out of."""
    likelihood, states, values = case.make(), draw(B, T, H), case.values()
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


@pytest.mark.parametrize("window_length", [1, T])
def test_tensors_have_other_names_than_the_networks(case: Case, window_length: int) -> None:
    """A bundle keeps both side by side."""
    architecture = replace(case.architecture, window_length=window_length, calendar=True)
    model = SequenceVae(case.features, architecture)
    assert not model.network.state_dict().keys() & model.likelihood.state_dict().keys()
    assert len(model.tensors()) == len(model.network.state_dict()) + len(
        model.likelihood.state_dict()
    )


def test_tensors_alone_tell_a_likelihood(case: Case) -> None:
    """Without the scaler, which a bundle keeps elsewhere."""
    likelihood, values = case.make(), case.values()
    again = build_likelihood(case.features, case.architecture)
    again.load_state_dict(likelihood.state_dict())
    for name in ARRAYS:
        found = getattr(reconstructed(again, values), name)
        assert torch.equal(found, getattr(reconstructed(likelihood, values), name)), name


def test_every_likelihood_is_held_to_this() -> None:
    built = {type(case.make()) for case in CASES.values()}
    assert built == set(ORACLES)


def test_numbers_alone_get_the_plain_gaussian() -> None:
    """Its parameters keep the names that bundles of earlier releases have."""
    plain = build_likelihood(features_of("numeric"), ArchitectureConfig())
    assert type(plain) is Gaussian
    assert plain.state_dict().keys() == {"to_mean.weight", "to_mean.bias", "raw_sigma"}


def test_gaussian_sigma_keeps_its_floor_and_starts_at_one() -> None:
    likelihood = Gaussian(3, hidden_size=H, sigma_floor=0.3)
    torch.testing.assert_close(likelihood.sigma().detach(), torch.ones(3))
    with torch.no_grad():
        likelihood.raw_sigma.fill_(-1e6)
    torch.testing.assert_close(likelihood.sigma().detach(), torch.full((3,), 0.3))


@pytest.mark.parametrize("count", [0, 1, 5, 1234, 400_000])
def test_counts_are_recovered_exactly(count: int) -> None:
    """From float32; above half a million to seven digits."""
    likelihood: CountLikelihood = CASES["poisson"].make()
    scaled = torch.from_numpy((np.log1p(count) - LOG_MEAN) / LOG_STD).float()
    assert likelihood.scaling.counts(scaled).tolist() == [count] * 3


def test_a_category_of_no_training_row_is_unlikely_from_the_start() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        likelihood = Categorical((4,), hidden_size=H)
    made = likelihood.reconstruct(torch.ones(B, T, 1), [likelihood(torch.zeros(B, T, H))])
    assert (made.log_probability < np.log(0.01)).all()
