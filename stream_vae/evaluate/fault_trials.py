"""A detector on held-out history as it was, and with faults injected into it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertDetector, AlertEvent
from stream_vae.core.incidents import SeriesIncidents
from stream_vae.core.model_spec import ModelSpec, Scorer
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.scaling import Scaler
from stream_vae.detect.config import DetectConfig
from stream_vae.evaluate.injection import KINDS, Injections, inject
from stream_vae.pipeline.detector import Detector
from stream_vae.pipeline.incident_ids import Origin
from stream_vae.pipeline.pipeline import Outcome, Pipeline

MOST_AT_ONCE = 256
"""Faulted stretches that run side by side, each as a series."""

_BATCH = 2048
_NOW = datetime(1970, 1, 1, tzinfo=UTC)
_ORIGIN = Origin(
    detector=AlertDetector(name="", version="", instance=""), topic="history", group=""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """M readings that a model was not fitted to, in S contiguous parts of single series."""

    times: NDArray[np.int64]
    """(M,) nanoseconds since 1970; they do not fall within a part."""
    values: NDArray[np.float64]
    """(M, F) in input units; NaN = not observed."""
    is_anomalous: NDArray[np.bool_]
    """(M,) labelled so."""
    bounds: NDArray[np.int64]
    """(S + 1,) where the parts begin, and M."""

    def __len__(self) -> int:
        return len(self.times)

    def series(self) -> list[str]:
        """Return M keys, one for each part."""
        sizes = np.diff(self.bounds)
        return [str(part) for part, size in enumerate(sizes.tolist()) for _ in range(size)]

    def readings(
        self, rows: NDArray[np.int64], series: list[str], values: NDArray[np.float64] | None = None
    ) -> ReadingBatch:
        """Return readings of some rows; their offsets are the rows.

        Args:
            rows: (N,)
            series: N keys.
            values: (N, F) in place of those of the rows.
        """
        return ReadingBatch(
            topic=_ORIGIN.topic,
            partitions=np.zeros(len(rows), np.int32),
            offsets=rows,
            series=series,
            times=self.times[rows],
            arrivals=self.times[rows],
            values=self.values[rows] if values is None else values,
        )


class _Detector(Detector):
    """A detector that does not watch its scores for a drift: stretches side by side have none."""

    def watch_drift(self, scores: NDArray[np.float64]) -> None:
        """Return None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A score and how it is judged."""

    spec: ModelSpec
    scorer: Scorer
    config: DetectConfig

    def open(self, capacity: int) -> Pipeline:
        """Return a fresh pipeline."""
        detector = _Detector(self.spec, self.scorer, self.config, capacity)
        return Pipeline(detector, self.config, _ORIGIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A method on the history as it was, and the state of its pipeline at P places."""

    score: NDArray[np.float64]
    """(M,) NaN where a reading was not judged."""
    opened: NDArray[np.int64]
    """Rows that opened an incident, ascending."""
    is_open: NDArray[np.bool_]
    """(P,) whether an incident was open before each place."""
    states: Mapping[str, NDArray[np.void]]
    """(P,) by part, before each place."""
    incidents: tuple[SeriesIncidents, ...]
    """P"""

    def opens(self, places: NDArray[np.int64], within: int) -> NDArray[np.bool_]:
        """Return (P,) whether an incident opens within so many readings from each place."""
        first, end = np.searchsorted(self.opened, [places, places + within])
        found: NDArray[np.bool_] = end > first
        return found

    def is_quiet(self, places: NDArray[np.int64], within: int) -> NDArray[np.bool_]:
        """Return (P,) whether no incident is open at a place, and none opens soon after it."""
        return ~self.is_open & ~self.opens(places, within)


