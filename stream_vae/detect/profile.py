"""What the settings of detection leave open, by the number of a model's features."""

from dataclasses import replace

from stream_vae.core.model_spec import ModelSpec
from stream_vae.detect.config import DetectConfig, ThresholdConfig
from stream_vae.errors import ConfigError

_RANGE_MARGIN = 0.05
_COOLDOWN_WINDOWS = 4


def in_profile(config: DetectConfig, spec: ModelSpec) -> DetectConfig:
    """Return the settings with nothing left open.

    A single series has little to tell noise from a fault by: the profile `univariate` judges means
    of a few scores, heeds values it never had, opens an incident at once, and then stays quiet for
    four windows, since what follows an alarm in the same series seldom is another fault. Whoever
    sets the threshold or a budget gets the percentile, which holds one, and the rest as for several
    features. Events have no order in time and no profile of their own.

    Args:
        config: As set; settings that are resolved stay as they are.
        spec: Of the model.

    Raises:
        ConfigError: If it makes a setting useless that is set.
    """
    is_single = config.profile == "univariate" or (
        config.profile == "auto" and len(spec.features) == 1 and not spec.has_events
    )
    threshold, incident = config.threshold, config.incident
    if threshold.method == "auto":
        is_open = threshold == ThresholdConfig() and config.alarm_budget is None
        threshold = replace(
            threshold, method="likelihood" if is_single and is_open else "percentile"
        )
    if threshold.method == "likelihood" and config.tracking.changes:
        raise ConfigError(
            f"detect.tracking: found {config.tracking.changes}, which threshold.method likelihood, "
            "that of detect.profile univariate, does not use; expected it unset, or detect.profile "
            "multivariate"
        )
    is_judged_so = is_single and threshold.method == "likelihood"
    if incident.open_after is None:
        incident = replace(incident, open_after=1 if is_judged_so else incident.opens_after)
    if incident.cooldown_s is None:
        quiet_s = _COOLDOWN_WINDOWS * spec.window_length * spec.step_seconds
        incident = replace(incident, cooldown_s=quiet_s if is_judged_so else 0.0)
    margin = config.range_margin
    if margin is None:
        margin = _RANGE_MARGIN if is_judged_so else 0.0
    return replace(
        config,
        profile="univariate" if is_single else "multivariate",
        threshold=threshold,
        incident=incident,
        range_margin=margin,
    )
