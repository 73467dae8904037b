"""How often readings lie above the threshold and incidents open: as asked, and as it came."""

from dataclasses import dataclass

from stream_vae.detect.budget import WEEK_S
from stream_vae.detect.config import DetectConfig

_RATE_METHODS = {"percentile", "pot"}
"""Others ask for no share of the readings."""
_LEAST_S = 600.0
"""Of less time, such as that of events without one, no rate can be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Two rates; None where nothing is asked, or there is too little to tell."""

    above: float | None
    """Share of the readings with a score that lie above their series' threshold."""
    incidents: float | None
    """Of one series in a second of event time, on average."""

    @property
    def above_per_1000(self) -> float | None:
        """Readings above the threshold of 1,000 with a score."""
        return None if self.above is None else 1000 * self.above

    @property
    def incidents_per_series_week(self) -> float | None:
        """Incidents of one series in a week of event time, on average."""
        return None if self.incidents is None else WEEK_S * self.incidents


def asked_rates(config: DetectConfig, n_series: int) -> Rates:
    """Return what the settings ask for.

    Args:
        config: With nothing left open; see `in_profile`.
        n_series: Held now, among which a budget of all of them is divided.
    """
    budget = config.alarm_budget
    if budget is not None:
        sharing = (budget.fleet_size or max(n_series, 1)) if budget.is_shared else 1
        return Rates(above=None, incidents=budget.per_second / sharing)
    has_share = config.threshold.method in _RATE_METHODS
    return Rates(above=1 - config.threshold.asked if has_share else None, incidents=None)


def realised_rates(*, judged: int, anomalous: int, opened: int, step_s: float) -> Rates:
    """Return what came of it.

    Args:
        judged: Readings with a score.
        anomalous: Those of them above their threshold.
        opened: Incidents.
        step_s: Event time for which a reading stands.
    """
    time_s = judged * step_s
    return Rates(
        above=anomalous / judged if judged else None,
        incidents=opened / time_s if time_s >= _LEAST_S else None,
    )