def replay(
    method: Method,
    history: HeldOut,
    places: NDArray[np.int64],
    on_progress: Callable[[int], None] = lambda _: None,
) -> Replayed:
    """Run a fresh pipeline over the history.

    Args:
        method: What is run.
        history: M readings.
        places: (P,) rows, ascending.
        on_progress: Is told how many readings were done since it was last called.
    """
    score = np.full(len(history), np.nan)
    opened: list[int] = []
    is_open: list[bool] = []
    states: list[Mapping[str, NDArray[np.void]]] = []
    incidents: list[SeriesIncidents] = []
    parts = np.diff(history.bounds)
    pipeline = method.open(1)
    for begin, size in zip(history.bounds[:-1].tolist(), parts.tolist(), strict=True):
        pipeline.forget_partitions({0})
        stops = {*range(begin, begin + size, _BATCH), begin + size}
        here = places[(places >= begin) & (places < begin + size)].tolist()
        at = begin
        for stop in sorted(stops.union(here) - {begin}):
            rows = np.arange(at, stop)
            outcome = pipeline.observe(history.readings(rows, [""] * len(rows)), _NOW)
            score[rows] = outcome.verdicts.score
            opened += [event.source.offset_end for event in _openings(outcome)]
            if stop in here:
                row = pipeline.store.rows([(0, "")])
                saved = pipeline.complete(pipeline.capture(row))
                states.append(saved.states)
                incidents.append(pipeline.store.incidents_of(int(row[0])))
                is_open.append(pipeline.store.incidents.incident(int(row[0])) is not None)
            on_progress(stop - at)
            at = stop
    return Replayed(
        score=score,
        opened=np.sort(np.array(opened, np.int64)),
        is_open=np.array(is_open, np.bool_),
        states={name: np.concatenate([one[name] for one in states]) for name in states[0]}
        if states
        else {},
        incidents=tuple(incidents),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """N injected faults."""

    is_found: NDArray[np.bool_]
    """(N,) an incident opened."""
    peak: NDArray[np.float64]
    """(N,) highest score of those readings that were run; NaN if none was judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultBench:
    """Runs faulted stretches of a history from the state that the method had there."""

    method: Method
    history: HeldOut
    places: NDArray[np.int64]
    """(P,) rows of the history."""
    replayed: Replayed
    """Of the method, with its state at the places."""
    scaler: Scaler
    """Its unit is that of the faults' sizes."""
    within: int
    """Readings of a stretch."""

    def run(self, faults: Injections, *, to_the_end: bool = False) -> Found:
        """Run N faults.

        Args:
            faults: Their places are positions in `places`.
            to_the_end: Whether to go on after an incident has opened.
        """
        found = [
            self._run(faults.take(np.arange(at, min(at + MOST_AT_ONCE, len(faults)))), to_the_end)
            for at in range(0, len(faults), MOST_AT_ONCE)
        ]
        return Found(
            is_found=np.concatenate([np.empty(0, np.bool_), *(one.is_found for one in found)]),
            peak=np.concatenate([np.empty(0), *(one.peak for one in found)]),
        )

    def _run(self, faults: Injections, to_the_end: bool) -> Found:
        spec = self.method.spec
        rows = self.places[faults.place][:, None] + np.arange(self.within)  # (N, H)
        values = inject(
            self.history.values[rows],
            faults,
            scaler=self.scaler,
            features=spec.features,
            rise=spec.window_length,
        )
        spikes = faults.kind == KINDS.index("spike")
        n_votes = self.method.config.incident.open_within
        pipeline = self._restored(faults.place)
        is_found = np.zeros(len(faults), np.bool_)
        peak = np.full(len(faults), -np.inf)
        left = np.arange(len(faults))
        stride = max(spec.window_length // 4, 2)
        for at in range(0, self.within, stride):
            now = (left, slice(at, at + stride))
            n_steps = rows[now].shape[1]
            series = [str(n) for n in left.tolist() for _ in range(n_steps)]
            flat = values[now].reshape(-1, values.shape[2])
            readings = self.history.readings(rows[now].ravel(), series, flat)
            outcome = pipeline.observe(readings, _NOW)
            scores = outcome.verdicts.score.reshape(len(left), n_steps)
            peak[left] = np.fmax(peak[left], np.fmax.reduce(scores, axis=1))
            is_found[[int(event.series.key) for event in _openings(outcome)]] = True
            if not to_the_end:
                # A spike that has left the window leaves everything as it would have been.
                is_over = spikes & (at + stride >= spec.window_length + n_votes)
                left = left[~(is_found | is_over)[left]]
            if not len(left):
                break
        return Found(is_found=is_found, peak=np.where(np.isfinite(peak), peak, np.nan))

    def _restored(self, places: NDArray[np.int64]) -> Pipeline:
        """Return a pipeline of N series, each as the method was at a place."""
        pipeline = self.method.open(len(places))
        names = [(0, str(n)) for n in range(len(places))]
        states = {name: saved[places] for name, saved in self.replayed.states.items()}
        pipeline.store.load(names, states)
        for name, place in zip(names, places.tolist(), strict=True):
            incidents = self.replayed.incidents[place]
            if incidents.anomaly is not None:
                pipeline.store.load_incidents(name, incidents, 0)
        return pipeline


def _openings(outcome: Outcome) -> list[AlertEvent]:
    """Return the events of incidents that have just opened."""
    return [one for one in outcome.alerts if one.kind == "anomaly" and one.sequence == 0]
