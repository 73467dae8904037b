"""Whether training values are of their features' kinds."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature, FeatureKind
from stream_vae.errors import ConfigError
from stream_vae.models.training.training_windows import TrainingSeries


def check_values(series: Sequence[TrainingSeries], features: Sequence[Feature]) -> None:
    """Reject values that are not of their feature's kind.

    Raises:
        ConfigError: If there is one; names series, row, feature, found and expected.
    """
    for f, feature in enumerate(features):
        if feature.kind == "numeric":
            continue
        for one in series:
            column = one.values[:, f]
            wrong = np.flatnonzero(~np.isnan(column) & ~_IS_OF_KIND[feature.kind](column, feature))
            if wrong.size:
                raise ConfigError(
                    f"series {one.key!r}, row {wrong[0]}, feature {feature.name!r}: found "
                    f"{column[wrong[0]]:g}, expected {_expected(feature)}"
                )


def _expected(feature: Feature) -> str:
    if feature.kind == "count":
        return "a whole number >= 0 (kind count); numbers of any size are of kind numeric"
    if feature.kind == "binary":
        return "0 or 1 (kind binary); more values are of kind categorical, count or numeric"
    return f"the code of a category, 0 to {len(feature.categories)} (the last one: unseen)"


def _is_count(values: NDArray[np.float64], _: Feature) -> NDArray[np.bool_]:
    is_count: NDArray[np.bool_] = np.isfinite(values) & (values >= 0) & (values == np.rint(values))
    return is_count


def _is_binary(values: NDArray[np.float64], _: Feature) -> NDArray[np.bool_]:
    return np.isin(values, (0, 1))


def _is_code(values: NDArray[np.float64], feature: Feature) -> NDArray[np.bool_]:
    return _is_count(values, feature) & (values <= len(feature.categories))


_IS_OF_KIND: Mapping[FeatureKind, Callable[[NDArray[np.float64], Feature], NDArray[np.bool_]]] = {
    "count": _is_count,
    "binary": _is_binary,
    "categorical": _is_code,
}
