"""Rules of features, applied to readings in arrival order before they become steps.

Changes of counters and values that stand until the next one need to know what came before: that is
part of each series' state. The same readings give the same values however they are polled, and
those of a history in order of time give what they would give as a stream.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.columns import Columns
from stream_vae.core.counter_changes import GIVEN, REASONS, CounterChanges
from stream_vae.core.feature_rule import FeatureRule
from stream_vae.core.held_values import Gaps, HeldValues
from stream_vae.core.model_spec import Feature
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.series_lines import SeriesOrder
from stream_vae.core.time_grid import NEVER

_BEYOND = len(REASONS)
_REASONS = (*REASONS, ("beyond_range", "its rule makes it more than a 64-bit float holds"))


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingByRule:
    """Values of one feature that are missing by its rule, for one reason."""

    feature: str
    reason: str
    count: int
    at: int
    """Position of the first reading with one."""
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledSteps:
    """M readings, some of which are steps that no reading made: they show what is held."""

    source: NDArray[np.int64]
    """(M,) position of the given reading; of a step between, of the one that comes after it."""
    times: NDArray[np.int64]
    """(M,)"""
    is_filled: NDArray[np.bool_]
    """(M,)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruled:
    """Readings after the rules: those that were given, and steps between them."""

    values: NDArray[np.float64]
    """(M, F) NaN = not observed."""
    missing: tuple[MissingByRule, ...]
    """Positions are of the given readings."""
    filled: FilledSteps | None
    """None: there are no steps between."""

    def readings(self, given: ReadingBatch) -> ReadingBatch:
        """Return the M readings; a step between has all but time and values of the one after."""
        if self.filled is not None:
            given = replace(given.take(self.filled.source), times=self.filled.times)
        return replace(given, values=self.values)


