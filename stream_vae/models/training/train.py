"""From the history of some series to a model bundle."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import torch
from numpy.typing import NDArray

import stream_vae
from stream_vae.core.model_spec import Feature, ModelSpec
from stream_vae.core.scaling import Scaler
from stream_vae.models.bundle import Bundle
from stream_vae.models.bundle_format import with_version
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.device import resolve_device
from stream_vae.models.provenance import TrainingSummary, TrimmedSpan
from stream_vae.models.scores import default_score
from stream_vae.models.scores.tracked import Fused
from stream_vae.models.training.advice import (
    advise_on_data,
    advise_on_likelihood,
    advise_on_members,
    advise_on_rhythms,
    advise_on_trimming,
    resolved,
)
from stream_vae.models.training.calibration import (
    NETWORK,
    QUANTILE_LEVELS,
    Source,
    calibrate,
    choose_thresholds,
    combined_names,
    member_names,
)
from stream_vae.models.training.constant_model import constant_log_likelihood
from stream_vae.models.training.fitting import SILENT, Fitted, Fitting, Listeners, fit
from stream_vae.models.training.reports import (
    FeatureReport,
    LabelReport,
    TrainingReport,
)
from stream_vae.models.training.training_windows import (
    ANOMALOUS,
    NORMAL,
    Fold,
    TrainingSeries,
    WindowSet,
    check_series,
    cut_folds,
    cut_parts,
    is_cross_validated,
)
from stream_vae.models.training.trim import (
    spans_of,
    windows_to_drop,
    without_steps_of,
    without_windows,
)
from stream_vae.models.training.value_checks import check_values

_REPORTED_LEVELS = (0.5, 0.9, 0.99, 0.999, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """The result of `train`."""

    bundle: Bundle
    report: TrainingReport
    parts: Mapping[str, WindowSet]
    """Windows of the training, validation and calibration parts."""

    @property
    def validation(self) -> WindowSet:
        """Return windows that the weights were chosen by, not fitted to."""
        return self.parts["validation"]


def train(  # noqa: PLR0913 - what, how, who and when of one training
    series: Sequence[TrainingSeries],
    *,
    features: Sequence[Feature],
    step_seconds: float,
    architecture: ArchitectureConfig,
    training: TrainingConfig,
    model_id: str,
    now: datetime,
    max_gap: int | None = None,
    listeners: Listeners = SILENT,
) -> TrainedModel:
    """Train a model and calibrate it on windows that it has not seen.

    Each series is cut in time order into a training, a validation and a calibration part; no window
    crosses a cut. Of a short history all rows are fitted instead, and the calibration is that of
    models of all its blocks but one (`training.calibration`). The same arguments on the same
    machine give the same scores (on a CPU).

    Args:
        series: At least one; all with the same F features.
        features: F names and units.
        step_seconds: Width of the time grid; the series' times are whole steps apart.
        architecture: Shape of the network.
        training: How it is fitted.
        model_id: Operator's name for the model.
        now: Time of training, with a time zone.
        max_gap: Most consecutive missing steps in a window; unset: half a window.
        listeners: Are told of progress.

    Raises:
        ConfigError: If there are too few rows for one window in a part, nothing was observed, or a
            value is not of its feature's kind.
        ShapeError: If shapes or times contradict the grid.
    """
    step_ns = round(step_seconds * 1e9)
    combined_names(training)
    member_names(training)
    check_series(series, n_features=len(features), step_ns=step_ns)
    check_values(series, features)
    decided, rhythms = resolved(architecture, series, step_ns=step_ns)
    task = _Task(
        features=tuple(features),
        step_seconds=step_seconds,
        architecture=decided,
        training=training,
        max_gap=decided.window_length // 2 if max_gap is None else max_gap,
        device=resolve_device(training.device),
        listeners=listeners,
        cycle_steps=max((round(one.period_ns / step_ns) for one in rhythms), default=0),
    )
    is_crossed = is_cross_validated(series, window_length=decided.window_length, training=training)
    fit_of_all = _fit_in_folds(task, series) if is_crossed else _fit(task, series)
    bundle = _calibrated(_bundle(task, series, fit_of_all, model_id=model_id, now=now), fit_of_all)
    advice = (
        *advise_on_data(
            series,
            features=features,
            step_ns=step_ns,
            window_length=decided.window_length,
            training=training,
        ),
        *advise_on_rhythms(rhythms, features, step_ns=step_ns, architecture=architecture),
        *advise_on_trimming(fit_of_all.trimmed, asked=training.trim),
        *advise_on_likelihood(
            model=bundle.training.validation_log_likelihood,
            constant=bundle.training.constant_log_likelihood,
            history=fit_of_all.fitted.history,
            folds=len(fit_of_all.folds),
        ),
        *advise_on_members(
            (NETWORK, *member_names(training)), bundle.spec.tracking.get(Fused.name)
        ),
    )
    report = replace(_report(bundle, series, fit_of_all), advice=advice)
    return TrainedModel(bundle=bundle, report=report, parts=fit_of_all.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """What is to be fitted, how and where."""

    features: tuple[Feature, ...]
    step_seconds: float
    architecture: ArchitectureConfig
    """With `calendar` decided."""
    training: TrainingConfig
    max_gap: int
    device: torch.device
    listeners: Listeners
    cycle_steps: int

    @property
    def step_ns(self) -> int:
        """Width of the time grid, nanoseconds."""
        return round(self.step_seconds * 1e9)

    def cut(self, series: Sequence[TrainingSeries]) -> tuple[Scaler, dict[str, WindowSet]]:
        """Return the scaler, and the windows of each part."""
        return cut_parts(
            series,
            features=self.features,
            step_ns=self.step_ns,
            window_length=self.architecture.window_length,
            max_gap=self.max_gap,
            training=self.training,
        )

    def start(self, windows: WindowSet, scaler: Scaler) -> Fitting:
        """Return an untrained model."""
        return Fitting(
            windows,
            features=self.features,
            architecture=self.architecture,
            training=self.training,
            step_ns=self.step_ns,
            device=self.device,
            scaler=scaler,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    """A fitted model and the windows it was fitted to."""

    scaler: Scaler
    parts: dict[str, WindowSet]
    fitted: Fitted
    trimmed: tuple[TrimmedSpan, ...] = ()
    folds: tuple["_FittedFold", ...] = ()
    """Of a cross-validation; the parts are then all windows and, as both of the others, those of
    the folds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _FittedFold:
    """A model of all blocks but one."""

    fold: Fold
    fitted: Fitted


