"""How far two detectors agree on one history."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.verdicts import Verdict
from stream_vae.evaluate.history import FoundIncident, History


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Scores and incidents of detectors A and B on the same readings."""

    both_scored: int
    """Readings that both gave a score."""
    rank_correlation: float
    """Spearman's, of their scores on these; NaN where one does not vary."""
    anomalous_a: int
    """Of these, readings that A alone takes for anomalous."""
    anomalous_b: int
    """And B alone."""
    anomalous_both: int
    incidents_a: tuple[FoundIncident, ...]
    """Incidents of A that touch none of B."""
    incidents_b: tuple[FoundIncident, ...]
    """Incidents of B that touch none of A."""
    incidents_both: tuple[FoundIncident, ...]
    """Incidents of A that touch one of B."""


def agreement(a: History, b: History) -> Agreement:
    """Return how far two histories of the same readings agree."""
    both = a.is_judged & b.is_judged
    alarm_a, alarm_b = (one.verdict[both] == Verdict.ANOMALOUS for one in (a, b))
    apart = _apart(a.incidents, b.incidents)
    return Agreement(
        both_scored=int(both.sum()),
        rank_correlation=rank_correlation(a.score[both], b.score[both]),
        anomalous_a=int((alarm_a & ~alarm_b).sum()),
        anomalous_b=int((alarm_b & ~alarm_a).sum()),
        anomalous_both=int((alarm_a & alarm_b).sum()),
        incidents_a=apart,
        incidents_b=_apart(b.incidents, a.incidents),
        incidents_both=tuple(one for one in a.incidents if one not in apart),
    )


def rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return Spearman's correlation of two columns; equal values share their mean rank.

    >>> rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 90.0]))
    1.0
    """
    first, second = _ranks(one), _ranks(other)
    if not len(first) or not np.ptp(first) or not np.ptp(second):
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean: NDArray[np.float64] = np.cumsum(counts) - (counts - 1) / 2
    return mean[which]


def _apart(
    incidents: Sequence[FoundIncident], others: Sequence[FoundIncident]
) -> tuple[FoundIncident, ...]:
    """Return the incidents that no other one of their series overlaps."""
    spans: dict[str, list[FoundIncident]] = {}
    for one in others:
        spans.setdefault(one.series, []).append(one)
    return tuple(
        one
        for one in incidents
        if not any(
            other.started_at <= one.ended_at and other.ended_at >= one.started_at
            for other in spans.get(one.series, ())
        )
    )
