"""Settings of the logs."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt, Le


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggingConfig:
    """Level and format of the logs."""

    format: Literal["auto", "json", "console"] = "auto"
    """`json` writes one object per line, `console` is for people; `auto` uses `console` on a
    terminal."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe line that is written."""

    summary_period_s: Annotated[float, Gt(0), Le(1e9)] = 60.0
    """Time between two summary lines; repeated warnings of one kind are also held back for this
    time and then logged with their count."""
