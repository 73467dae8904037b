"""The threshold that the settings name."""

from stream_vae.core.model_spec import ModelSpec
from stream_vae.detect.config import DetectConfig, ThresholdConfig
from stream_vae.detect.threshold.alarm_rate import MOST_PER_READING
from stream_vae.detect.threshold.fixed import FixedThreshold
from stream_vae.detect.threshold.likelihood import LikelihoodThreshold
from stream_vae.detect.threshold.mean_sd import MeanSdThreshold
from stream_vae.detect.threshold.openings import OpeningRule
from stream_vae.detect.threshold.percentile import PercentileThreshold, ReadingBudget
from stream_vae.detect.threshold.pot import PotThreshold
from stream_vae.detect.threshold.threshold import Threshold
from stream_vae.errors import ConfigError

_CRITERIA = {"youden": "Youden's index", "best_f1": "best F1"}


def build_threshold(config: DetectConfig, spec: ModelSpec, score: str, capacity: int) -> Threshold:
    """Return the threshold on a score.

    Args:
        config: Method and parameters of the threshold, the budget, and the rule of incidents.
        spec: The calibration, and the values chosen on labels.
        score: One that the bundle is calibrated for.
        capacity: Series; memory is used only for those that were ever started.

    Raises:
        ConfigError: If the method needs labels and the model was trained without them, or the
            budget has more incidents than can be told apart.
    """
    calibration = spec.calibration[score]
    chosen = config.threshold
    every = ring_stride(spec.cycle_steps, chosen.window)
    match chosen.method:
        case "auto" | "percentile":
            budget = _in_readings(config, spec)
            return PercentileThreshold(chosen, calibration, capacity, budget=budget, every=every)
        case "mean_sd":
            return MeanSdThreshold(chosen, calibration, capacity, every=every)
        case "likelihood":
            usual = spec.tracking.get(score)
            return LikelihoodThreshold(chosen, calibration, capacity, usual=usual)
        case "pot":
            return PotThreshold(chosen, calibration, capacity, every=every)
        case "fixed":
            assert chosen.value is not None  # noqa: S101 -- the settings refuse that
            return FixedThreshold(
                chosen.value,
                calibration,
                capacity,
                method=f"fixed value {chosen.value:g}",
                identity="fixed",
            )
        case "labelled":
            return FixedThreshold(
                _labelled_value(chosen, spec, score),
                calibration,
                capacity,
                method=f"{_CRITERIA[chosen.criterion]} on labelled validation data",
                identity=f"labelled:{chosen.criterion}",
            )


def _in_readings(config: DetectConfig, spec: ModelSpec) -> ReadingBudget | None:
    budget = config.alarm_budget
    if budget is None:
        return None
    per_reading = budget.per_second * spec.step_seconds / (budget.fleet_size or 1)
    shares_out = budget.is_shared and budget.fleet_size is None
    if per_reading > MOST_PER_READING and not shares_out:
        raise ConfigError(
            f"detect.budget: found {config.budget!r}, an incident in "
            f"{1 / per_reading:.0f} readings of {spec.step_seconds:g} s; expected at most one in "
            f"{1 / MOST_PER_READING:.0f}, which are needed to tell incidents apart"
        )
    incident = config.incident
    rule = OpeningRule(
        open_after=incident.opens_after,
        open_within=incident.open_within,
        resolve_after=incident.resolve_after,
    )
    return ReadingBudget(
        per_reading=per_reading,
        words=" ".join(config.budget.split()),
        rule=rule,
        shares_out=shares_out,
    )


def ring_stride(cycle_steps: int, window: int) -> int:
    """Return of how many admitted scores one is remembered, so that the ring holds a cycle.

    Args:
        cycle_steps: Of the longest rhythm found at training; 0 if there is none.
        window: Scores in the ring.
    """
    return max(1, -(-cycle_steps // window))


def _labelled_value(config: ThresholdConfig, spec: ModelSpec, score: str) -> float:
    found = spec.labelled_thresholds.get(score, {})
    if config.criterion not in found:
        others = ", ".join(sorted(spec.labelled_thresholds))
        raise ConfigError(
            f"detect.threshold.method: found 'labelled', but the bundle {spec.id!r} has no value "
            f"of the score {score!r} that was chosen on labels ({config.criterion}), "
            f"{f'only of {others}' if others else 'nor of any other'}. Expected a bundle trained "
            "on data whose last rows, held out for validation and calibration, have labels of both "
            "kinds, or another method"
        )
    return found[config.criterion]