def _fit_in_folds(task: _Task, series: Sequence[TrainingSeries]) -> _Fit:
    """Fit a model to all rows, and one to all but each block."""
    cut = cut_folds(
        series,
        features=task.features,
        step_ns=task.step_ns,
        window_length=task.architecture.window_length,
        max_gap=task.max_gap,
        training=task.training,
    )
    folds = []
    for fold in cut.folds:
        fitting = task.start(fold.training, cut.scaler)
        fitted = fit(fitting, fold.held_out, SILENT, to_the_end=True)
        folds.append(_FittedFold(fold=fold, fitted=fitted))
    fitting = task.start(cut.every, cut.scaler)
    fitted = fit(fitting, cut.every, task.listeners, to_the_end=True)
    unseen = np.average(
        [one.fitted.best.validation_log_likelihood for one in folds],
        weights=[len(one.fold.held_out) for one in folds],
    )
    best = replace(fitted.best, validation_log_likelihood=float(unseen))
    return _Fit(
        scaler=cut.scaler,
        parts={"training": cut.every, "validation": cut.held_out, "calibration": cut.held_out},
        fitted=replace(fitted, best=best),
        folds=tuple(folds),
    )


def _fit(task: _Task, series: Sequence[TrainingSeries]) -> _Fit:
    """Fit a model; where the settings ask for it, again without the windows that scored worst."""
    scaler, parts = task.cut(series)
    fitting = task.start(parts["training"], scaler)
    fitted = fit(fitting, parts["validation"], task.listeners)
    dropped = windows_to_drop(fitting, parts, task.training.trim)
    if not len(dropped):
        return _Fit(scaler=scaler, parts=parts, fitted=fitted, trimmed=())
    first = parts["training"]
    if task.listeners.refit is not None:
        task.listeners.refit(len(dropped) / len(first))
    scaler, parts = task.cut(without_steps_of(series, first, dropped))
    parts["training"] = without_windows(parts["training"], first.starts[dropped])
    fitting = task.start(parts["training"], scaler)
    return _Fit(
        scaler=scaler,
        parts=parts,
        fitted=fit(fitting, parts["validation"], task.listeners),
        trimmed=spans_of(series, first, dropped),
    )


