"""How many lines of a log an incident has had so far, feature by feature."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.incidents import Incident
from stream_vae.core.time_grid import nearest_grid_point


class LineTotals:
    """Adds the counts of steps up, each once and as it is when no more lines of it can come.

    Of steps that are still open the windows tell: what an incident keeps ends before them. So the
    totals are those of the steps, however often one was judged.

    Args:
        features: Names of F.
        step_ns: Width of a step.
        lateness: Steps before the newest one that are still open.
    """

    def __init__(self, features: Sequence[str], *, step_ns: int, lateness: int) -> None:
        self._features = features
        self._step_ns = step_ns
        self._open_ns = (lateness + 1) * step_ns

    def before(self, step: int) -> int:
        """Return `lines_to` of an incident whose first step this is."""
        return step - self._step_ns

    def settled(self, incident: Incident, window: NDArray[np.float64], end: int) -> Incident:
        """Return an incident with the lines of the steps that are over after a window.

        Args:
            incident: Before.
            window: (T, F) lines; NaN = not observed.
            end: Of its newest step, nanoseconds since 1970.
        """
        if incident.lines_to is None:
            return incident
        newest, to = self.newest(incident), max(incident.lines_to, end - self._open_ns)
        own, after = _in_its_time(incident, newest)
        between = max(incident.lines_to, min(newest, to))
        more = self._counted(window, end, incident.lines_to, between)
        if more is None:
            return replace(incident, lines_to=None)
        rest = self._counted(window, end, between, to)
        if rest is None:  # it is known what there was until it paused
            rest, to = Counter(), between
        return replace(
            incident, lines=dict(own + more), lines_after=dict(after + rest), lines_to=to
        )

    def newest(self, incident: Incident) -> int:
        """Return the last anomalous step of an incident."""
        return nearest_grid_point(incident.last_anomalous_at, self._step_ns)

    def until(
        self, incident: Incident, window: NDArray[np.float64], end: int
    ) -> dict[str, int] | None:
        """Return the lines from an incident's first to its last anomalous step; None if not known.

        Args:
            incident: The incident.
            window: (T, F) lines; NaN = not observed.
            end: Of its newest step.
        """
        if incident.lines_to is None:
            return None
        newest = self.newest(incident)
        more = self._counted(window, end, incident.lines_to, newest)
        return None if more is None else dict(_in_its_time(incident, newest)[0] + more)

    def _counted(
        self, window: NDArray[np.float64], end: int, after: int, last: int
    ) -> Counter[str] | None:
        """Return the lines of the steps after one, up to the last; None if it lacks some of them.

        Where none could be judged for a window's length, the steps between are not known.
        """
        times = end - np.arange(len(window) - 1, -1, -1) * self._step_ns
        if times[0] > after + self._step_ns and after < last:
            return None
        found = np.nan_to_num(window[(times > after) & (times <= last)]).sum(axis=0)
        return Counter({self._features[f]: int(found[f]) for f in np.flatnonzero(found).tolist()})


def _in_its_time(incident: Incident, newest: int) -> tuple[Counter[str], Counter[str]]:
    """Return the known lines of an incident to its last anomalous step, and those after it."""
    lines, after = Counter(incident.lines), Counter(incident.lines_after)
    if incident.lines_to is not None and newest > incident.lines_to:  # it has gone on
        return lines + after, Counter()
    return lines, after
