"""Whether the stream fits the model: all features are observed, at about the model's step.

A stream that does not fit causes no error: each reading is valid, but few or none can be judged.
"""

from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import ModelSpec
from stream_vae.core.readings import ReadingBatch
from stream_vae.events import (
    Event,
    FeaturesNotObserved,
    StreamMeasured,
    StreamStepDiffered,
    UnknownFieldsIgnored,
)

JUDGED_AFTER = 100
"""Readings of this instance after which a feature that none of them had is reported, and intervals
after which the stream's step is."""

STEP_RATIO = 1.5
"""A stream is reported if its usual interval differs from the model's step by this factor."""

NAMES_TOLD = 10
"""Most features named in one event; their total number is also given."""

_FOLLOWED_ROWS = 1024  # series whose intervals are measured: the first ones
_SAMPLE = 1000  # intervals of which the median is taken
_READINGS_BETWEEN = 20_000  # two samples, since measuring costs a tenth of decoding
_NEVER = np.iinfo(np.int64).min


class StreamFit:
    """Counts observed features and intervals and compares them with the model's.

    Its state does not survive a restart.

    Args:
        spec: The model's inputs.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._names = tuple(feature.name for feature in spec.features)
        self._model_step_s = spec.step_seconds
        self._has_order = not spec.has_events  # events come whenever they do
        self._readings = 0
        self._observed = np.zeros(len(self._names), np.int64)
        self._n_missing_told = 0
        self._unknown_fields: list[str] = []
        self._last_time = np.full(_FOLLOWED_ROWS, _NEVER)
        self._intervals_s: list[NDArray[np.float64]] = []
        self._n_intervals = 0
        self._measure_from = 0  # readings
        self._step_s: float | None = None
        self._step_told_s: float | None = None

    @property
    def complaint(self) -> str:
        """Description of what does not fit; empty if nothing is known."""
        return "; ".join(filter(None, (self.missing_complaint, self.step_complaint)))

    @property
    def missing_complaint(self) -> str:
        """Which features were never observed; empty if all were, or too little is known."""
        missing = self._missing()
        if not missing or self._readings < JUDGED_AFTER:
            return ""
        names = ", ".join(missing[:NAMES_TOLD]) + (", ..." if len(missing) > NAMES_TOLD else "")
        return f"{len(missing)} of {len(self._names)} features never observed: {names}"

    @property
    def step_complaint(self) -> str:
        """How the stream's step differs from the model's; empty if it does not."""
        step_s = self._step_s
        if step_s is None or not self._step_differs(step_s):
            return ""
        return f"readings come every {step_s:g} s, the model's step is {self._model_step_s:g} s"

    def observe(
        self, readings: ReadingBatch, rows: NDArray[np.int32], unknown_fields: Sequence[str]
    ) -> list[Event]:
        """Add N readings; return the events to record.

        Args:
            readings: Of one poll.
            rows: (N,) row of each reading's series.
            unknown_fields: Fields found for the first time that are not features.
        """
        observed = _count_observed(readings.values)
        self._observed += observed
        self._readings += len(readings)
        if self._readings > self._measure_from:
            self._measure_intervals(readings.times, rows)
        self._unknown_fields += unknown_fields
        events: list[Event] = [
            StreamMeasured(
                topic=readings.topic,
                feature_values=dict(zip(self._names, observed.tolist(), strict=True)),
                readings=len(readings),
                step_s=self._step_s,
            )
        ]
        if unknown_fields:
            missing = self._missing()
            events.append(
                UnknownFieldsIgnored(
                    topic=readings.topic,
                    fields=tuple(unknown_fields),
                    features_missing=missing[:NAMES_TOLD],
                    nearest_fields=nearest_fields(missing, self._unknown_fields),
                )
            )
        return events + self._judge_features(readings.topic) + self._judge_step(readings.topic)

    def _missing(self) -> tuple[str, ...]:
        if self._observed.all():
            return ()
        return tuple(self._names[i] for i in np.flatnonzero(self._observed == 0).tolist())

    def _judge_features(self, topic: str) -> list[Event]:
        """Report features never observed, once, and again when they become fewer."""
        missing = self._missing()
        if self._readings < JUDGED_AFTER or len(missing) == self._n_missing_told:
            return []
        self._n_missing_told = len(missing)
        return [
            FeaturesNotObserved(
                topic=topic,
                readings=self._readings,
                features=missing[:NAMES_TOLD],
                features_missing=len(missing),
                features_expected=len(self._names),
                unknown_fields=tuple(self._unknown_fields[:NAMES_TOLD]),
                nearest_fields=nearest_fields(missing, self._unknown_fields),
            )
        ]

    def _measure_intervals(self, times: NDArray[np.int64], rows: NDArray[np.int32]) -> None:
        """Record the event time between each reading and its series' previous one."""
        followed = np.flatnonzero(rows < _FOLLOWED_ROWS)
        order = followed[np.argsort(rows[followed], kind="stable")]
        series, ordered = rows[order], times[order]
        if not len(series):
            return
        starts = np.flatnonzero(np.diff(series, prepend=-1))
        before = np.empty_like(ordered)
        before[1:] = ordered[:-1]
        before[starts] = self._last_time[series[starts]]
        self._last_time[series[starts]] = ordered[np.append(starts[1:], len(series)) - 1]
        # Several readings of one time are parts of one step; older ones are late.
        found = (ordered - before)[(before != _NEVER) & (ordered > before)] / 1e9
        if len(found):
            self._intervals_s.append(found)
            self._n_intervals += len(found)

    def _judge_step(self, topic: str) -> list[Event]:
        """Report a step that differs, once, and again when it changes."""
        if self._n_intervals < (JUDGED_AFTER if self._step_s is None else _SAMPLE):
            return []
        self._step_s = step_s = float(np.median(np.concatenate(self._intervals_s)))
        if self._n_intervals >= _SAMPLE:
            self._intervals_s, self._n_intervals = [], 0
            self._last_time[:] = _NEVER
            self._measure_from = self._readings + _READINGS_BETWEEN
        if not self._step_differs(step_s):
            self._step_told_s = None
            return []
        if self._step_told_s is not None and not _differ(step_s, self._step_told_s):
            return []
        self._step_told_s = step_s
        return [
            StreamStepDiffered(topic=topic, stream_step_s=step_s, model_step_s=self._model_step_s)
        ]

    def _step_differs(self, step_s: float | None) -> bool:
        return step_s is not None and self._has_order and _differ(step_s, self._model_step_s)


def nearest_fields(features: Sequence[str], fields: Sequence[str]) -> dict[str, str]:
    """Return feature -> the field with the most similar name; `NAMES_TOLD` of them at most.

    >>> nearest_fields(["flow", "level"], ["fields.Flow", "unit"])
    {'flow': 'fields.Flow'}
    """
    known = {field.lower(): field for field in fields}
    known |= {field.rpartition(".")[2].lower(): field for field in fields}
    nearest = {name: get_close_matches(name.lower(), known, n=1) for name in features[:NAMES_TOLD]}
    return {name: known[found[0]] for name, found in nearest.items() if found}


def _differ(one: float, other: float) -> bool:
    return not 1 / STEP_RATIO < one / other < STEP_RATIO


def _count_observed(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return (F,) values observed of (N, F)."""
    n, n_features = values.shape
    missing = np.isnan(values)
    if not missing.any():  # as most polls are
        return np.full(n_features, n)
    return np.asarray(n - np.count_nonzero(missing, axis=0), np.int64)
