"""How small a fault a detector finds, and how many more than simpler methods."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import ModelSpec, Scores
from stream_vae.core.scaling import Scaler
from stream_vae.detect.config import ThresholdConfig, TrackingConfig
from stream_vae.evaluate.baselines import Windows
from stream_vae.evaluate.comparison import FEWEST_WINDOWS, cut_windows, encoded, fit_references
from stream_vae.evaluate.fault_trials import FaultBench, HeldOut, Method, Replayed, replay
from stream_vae.evaluate.injection import KINDS, Injections, fault_sizes, joined
from stream_vae.evaluate.metrics import average_precision
from stream_vae.models.provenance import FaultSizes, FaultTrials, MethodTrial
from stream_vae.pipeline.detector import score_name

_MOST_FEATURES = 20
_PLACES_EACH = 4
_FIRST = 4
"""Faults of a cell that are run first: if two of them are not found, nine of ten are not."""
_FOUND_SHARE = 0.9
_MIXED_EACH = 20
_REFERENCE_WINDOWS = 1024
_CALIBRATION_WINDOWS = 4_000
_WEEK_S = 7 * 86_400.0
_OTHER_SCORE = "other"

Progress = Callable[[int, int], None]
"""Is told how many readings are done, and how many there are at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is tried."""

    each: int
    """Faults of each kind, feature and size; twenty times as many of mixed kinds and sizes."""
    by_range: bool = False
    """Whether the model scales features by their range, not by their standard deviation."""
    seed: int = 0


def assess(
    method: Method,
    history: HeldOut,
    training: Windows,
    plan: Plan,
    on_progress: Progress = lambda _done, _all: None,
) -> FaultTrials:
    """Return what a detector finds of faults injected into history, and other methods beside it.

    A place begins with the state that the detector had there. Those with an incident of their own
    are left out, except for the comparison with other methods, where the faults there count as
    not found. The smallest size found is searched by halving, taking that a larger fault is found
    wherever a smaller one is.

    Args:
        method: The detector.
        history: Which it was not fitted to.
        training: (W, T, F) `encoded` windows by time that the other methods are fitted to; too few
            of them, and there are none.
        plan: See `Plan`.
        on_progress: See `Progress`.
    """
    return _Assessment(method, history, plan, on_progress).run(training)


class _Assessment:
    def __init__(self, method: Method, history: HeldOut, plan: Plan, on_progress: Progress) -> None:
        spec = method.spec
        self._method, self._history, self._plan = method, history, plan
        self._spec = spec
        self._rng = np.random.default_rng(plan.seed)
        self._within = 2 * max(spec.window_length, method.config.incident.open_within)
        self._features = _tried_features(spec)
        self._sizes = fault_sizes(spec.window_length)
        can_swap = sum(one.kind in ("numeric", "count") for one in spec.features) > 1
        # What goes on from record to record is no fault of events, which have no order.
        kinds = {"spike", "swap"} if spec.has_events else set(KINDS)
        kinds -= set() if can_swap else {"swap"}
        self._kinds = [position for position, kind in enumerate(KINDS) if kind in kinds]
        possible = _possible_places(spec, method.config.max_gap, history, self._within)
        n_places = min(len(possible), _PLACES_EACH * plan.each)
        self._places = np.sort(self._rng.permutation(possible)[:n_places])
        self._may_fail = plan.each - math.ceil(_FOUND_SHARE * plan.each)
        self._scaler = _fault_scaler(spec, history, by_range=plan.by_range)
        self._tell = on_progress
        self._done = 0
        self._all = len(history)

    def run(self, training: Windows) -> FaultTrials:
        spec, plan = self._spec, self._plan
        others = _other_methods(self._method, self._history, training, seed=plan.seed)
        n_rounds = sum(1 + math.ceil(math.log2(len(self._sizes[KINDS[k]]))) for k in self._kinds)
        n_mixed = _MIXED_EACH * plan.each
        if len(self._places) and len(self._features):
            self._all += len(others) * len(self._history) + self._within * (
                (1 + len(others)) * n_mixed + n_rounds * plan.each * len(self._features)
            )
        bench = self._bench(self._method)
        usual = bench.replayed
        judged = int(np.isfinite(usual.score).sum())
        is_false = self._is_false(usual)
        found = FaultTrials(
            score=score_name(spec, self._method.config),
            threshold=self._method.open(1).detector.method,
            within=self._within,
            each=plan.each,
            readings=judged,
            weeks=None if spec.has_events else judged * spec.step_seconds / _WEEK_S,
            false_incidents=int(is_false.sum()),
            features=len(spec.features),
            sizes=(),
            mixed=0,
            methods=(),
        )
        quiet = np.flatnonzero(usual.is_quiet(self._places, self._within))
        why_none = self._why_none(quiet)
        if why_none:
            return replace(found, why_none=why_none)
        mixed = self._drawn(n_mixed, np.arange(len(self._places)))
        return replace(
            found,
            sizes=self._smallest(bench, quiet),
            mixed=n_mixed,
            methods=self._compared(bench, mixed, others),
        )

    def _why_none(self, quiet: NDArray[np.int64]) -> str:
        if not len(self._features):
            return "no feature is a number"
        if not len(self._places):
            T = self._spec.window_length
            return f"no stretch of {T + self._within} held-out readings without a gap or a label 1"
        return "" if len(quiet) else "an incident is open wherever one could be injected"

    def _bench(self, method: Method) -> FaultBench:
        return FaultBench(
            method=method,
            history=self._history,
            places=self._places,
            replayed=replay(method, self._history, self._places, self._advance),
            scaler=self._scaler,
            within=self._within,
        )

    def _smallest(self, bench: FaultBench, quiet: NDArray[np.int64]) -> tuple[FaultSizes, ...]:
        """Return the smallest size of each feature and kind that is found.

        The largest size comes first: where that is not found, no other is tried.
        """
        cells = [(f, kind) for f in self._features.tolist() for kind in self._kinds]
        sizes = [self._sizes[KINDS[kind]] for _, kind in cells]
        faults = self._of_cells(cells, quiet)
        n_tried = np.zeros((2, len(cells)), np.int64)  # of the largest size: tried, found
        low, high = np.zeros(len(cells), np.int64), np.array([len(one) for one in sizes])
        middle = high - 1
        while (left := np.flatnonzero(low < high)).size:
            of_size = np.array([sizes[n][m] for n, m in zip(left, middle[left], strict=True)])
            tried, found = self._found_of(bench, faults, left, of_size)
            is_found = tried - found <= self._may_fail
            if not n_tried.any():
                n_tried[:] = tried, found
            high[left[is_found]] = middle[left[is_found]]
            low[left[~is_found]] = middle[left[~is_found]] + 1
            middle = (low + high) // 2
        return tuple(
            FaultSizes(
                feature=self._spec.features[f].name,
                fault=KINDS[kind],
                smallest=None if at == len(sizes[n]) else sizes[n][at],
                largest=sizes[n][-1],
                largest_tried=int(n_tried[0, n]),
                largest_found=int(n_tried[1, n]),
            )
            for n, ((f, kind), at) in enumerate(zip(cells, low.tolist(), strict=True))
        )

    def _of_cells(
        self, cells: list[tuple[int, int]], quiet: NDArray[np.int64]
    ) -> Sequence[Injections]:
        """Return C faults without a size for each of several places, those of one after another."""
        features, kinds = (np.array(one, np.int64) for one in zip(*cells, strict=True))
        again = len(quiet) < self._plan.each
        places = [self._rng.choice(quiet, self._plan.each, replace=again) for _ in cells]
        none = np.zeros(len(cells))
        return [self._faults(at, kinds, features, none) for at in np.stack(places, axis=1)]

    def _found_of(
        self,
        bench: FaultBench,
        faults: Sequence[Injections],
        cells: NDArray[np.int64],
        sizes: NDArray[np.float64],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return how many faults of each cell were tried, and found; no more than it takes."""
        tried, found = np.zeros((2, len(cells)), np.int64)
        left = np.arange(len(cells))
        for some in (faults[:_FIRST], faults[_FIRST:]):
            run = joined([replace(one.take(cells[left]), size=sizes[left]) for one in some])
            is_found = bench.run(run).is_found.reshape(len(some), len(left))
            tried[left] += len(some)
            found[left] += is_found.sum(axis=0)
            left = left[(tried - found)[left] <= self._may_fail]
        self._advance(int(tried.sum()) * self._within)
        return tried, found

    def _compared(
        self, bench: FaultBench, faults: Injections, others: Mapping[str, Method]
    ) -> tuple[MethodTrial, ...]:
        found: list[MethodTrial] = []
        ours: NDArray[np.bool_] | None = None
        for name, method in {"": self._method, **others}.items():
            one = bench if ours is None else self._bench(method)
            trial, is_found = self._trial(name, one, faults)
            ours = is_found if ours is None else ours
            found.append(replace(trial, only_here=int((is_found & ~ours).sum())))
            self._advance(len(faults) * self._within)
        return tuple(found)

    def _trial(
        self, name: str, bench: FaultBench, faults: Injections
    ) -> tuple[MethodTrial, NDArray[np.bool_]]:
        usual, place = bench.replayed, faults.place
        ran = bench.run(faults, to_the_end=True)
        is_found = ran.is_found & usual.is_quiet(self._places, self._within)[place]
        rows = self._places[place][:, None] + np.arange(self._within)
        before = np.fmax.reduce(usual.score[rows], axis=1)
        peaks = np.concatenate([ran.peak, before])
        labels = np.repeat([True, False], len(faults))
        judged = np.isfinite(peaks)
        ranks = judged.any() and labels[judged].any() and not labels[judged].all()
        trial = MethodTrial(
            name=name,
            found=int(is_found.sum()),
            average_precision=average_precision(labels[judged], peaks[judged]) if ranks else None,
            false_incidents=int(self._is_false(usual).sum()),
        )
        return trial, is_found

    def _drawn(self, n: int, places: NDArray[np.int64]) -> Injections:
        """Return faults of mixed kinds, features and sizes."""
        kinds = self._rng.choice(self._kinds, n)
        features = self._rng.choice(self._features, n)
        sizes = [self._rng.choice(self._sizes[KINDS[kind]]) for kind in kinds.tolist()]
        return self._faults(self._rng.choice(places, n), kinds, features, np.array(sizes))

    def _faults(
        self,
        places: NDArray[np.int64],
        kinds: NDArray[np.int64],
        features: NDArray[np.int64],
        sizes: NDArray[np.float64],
    ) -> Injections:
        numbers = np.array(
            [f for f, one in enumerate(self._spec.features) if one.kind in ("numeric", "count")]
        )
        # Any other number: so many places on, in their circle.
        at = np.searchsorted(numbers, features)
        on = self._rng.integers(1, max(len(numbers), 2), len(features))
        return Injections(
            place=places,
            kind=kinds,
            feature=features,
            partner=numbers[(at + on) % len(numbers)],
            size=sizes,
            sign=self._rng.choice([-1.0, 1.0], len(places)),
        )

    def _is_false(self, replayed: Replayed) -> NDArray[np.bool_]:
        """Return which incidents opened without a labelled anomaly shortly before."""
        labelled = np.concatenate([[0], np.cumsum(self._history.is_anomalous)])
        since = np.maximum(replayed.opened - self._within, 0)
        is_false: NDArray[np.bool_] = labelled[replayed.opened + 1] == labelled[since]
        return is_false

    def _advance(self, readings: int) -> None:
        self._done += readings
        self._tell(min(self._done, self._all), self._all)


