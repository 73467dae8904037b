"""The scaler of training values whose features are of several kinds."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature, FeatureKind
from stream_vae.core.scaling import Scaler, Transform

Scaling = Literal["standard", "min_max", "robust"]
"""Of numeric features: mean and standard deviation; least value and range; or median and
interquartile range / 1.349, which is the standard deviation of a normal distribution."""

_NORMAL_QUARTILES = 1.349

_TRANSFORMS: Mapping[FeatureKind, Transform] = {
    "numeric": "linear",
    "count": "log1p",
    "binary": "linear",
    "categorical": "code",
}


def fit_scaler(
    values: NDArray[np.float64], features: Sequence[Feature], *, scaling: Scaling = "standard"
) -> Scaler:
    """Return the scaler of training values.

    Counts are standardised after log(1 + count), by no less than the spread there of a Poisson
    distribution of their mean. Binary values stay 0 and 1; codes of K categories are divided by K.

    Args:
        values: (N, F) in input units; NaN = not observed and is ignored.
        features: F.
        scaling: Of numeric features.
    """
    kinds = [feature.kind for feature in features]
    is_count = np.array([kind == "count" for kind in kinds])
    with np.errstate(invalid="ignore"):
        logarithmic = np.where(is_count, np.log1p(np.maximum(values, 0.0)), values)
    standard = Scaler.fit(logarithmic)
    mean, std = standard.mean.copy(), standard.std.copy()
    # The standard deviation of log(1 + count) is about sqrt(m) / (1 + m) at a mean m.
    std[is_count] = np.maximum(std, np.exp(-0.5 * np.where(is_count, mean, 0.0)))[is_count]
    for f, feature in enumerate(features):
        if feature.kind == "binary":
            mean[f], std[f] = 0.0, 1.0
        elif feature.kind == "categorical":
            mean[f], std[f] = 0.0, max(len(feature.categories), 1)
        elif feature.kind == "numeric" and scaling != "standard":
            mean[f], std[f] = _FITS[scaling](values[:, f], float(mean[f]), float(std[f]))
    return Scaler(mean=mean, std=std, clip=standard.clip, transforms=transforms_of(features))


def transforms_of(features: Sequence[Feature]) -> tuple[Transform, ...]:
    """Return the transform of each feature's kind; nothing if all are numeric."""
    if all(feature.kind == "numeric" for feature in features):
        return ()
    return tuple(_TRANSFORMS[feature.kind] for feature in features)


def _min_max(values: NDArray[np.float64], mean: float, std: float) -> tuple[float, float]:
    """Return the least observed value and the range; a constant keeps its standard scale."""
    seen = values[np.isfinite(values)]
    if not len(seen) or seen.max() == seen.min():
        return mean, std
    low, high = float(seen.min()), float(seen.max())
    # Halves: the range of the largest numbers overflows.
    return low, min(2 * (high / 2 - low / 2), float(np.finfo(np.float64).max))


def _robust(values: NDArray[np.float64], mean: float, std: float) -> tuple[float, float]:
    """Return median and scaled interquartile range; the standard scale where that is zero."""
    seen = values[np.isfinite(values)]
    if not len(seen):
        return mean, std
    low, middle, high = np.quantile(seen, (0.25, 0.5, 0.75)).tolist()
    spread = (high - low) / _NORMAL_QUARTILES
    return middle, spread if 0 < spread < np.inf else std


_FITS = {"min_max": _min_max, "robust": _robust}
