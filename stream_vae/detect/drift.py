"""Watches whether scores over all series move: a sign that the model should be trained again."""

from river.drift import ADWIN


class DriftWatch:
    """Adaptive windowing (ADWIN) over the mean score of each micro-batch.

    It only tells; no verdict depends on it, since batches are cut by the clock.

    References:
        Bifet & Gavalda (2007), Learning from time-changing data with adaptive windowing.
    """

    def __init__(self) -> None:
        self._adwin = ADWIN(delta=1e-4)

    def update(self, mean_score: float) -> tuple[float, float] | None:
        """Take the next batch's finite mean score in.

        Returns:
            The mean before and after, where a change was found.
        """
        before = self._adwin.estimation
        self._adwin.update(mean_score)
        return (before, self._adwin.estimation) if self._adwin.drift_detected else None
