"""What a sample's readings are like: fields, series and steps."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.step_width import infer_step, step_agreement
from stream_vae.core.time_grid import nearest_steps

_NS = 1e9
_ENOUGH = 8
_MOSTLY = 0.9
_NEARLY_ALL = 0.95
_ENOUGH_CHANGES = 40
"""Chances to change before it counts that there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFacts:
    """One field of numbers."""

    name: str
    kind: str
    """number, whole, two values, constant, empty."""
    low: float | None
    high: float | None
    missing: float
    """Share of the steps of its series, of parts put together, in which it has no value."""
    examples: tuple[float, ...]
    usual: float
    """Share of the values that are the commonest one of their series."""
    usual_change: float
    """Share of the differences between values that are the commonest one of their series; 0 where
    they are few."""
    suspicion: str
    """Why it may be no feature: counter, row number, constant, seldom changes, empty; or ""."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFacts:
    """The series of a sample."""

    n: int
    readings: Mapping[str, int]
    """Series -> readings, those with most first, ten at most."""
    partitions: int
    per_partition: tuple[int, int]
    """Fewest and most series of a partition that has any."""
    in_several: tuple[str, ...]
    """Series seen in several partitions, ten at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFacts:
    """How readings follow each other within their series."""

    step_s: float
    """As training infers it."""
    agreeing: float
    """Share of the gaps within a tenth of it."""
    jitter_s: float
    """Median distance of a reading from the grid of its series."""
    disordered: float
    """Share of the readings that come after a later one of their series."""
    latest_s: float
    """Most that one comes after."""
    n_steps: int
    """Of all series, that have a reading."""
    readings_per_step: float
    """Mean readings of a series and step that has any."""
    phases_s: tuple[float, float]
    """Least and greatest place of a series' grid within a step."""