class FeatureRules:
    """Applies the rules of a model's features.

    Args:
        features: F.
        step_ns: Width of the grid, nanoseconds.
        max_gap: Steps in a row without a reading that a held value fills; none of a longer gap.
        last_steps: Returns the number of the newest step of series, NEVER where there is none.
        capacity: Rows.
    """

    def __init__(
        self,
        features: Sequence[Feature],
        *,
        step_ns: int,
        max_gap: int,
        last_steps: Callable[[NDArray[np.int32]], NDArray[np.int64]],
        capacity: int,
    ) -> None:
        rules = [feature.rule or FeatureRule() for feature in features]
        self._names = [feature.name for feature in features]
        self._step_ns = step_ns
        self._scale = np.array([rule.scale for rule in rules])
        self._is_scaled = bool((self._scale != 1).any())
        self._changed = _where(rule.change is not None for rule in rules)
        self._changes = CounterChanges(
            np.array([rules[f].change == "rate" for f in self._changed], np.bool_)
        )
        self._held = _where(rule.hold_s > 0 for rule in rules)
        self._holds = HeldValues(
            np.array([round(rules[f].hold_s * 1e9) for f in self._held], np.int64),
            max_gap,
            last_steps,
        )
        self.state = Columns(_initial(self._changes, self._holds), capacity)

    @classmethod
    def of(
        cls,
        features: Sequence[Feature],
        *,
        step_ns: int,
        max_gap: int,
        last_steps: Callable[[NDArray[np.int32]], NDArray[np.int64]],
        capacity: int,
    ) -> "FeatureRules | None":
        """Return the rules of features; None if there are none."""
        if not any(feature.rule for feature in features):
            return None
        return cls(
            features,
            step_ns=step_ns,
            max_gap=max_gap,
            last_steps=last_steps,
            capacity=capacity,
        )

    @classmethod
    def of_history(
        cls, features: Sequence[Feature], *, step_ns: int, max_gap: int, n_series: int
    ) -> "FeatureRules | None":
        """Return the rules of features over whole series, before which there was nothing.

        Args:
            features: F.
            step_ns: Width of the grid, nanoseconds.
            max_gap: Missing steps in a row that a held value bridges.
            n_series: In rows 0 to n_series - 1.
        """
        rules = cls.of(
            features,
            step_ns=step_ns,
            max_gap=max_gap,
            last_steps=lambda rows: np.full(len(rows), NEVER),
            capacity=n_series,
        )
        if rules is not None:
            rules.state.begin(np.arange(n_series, dtype=np.int32))
        return rules

    @property
    def has_state(self) -> bool:
        """Whether what came before matters."""
        return bool(len(self._changed) or len(self._held))

    def apply(
        self, rows: NDArray[np.int32], times: NDArray[np.int64], values: NDArray[np.float64]
    ) -> Ruled:
        """Return readings after the rules.

        Args:
            rows: (N,) row of each reading's series, started before.
            times: (N,) event time, nanoseconds since 1970; those of a series in arrival order.
            values: (N, F) as sent; NaN = not observed.
        """
        if not self.has_state or not len(rows):
            with np.errstate(over="ignore"):
                line = values * self._scale
            return Ruled(
                values=line, missing=tuple(self._beyond(line, np.arange(len(rows)))), filled=None
            )
        order = SeriesOrder.of(rows, times, self._step_ns)
        line = values[order.at]
        missing: list[MissingByRule] = []
        if len(self._changed):
            line[:, self._changed], why = self._changes.apply(
                self.state, order, line[:, self._changed]
            )
            missing += self._tell(why, self._changed, order.at)
        if self._is_scaled:
            with np.errstate(over="ignore"):
                line *= self._scale
        missing += self._beyond(line, order.at)
        gaps = None
        if len(self._held):
            line[:, self._held], gaps = self._holds.apply(self.state, order, line[:, self._held])
        ruled = np.empty_like(line)
        ruled[order.at] = line
        if gaps is None:
            return Ruled(values=ruled, missing=tuple(missing), filled=None)
        return self._with_gaps(ruled, times, tuple(missing), gaps)

    def _with_gaps(
        self,
        values: NDArray[np.float64],
        times: NDArray[np.int64],
        missing: tuple[MissingByRule, ...],
        gaps: Gaps,
    ) -> Ruled:
        """Return the readings, each with the steps between before it."""
        n, n_between = len(values), len(gaps.after)
        between = np.full((n_between, values.shape[1]), np.nan)
        between[:, self._held] = gaps.values
        source = np.concatenate((gaps.after, np.arange(n)))
        order = np.argsort(source, kind="stable")
        return Ruled(
            values=np.concatenate((between, values))[order],
            missing=missing,
            filled=FilledSteps(
                source=source[order],
                times=np.concatenate((gaps.times, times))[order],
                is_filled=order < n_between,
            ),
        )

    def _beyond(self, line: NDArray[np.float64], at: NDArray[np.int64]) -> Iterator[MissingByRule]:
        """Make infinite values missing, and yield what to tell of them."""
        wrong = np.isinf(line)
        if wrong.any():
            line[wrong] = np.nan
            why = np.where(wrong, np.int8(_BEYOND), np.int8(GIVEN))
            yield from self._tell(why, np.arange(line.shape[1]), at)

    def _tell(
        self, why: NDArray[np.int8], features: NDArray[np.int64], at: NDArray[np.int64]
    ) -> Iterator[MissingByRule]:
        """Yield what to tell of missing values.

        Args:
            why: (n, C) sorted.
            features: (C,)
            at: (n,) position of each reading.
        """
        for code, (reason, detail) in enumerate(_REASONS):
            found = why == code
            if not found.any():
                continue
            for column in np.flatnonzero(found.any(axis=0)).tolist():
                which = at[found[:, column]]
                yield MissingByRule(
                    feature=self._names[features[column]],
                    reason=reason,
                    count=len(which),
                    at=int(which.min()),
                    detail=detail,
                )


def _where(chosen: Iterable[bool]) -> NDArray[np.int64]:
    return np.flatnonzero(np.array([*chosen], np.bool_))


def _initial(changes: CounterChanges, holds: HeldValues) -> NDArray[np.void]:
    """Return what is known of a new series: no value (NaN)."""
    fields = [field for part in (changes, holds) if len(part) for field in part.state_fields()]
    begun: NDArray[np.void] = np.zeros((), fields)
    for name, kind, _ in fields:
        if kind == "<f8":
            begun[name] = np.nan
    return begun
