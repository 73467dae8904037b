"""An alarm budget in words: so many incidents in a time, for each series or for a fleet of them."""

import math
import re
from dataclasses import dataclass
from typing import Final

_PERIODS: Final = {
    "hour": 3600.0,
    "day": 86_400.0,
    "week": 7 * 86_400.0,
    "month": 30 * 86_400.0,
    "year": 365 * 86_400.0,
}
WEEK_S: Final = _PERIODS["week"]

_WORDS = re.compile(
    r"\s*(?P<incidents>[0-9]+(?:\.[0-9]+)?)\s+per\s+"
    r"(?P<scope>series|fleet(?:\s+of\s+(?P<size>[0-9]+))?)\s+per\s+(?P<period>[a-z]+)\s*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How many incidents are wanted."""

    incidents: float
    """Greater than 0."""
    period_s: float
    """In event time."""
    is_shared: bool
    """Whether they are those of all series together, each having an equal share."""
    fleet_size: int | None = None
    """Series that share them; None for as many as this instance has."""

    @property
    def per_second(self) -> float:
        """Incidents a second of event time: of a series, or of all that share them."""
        return self.incidents / self.period_s


def parse_budget(text: str) -> Budget:
    """Read a budget.

    >>> parse_budget("1 per series per week").is_shared
    False
    >>> parse_budget("3 per fleet of 200 per day").fleet_size
    200

    Args:
        text: `N per series per PERIOD`, `N per fleet per PERIOD` or `N per fleet of M per PERIOD`;
            N a decimal number, PERIOD an hour, day, week, month (30 days) or year (365 days).

    Raises:
        ValueError: If it says anything else, or no incident or series at all.
    """
    found = _WORDS.fullmatch(text.lower())
    if found is None or found["period"] not in _PERIODS:
        raise ValueError(
            f"found {text!r}, expected '1 per series per week', '3 per fleet per day' or "
            f"'3 per fleet of 200 per day': a number, and one of {', '.join(_PERIODS)}"
        )
    incidents = float(found["incidents"])
    size = int(found["size"]) if found["size"] else None
    if not 0 < incidents < math.inf or size == 0:
        raise ValueError(f"found {text!r}, expected more than no incident, and at least one series")
    return Budget(
        incidents=incidents,
        period_s=_PERIODS[found["period"]],
        is_shared=found["scope"] != "series",
        fleet_size=size,
    )