def _bundle(
    task: _Task, series: Sequence[TrainingSeries], fit_of_all: _Fit, *, model_id: str, now: datetime
) -> Bundle:
    """Return the bundle of a fitted model, before its calibration."""
    spec = ModelSpec(
        id=model_id,
        version="",
        trained_at=now,
        features=task.features,
        window_length=task.architecture.window_length,
        step_seconds=task.step_seconds,
        scaler=fit_of_all.scaler,
        score=default_score(
            len(task.features),
            window_length=task.architecture.window_length,
            all_numeric=all(one.kind == "numeric" for one in task.features),
            has_members=bool(member_names(task.training)),
        ),
        calibration={},
        cycle_steps=task.cycle_steps,
    )
    return Bundle(
        spec=spec,
        architecture=task.architecture,
        weights=_weights(fit_of_all.fitted),
        score_states={},
        noise_seed=task.training.seed,
        training=_summary(task, series, fit_of_all),
    )


def _calibrated(bundle: Bundle, fit_of_all: _Fit) -> Bundle:
    device = resolve_device(bundle.training.config.device)
    parts = fit_of_all.parts
    if fit_of_all.folds:
        every = [parts["training"]]
        sources = [
            Source(
                bundle=replace(bundle, weights=_weights(one.fitted)),
                fitted_to=[one.fold.training],
                held_out=one.fold.held_out,
            )
            for one in fit_of_all.folds
        ]
        return with_version(calibrate(bundle, fitted_to=every, sources=sources, device=device))
    seen = _seen(parts)
    held_out = Source(bundle=bundle, fitted_to=seen, held_out=parts["calibration"])
    calibrated = calibrate(bundle, fitted_to=seen, sources=[held_out], device=device)
    return with_version(choose_thresholds(calibrated, _labelled_first(parts), device))


def _seen(parts: Mapping[str, WindowSet]) -> list[WindowSet]:
    """Return what the model knows: the validation part chose the weights."""
    return [parts["training"], parts["validation"]]


def _labelled_first(parts: Mapping[str, WindowSet]) -> list[WindowSet]:
    """Return what thresholds are chosen on, the least biased first."""
    return [parts["calibration"], parts["validation"]]


def _weights(fitted: Fitted) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu() for name, tensor in fitted.model.tensors().items()}


def _summary(task: _Task, series: Sequence[TrainingSeries], fit_of_all: _Fit) -> TrainingSummary:
    fitted = fit_of_all.fitted
    return TrainingSummary(
        config=task.training,
        data_sha256=fingerprint(series, task.features),
        rows=sum(len(one.times) for one in series),
        series=len(series),
        epochs=len(fitted.history),
        best_epoch=fitted.best.epoch,
        validation_log_likelihood=fitted.best.validation_log_likelihood,
        constant_log_likelihood=constant_log_likelihood(
            fit_of_all.parts,
            task.features,
            scaler=fit_of_all.scaler,
            sigma_floor=task.architecture.sigma_floor,
        ),
        versions={
            "stream-vae": stream_vae.__version__,
            "torch": str(torch.__version__),
            "numpy": str(np.__version__),
        },
        trimmed=fit_of_all.trimmed,
        folds=len(fit_of_all.folds),
    )


