import pytest
import torch
from torch.optim import SGD, Adam, AdamW, RMSprop

from stream_vae.core.model_spec import Feature
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.training.optimizers import build_optimizer
from stream_vae.models.vae.sequence_vae import SequenceVae

NAMES = {"adamw": AdamW, "adam": Adam, "rmsprop": RMSprop, "sgd": SGD}


def make_model() -> SequenceVae:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        architecture = ArchitectureConfig(window_length=5, hidden_size=8, latent_size=2)
        return SequenceVae([Feature(name=name) for name in "abc"], architecture)


@pytest.mark.parametrize("name", list(NAMES))
def test_each_name_is_its_optimiser_under_one_cycle(name: str) -> None:
    """The rate rises to the peak and falls; scales move ten times faster and never decay."""
    training = TrainingConfig(optimizer=name, learning_rate=0.01, weight_decay=0.1)  # type: ignore[arg-type] # one of the names
    model = make_model()
    optimizer, schedule = build_optimizer(model, training, steps=50)
    assert type(optimizer) is NAMES[name]
    scales, weights = optimizer.param_groups
    assert [id(one) for one in scales["params"]] == [id(one) for one in model.likelihood.scales()]
    assert (scales["weight_decay"], weights["weight_decay"]) == (0.0, 0.1)
    rates = []
    for _ in range(50):
        rates.append(weights["lr"])
        assert scales["lr"] == pytest.approx(10 * weights["lr"])
        optimizer.step()
        schedule.step()
    assert max(rates) == pytest.approx(0.01, rel=0.01)
    assert rates[0] < rates[14] > rates[-1]


@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_momentum_is_that_asked_for_at_every_step(momentum: float) -> None:
    """The schedule would move it between .85 and .95."""
    training = TrainingConfig(optimizer="sgd", momentum=momentum)
    optimizer, schedule = build_optimizer(make_model(), training, steps=20)
    for _ in range(19):
        optimizer.step()
        schedule.step()
        assert all(group["momentum"] == momentum for group in optimizer.param_groups)


def test_sgd_steps_down_the_gradient_by_hand() -> None:
    """One step without momentum: the weights move by -rate x gradient."""
    training = TrainingConfig(optimizer="sgd", momentum=0.0)
    model = make_model()
    optimizer, _ = build_optimizer(model, training, steps=20)
    weight = next(iter(optimizer.param_groups[1]["params"]))
    before, rate = weight.detach().clone(), optimizer.param_groups[1]["lr"]
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    torch.testing.assert_close(weight.detach(), before - rate)
