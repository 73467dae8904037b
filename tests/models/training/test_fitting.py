from dataclasses import replace

import numpy as np
import pytest
import torch

from stream_vae.core.model_spec import Feature
from stream_vae.errors import ConfigError
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.training.fitting import (
    Fitting,
    Listeners,
    Plan,
    fit,
    held_out_batches,
    plan_steps,
)
from stream_vae.models.training.reports import BatchReport, EpochReport
from stream_vae.models.training.training_windows import WindowSet

ARCHITECTURE = ArchitectureConfig(window_length=5, hidden_size=8, latent_size=2)
TRAINING = TrainingConfig(epochs=4, min_steps=0, batch_size=7, denoising=0.0, missing_rate=0.0)


def make_windows(n_windows: int, seed: int = 0) -> WindowSet:
    """Return windows of F = 3 random features, one step apart."""
    n_steps = n_windows + 4
    steps = np.random.default_rng(seed).normal(size=(n_steps, 3)).astype(np.float32)
    return WindowSet(
        steps=steps,
        times=np.arange(n_steps, dtype=np.int64),
        starts=np.arange(n_windows, dtype=np.int64),
        window_length=5,
    )


def make_fitting(training: TrainingConfig = TRAINING, n_windows: int = 20) -> Fitting:
    return Fitting(
        make_windows(n_windows),
        features=[Feature(name=name) for name in "abc"],
        architecture=ARCHITECTURE,
        training=training,
        step_ns=1,
        device=torch.device("cpu"),
    )


@pytest.mark.parametrize(
    ("n_windows", "training", "expected"),
    [
        (20, TRAINING, Plan(epochs=4, steps_per_epoch=3, batch_size=7)),
        (20, replace(TRAINING, min_steps=41), Plan(epochs=4, steps_per_epoch=11, batch_size=7)),
        (20, replace(TRAINING, max_steps=8), Plan(epochs=4, steps_per_epoch=2, batch_size=7)),
        (3, TRAINING, Plan(epochs=4, steps_per_epoch=1, batch_size=3)),
    ],
)
def test_plan_by_hand(n_windows: int, training: TrainingConfig, expected: Plan) -> None:
    assert plan_steps(n_windows, training) == expected


def test_each_pass_takes_every_window_once() -> None:
    """Two passes of 20 windows in batches of 4: ten batches, every window twice."""
    fitting = make_fitting(replace(TRAINING, batch_size=4))
    passes = [np.concatenate([fitting._next_windows() for _ in range(5)]) for _ in range(2)]
    for one in passes:
        assert sorted(one.tolist()) == list(range(20))
    assert passes[0].tolist() != passes[1].tolist()


def test_kl_weight_rises_to_beta_over_the_annealing_share() -> None:
    fitting = make_fitting(replace(TRAINING, annealing=0.5, beta=2.0))
    weights = [fitting.step().kl_weight for _ in range(12)]
    expected = [2.0 * min(1.0, step / 6) for step in range(1, 13)]
    assert weights == pytest.approx(expected)
    assert make_fitting(replace(TRAINING, annealing=0.0)).step().kl_weight == 1.0


@pytest.mark.slow
def test_free_bits_leave_a_small_kl_without_gradient() -> None:
    """With more free bits than the latent carries, the posterior is not pulled to the prior."""

    def final_kl(free_bits: float) -> float:
        training = replace(TRAINING, beta=50.0, annealing=0.0, free_bits=free_bits, epochs=30)
        fitting = make_fitting(training)
        return [fitting.step().kl for _ in range(90)][-1]

    assert final_kl(1.0) > 10 * final_kl(0.0)


def test_listeners_hear_every_step_and_epoch() -> None:
    batches: list[BatchReport] = []
    epochs: list[EpochReport] = []
    fitted = fit(
        make_fitting(), make_windows(6, 1), Listeners(epoch=epochs.append, batch=batches.append)
    )
    assert [report.step for report in batches] == list(range(1, 13))
    assert [report.epoch for report in batches] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    assert all(report.steps == 12 for report in batches)
    assert tuple(epochs) == fitted.history
    first = [report.reconstruction for report in batches[:3]]
    assert epochs[0].reconstruction == pytest.approx(sum(first) / 3)


def test_best_weights_are_kept() -> None:
    """Training at an absurd rate gets worse after its best epoch; that epoch's weights stay."""
    training = replace(TRAINING, learning_rate=0.5, epochs=12, patience=12)
    fitting, validation = make_fitting(training), make_windows(6, 1)
    fitted = fit(fitting, validation, Listeners())
    held_out = [fitting.batch(validation, which) for which in held_out_batches(6)]
    likelihoods = [report.validation_log_likelihood for report in fitted.history]
    assert fitted.best.validation_log_likelihood == max(likelihoods)
    assert max(likelihoods) > likelihoods[-1]
    assert fitting.log_likelihood(held_out) == max(likelihoods)


def test_training_stops_when_held_out_likelihood_stalls() -> None:
    """After the KL weight is full, `patience` epochs without a better one are the last."""
    training = replace(TRAINING, learning_rate=0.5, epochs=40, patience=3, annealing=0.1)
    history = fit(make_fitting(training), make_windows(6, 1), Listeners()).history
    assert len(history) < 40
    assert not any(report.is_best for report in history[-3:])
    assert all(report.kl_weight == 1.0 for report in history[-3:])


def test_training_does_not_stop_while_the_kl_weight_rises() -> None:
    training = replace(TRAINING, learning_rate=0.5, epochs=12, patience=1, annealing=1.0)
    history = fit(make_fitting(training), make_windows(6, 1), Listeners()).history
    assert len(history) == 12
    assert not all(report.is_best for report in history)


def test_a_training_that_diverges_is_the_operators_to_mend() -> None:
    training = replace(TRAINING, learning_rate=1e30)
    with pytest.raises(ConfigError, match=r"training\.learning_rate"):
        fit(make_fitting(training), make_windows(6, 1), Listeners())


def test_hidden_values_are_still_to_be_reconstructed() -> None:
    """Noise and injected gaps change what the encoder sees, never the target."""
    fitting = make_fitting(replace(TRAINING, denoising=0.1, missing_rate=0.3))
    batch = fitting.batch(make_windows(20), np.arange(20))
    hidden = fitting._hidden(batch)
    assert bool(batch.observed.all())
    share = float(hidden.observed.float().mean())
    assert 0.3 < share < 0.7  # (1 - 0.3)^2 is kept
    assert not torch.equal(hidden.values, batch.values)
    plain = make_fitting()._hidden(batch)
    assert torch.equal(plain.values, batch.values)
    assert torch.equal(plain.observed, batch.observed)


def test_held_out_batches_are_evenly_spaced_and_bounded() -> None:
    found = np.concatenate(held_out_batches(10_000))
    assert len(found) <= 4096
    assert np.unique(np.diff(found)).tolist() == [3]
    assert np.concatenate(held_out_batches(5)).tolist() == [0, 1, 2, 3, 4]


def test_global_random_state_is_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    make_fitting().step()
    assert torch.equal(torch.get_rng_state(), before)
