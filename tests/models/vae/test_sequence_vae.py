import pytest
import torch

from stream_vae.core.model_spec import Feature
from stream_vae.models.config import ArchitectureConfig
from stream_vae.models.likelihoods import masked_sum, standard_normal_kl
from stream_vae.models.vae.sequence_vae import SequenceVae

ARCHITECTURE = ArchitectureConfig(window_length=5, hidden_size=16, latent_size=4, sigma_floor=0.3)


def make_model(architecture: ArchitectureConfig = ARCHITECTURE) -> SequenceVae:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return SequenceVae([Feature(name=name) for name in "abc"], architecture)


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


def test_overfits_one_batch() -> None:
    """Seven random windows are learnt by heart when the KL term costs nothing."""
    model, windows = make_model(), draw(7, 5, 3)
    observed = torch.ones(7, 5, 3, dtype=torch.bool)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    for _ in range(250):
        mean, _ = model.encode(windows, observed, None).latent
        made = model.likelihood.reconstruct(windows, [model.decode(mean, None)])
        loss = masked_sum(-made.log_probability, observed).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    assert made.squared_residual.detach().mean() < 0.01


def test_shapes_with_calendar() -> None:
    with_calendar = ArchitectureConfig(
        window_length=5, hidden_size=16, latent_size=4, calendar=True
    )
    model = make_model(with_calendar)
    calendar = draw(7, 5, 4)
    mean, log_var = model.encode(
        draw(7, 5, 3), torch.ones(7, 5, 3, dtype=torch.bool), calendar
    ).latent
    assert mean.shape == log_var.shape == (7, 4)
    assert model.decode(mean, calendar).shape == (7, 5, 3)


def test_calendar_reaches_encoder_and_decoder_in_time_order() -> None:
    """A change at the newest step moves the decoder's newest mean; it decodes newest first."""
    model = make_model(
        ArchitectureConfig(window_length=5, hidden_size=16, latent_size=4, calendar=True)
    )
    values, observed, calendar = draw(7, 5, 3), torch.ones(7, 5, 3, dtype=torch.bool), draw(7, 5, 4)
    latent, _ = model.encode(values, observed, calendar).latent
    assert not torch.equal(latent, model.encode(values, observed, calendar + 1).latent.mean)
    oldest_moved = calendar.clone()
    oldest_moved[:, 0] += 1
    before, after = model.decode(latent, calendar), model.decode(latent, oldest_moved)
    assert torch.equal(before[:, 1:], after[:, 1:])
    assert not torch.equal(before[:, 0], after[:, 0])


@pytest.mark.parametrize("junk", [1e30, float("nan"), float("inf"), -1.0])
def test_what_was_not_observed_never_reaches_the_latent(junk: float) -> None:
    model, values = make_model(), draw(7, 5, 3)
    observed = draw(7, 5, 3) > -0.5
    expected = model.encode(values, observed, None).latent
    found = model.encode(torch.where(observed, values, junk), observed, None).latent
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    moved = model.encode(torch.where(observed, values + 1, values), observed, None).latent
    assert not torch.equal(moved[0], expected[0])


def test_a_missing_value_is_not_a_zero() -> None:
    """The mask itself is an input, so the encoder can tell the two apart."""
    model, values = make_model(), torch.zeros(7, 5, 3)
    observed = torch.ones(7, 5, 3, dtype=torch.bool)
    hidden = observed.clone()
    hidden[:, 2] = False
    shown = model.encode(values, observed, None).latent.mean
    assert not torch.equal(model.encode(values, hidden, None).latent.mean, shown)


def test_outputs_are_the_likelihoods_reading_of_each_state() -> None:
    """The decoder's states come newest first, its outputs oldest first."""
    model, latent = make_model(), draw(7, 4)
    states = model.network.decode(latent, None)
    outputs = model.decode(latent, None)
    for step in range(5):
        torch.testing.assert_close(outputs[:, step], model.likelihood(states[:, 4 - step]))


def test_tensors_round_trip() -> None:
    """Network and likelihood share no name: no tensor takes another's place in a bundle."""
    model, other = make_model(), make_model()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    assert len(model.tensors()) == len(list(model.parameters()))
    other.load_tensors(model.tensors())
    latent = draw(7, 4)
    assert torch.equal(other.decode(latent, None), model.decode(latent, None))
    assert all(torch.equal(other.tensors()[name], one) for name, one in model.tensors().items())


def test_wild_inputs_keep_the_kl_finite() -> None:
    model = make_model()
    mean, log_var = model.encode(
        torch.full((7, 5, 3), 1e30), torch.ones(7, 5, 3, dtype=torch.bool), None
    ).latent
    assert torch.isfinite(standard_normal_kl(mean, log_var)).all()
