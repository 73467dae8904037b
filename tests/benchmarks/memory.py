"""What series cost while they are remembered, and what a flood of new ones does."""

import time
from datetime import UTC, datetime

import numpy as np
import psutil
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertDetector
from stream_vae.core.readings import ReadingBatch
from stream_vae.detect.config import DetectConfig
from stream_vae.models.scoring import WindowScorer
from stream_vae.pipeline.detector import Detector
from stream_vae.pipeline.incident_ids import Origin
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.pipeline.series_lifecycle import EvictionClass
from tests.benchmarks.workload import START_NS, STEP_NS, F, T, Workload
from tests.system.broker import RealKafka

_CAPACITY = 20_000
_KNOWN = 1_000
_FLOOD = 100_000
_POLL = 500


def measure_memory(workload: Workload, _: RealKafka) -> dict[str, str]:
    """Fill the rows there are, then send 100,000 keys that nobody has seen, once each."""
    origin = Origin(
        detector=AlertDetector(name="benchmark", version="0", instance="0"),
        topic="readings",
        group="benchmark",
    )
    scorer = WindowScorer(workload.bundle)
    detector = Detector(workload.bundle.spec, scorer, DetectConfig(), _CAPACITY)
    pipeline = Pipeline(detector, DetectConfig(), origin)
    known = [f"known-{i}" for i in range(_KNOWN)]
    rng = np.random.default_rng(0)
    before = _resident_mib()
    for step in range(T + 8):
        for begin in range(0, _KNOWN, _POLL):
            names = known[begin : begin + _POLL]
            _observe(pipeline, names, step, rng.normal(size=(len(names), F)))
    _send_strangers(pipeline, "early", _CAPACITY, T + 8)
    filled = _resident_mib()
    began = time.monotonic()
    _send_strangers(pipeline, "late", _FLOOD, T + 9)
    seconds = time.monotonic() - began
    flooded = _resident_mib()
    kept = sum(pipeline.store.index.find((0, name)) is not None for name in known)
    size = pipeline.store.series_bytes
    return {
        "state per series": f"{size:,} bytes; the {_CAPACITY:,} there is room for are stated as "
        f"{_CAPACITY * size / 2**20:,.0f} MiB and took {filled - before:,.0f} MiB",
        "flood of new series": f"{_FLOOD:,} keys in {seconds:.1f} s: resident memory grew by "
        f"{flooded - filled:,.1f} MiB; {kept:,} of {_KNOWN:,} known series kept their state",
    }


def _send_strangers(pipeline: Pipeline, stem: str, n: int, step: int) -> None:
    for begin in range(0, n, _POLL):
        names = [f"{stem}-{i}" for i in range(begin, begin + _POLL)]
        _observe(pipeline, names, step, np.zeros((_POLL, F)))


def _observe(
    pipeline: Pipeline,
    names: list[str],
    step: int,
    values: NDArray[np.float64],
) -> None:
    n, now = len(names), datetime.now(UTC)
    times = np.full(n, START_NS + step * STEP_NS)
    readings = ReadingBatch(
        topic="readings",
        partitions=np.zeros(n, np.int32),
        offsets=np.arange(n),
        series=names,
        times=times,
        arrivals=times,
        values=values,
    )
    lacking = pipeline.shortfall(readings)
    if lacking:
        pipeline.lifecycle.evict(lacking, {0}, readings.topic, now, EvictionClass.NO_INCIDENT)
    pipeline.observe(readings, now)


def _resident_mib() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20
