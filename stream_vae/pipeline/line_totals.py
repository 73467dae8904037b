"""How many lines of a log an incident has had so far, feature by feature."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.incidents import Incident
from stream_vae.core.windows import nearest_grid_point


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

    def settled(
        self, incident: Incident, window: NDArray[np.float64], end: int
    ) -> tuple[dict[str, int], int | None]:
        """Return `lines` and `lines_to` of an incident after a window.

        Args:
            incident: Before.
            window: (T, F) lines; NaN = not observed.
            end: Of its newest step, nanoseconds since 1970.
        """
        if incident.lines_to is None:
            return incident.lines, None
        to = max(incident.lines_to, min(end - self._open_ns, self.newest(incident)))
        found = self.until(incident, window, end, to)
        # Where none could be judged for a window's length, the steps between are not known.
        return (incident.lines, None) if found is None else (found, to)

    def newest(self, incident: Incident) -> int:
        """Return the last anomalous step of an incident."""
        return nearest_grid_point(incident.last_anomalous_at, self._step_ns)

    def until(
        self,
        incident: Incident,
        window: NDArray[np.float64],
        end: int,
        last: int | None = None,
    ) -> dict[str, int] | None:
        """Return the lines from an incident's first step on; None if they are not known.

        Args:
            incident: The incident.
            window: (T, F) lines; NaN = not observed.
            end: Of its newest step.
            last: The last step that counts; without, the last anomalous one.
        """
        if incident.lines_to is None:
            return None
        last = self.newest(incident) if last is None else last
        times = end - np.arange(len(window) - 1, -1, -1) * self._step_ns
        if times[0] > incident.lines_to + self._step_ns and incident.lines_to < last:
            return None
        counted = (times > incident.lines_to) & (times <= last)
        more = np.nan_to_num(window[counted]).sum(axis=0)
        at = np.flatnonzero(more > 0).tolist()
        return dict(
            Counter(incident.lines) + Counter({self._features[f]: int(more[f]) for f in at})
        )
