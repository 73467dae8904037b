"""Why a series above its threshold has no incident, in words."""

from stream_vae.core.event_time import END_NS, utc
from stream_vae.core.feature_words import deviation_in_words
from stream_vae.core.incidents import IncidentState
from stream_vae.detect.config import IncidentConfig


def why_quiet(
    state: IncidentState | None, rules: IncidentConfig, deviation: float | None = None
) -> str:
    """Return why the newest reading of a series, which is anomalous, has opened no incident.

    Args:
        state: Of the series' incidents; None if no reading of late counts.
        rules: When an incident opens.
        deviation: How far the reading is from expected, if that is known.

    Returns:
        The words; "" where it is not known, as while state is restored.
    """
    recent = () if state is None else state.recent
    if not recent or not recent[-1].anomalous:
        off = recent[-1].deviation if recent else deviation
        return _too_small(rules.min_deviation, off)
    n_anomalous = sum(one.anomalous for one in recent)
    if n_anomalous < rules.opens_after:
        return (
            f"above the threshold in {n_anomalous} of the last {rules.open_within} readings, an "
            f"incident opens at {rules.opens_after} (detect.incident.open_after)"
        )
    if state is not None and state.resolved is not None and rules.cooldown_s:
        until = utc(min(state.resolved.time + int(rules.cooldown_s * 1e9), END_NS - 1))
        return (
            f"its last incident has just ended, the next may open from {until:%Y-%m-%d %H:%M:%S} "
            "UTC (detect.incident.cooldown_s)"
        )
    return ""


def _too_small(least: float, deviation: float | None) -> str:
    if not least:
        return ""
    found = "" if deviation is None else f", {deviation_in_words(deviation)},"
    return f"its largest deviation{found} is below {least:,.4g} sd (detect.incident.min_deviation)"
