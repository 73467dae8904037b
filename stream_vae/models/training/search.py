"""A search over settings: which are tried, and which one is best."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stream_vae.errors import ConfigError
from stream_vae.models.bundle import Bundle
from stream_vae.models.bundle_format import with_version
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.provenance import Candidate, Tried
from stream_vae.models.training.training_windows import rows_for_one_window

WINDOW_LENGTHS = (8, 16, 32, 64, 128)
HIDDEN_SIZES = (16, 32, 48, 64)
LATENT_SIZES = (2, 4, 8, 16)
SEARCHED_SCORES = ("log_probability", "recency", "last_step", "squared_error")

CHECKED_LEVEL = 0.99
"""Quantile of the calibration part that the validation part is held against."""

AS_LIKELY = 0.02
"""Nats per observed value within which two settings count as equally likely."""

AS_CALIBRATED = 0.005
"""Share of windows by which two sets of members count as equally well calibrated."""


def applied(candidate: Candidate, architecture: ArchitectureConfig) -> ArchitectureConfig:
    """Return the architecture with a candidate's sizes."""
    return replace(
        architecture,
        window_length=candidate.window_length,
        hidden_size=candidate.hidden_size,
        latent_size=candidate.latent_size,
    )


def draw_candidates(
    count: int,
    *,
    architecture: ArchitectureConfig,
    training: TrainingConfig,
    longest: int,
) -> tuple[Candidate, ...]:
    """Return the settings as they are, then others drawn by the seed, all different.

    Windows of one step stay so. A window must fit into each part of the longest series twice over.

    Args:
        count: Trials.
        architecture: As set; first to be tried.
        training: Gives the seed and the cut.
        longest: Rows of the longest series.
    """
    first = Candidate(
        window_length=architecture.window_length,
        hidden_size=architecture.hidden_size,
        latent_size=architecture.latent_size,
        score=None,
    )
    lengths = [
        length
        for length in WINDOW_LENGTHS
        if architecture.window_length > 1 and rows_for_one_window(2 * length, training) <= longest
    ] or [architecture.window_length]
    rng = np.random.default_rng(training.seed)
    every = [
        Candidate(window_length=length, hidden_size=hidden, latent_size=latent, score=score)
        for length in lengths
        for hidden in HIDDEN_SIZES
        for latent in LATENT_SIZES
        for score in SEARCHED_SCORES
    ]
    return (first, *(every[at] for at in rng.permutation(len(every))[: count - 1].tolist()))


def calibration_error(quantiles: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """Return how far the share of scores above the 0.99 quantile is from 0.01.

    Args:
        quantiles: Of the calibration part, at even levels from 0 to 1.
        scores: Of the validation part.
    """
    limit = np.interp(CHECKED_LEVEL, np.linspace(0, 1, len(quantiles)), quantiles)
    return abs(float((scores > limit).mean()) - (1 - CHECKED_LEVEL))


def best_of(tried: Sequence[Tried], *, by_labels: bool) -> int:
    """Return the position of the best trial.

    That is the one best calibrated of those within 0.02 nats per value of the likeliest; by labels,
    the one with the highest average precision.

    Raises:
        ConfigError: If none ended.
    """
    ended = [
        (one.log_likelihood, one.calibration_error, one.average_precision or 0.0, at)
        for at, one in enumerate(tried)
        if one.log_likelihood is not None and one.calibration_error is not None
    ]
    if not ended:
        raise ConfigError(
            f"search: found {len(tried)} trials and none that ended in time, expected one; give "
            "more --trial-seconds"
        )
    if by_labels:
        return max(ended, key=lambda one: (one[2], -one[3]))[3]
    likeliest = max(one[0] for one in ended)
    close = [one for one in ended if one[0] >= likeliest - AS_LIKELY]
    return min(close, key=lambda one: (one[1], one[3]))[3]


def best_set_of(tried: Sequence[Tried], *, by_labels: bool) -> int:
    """Return the position of the best set of members of one network; the first is the one asked.

    By labels it is the one with the highest average precision. Without them a smaller set must be
    clearly better calibrated: how well it would find anomalies is not known.
    """
    if by_labels:
        return best_of(tried, by_labels=True)
    errors = [np.inf if one.calibration_error is None else one.calibration_error for one in tried]
    at = int(np.argmin(errors))
    return at if errors[at] < errors[0] - AS_CALIBRATED else 0


def as_best(bundle: Bundle, tried: Sequence[Tried], kept: int) -> Bundle:
    """Return the bundle of the kept trial with its score as the default, and what was tried."""
    score = tried[kept].candidate.score or bundle.spec.score
    table = tuple(replace(one, is_kept=at == kept) for at, one in enumerate(tried))
    return with_version(
        replace(
            bundle,
            spec=replace(bundle.spec, score=score),
            training=replace(bundle.training, search=table),
        )
    )