def _tried_features(spec: ModelSpec) -> NDArray[np.int64]:
    """Return the features into which faults are injected, evenly spaced where there are many."""
    numbers = [f for f, one in enumerate(spec.features) if one.kind in ("numeric", "count")]
    chosen = np.linspace(0, len(numbers) - 1, min(len(numbers), _MOST_FEATURES))
    return np.array(numbers, np.int64)[np.rint(chosen).astype(np.int64)]


def _possible_places(
    spec: ModelSpec, max_gap: int, history: HeldOut, within: int
) -> NDArray[np.int64]:
    """Return the rows with a whole window before them, and enough readings after them."""
    T = spec.window_length
    step_ns = round(spec.step_seconds * 1e9)
    labelled = np.concatenate([[0], np.cumsum(history.is_anomalous)])
    found = [np.empty(0, np.int64)]
    for begin, end in zip(history.bounds[:-1].tolist(), history.bounds[1:].tolist(), strict=True):
        rows = np.arange(begin + T, end - within + 1)
        last = rows + within - 1
        is_whole = labelled[last + 1] == labelled[rows - T]
        if not spec.has_events:
            steps = (history.times[last] - history.times[rows - T]) // step_ns
            is_whole &= steps <= T + within - 1 + max_gap
        found.append(rows[is_whole])
    return np.concatenate(found)


