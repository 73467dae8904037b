"""Incidents that a row of verdicts opens: M of N anomalous, until a run of normal ones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.columns import Columns
from stream_vae.detect.threshold.runs import Runs


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningRule:
    """When an incident opens and closes; see `IncidentConfig`."""

    open_after: int = 2
    open_within: int = 3
    resolve_after: int = 5


def opening_fields(name: str) -> tuple[tuple[object, ...], ...]:
    """Return the fields of the state of one counter."""
    return ((f"{name}_last", "<u8"), (f"{name}_calm", "<i4"), (f"{name}_open", "?"))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningCounter:
    """Counts openings by the rule of incidents, except for cool-down and least deviation.

    Where N is greater than the run that resolves, anomalous readings from before a resolution still
    count among the last N, which the rule of incidents forgets.
    """

    rule: OpeningRule
    last: NDArray[np.uint64]
    """(S,) the last N readings, the newest in the lowest bit; 1 = anomalous."""
    calm: NDArray[np.int32]
    """(S,) normal readings since the last anomalous one."""
    is_open: NDArray[np.bool_]
    """(S,)"""

    @classmethod
    def within(cls, state: Columns, name: str, rule: OpeningRule) -> "OpeningCounter":
        """Return the counter kept in the columns `opening_fields`."""
        return cls(
            rule=rule,
            last=state[f"{name}_last"],
            calm=state[f"{name}_calm"],
            is_open=state[f"{name}_open"],
        )

    def observe(self, rows: NDArray[np.int32], anomalous: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return (B,) whether a reading opens an incident, and go on from there.

        Args:
            rows: (B,) series; equal ones adjacent, in arrival order.
            anomalous: (B,)
        """
        if not len(rows):
            return np.empty(0, np.bool_)
        runs = Runs.of(rows)
        series = rows[runs.starts]
        position = runs.cumulative(np.ones(len(rows), np.int64))
        calm = runs.since(anomalous, position)
        is_early = calm == position  # no anomalous reading in this batch yet
        calm += np.where(is_early, self.calm[rows], 0)
        closes = ~anomalous & (calm == self.rule.resolve_after)
        # From one closing to the next, the first reading with M of N opens.
        part = runs.cumulative(closes.astype(np.int64))
        triggers = anomalous & (self._of_last(rows, anomalous, position) >= self.rule.open_after)
        parts = Runs.of(rows, part)
        nth = parts.cumulative(triggers.astype(np.int64))
        was_open = self.is_open[rows] & (part == 0)
        opens = triggers & (nth == 1) & ~was_open
        ends = runs.ends
        self.is_open[series] = (nth[ends] > 0) | was_open[ends]
        self.calm[series] = np.minimum(calm[ends], np.iinfo(np.int32).max)
        self._remember(series, anomalous, runs)
        return np.asarray(opens)

    def _of_last(
        self, rows: NDArray[np.int32], anomalous: NDArray[np.bool_], position: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return (B,) anomalous readings among the last N, the reading's own included."""
        count = anomalous.astype(np.int64)
        before = self.last[rows]
        for lag in range(1, self.rule.open_within):
            shifted = np.concatenate([np.zeros(min(lag, len(rows)), np.bool_), anomalous[:-lag]])
            age = np.maximum(lag - position, 0).astype(np.uint64)  # in the readings of before
            is_set = (before >> age) & np.uint64(1)
            count += np.where(position > lag, shifted, is_set.astype(np.bool_))
        return count

    def _remember(
        self, series: NDArray[np.int32], anomalous: NDArray[np.bool_], runs: Runs
    ) -> None:
        sizes = runs.ends - runs.starts + 1
        bits = np.zeros(len(series), np.uint64)
        for lag in range(min(self.rule.open_within, int(sizes.max()))):
            at = np.maximum(runs.ends - lag, 0)
            is_set = anomalous[at] & (lag < sizes)
            bits |= is_set.astype(np.uint64) << np.uint64(lag)
        kept = np.where(sizes < 64, self.last[series] << np.minimum(sizes, 63).astype(np.uint64), 0)
        # Older ones than the rule looks at would be there or not by how readings were cut.
        known = np.uint64((1 << self.rule.open_within) - 1)
        self.last[series] = (bits | kept) & known
