"""How bad an incident is, from how improbable and how large it has been so far."""

import math
from typing import Final

from stream_vae.core.alerts import Severity
from stream_vae.detect.config import IncidentConfig

RISING: Final[tuple[Severity, ...]] = ("info", "warning", "critical")


def size_of(deviation: float, n_anomalous: int, window_length: int) -> float:
    """Return the size of an incident: its deviation, which counts more the longer it lasts.

    Up to a window's length of anomalous readings the size is the deviation itself, since the window
    remembers a single unusual reading for as long. Beyond it grows with the square root of the
    number of readings, as the significance of a constant offset does.

    Args:
        deviation: Largest so far, in expected standard deviations.
        n_anomalous: Anomalous readings so far.
        window_length: T, in steps.

    >>> size_of(6.0, 2, 32), size_of(6.0, 128, 32)
    (6.0, 12.0)
    """
    return deviation * math.sqrt(max(n_anomalous / window_length, 1.0))


def severity_of(grade: float, size: float, config: IncidentConfig) -> Severity:
    """Return the severity by the rules of a configuration; it never falls as either grows.

    >>> rules = IncidentConfig()
    >>> [severity_of(grade, size, rules) for grade, size in [(0.1, 3), (1.0, 3), (1.0, 6), (0, 90)]]
    ['info', 'warning', 'critical', 'critical']
    """
    is_large = size >= config.warning_deviation
    if size >= config.critical_deviation or (is_large and _reaches(grade, config.critical_grade)):
        return "critical"
    return "warning" if is_large or _reaches(grade, config.warning_grade) else "info"


def _reaches(grade: float, least: float) -> bool:
    """Return whether an incident is as improbable; at 1, where grades end, none is."""
    return least < 1 and grade >= least


def worse_of(one: Severity, other: Severity) -> Severity:
    """Return the worse of two severities."""
    return max(one, other, key=RISING.index)
