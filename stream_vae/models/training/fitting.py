"""The optimisation: from windows to weights."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stream_vae.core.model_spec import Feature
from stream_vae.core.scaling import Scaler
from stream_vae.errors import ConfigError
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.training.annealing import kl_weight, last_rise_ends
from stream_vae.models.training.loss import Batch, loss_terms
from stream_vae.models.training.optimizers import build_optimizer
from stream_vae.models.training.reports import BatchReport, EpochReport
from stream_vae.models.training.training_windows import WindowSet
from stream_vae.models.vae.calendar import calendar_inputs
from stream_vae.models.vae.sequence_vae import SequenceVae

_MAX_VALIDATION_WINDOWS = 4096
_VALIDATION_BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """Callbacks for the progress of training."""

    epoch: Callable[[EpochReport], None] | None = None
    """Called after each epoch."""
    batch: Callable[[BatchReport], None] | None = None
    """Called after each optimiser step."""
    refit: Callable[[float], None] | None = None
    """Called before training begins anew, with the share of training windows left out of it."""


SILENT = Listeners()
"""Tells nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """The best model found, and the history of its training."""

    model: SequenceVae
    history: tuple[EpochReport, ...]
    best: EpochReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Planned optimiser steps."""

    epochs: int
    steps_per_epoch: int
    batch_size: int

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return self.epochs * self.steps_per_epoch


def plan_steps(n_windows: int, training: TrainingConfig) -> Plan:
    """Return the steps for a training part of `n_windows` windows.

    An epoch is one pass over them; several if `min_steps` requires it, and a random part of them
    if `max_steps` does.

    >>> plan_steps(1000, TrainingConfig(epochs=10, batch_size=100, min_steps=0)).steps_per_epoch
    10
    >>> plan_steps(50, TrainingConfig(epochs=10, batch_size=100, min_steps=300))
    Plan(epochs=10, steps_per_epoch=30, batch_size=50)
    """
    batch_size = min(training.batch_size, n_windows)
    one_pass = math.ceil(n_windows / batch_size)
    least = math.ceil(training.min_steps / training.epochs)
    most = max(1, training.max_steps // training.epochs)
    return Plan(
        epochs=training.epochs,
        steps_per_epoch=min(max(one_pass, least), most),
        batch_size=batch_size,
    )


class Fitting:
    """A model in training; all random draws come from the seed.

    Args:
        windows: The training part.
        features: F, in the order of its columns.
        architecture: Shape of the network.
        training: How it is fitted.
        step_ns: Width of a step, nanoseconds.
        device: Where to compute.
        scaler: Of the windows; None if all features are numeric.
    """

    def __init__(  # noqa: PLR0913 -- what, how and where
        self,
        windows: WindowSet,
        *,
        features: Sequence[Feature],
        architecture: ArchitectureConfig,
        training: TrainingConfig,
        step_ns: int,
        device: torch.device,
        scaler: Scaler | None = None,
    ) -> None:
        self.plan = plan_steps(len(windows), training)
        self.model = _initial_model(features, architecture, scaler, training.seed)
        self.model.to(device).train()
        self._windows = windows
        self._training = training
        self._calendar = architecture.calendar
        self._has_dropout = architecture.dropout > 0
        self._dropout_seeds = np.random.default_rng((training.seed, 1))
        self._step_ns = step_ns
        self._device = device
        self._is_quantity = torch.tensor(
            [float(feature.kind in {"numeric", "count"}) for feature in features], device=device
        )
        self._rng = np.random.default_rng(training.seed)
        self._noise = torch.Generator(device).manual_seed(training.seed)
        self._queue: NDArray[np.int64] = np.empty(0, np.int64)
        self._optimizer, self._schedule = build_optimizer(
            self.model, training, steps=self.plan.steps
        )
        self._parameters = [
            parameter for group in self._optimizer.param_groups for parameter in group["params"]
        ]
        self._step = 0

    def step(self) -> BatchReport:
        """Take one optimiser step."""
        self._step += 1
        batch = self.batch(self._windows, self._next_windows())
        weight = kl_weight(self._step, self.plan.steps, self._training)
        with self._seeded_dropout():
            terms = loss_terms(self.model, batch, self._hidden(batch), self._noise)
        count = batch.observed.sum().clamp(min=1)
        loss = terms.loss(self._training, kl_weight=weight) / count
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._parameters, self._training.gradient_clip)
        self._optimizer.step()
        self._schedule.step()
        return BatchReport(
            step=self._step,
            steps=self.plan.steps,
            epoch=(self._step - 1) // self.plan.steps_per_epoch + 1,
            epochs=self.plan.epochs,
            reconstruction=float(terms.reconstruction.detach().sum() / count),
            kl=float(terms.kl().detach() / count),
            kl_weight=weight,
        )

    @torch.no_grad()
    def log_likelihood(self, batches: list[Batch]) -> float:
        """Return the evidence lower bound in nats per observed value, with fixed noise."""
        self.model.eval()
        noise = torch.Generator(self._device).manual_seed(self._training.seed)
        total, count = 0.0, 0
        for batch in batches:
            terms = loss_terms(self.model, batch, batch, noise)
            total -= terms.negative_bound()
            count += int(batch.observed.sum())
        self.model.train()
        return total / max(count, 1)

    @torch.no_grad()
    def window_scores(self, windows: WindowSet) -> NDArray[np.float64]:
        """Return (W,) negative log-probabilities in nats per observed value, with fixed noise."""
        self.model.eval()
        noise = torch.Generator(self._device).manual_seed(self._training.seed)
        found = [np.empty(0)]
        for at in range(0, len(windows), _VALIDATION_BATCH):
            which = np.arange(at, min(at + _VALIDATION_BATCH, len(windows)))
            batch = self.batch(windows, which)
            nll = loss_terms(self.model, batch, batch, noise).reconstruction
            count = batch.observed.sum(dim=(1, 2)).clamp(min=1)
            found.append((nll / count).double().cpu().numpy())
        self.model.train()
        return np.concatenate(found)

    def has_stalled(self, history: list[EpochReport]) -> bool:
        """Return whether the last `patience` epochs at full KL weight brought no improvement."""
        late = history[-self._training.patience :]
        annealed = last_rise_ends(self.plan.steps, self._training)
        return len(late) == self._training.patience and not any(
            report.is_best or report.step < annealed for report in late
        )

    def batch(self, windows: WindowSet, which: NDArray[np.int64]) -> Batch:
        """Return the chosen windows on the device."""
        values, end_times = windows.take(which)
        raw = torch.from_numpy(values).to(self._device)
        observed = torch.isfinite(raw)
        calendar = None
        if self._calendar:
            inputs = calendar_inputs(end_times, windows.window_length, self._step_ns)
            calendar = torch.from_numpy(inputs).to(self._device)
        return Batch(values=torch.where(observed, raw, 0.0), observed=observed, calendar=calendar)

    def _next_windows(self) -> NDArray[np.int64]:
        """Take the next windows of a shuffled pass, starting a new one when it runs out."""
        size = self.plan.batch_size
        while len(self._queue) < size:
            self._queue = np.concatenate((self._queue, self._rng.permutation(len(self._windows))))
        taken, self._queue = self._queue[:size], self._queue[size:]
        return taken

    def _hidden(self, batch: Batch) -> Batch:
        """Return the encoder's input in training: noise added, some values and steps masked."""
        training, shape = self._training, batch.values.shape
        values, observed = batch.values, batch.observed
        if training.denoising:
            # Noise would make another category of a code.
            noise = self._draw(torch.randn, shape) * self._is_quantity
            values = values + training.denoising * noise
        if training.missing_rate:
            step_shape = (*shape[:2], 1)
            shown = self._draw(torch.rand, shape) >= training.missing_rate
            shown &= self._draw(torch.rand, step_shape) >= training.missing_rate
            observed = observed & shown
        return Batch(values=values, observed=observed, calendar=batch.calendar)

    def _draw(self, kind: Callable[..., Tensor], shape: tuple[int, ...]) -> Tensor:
        return kind(shape, generator=self._noise, device=self._device)

    @contextmanager
    def _seeded_dropout(self) -> Iterator[None]:
        """Draw what is dropped from the training's seed; torch knows no generator for it."""
        if not self._has_dropout:
            yield
            return
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(int(self._dropout_seeds.integers(2**63)))
            yield