def fingerprint(series: Sequence[TrainingSeries], features: Sequence[Feature]) -> str:
    """Return the SHA-256 of feature names, series keys, times, values and labels, in this order."""
    digest = hashlib.sha256(repr([feature.name for feature in features]).encode())
    for one in series:
        # One bit pattern for every NaN: the reader's choice of pattern is not data.
        values = np.where(np.isnan(one.values), np.nan, one.values)
        digest.update(repr((one.key, values.shape)).encode())
        digest.update(np.ascontiguousarray(one.times, dtype="<i8").tobytes())
        digest.update(np.ascontiguousarray(values, dtype="<f8").tobytes())
        if one.labels is not None:
            digest.update(np.ascontiguousarray(one.labels, dtype="i1").tobytes())
    return digest.hexdigest()


def _report(bundle: Bundle, series: Sequence[TrainingSeries], fit_of_all: _Fit) -> TrainingReport:
    parts, fitted = fit_of_all.parts, fit_of_all.fitted
    return TrainingReport(
        rows=bundle.training.rows,
        series=bundle.training.series,
        features=_feature_reports(bundle.spec.features, series, parts["training"].steps),
        windows={
            part: len(windows)
            for part, windows in parts.items()
            if part != "validation" or not fit_of_all.folds
        },
        folds=len(fit_of_all.folds),
        parameters=sum(tensor.numel() for tensor in bundle.weights.values()),
        history=fitted.history,
        best_epoch=fitted.best.epoch,
        validation_log_likelihood=fitted.best.validation_log_likelihood,
        constant_log_likelihood=bundle.training.constant_log_likelihood,
        score=bundle.spec.score,
        calibration_quantiles=reported_quantiles(bundle.spec.calibration),
        labels=_label_report(bundle, series, parts),
    )


def reported_quantiles(
    calibration: Mapping[str, NDArray[np.float64]],
) -> dict[str, dict[float, float]]:
    """Return a few levels of each score's calibration."""
    return {
        name: {level: float(np.interp(level, QUANTILE_LEVELS, found)) for level in _REPORTED_LEVELS}
        for name, found in calibration.items()
    }


def _label_report(
    bundle: Bundle, series: Sequence[TrainingSeries], parts: Mapping[str, WindowSet]
) -> LabelReport:
    of_rows = [one.labels for one in series if one.labels is not None]
    rows = np.concatenate([np.asarray(one, np.int8) for one in of_rows] or [np.empty(0, np.int8)])
    seen = np.concatenate([one.labels() for one in _seen(parts)])
    judged = np.concatenate([one.newest_labels() for one in _labelled_first(parts)])
    return LabelReport(
        normal=int((rows == NORMAL).sum()),
        anomalous=int((rows == ANOMALOUS).sum()),
        without_supervised=_lacking(seen, "training and validation"),
        without_thresholds=_lacking(judged, "validation and calibration"),
    )


def _lacking(labels: NDArray[np.int8], parts: str) -> str | None:
    """Return which of the two labels no window has; None if there are both."""
    lacking = [str(label) for label in (NORMAL, ANOMALOUS) if not (labels == label).any()]
    return f"no window of the {parts} parts is labelled {' or '.join(lacking)}" if lacking else None


def _feature_reports(
    features: Sequence[Feature], series: Sequence[TrainingSeries], steps: NDArray[np.float32]
) -> tuple[FeatureReport, ...]:
    rows = sum(len(one.times) for one in series)
    observed = sum(np.isfinite(one.values).sum(axis=0) for one in series) / rows
    finite = np.isfinite(steps)
    low = np.where(finite, steps, np.inf).min(axis=0)
    high = np.where(finite, steps, -np.inf).max(axis=0)
    return tuple(
        FeatureReport(name=feature.name, observed_share=float(share), is_constant=bool(constant))
        for feature, share, constant in zip(features, observed, high <= low, strict=True)
    )
