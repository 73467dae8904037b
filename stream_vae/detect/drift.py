"""Drift of the scores over all series: a sign that the model should be retrained."""

from river.drift import ADWIN


class DriftWatch:
    """Adaptive windowing (ADWIN) over the mean score of each micro-batch.

    It only reports; no verdict depends on it, since batches are cut by the clock.

    References:
        Bifet & Gavalda (2007), Learning from time-changing data with adaptive windowing.
    """

    def __init__(self) -> None:
        self._adwin = ADWIN(delta=1e-4)

    def update(self, mean_score: float) -> tuple[float, float] | None:
        """Add the finite mean score of the next batch.

        Returns:
            The mean before and after, if a change is detected.
        """
        before = self._adwin.estimation
        self._adwin.update(mean_score)
        return (before, self._adwin.estimation) if self._adwin.drift_detected else None
