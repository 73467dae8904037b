"""Drift of the scores over all series: a sign that the model should be retrained."""

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from river.drift import ADWIN


def load() -> None:
    """Import what the first score needs, ahead of it; takes longer than a second."""
    import river.drift  # noqa: F401, PLC0415


class DriftWatch:
    """Adaptive windowing (ADWIN) over the mean score of each micro-batch.

    It only reports; no verdict depends on it, since batches are cut by the clock.

    References:
        Bifet & Gavalda (2007), Learning from time-changing data with adaptive windowing.
    """

    @cached_property
    def _adwin(self) -> "ADWIN":
        # Not with this module, whose importers would all wait for river.
        from river.drift import ADWIN  # noqa: PLC0415

        return ADWIN(delta=1e-4)

    def update(self, mean_score: float) -> tuple[float, float] | None:
        """Add the finite mean score of the next batch.

        Returns:
            The mean before and after, if a change is detected.
        """
        before = self._adwin.estimation
        self._adwin.update(mean_score)
        return (before, self._adwin.estimation) if self._adwin.drift_detected else None
