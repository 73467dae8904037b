"""Scores of the model and of the baselines on the windows of a task."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.residuals import UsualResiduals
from stream_vae.core.scaling import Scaler
from stream_vae.evaluate.comparison import encoded, fit_baselines
from stream_vae.evaluate.data_sets.ablation import variants
from stream_vae.evaluate.data_sets.task import HELD_OUT, Task, TimedWindows
from stream_vae.models.bundle import Bundle
from stream_vae.models.scores.tracked import Fused
from stream_vae.models.scoring import WindowScorer
from stream_vae.models.training.calibration import member_names
from stream_vae.models.training.fitting import Listeners
from stream_vae.models.training.reports import BatchReport
from stream_vae.models.training.train import train

MODEL = "stream-vae"
_BATCH = 1024

OnBatch = Callable[[BatchReport], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodScores:
    """One method's scores; higher = more anomalous."""

    method: str
    score: str
    test: NDArray[np.float64]
    """(B,) of the test windows."""
    reference: NDArray[np.float64] | None
    """(W,) of the training windows that set the cut; None if the method has seen them all."""
    evidence: NDArray[np.float32] | None = None
    """(B, K, F, 2) of the test windows by member, for a score that has members."""
    usual: UsualResiduals | None = None
    """What that usually is."""


def all_scores(
    task: Task,
    *,
    seed: int,
    now: datetime,
    on_batch: OnBatch | None = None,
    with_deterministic: bool = True,
) -> Iterator[MethodScores]:
    """Train the model and the baselines on a task and yield what each says of its windows."""
    yield from model_scores(task, seed=seed, now=now, on_batch=on_batch)
    yield from baseline_scores(task, seed=seed, with_deterministic=with_deterministic)
    for one in task.others if with_deterministic else ():
        yield MethodScores(
            method=one.method, score=one.score, test=one.test, reference=one.reference
        )


def model_scores(
    task: Task, *, seed: int, now: datetime, on_batch: OnBatch | None = None
) -> Iterator[MethodScores]:
    """Train the product's model and yield each of its scores."""
    settings = task.settings
    trained = train(
        task.series,
        features=task.features,
        step_seconds=task.step_seconds,
        architecture=settings.architecture,
        training=replace(settings.training, seed=seed),
        model_id="benchmark",
        now=now,
        max_gap=0,
        listeners=Listeners(batch=on_batch),
    )
    for name in settings.scores:
        if name == Fused.name and task.is_in_order:
            yield from _ablation(task, trained.bundle)
            continue
        scorer = WindowScorer(trained.bundle, score=name, device=settings.training.device)
        test, reference = (
            [scorer.score(part.values, part.end_times) for part in _batches(windows)]
            for windows in (task.test, task.reference)
        )
        evidence = [one.evidence for one in test if one.evidence is not None]
        yield MethodScores(
            method=MODEL,
            score=name,
            test=np.concatenate([one.value for one in test]),
            reference=_unseen(
                trained.bundle, name, np.concatenate([one.value for one in reference])
            ),
            evidence=np.concatenate(evidence) if evidence else None,
            usual=trained.bundle.spec.tracking.get(name),
        )


def _unseen(
    bundle: Bundle, name: str, reference: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Return the scores that set the cut: of a model of all rows those of its cross-validation."""
    if not bundle.training.folds:
        return reference
    return bundle.spec.calibration.get(name)


def _ablation(task: Task, bundle: Bundle) -> Iterator[MethodScores]:
    """Yield the fused score of a series and of what it is made of."""
    score = Fused.name
    scorer = WindowScorer(bundle, score=score, device=task.settings.training.device)
    evidence = [
        np.concatenate([_evidence(scorer, part) for part in _batches(windows)])
        for windows in (task.test, task.reference)
    ]
    members = {"vae": 0}
    for name in member_names(bundle.training.config):
        members[name] = len(members)
    for one in variants(members, bundle.spec.tracking[score].is_useful):
        test, reference = (
            one.score(found, bundle.spec.tracking[score], step=step)
            for found, step in zip(evidence, (1, task.settings.training.stride), strict=True)
        )
        # Alone, a member that is a baseline has no calibration in the bundle.
        name = one.method or one.score_name
        yield MethodScores(
            method=one.method or MODEL,
            score=one.score_name,
            test=test,
            reference=_unseen(bundle, name, reference),
        )


def _evidence(scorer: WindowScorer, windows: TimedWindows) -> NDArray[np.float32]:
    found = scorer.score(windows.values, windows.end_times).evidence
    assert found is not None  # noqa: S101 -- the fused score always gives it
    return found


def baseline_scores(
    task: Task, *, seed: int, with_deterministic: bool = True
) -> Iterator[MethodScores]:
    """Fit the baselines to the same training windows and yield their scores."""
    held_from = round(len(task.history) * (1 - HELD_OUT))
    learnt = task.history.values[:held_from]
    scaler = Scaler.fit(learnt.reshape(-1, learnt.shape[2]))
    fitted = fit_baselines(
        encoded(task.history.values, scaler),
        scaler,
        seed=seed,
        with_deterministic=with_deterministic,
    )
    for full_name, score in fitted.items():
        name, _, under = full_name.partition(", ")
        test, reference = (
            np.concatenate([score(part.values) for part in _batches(which)])
            for which in (task.test, task.reference)
        )
        yield MethodScores(method=name, score=under or "usual", test=test, reference=reference)


def _batches(windows: TimedWindows) -> Iterator[TimedWindows]:
    for at in range(0, max(len(windows), 1), _BATCH):
        yield windows.rows(slice(at, at + _BATCH))
