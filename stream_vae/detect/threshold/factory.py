"""The threshold that the settings name."""

from stream_vae.core.model_spec import ModelSpec
from stream_vae.detect.config import ThresholdConfig
from stream_vae.detect.threshold.fixed import FixedThreshold
from stream_vae.detect.threshold.mean_sd import MeanSdThreshold
from stream_vae.detect.threshold.percentile import PercentileThreshold
from stream_vae.detect.threshold.pot import PotThreshold
from stream_vae.detect.threshold.threshold import Threshold
from stream_vae.errors import ConfigError

_CRITERIA = {"youden": "Youden's index", "best_f1": "best F1"}


def build_threshold(
    config: ThresholdConfig, spec: ModelSpec, score: str, capacity: int
) -> Threshold:
    """Return the threshold on a score.

    Args:
        config: Its method, and the method's parameters.
        spec: The calibration, and the values chosen on labels.
        score: One that the bundle is calibrated for.
        capacity: Series; memory is used only for those that were ever started.

    Raises:
        ConfigError: If the method needs labels and the model was trained without them.
    """
    calibration = spec.calibration[score]
    match config.method:
        case "percentile":
            return PercentileThreshold(config, calibration, capacity)
        case "mean_sd":
            return MeanSdThreshold(config, calibration, capacity)
        case "pot":
            return PotThreshold(config, calibration, capacity)
        case "fixed":
            assert config.value is not None  # noqa: S101 -- the settings refuse that
            return FixedThreshold(
                config.value,
                calibration,
                capacity,
                method=f"fixed value {config.value:g}",
                identity="fixed",
            )
        case "labelled":
            return FixedThreshold(
                _labelled_value(config, spec, score),
                calibration,
                capacity,
                method=f"{_CRITERIA[config.criterion]} on labelled validation data",
                identity=f"labelled:{config.criterion}",
            )


def _labelled_value(config: ThresholdConfig, spec: ModelSpec, score: str) -> float:
    found = spec.labelled_thresholds.get(score, {})
    if config.criterion not in found:
        with_labels = sorted(spec.labelled_thresholds) or "no score"
        raise ConfigError(
            f"detect.threshold.method: found 'labelled', but the bundle {spec.id!r} has no value "
            f"of the score {score!r} that was chosen on labels ({config.criterion}); it has one "
            f"for {with_labels}. Expected a bundle trained on data whose last rows, held out for "
            "validation and calibration, have labels of both kinds, or another method"
        )
    return found[config.criterion]
