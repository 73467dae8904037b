"""What the detector makes of a method's scores of one series, reading by reading."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.incidents import JudgedReading
from stream_vae.core.model_spec import ModelSpec, Scores
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.scaling import Scaler
from stream_vae.core.windows import WindowBatch
from stream_vae.detect.config import DetectConfig
from stream_vae.detect.incidents import Change, IncidentTracker
from stream_vae.detect.profile import in_profile
from stream_vae.evaluate.data_sets.methods import MethodScores
from stream_vae.evaluate.data_sets.task import Task
from stream_vae.pipeline.detector import Detector
from stream_vae.pipeline.scored_batch import ScoredBatch

_LEVELS = np.linspace(0.0, 1.0, 1001)
_ROW = np.zeros(1, np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """B judged readings."""

    value: NDArray[np.float64]
    """(B,) what was compared with the threshold."""
    opened: NDArray[np.bool_]
    """(B,) whether the reading opens an incident."""


def detected(task: Task, found: MethodScores, config: DetectConfig) -> Detected:
    """Judge the scores of a task's test windows as those of one new series.

    Args:
        task: Its test windows are consecutive.
        found: Of a method, with what its members say if it has any.
        config: Of the detector.
    """
    spec = _spec(task, found)
    config = in_profile(config, spec)
    detector = Detector(spec, _NoScorer(), config, 1)
    for part in detector.parts:
        part.columns.begin(_ROW)
    judged = detector.judge(_scored(task, found, detector.version))
    value, is_anomalous = judged.scored.scores.value, judged.judged.anomalous
    return Detected(value=value, opened=_opened(value, is_anomalous, config, spec))


class _NoScorer:
    """Stands where a detector has its model: the scores are there already."""

    def score(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
        """Score nothing."""
        raise NotImplementedError


def _spec(task: Task, found: MethodScores) -> ModelSpec:
    values = task.history.values[:, -1]
    assert found.reference is not None  # noqa: S101 -- only members of several features lack it
    return ModelSpec(
        id=task.file,
        version="",
        trained_at=datetime(1970, 1, 1, tzinfo=UTC),
        features=task.features,
        window_length=task.settings.architecture.window_length,
        step_seconds=task.step_seconds,
        scaler=Scaler.fit(values),
        score=found.score,
        calibration={found.score: np.quantile(found.reference, _LEVELS)},
        tracking={} if found.usual is None else {found.score: found.usual},
    )


def _scored(task: Task, found: MethodScores, detector: str) -> ScoredBatch:
    """Return the test windows as one batch that has been scored."""
    n, n_features = len(found.test), task.test.values.shape[2]
    rows, times = np.zeros(n, np.int32), task.test.end_times
    return ScoredBatch(
        readings=ReadingBatch(
            topic=task.file,
            partitions=rows,
            offsets=np.arange(n),
            series=[task.file] * n,
            times=times,
            arrivals=times,
            values=task.test.values[:, -1],
        ),
        decided_at=np.arange(n),
        window_batch=WindowBatch(
            rows=rows,
            late=np.zeros(n, np.bool_),
            warming_up=np.zeros(n, np.bool_),
            ready=np.arange(n),
            revises=np.zeros(n, np.bool_),
            windows=task.test.values,
            end_times=times,
        ),
        scores=Scores(
            value=found.test,
            evidence=found.evidence,
            contribution=np.full((n, n_features), 1 / n_features, np.float32),
            expected=np.zeros((n, n_features)),
            expected_std=np.ones((n, n_features)),
        ),
        detector=detector,
    )


def _opened(
    scores: NDArray[np.float64],
    is_anomalous: NDArray[np.bool_],
    config: DetectConfig,
    spec: ModelSpec,
) -> NDArray[np.bool_]:
    """Return (B,) whether each reading opens an incident; readings are taken a step apart."""
    tracker = IncidentTracker(config.incident, window_length=spec.window_length)
    step_ns = round(spec.step_seconds * 1e9)
    found = np.zeros(len(scores), np.bool_)
    for at, (score, anomalous) in enumerate(
        zip(scores.tolist(), is_anomalous.tolist(), strict=True)
    ):
        reading = JudgedReading(
            step=at * step_ns,
            time=at * step_ns,
            offset=at,
            anomalous=anomalous,
            score=score,
            grade=0.0,
        )
        change = tracker.observe(0, reading)
        found[at] = change is not None and change[0] is Change.OPENED
    return found