def field_facts(
    names: Sequence[str],
    values: NDArray[np.float64],
    times: NDArray[np.int64],
    series: Sequence[str],
    *,
    step_ns: int,
) -> list[FieldFacts]:
    """Return the facts of F fields.

    Args:
        names: F.
        values: (N, F), NaN: not observed.
        times: (N,) nanoseconds since 1970.
        series: N.
        step_ns: Width of a step; 0: each time is one.
    """
    codes = _codes(series)
    steps = nearest_steps(times, step_ns) if step_ns else times
    places = _Places(
        codes=codes,
        order=np.lexsort((times, codes)),
        steps=np.unique(np.stack([codes, steps]), axis=1, return_inverse=True)[1].reshape(-1),
    )
    return [_of_field(name, values[:, at], places) for at, name in enumerate(names)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """Where each of N readings belongs."""

    codes: NDArray[np.int64]
    """(N,) number of the series."""
    order: NDArray[np.intp]
    """(N,) positions by series and time."""
    steps: NDArray[np.intp]
    """(N,) number of series and step together."""


def _of_field(name: str, column: NDArray[np.float64], places: _Places) -> FieldFacts:
    observed = ~np.isnan(column)
    found = column[observed]
    n_steps = int(places.steps.max(initial=-1)) + 1
    filled = len(np.unique(places.steps[observed]))
    ordered = places.order[observed[places.order]]
    distinct = np.unique(found)
    values, codes = column[ordered], places.codes[ordered]
    is_change = np.diff(codes) == 0
    usual = _usual(values, codes)
    usual_change = 0.0
    if is_change.sum() >= _ENOUGH_CHANGES:
        usual_change = _usual(np.diff(values)[is_change], codes[1:][is_change])
    kind, suspicion = _kind(distinct), ""
    if len(distinct) == 0:
        suspicion = "empty"
    elif len(distinct) == 1 and len(found) >= _ENOUGH:
        suspicion = "constant"
    elif len(found) >= _ENOUGH:
        # Across series first: what numbers all records also rises in each.
        suspicion = _numbers_all(found) or _rises(values, codes)
        if not suspicion and usual >= _NEARLY_ALL and is_change.sum() >= _ENOUGH_CHANGES:
            suspicion = "seldom changes"
    return FieldFacts(
        name=name,
        kind=kind,
        low=float(found.min()) if len(found) else None,
        high=float(found.max()) if len(found) else None,
        missing=1 - filled / max(n_steps, 1),
        examples=tuple(found[:3].tolist()),
        usual=usual,
        usual_change=usual_change,
        suspicion=suspicion,
    )


def why_left_out(field: FieldFacts, *, is_known_counter: bool = False) -> str:
    """Return why a field is no feature as it is; "": it is one, "counter": its rate is.

    Args:
        field: As its values are.
        is_known_counter: Its records say that it is one.
    """
    if not (is_known_counter or field.suspicion == "counter"):
        return field.suspicion
    if field.suspicion in ("constant", "empty"):
        return field.suspicion
    return "seldom changes" if field.usual_change >= _NEARLY_ALL else "counter"


def counters_of(fields: Sequence[FieldFacts], known: Collection[str] = ()) -> list[str]:
    """Return the counters to train on as rates, by their values or by what records say (`known`).

    One whose rate is nearly always the same is none of them.
    """
    return [
        one.name
        for one in fields
        if why_left_out(one, is_known_counter=one.name in known) == "counter"
    ]


def _usual(values: NDArray[np.float64], codes: NDArray[np.int64]) -> float:
    """Return the share of the values that are the commonest one of their series.

    >>> _usual(np.array([1.0, 1.0, 2.0, 5.0]), np.array([0, 0, 0, 1]))
    0.75
    """
    if not len(values):
        return 0.0
    order = np.lexsort((values, codes))
    values, codes = values[order], codes[order]
    is_new = (np.diff(values) != 0) | (np.diff(codes) != 0)
    starts = np.flatnonzero(np.concatenate(([True], is_new)))
    counts = np.diff(starts, append=len(values))
    of_series = np.flatnonzero(np.diff(codes[starts], prepend=-1))
    return float(np.maximum.reduceat(counts, of_series).sum() / len(values))


def _kind(distinct: NDArray[np.float64]) -> str:
    if len(distinct) < 2:
        return "constant" if len(distinct) else "empty"
    if set(distinct.tolist()) == {0.0, 1.0}:
        return "two values"
    return "whole" if (distinct == np.rint(distinct)).all() else "number"


def _rises(values: NDArray[np.float64], codes: NDArray[np.int64]) -> str:
    """Return whether values that are in order of time within each series only ever rise."""
    steps = np.diff(values)[np.diff(codes) == 0]
    if len(steps) < _ENOUGH - 1 or (values < 0).any():
        return ""
    if (steps == 1).mean() >= _MOSTLY and (values == np.rint(values)).all():
        return "row number"
    falls, rises = int((steps < 0).sum()), float((steps > 0).mean())
    # A reset now and then; and what rises by noise falls as often.
    return "counter" if falls <= len(steps) / 100 and rises > 0.5 else ""


def _numbers_all(found: NDArray[np.float64]) -> str:
    """Return whether values number the records of all series."""
    return "row number" if (np.diff(found) == 1).mean() >= _MOSTLY else ""


def series_facts(series: Sequence[str], partitions: NDArray[np.int32]) -> SeriesFacts:
    """Return the facts of N readings' series.

    Args:
        series: N.
        partitions: (N,)
    """
    return series_facts_of(Counter(zip(series, partitions.tolist(), strict=True)))


def series_facts_of(counts: Mapping[tuple[str, int], int]) -> SeriesFacts:
    """Return the facts of series.

    Args:
        counts: Series and partition -> readings.
    """
    readings: Counter[str] = Counter()
    for (name, _), n in counts.items():
        readings[name] += n
    of_series = Counter(name for name, _ in counts)
    of_partition = Counter(partition for _, partition in counts)
    per_partition = [*of_partition.values()] or [0]
    ordered = sorted(readings, key=lambda name: (-readings[name], name))
    several = [name for name in ordered if of_series[name] > 1]
    return SeriesFacts(
        n=len(readings),
        readings={name: readings[name] for name in ordered[:10]},
        partitions=len(of_partition),
        per_partition=(min(per_partition), max(per_partition)),
        in_several=tuple(several[:10]),
    )


def step_facts(
    times: NDArray[np.int64], series: Sequence[str], partitions: NDArray[np.int32] | None = None
) -> StepFacts | None:
    """Return the facts of N readings' times; None if no series has two.

    Args:
        times: (N,) nanoseconds since 1970, in the order of arrival within each partition.
        series: N.
        partitions: (N,); None: all are of one. Between partitions there is no order that a reading
            could be late in.
    """
    codes = _codes(series)
    groups = [times[codes == code] for code in range(int(codes.max(initial=-1)) + 1)]
    gaps = np.concatenate([np.diff(np.unique(group)) for group in groups] or [times[:0]])
    step = infer_step(gaps)
    if step is None:
        return None
    late = _behind(times, codes, np.zeros_like(codes) if partitions is None else partitions)
    grids = [_grid(group, step) for group in groups if len(group) > 1]
    n_steps = sum(len(np.unique((group - phase + step / 2) // step)) for group, phase, _ in grids)
    n_readings = sum(len(group) for group, _, _ in grids)
    phases = [phase % step / _NS for _, phase, _ in grids]
    return StepFacts(
        step_s=step / _NS,
        agreeing=step_agreement(gaps, step),
        jitter_s=float(np.median(np.concatenate([away for _, _, away in grids]))) / _NS,
        disordered=float((late > 0).mean()),
        latest_s=float(late.max()) / _NS,
        n_steps=n_steps,
        readings_per_step=n_readings / max(n_steps, 1),
        phases_s=(min(phases), max(phases)),
    )


def _behind(
    times: NDArray[np.int64], codes: NDArray[np.int64], partitions: NDArray[np.integer[Any]]
) -> NDArray[np.int64]:
    """Return (N,) how far each reading is behind its series' newest before it in its partition."""
    late = np.zeros_like(times)
    for code, partition in np.unique(np.stack([codes, partitions]), axis=1).T.tolist():
        at = np.flatnonzero((codes == code) & (partitions == partition))
        late[at] = np.maximum.accumulate(times[at]) - times[at]
    return late


def _grid(
    group: NDArray[np.int64], step: float
) -> tuple[NDArray[np.int64], float, NDArray[np.float64]]:
    """Return times, their phase in the step, and how far each is from the grid."""
    angles = (group % max(step, 1.0)) / max(step, 1.0) * 2 * np.pi
    mean = np.angle(np.exp(1j * angles).mean()) / (2 * np.pi) * step
    # A phase of nearly a whole step is one of nearly nothing.
    phase = round(mean % step / 1e6) * 1e6 % step
    away = (group - phase) % step
    return group, float(phase), np.minimum(away, step - away)


def _codes(series: Sequence[str]) -> NDArray[np.int64]:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in series], dtype=np.int64)
