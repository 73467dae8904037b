"""From the history of some series to a model bundle."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

import stream_vae
from stream_vae.core.model_spec import Feature, ModelSpec
from stream_vae.models.bundle import Bundle, TrainingSummary
from stream_vae.models.bundle_format import with_version
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.device import resolve_device
from stream_vae.models.scores import default_score
from stream_vae.models.training.advice import (
    advise_on_data,
    advise_on_likelihood,
    advise_on_rhythms,
    advise_on_trimming,
    resolved,
)
from stream_vae.models.training.calibration import (
    QUANTILE_LEVELS,
    calibrate,
    choose_thresholds,
    combined_names,
)
from stream_vae.models.training.constant_model import constant_log_likelihood
from stream_vae.models.training.fitting import Fitted, Fitting, Listeners, fit
from stream_vae.models.training.reports import (
    BatchReport,
    EpochReport,
    FeatureReport,
    TrainingReport,
)
from stream_vae.models.training.training_windows import (
    TrainingSeries,
    WindowSet,
    check_series,
    cut_parts,
)
from stream_vae.models.training.trim import (
    TrimmedSpan,
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
    validation: WindowSet
    """Windows that the weights were chosen by, not fitted to."""


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
    progress: Callable[[EpochReport], None] | None = None,
    on_batch: Callable[[BatchReport], None] | None = None,
) -> TrainedModel:
    """Train a model and calibrate it on the held-out end of each series.

    Each series is cut in time order into a training, a validation and a calibration part; no window
    crosses a cut. The same arguments on the same machine give the same scores (on a CPU).

    Args:
        series: At least one; all with the same F features.
        features: F names and units.
        step_seconds: Width of the time grid; the series' times are whole steps apart.
        architecture: Shape of the network.
        training: How it is fitted.
        model_id: Operator's name for the model.
        now: Time of training, with a time zone.
        max_gap: Most consecutive missing steps in a window; unset: half a window.
        progress: Called after each epoch.
        on_batch: Called after each optimiser step.

    Raises:
        ConfigError: If there are too few rows for one window in a part, nothing was observed, or a
            value is not of its feature's kind.
        ShapeError: If shapes or times contradict the grid.
    """
    step_ns = round(step_seconds * 1e9)
    combined_names(training)
    check_series(series, n_features=len(features), step_ns=step_ns)
    check_values(series, features)
    asked, (architecture, rhythms) = architecture, resolved(architecture, series, step_ns=step_ns)
    device = resolve_device(training.device)
    cut = partial(
        cut_parts,
        features=features,
        step_ns=step_ns,
        window_length=architecture.window_length,
        max_gap=architecture.window_length // 2 if max_gap is None else max_gap,
        training=training,
    )
    start = partial(
        Fitting,
        features=features,
        architecture=architecture,
        training=training,
        step_ns=step_ns,
        device=device,
    )
    listeners = Listeners(epoch=progress, batch=on_batch)
    scaler, parts = cut(series)
    fitting = start(parts["training"], scaler=scaler)
    fitted = fit(fitting, parts["validation"], listeners)
    trimmed: tuple[TrimmedSpan, ...] = ()
    dropped = windows_to_drop(fitting, parts, training.trim)
    if len(dropped):
        first = parts["training"]
        trimmed = spans_of(series, first, dropped)
        scaler, parts = cut(without_steps_of(series, first, dropped))
        parts["training"] = without_windows(parts["training"], first.starts[dropped])
        fitted = fit(start(parts["training"], scaler=scaler), parts["validation"], listeners)
    spec = ModelSpec(
        id=model_id,
        version="",
        trained_at=now,
        features=tuple(features),
        window_length=architecture.window_length,
        step_seconds=step_seconds,
        scaler=scaler,
        score=default_score(
            len(features), all_numeric=all(feature.kind == "numeric" for feature in features)
        ),
        calibration={},
    )
    constant = constant_log_likelihood(
        parts, features, scaler=scaler, sigma_floor=architecture.sigma_floor
    )
    bundle = Bundle(
        spec=spec,
        architecture=architecture,
        weights=_weights(fitted),
        score_states={},
        noise_seed=training.seed,
        training=_summary(series, features, training, fitted, constant),
    )
    bundle = with_version(_calibrated(bundle, parts, device))
    advice = (
        *advise_on_data(
            series,
            features=features,
            step_ns=step_ns,
            window_length=architecture.window_length,
            training=training,
        ),
        *advise_on_rhythms(rhythms, features, step_ns=step_ns, architecture=asked),
        *advise_on_trimming(trimmed, asked=training.trim),
        *advise_on_likelihood(
            model=fitted.best.validation_log_likelihood, constant=constant, history=fitted.history
        ),
    )
    report = replace(_report(bundle, series, parts, fitted), advice=advice)
    return TrainedModel(bundle=bundle, report=report, validation=parts["validation"])


def _calibrated(bundle: Bundle, parts: dict[str, WindowSet], device: torch.device) -> Bundle:
    # The validation part chose the weights; it is no more held out than the training part.
    fitted_to = [parts["training"], parts["validation"]]
    held_out = parts["calibration"]
    calibrated = calibrate(bundle, fitted_to=fitted_to, held_out=held_out, device=device)
    return choose_thresholds(calibrated, [held_out, parts["validation"]], device)


def _weights(fitted: Fitted) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu() for name, tensor in fitted.model.tensors().items()}


def _summary(
    series: Sequence[TrainingSeries],
    features: Sequence[Feature],
    training: TrainingConfig,
    fitted: Fitted,
    constant: float,
) -> TrainingSummary:
    return TrainingSummary(
        config=training,
        data_sha256=fingerprint(series, features),
        rows=sum(len(one.times) for one in series),
        series=len(series),
        epochs=len(fitted.history),
        best_epoch=fitted.best.epoch,
        validation_log_likelihood=fitted.best.validation_log_likelihood,
        constant_log_likelihood=constant,
        versions={
            "stream-vae": stream_vae.__version__,
            "torch": str(torch.__version__),
            "numpy": str(np.__version__),
        },
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


def _report(
    bundle: Bundle, series: Sequence[TrainingSeries], parts: dict[str, WindowSet], fitted: Fitted
) -> TrainingReport:
    quantiles = {
        name: {level: float(np.interp(level, QUANTILE_LEVELS, found)) for level in _REPORTED_LEVELS}
        for name, found in bundle.spec.calibration.items()
    }
    return TrainingReport(
        rows=bundle.training.rows,
        series=bundle.training.series,
        features=_feature_reports(bundle.spec.features, series, parts["training"].steps),
        windows={part: len(windows) for part, windows in parts.items()},
        parameters=sum(tensor.numel() for tensor in bundle.weights.values()),
        history=fitted.history,
        best_epoch=fitted.best.epoch,
        validation_log_likelihood=fitted.best.validation_log_likelihood,
        constant_log_likelihood=bundle.training.constant_log_likelihood,
        score=bundle.spec.score,
        calibration_quantiles=quantiles,
    )


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