def fit(
    fitting: Fitting, validation: WindowSet, listeners: Listeners, *, to_the_end: bool = False
) -> Fitted:
    """Train to the end, or until held-out likelihood has not risen for `patience` epochs.

    The weights with the best validation likelihood are kept.

    Args:
        fitting: To be trained.
        validation: Windows that the likelihood is of.
        listeners: Are told of progress.
        to_the_end: Let the likelihood decide nothing: take all steps, keep the last weights.

    Raises:
        ConfigError: If training diverges.
    """
    held_out = [fitting.batch(validation, which) for which in held_out_batches(len(validation))]
    history: list[EpochReport] = []
    best_weights: dict[str, Tensor] = {}
    while len(history) < fitting.plan.epochs and (to_the_end or not fitting.has_stalled(history)):
        reports = []
        for _ in range(fitting.plan.steps_per_epoch):
            reports.append(fitting.step())
            if listeners.batch is not None:
                listeners.batch(reports[-1])
        likelihood = fitting.log_likelihood(held_out)
        if not math.isfinite(likelihood):
            raise ConfigError(
                f"training diverged: found a held-out log-likelihood of {likelihood}, expected a "
                "finite one; lower training.learning_rate"
            )
        is_best = to_the_end or all(likelihood > past.validation_log_likelihood for past in history)
        if is_best:
            state = fitting.model.state_dict()
            best_weights = {name: tensor.detach().clone() for name, tensor in state.items()}
        history.append(_epoch_report(reports, likelihood, is_best=is_best))
        if listeners.epoch is not None:
            listeners.epoch(history[-1])
    fitting.model.load_state_dict(best_weights)
    best = next(report for report in reversed(history) if report.is_best)
    return Fitted(model=fitting.model.eval(), history=tuple(history), best=best)


def held_out_batches(n_windows: int) -> list[NDArray[np.int64]]:
    """Return the validation windows to evaluate, in batches: all, or evenly spaced ones."""
    every = -(-n_windows // _MAX_VALIDATION_WINDOWS)
    chosen = np.arange(0, n_windows, every, dtype=np.int64)
    return [chosen[at : at + _VALIDATION_BATCH] for at in range(0, len(chosen), _VALIDATION_BATCH)]


def _epoch_report(reports: list[BatchReport], likelihood: float, *, is_best: bool) -> EpochReport:
    last = reports[-1]
    return EpochReport(
        epoch=last.epoch,
        epochs=last.epochs,
        step=last.step,
        steps=last.steps,
        reconstruction=sum(report.reconstruction for report in reports) / len(reports),
        kl=sum(report.kl for report in reports) / len(reports),
        kl_weight=last.kl_weight,
        validation_log_likelihood=likelihood,
        is_best=is_best,
    )


def _initial_model(
    features: Sequence[Feature],
    architecture: ArchitectureConfig,
    scaler: Scaler | None,
    seed: int,
) -> SequenceVae:
    """Return a model with initial weights from the seed, without changing the global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SequenceVae(features, architecture, scaler)