def _fault_scaler(spec: ModelSpec, history: HeldOut, *, by_range: bool) -> Scaler:
    """Return the scaler whose unit is that of a fault's size: one standard deviation."""
    scaler = spec.scaler
    if not by_range or not len(history):
        return scaler
    scaled = scaler.transform(history.values).astype(np.float64)
    seen = np.isfinite(scaled)
    count = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, scaled, 0.0).sum(axis=0) / count
    spread = np.sqrt(np.where(seen, (scaled - mean) ** 2, 0.0).sum(axis=0) / count)
    return replace(scaler, std=scaler.std * np.where(spread > 0, spread, 1.0))


class _OtherScorer:
    """Another method's score of windows, in the place of the model's."""

    def __init__(self, spec: ModelSpec, score: Callable[[Windows], NDArray[np.float64]]) -> None:
        self._spec, self._score = spec, score
        usual = np.zeros((1, len(spec.features)), np.float32)
        self._expected = spec.scaler.inverse(usual)
        self._std = spec.scaler.inverse_spread(np.ones(usual.shape), self._expected)

    def score(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
        """Return the scores; of the explanation, the training mean and standard deviation."""
        shape = (len(values), len(self._spec.features))
        return Scores(
            value=self._score(encoded(values, self._spec.scaler)) if len(values) else np.empty(0),
            contribution=np.full(shape, 1 / shape[1], np.float32),
            expected=np.broadcast_to(self._expected, shape),
            expected_std=np.broadcast_to(self._std, shape),
        )


def _other_methods(
    method: Method, history: HeldOut, training: Windows, *, seed: int
) -> dict[str, Method]:
    """Return other methods fitted to the training windows and calibrated like the detector."""
    if len(training) < FEWEST_WINDOWS:
        return {}
    readings = history.readings(np.arange(len(history)), history.series())
    held_out = cut_windows(
        method.spec,
        method.config,
        readings,
        rng=np.random.default_rng(seed),
        most=_CALIBRATION_WINDOWS,
    )
    if not len(held_out):
        return {}
    found = fit_references(training, method.spec.scaler, most=_REFERENCE_WINDOWS, seed=seed)
    threshold = method.config.threshold
    if threshold.method in ("fixed", "labelled"):  # a value that means something for our score
        threshold = ThresholdConfig()
    tracking = TrackingConfig()  # which no other score makes use of
    config = replace(method.config, score=_OTHER_SCORE, threshold=threshold, tracking=tracking)
    levels = np.linspace(0, 1, 1001)
    return {
        name: Method(
            spec=replace(
                method.spec,
                score=_OTHER_SCORE,
                calibration={_OTHER_SCORE: np.quantile(score(held_out), levels)},
                labelled_thresholds={},
                tracking={},
            ),
            scorer=_OtherScorer(method.spec, score),
            config=config,
        )
        for name, score in found.items()
    }
