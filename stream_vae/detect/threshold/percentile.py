"""Adaptive percentile threshold per series."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.detect.config import ThresholdConfig
from stream_vae.detect.tail import FIT, TailFit, fit_tail
from stream_vae.detect.threshold.alarm_rate import AskedShare, BudgetedShare, nominal_share
from stream_vae.detect.threshold.learnt import (
    LearntThreshold,
    first_scores,
    floor_of,
    headroom_of,
    row_type,
)
from stream_vae.detect.threshold.openings import OpeningRule
from stream_vae.detect.threshold.threshold import Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingBudget:
    """A budget of incidents, in readings of a series."""

    per_reading: float
    """Incidents in one reading."""
    words: str
    """As the operator gave it."""
    rule: OpeningRule
    """Of incidents."""
    shares_out: bool = False
    """Whether `per_reading` is of all series of the instance together."""


class PercentileThreshold(LearntThreshold):
    """A percentile over each series' own last admitted scores.

    Above 90 % it is that of a generalised Pareto distribution over the highest tenth (peaks over
    threshold; Pickands 1975, fitted by probability-weighted moments, Hosking & Wallis 1987), for
    which the window holds enough scores. Beyond 1 in 1,000 a tail lighter than exponential is taken
    to be exponential. P-values follow the same fit.

    The percentile is as asked, corrected by how many readings were above it, or the one at which
    incidents keep their budget; see `AskedShare` and `BudgetedShare`.

    Args:
        config: `quantile`, and those of every learnt threshold.
        calibration: Ascending, evenly spaced quantiles of held-out scores: the initial scores of
            every new series.
        capacity: Series; memory is used only for those that were ever started.
        budget: Of incidents; `quantile` is not used with one.
        every: Admitted scores of which one is remembered.
    """

    def __init__(
        self,
        config: ThresholdConfig,
        calibration: NDArray[np.float64],
        capacity: int,
        *,
        budget: ReadingBudget | None = None,
        every: int = 1,
    ) -> None:
        self._budget = budget
        fields = AskedShare.FIELDS if budget is None else BudgetedShare.fields()
        begun: NDArray[np.void] = np.zeros((), row_type(config.window, (*FIT, *fields)))
        begun["scores"] = first_scores(calibration, config.window)
        share = 1 - config.asked if budget is None else nominal_share(budget.per_reading)
        fit = fit_tail(begun["scores"][None], 1 - share)
        fit.write(begun)
        begun["reach"], begun["centre"] = fit.reach(share)[0], fit.centre[0]
        begun["limit"] = fit.p_value(fit.threshold)[0]
        if budget is not None:
            BudgetedShare.begin(begun, float(fit.level(BudgetedShare.REFERENCE_SHARE)[0]))
        super().__init__(config, begun, capacity, every=every)
        self._fit = TailFit.within(self.state)
        self._budgeted: BudgetedShare | None = None
        if budget is None:
            self._control(AskedShare(share, self.state))
        else:
            self._budgeted = BudgetedShare(
                budget.per_reading, budget.rule, self.state, shares_out=budget.shares_out
            )
            self._control(self._budgeted)

    @property
    def method(self) -> str:
        """Description of the threshold, for alert events."""
        of = f"of {self._config.window} scores"
        if self._budget is not None:
            return f"rolling percentile {of} for {self._budget.words}"
        return f"rolling percentile {self._config.asked * 100:g} {of}"

    @property
    def _asked(self) -> str:
        """The budget or the share."""
        return self._budget.words if self._budget is not None else f"{self._config.asked}"

    def share_among(self, n_series: int) -> None:
        """Divide the budget of a fleet among as many series, each from its next refresh on."""
        if self._budgeted is not None:
            self._budgeted.share_among(n_series)

    def judge(
        self, rows: NDArray[np.int32], scores: NDArray[np.float64], revises: NDArray[np.bool_]
    ) -> Judgement:
        """Judge B scores; see `LearntThreshold`."""
        if self._budgeted is not None:
            self._begin(self._budgeted.newcomers(rows), self._budgeted.nominal)
        return super().judge(rows, scores, revises)

    def _begin(self, new: NDArray[np.int32], share: float) -> None:
        """Set the first thresholds of series that share a budget: the calibration's."""
        fit = self._fit.at(new)
        self._threshold[new] = fit.level(share)
        self._reach[new] = fit.reach(share)
        self._limit[new] = self._p_value(new, self._threshold[new])
        self._floor[new] = floor_of(self._threshold[new], self._reach[new])
        self._headroom[new] = headroom_of(
            self._threshold[new] - self._centre[new], self._reach[new]
        )

    def _p_value(self, rows: NDArray[np.int32], scores: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._fit.at(rows).p_value(scores)

    def _refresh(self, due: NDArray[np.int32], share: NDArray[np.float64]) -> None:
        fit = fit_tail(self._scores[due], 1 - share)
        self._fit.set(due, fit)
        self._centre[due] = fit.centre
        self._reach[due] = fit.reach(share)
        if self._budgeted is not None:
            self._budgeted.level[due] = fit.level(self._budgeted.REFERENCE_SHARE)
