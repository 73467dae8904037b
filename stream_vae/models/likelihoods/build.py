"""The likelihood that features and architecture call for."""

from collections.abc import Callable, Mapping, Sequence

from stream_vae.core.model_spec import Feature
from stream_vae.core.scaling import Scaler
from stream_vae.models.config import ArchitectureConfig
from stream_vae.models.likelihoods.bernoulli import Bernoulli
from stream_vae.models.likelihoods.categorical import Categorical
from stream_vae.models.likelihoods.counts import LogScaling
from stream_vae.models.likelihoods.gaussian import Gaussian, StepGaussian, UnitGaussian
from stream_vae.models.likelihoods.laplace import Laplace
from stream_vae.models.likelihoods.likelihood import Likelihood
from stream_vae.models.likelihoods.mixed import Mixed
from stream_vae.models.likelihoods.negative_binomial import NegativeBinomial
from stream_vae.models.likelihoods.poisson import Poisson
from stream_vae.models.likelihoods.student_t import StudentT

_WITH_FLOOR: Mapping[str, type[Gaussian | StepGaussian | Laplace | StudentT]] = {
    "gaussian": Gaussian,
    "gaussian_per_step": StepGaussian,
    "laplace": Laplace,
    "student_t": StudentT,
}

_OF_COUNTS: Mapping[str, type[NegativeBinomial | Poisson]] = {
    "negative_binomial": NegativeBinomial,
    "poisson": Poisson,
}


def build_likelihood(
    features: Sequence[Feature], architecture: ArchitectureConfig, scaler: Scaler | None = None
) -> Likelihood:
    """Return the likelihood of an architecture, with first parameters from torch's generator.

    Args:
        features: F of them; each kind gets a head of its own.
        architecture: Names the likelihoods.
        scaler: Of the features; None if the parameters are to be loaded from a bundle.
    """
    columns: dict[str, list[int]] = {
        kind: [f for f, feature in enumerate(features) if feature.kind == kind] for kind in _HEADS
    }
    heads: dict[str, Likelihood] = {
        kind: _HEADS[kind]([features[f] for f in chosen], architecture, _at(scaler, chosen))
        for kind, chosen in columns.items()
        if chosen
    }
    return next(iter(heads.values())) if len(heads) == 1 else Mixed(heads, columns)


def _numeric(
    features: Sequence[Feature], architecture: ArchitectureConfig, _: LogScaling | None
) -> Likelihood:
    H = architecture.hidden_size
    if architecture.numeric_likelihood == "gaussian_unit":
        return UnitGaussian(len(features), hidden_size=H)
    family = _WITH_FLOOR[architecture.numeric_likelihood]
    return family(len(features), hidden_size=H, sigma_floor=architecture.sigma_floor)


def _count(
    features: Sequence[Feature], architecture: ArchitectureConfig, scaling: LogScaling | None
) -> Likelihood:
    H = architecture.hidden_size
    if architecture.count_likelihood == "log_gaussian":  # scaled counts are logarithms already
        return Gaussian(len(features), hidden_size=H, sigma_floor=architecture.sigma_floor)
    family = _OF_COUNTS[architecture.count_likelihood]
    return family(len(features), hidden_size=H, scaling=scaling)


def _binary(
    features: Sequence[Feature], architecture: ArchitectureConfig, _: LogScaling | None
) -> Likelihood:
    return Bernoulli(len(features), hidden_size=architecture.hidden_size)


def _categorical(
    features: Sequence[Feature], architecture: ArchitectureConfig, _: LogScaling | None
) -> Likelihood:
    sizes = [len(feature.categories) for feature in features]
    return Categorical(sizes, hidden_size=architecture.hidden_size)


def _at(scaler: Scaler | None, columns: Sequence[int]) -> LogScaling | None:
    if scaler is None:
        return None
    chosen = list(columns)
    return LogScaling(scaler.mean[chosen].tolist(), scaler.std[chosen].tolist())


_HEADS: Mapping[
    str,
    Callable[[Sequence[Feature], ArchitectureConfig, LogScaling | None], Likelihood],
] = {"numeric": _numeric, "count": _count, "binary": _binary, "categorical": _categorical}
