"""The rules of a bundle's features, for those who have a history rather than a stream."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.feature_rule import refuse_other_rules
from stream_vae.core.feature_rules import FeatureRules
from stream_vae.core.model_spec import ModelSpec
from stream_vae.core.readings import ReadingBatch
from stream_vae.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class RuledHistory:
    """M readings after the rules: those of a history, and steps between that show what is held."""

    readings: ReadingBatch
    source: NDArray[np.int64]
    """(M,) position in the history; of a step between, of the reading that comes after it."""


def ruled_history(spec: ModelSpec, readings: ReadingBatch, max_gap: int) -> RuledHistory:
    """Return a history after the rules of its features.

    Args:
        spec: The model's inputs.
        readings: In arrival order.
        max_gap: Missing steps in a row that what is held bridges.
    """
    everything = np.arange(len(readings))
    numbers: dict[str, int] = {}
    rows = np.array([numbers.setdefault(key, len(numbers)) for key in readings.series], np.int32)
    step_ns = round(spec.step_seconds * 1e9)
    rules = FeatureRules.of_history(
        spec.features, step_ns=step_ns, max_gap=max_gap, n_series=len(numbers)
    )
    if rules is None:
        return RuledHistory(readings=readings, source=everything)
    ruled = rules.apply(rows, readings.times, readings.values)
    source = everything if ruled.filled is None else ruled.filled.source
    return RuledHistory(readings=ruled.readings(readings), source=source)


def check_rules(spec: ModelSpec, rules: Mapping[str, str]) -> None:
    """Refuse rules of the settings that are not the bundle's.

    Raises:
        ConfigError: If one differs.
    """
    try:
        refuse_other_rules({feature.name: feature.rule for feature in spec.features}, rules)
    except ValueError as exc:
        raise ConfigError(f"input.rules: {exc}") from None
