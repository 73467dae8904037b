"""Likelihoods: from the decoder's states to a probability of every value.

One module per family; `mixed` composes them by the kinds of the features. To add one: write a
`Likelihood`, and let `build_likelihood` choose it. `tests/models/test_every_likelihood.py` checks
the properties that scores rely on.
"""

from stream_vae.models.likelihoods.build import build_likelihood
from stream_vae.models.likelihoods.gaussian import Gaussian, GaussianReconstruction, gaussian_nll
from stream_vae.models.likelihoods.likelihood import Likelihood, masked_sum, standard_normal_kl

__all__ = [
    "Gaussian",
    "GaussianReconstruction",
    "Likelihood",
    "build_likelihood",
    "gaussian_nll",
    "masked_sum",
    "standard_normal_kl",
]
