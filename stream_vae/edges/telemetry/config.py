"""Settings of the logs."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt, Le


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggingConfig:
    """What is logged, and how it looks."""

    format: Literal["auto", "json", "console"] = "auto"
    """`json` writes one object a line, `console` is for eyes; `auto` takes `console` on a
    terminal."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe line that is written."""

    summary_period_s: Annotated[float, Gt(0), Le(1e9)] = 60.0
    """Time between two summary lines; repeated warnings of one kind also wait so long and then
    carry their count."""
