"""Incident state machine per series (config first, state below)."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentConfig:
    """When anomalous readings become an incident and when it is over."""

    open_after: Annotated[int, Ge(1), Le(64)] = 2
    """Anomalous readings (M) among the last `open_within` that open an incident."""

    open_within: Annotated[int, Ge(1), Le(64)] = 3
    """Readings (N) looked back on."""

    resolve_after: Annotated[int, Ge(1)] = 5
    """Consecutive normal readings that resolve it."""

    cooldown_s: Annotated[float, Ge(0)] = 0.0
    """Event time after a resolution during which the series opens no new incident."""

    warning_grade: Annotated[float, Ge(0), Le(1)] = 0.3
    """Grade from which an incident is a warning; below it is info."""

    critical_grade: Annotated[float, Ge(0), Le(1)] = 0.7
    """Grade from which an incident is critical."""

    max_features: Annotated[int, Ge(1)] = 10
    """Features listed in an alert event, largest contribution first."""

    def __post_init__(self) -> None:
        """Hold the fields against each other."""
        if self.open_after > self.open_within:
            msg = (
                f"open_after ({self.open_after}) of open_within ({self.open_within}) readings can "
                "never be reached; open_after must be <= open_within"
            )
            raise ValueError(msg)
        if self.warning_grade > self.critical_grade:
            msg = (
                f"warning_grade ({self.warning_grade}) must be <= critical_grade "
                f"({self.critical_grade})"
            )
            raise ValueError(msg)
