"""The share of readings above each series' threshold, corrected by what came of it."""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.columns import Columns
from stream_vae.detect.tail import TAIL_SHARE
from stream_vae.detect.threshold.openings import OpeningCounter, OpeningRule, opening_fields

_LEAST_SURPLUS = 20.0
_SURPLUS_READINGS = 10_000
"""Exceedances beyond what is asked of so many readings make the next ones e times rarer, as do 20
where less is asked. Autocorrelated scores cluster, so fewer would follow single excursions."""
_MOST_SHARE_SHIFT = 0.7
"""A factor of two; more would hold the share where much of a stream is anomalous, and hide it."""

_REFERENCE_SHARE = 0.01
_STEP = 0.5
"""Of the logarithm of the rate, for each incident more or less than the budget has."""
_MOST_BUDGET_SHIFT = float(np.log(10))
_READINGS_REMEMBERED = 20_000.0
_READINGS_OF_PRIOR = 2_000.0
_PER_INCIDENT = 12.0
"""Readings above a level in one incident, before a series has shown its own number: a window is
unusual until it has forgotten what was."""
LEAST_SHARE = 1e-9
MOST_PER_READING = 1 / 200
"""Largest budget, incidents a reading."""


class AlarmRate(Protocol):
    """Chooses the share of each series' readings that are to lie above its threshold."""

    nominal: float
    """The share that a new series begins with."""

    def observe(self, seen: "Seen") -> None:
        """Count readings that were judged."""
        ...

    def revise(self, due: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return (D,) shares for distinct series from now on, and start counting anew."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """B judged readings, revisions left out."""

    rows: NDArray[np.int32]
    """(B,) series; equal ones adjacent, in arrival order."""
    scores: NDArray[np.float64]
    """(B,)"""
    anomalous: NDArray[np.bool_]
    """(B,)"""
    learnt: NDArray[np.bool_]
    """(B,) whether the score is admitted."""


class FixedShare:
    """The share as asked, whatever comes of it.

    Args:
        share: In (0, 0.5).
    """

    FIELDS: Final = ()

    def __init__(self, share: float) -> None:
        self.nominal = share

    def observe(self, seen: Seen) -> None:
        """Count nothing."""

    def revise(self, due: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the share for each."""
        return np.full(len(due), self.nominal)


class AskedShare:
    """A share that is held by slow feedback: each surplus exceedance makes the next ones rarer.

    Quantiles of few or autocorrelated scores are exceeded more often than their share, by up to
    several times; the surplus corrects that. Only admitted exceedances count, so that an anomaly of
    any length cannot lift the threshold further than the quota allows.

    Args:
        share: Asked for; in (0, 0.5).
        state: With the columns `FIELDS`.
    """

    FIELDS: Final = (("shift", "<f8"), ("rate_read", "<i4"), ("rate_above", "<i4"))

    def __init__(self, share: float, state: Columns) -> None:
        self.nominal = share
        self._slowness = max(_LEAST_SURPLUS, share * _SURPLUS_READINGS)
        self._shift: NDArray[np.float64] = state["shift"]  # (S,) log of asked over aimed at
        self._read: NDArray[np.int32] = state["rate_read"]  # (S,) since the last refresh
        self._above: NDArray[np.int32] = state["rate_above"]  # (S,) admitted exceedances of them

    def observe(self, seen: Seen) -> None:
        """Count readings and admitted exceedances."""
        _add(self._read, seen.rows, np.ones(len(seen.rows), np.int32))
        _add(self._above, seen.rows, (seen.anomalous & seen.learnt).astype(np.int32))

    def revise(self, due: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the shares of distinct series from now on."""
        surplus = self._above[due] - self.nominal * self._read[due]
        shift = self._shift[due] + surplus / self._slowness
        self._shift[due] = np.clip(shift, -_MOST_SHARE_SHIFT, _MOST_SHARE_SHIFT)
        self._read[due] = self._above[due] = 0
        return np.minimum(self.nominal * np.exp(-self._shift[due]), 0.5)


class BudgetedShare:
    """The share at which a series opens as many incidents as its budget has.

    Readings above a threshold come in runs, so a share says little about incidents. Each series
    counts, by the rule of incidents, how often one would open at a reference level that 1 % of its
    scores exceed; the tail of its scores tells how much rarer exceedances are at a higher level,
    and episodes are taken to become rarer by the same factor (declustered peaks over threshold).
    What is left is corrected by slow feedback: each incident beyond the budget makes the next ones
    rarer by a factor of 1.65, and each that fails to come as much more frequent, within ten times.

    Args:
        per_reading: Incidents in one reading of a series, as budgeted.
        rule: Of incidents.
        state: With the columns `fields`.
        shares_out: Whether `per_reading` is of all series together.

    References:
        Ferro & Segers (2003), Inference for clusters of extreme values, JRSS B 65.
    """

    REFERENCE_SHARE: Final = _REFERENCE_SHARE

    def __init__(
        self, per_reading: float, rule: OpeningRule, state: Columns, *, shares_out: bool = False
    ) -> None:
        self.per_reading = self._of_all = per_reading
        self.nominal = nominal_share(per_reading)
        self._shares_out = shares_out
        self._begun: NDArray[np.bool_] = state["rate_begun"]
        self._at_threshold = OpeningCounter.within(state, "alarm", rule)
        self._at_reference = OpeningCounter.within(state, "reference", rule)
        self.level: NDArray[np.float64] = state["reference"]  # (S,) score
        self._shift: NDArray[np.float64] = state["shift"]
        self._read: NDArray[np.int32] = state["rate_read"]
        self._opened: NDArray[np.int32] = state["rate_opened"]
        self._reference: NDArray[np.int32] = state["rate_reference"]
        self._known_read: NDArray[np.float64] = state["known_read"]
        self._known_opened: NDArray[np.float64] = state["known_opened"]

    @staticmethod
    def fields() -> tuple[tuple[object, ...], ...]:
        """Return the fields of its state."""
        return (
            ("shift", "<f8"),
            ("reference", "<f8"),
            ("known_read", "<f8"),
            ("known_opened", "<f8"),
            ("rate_read", "<i4"),
            ("rate_opened", "<i4"),
            ("rate_reference", "<i4"),
            ("rate_begun", "?"),
            *opening_fields("alarm"),
            *opening_fields("reference"),
        )

    @staticmethod
    def begin(row: NDArray[np.void], reference: float) -> None:
        """Write the state of a new series, whose reference level is known from the calibration."""
        row["reference"] = reference
        row["known_read"] = _READINGS_OF_PRIOR
        row["known_opened"] = _READINGS_OF_PRIOR * _REFERENCE_SHARE / _PER_INCIDENT

    def share_among(self, n_series: int) -> None:
        """Divide a budget of all series among as many."""
        if self._shares_out:
            self.per_reading = self._of_all / max(n_series, 1)
            self.nominal = nominal_share(self.per_reading)

    def newcomers(self, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return distinct series of (B,) rows whose share of the budget is to be set; once."""
        if not self._shares_out:
            return rows[:0]
        new = np.unique(rows[~self._begun[rows]])
        self._begun[new] = True
        return new

    def observe(self, seen: Seen) -> None:
        """Count incidents at the threshold and at the reference level."""
        rows = seen.rows
        _add(self._read, rows, np.ones(len(rows), np.int32))
        _add(self._opened, rows, self._at_threshold.observe(rows, seen.anomalous).astype(np.int32))
        is_above = seen.scores > self.level[rows]
        _add(self._reference, rows, self._at_reference.observe(rows, is_above).astype(np.int32))

    def revise(self, due: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the shares of distinct series from now on."""
        read = self._read[due]
        kept = np.exp(-read / _READINGS_REMEMBERED)
        self._known_read[due] = self._known_read[due] * kept + read
        self._known_opened[due] = self._known_opened[due] * kept + self._reference[due]
        surplus = self._opened[due] - self.per_reading * read
        shift = self._shift[due] + _STEP * surplus
        self._shift[due] = np.clip(shift, -_MOST_BUDGET_SHIFT, _MOST_BUDGET_SHIFT)
        self._read[due] = self._opened[due] = self._reference[due] = 0
        at_reference = np.maximum(self._known_opened[due], 0.5) / self._known_read[due]
        share = _REFERENCE_SHARE * self.per_reading / at_reference * np.exp(-self._shift[due])
        return np.clip(share, LEAST_SHARE, TAIL_SHARE)


def nominal_share(per_reading: float) -> float:
    """Return the share of readings above the threshold of a new series, from its budget.

    Args:
        per_reading: Incidents in one reading of a series, as budgeted.
    """
    return float(np.clip(per_reading * _PER_INCIDENT, LEAST_SHARE, TAIL_SHARE))


def _add(column: NDArray[np.int32], rows: NDArray[np.int32], amounts: NDArray[np.int32]) -> None:
    """Add (B,) amounts to the rows of a column, in which equal rows may repeat."""
    np.add.at(column, rows, amounts)
