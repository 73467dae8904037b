import pytest
import torch

from stream_vae.models.config import ArchitectureConfig
from stream_vae.models.likelihoods import gaussian_nll, masked_sum, standard_normal_kl
from stream_vae.models.vae.network import SequenceVae

ARCHITECTURE = ArchitectureConfig(window_length=5, hidden_size=16, latent_size=4, sigma_floor=0.3)


def make_network(architecture: ArchitectureConfig = ARCHITECTURE) -> SequenceVae:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return SequenceVae(3, architecture)


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


def test_overfits_one_batch() -> None:
    """Seven random windows are learnt by heart when the KL term costs nothing."""
    network, windows = make_network(), draw(7, 5, 3)
    observed = torch.ones(7, 5, 3, dtype=torch.bool)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-2)
    for _ in range(250):
        mean, _ = network.encode(windows, observed, None)
        squared = (windows - network.decode(mean, None)) ** 2
        loss = masked_sum(gaussian_nll(squared, network.sigma()), observed).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    assert squared.detach().mean() < 0.01


def test_shapes_with_calendar() -> None:
    with_calendar = ArchitectureConfig(
        window_length=5, hidden_size=16, latent_size=4, calendar=True
    )
    network = make_network(with_calendar)
    calendar = draw(7, 5, 4)
    mean, log_var = network.encode(draw(7, 5, 3), torch.ones(7, 5, 3, dtype=torch.bool), calendar)
    assert mean.shape == log_var.shape == (7, 4)
    assert network.decode(mean, calendar).shape == (7, 5, 3)


def test_calendar_reaches_encoder_and_decoder_in_time_order() -> None:
    """A change at the newest step moves the decoder's newest mean; it decodes newest first."""
    network = make_network(
        ArchitectureConfig(window_length=5, hidden_size=16, latent_size=4, calendar=True)
    )
    values, observed, calendar = draw(7, 5, 3), torch.ones(7, 5, 3, dtype=torch.bool), draw(7, 5, 4)
    latent, _ = network.encode(values, observed, calendar)
    assert not torch.equal(latent, network.encode(values, observed, calendar + 1)[0])
    oldest_moved = calendar.clone()
    oldest_moved[:, 0] += 1
    before, after = network.decode(latent, calendar), network.decode(latent, oldest_moved)
    assert torch.equal(before[:, 1:], after[:, 1:])
    assert not torch.equal(before[:, 0], after[:, 0])


@pytest.mark.parametrize("junk", [1e30, float("nan"), float("inf"), -1.0])
def test_what_was_not_observed_never_reaches_the_latent(junk: float) -> None:
    network, values = make_network(), draw(7, 5, 3)
    observed = draw(7, 5, 3) > -0.5
    expected = network.encode(values, observed, None)
    found = network.encode(torch.where(observed, values, junk), observed, None)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    moved = network.encode(torch.where(observed, values + 1, values), observed, None)
    assert not torch.equal(moved[0], expected[0])


def test_a_missing_value_is_not_a_zero() -> None:
    """The mask itself is an input, so the encoder can tell the two apart."""
    network, values = make_network(), torch.zeros(7, 5, 3)
    observed = torch.ones(7, 5, 3, dtype=torch.bool)
    hidden = observed.clone()
    hidden[:, 2] = False
    shown = network.encode(values, observed, None)[0]
    assert not torch.equal(network.encode(values, hidden, None)[0], shown)


def test_sigma_keeps_its_floor_and_starts_at_one() -> None:
    network = make_network()
    torch.testing.assert_close(network.sigma().detach(), torch.ones(3))
    with torch.no_grad():
        network.raw_sigma.fill_(-1e6)
    torch.testing.assert_close(network.sigma().detach(), torch.full((3,), ARCHITECTURE.sigma_floor))


def test_wild_inputs_keep_the_kl_finite() -> None:
    network = make_network()
    mean, log_var = network.encode(
        torch.full((7, 5, 3), 1e30), torch.ones(7, 5, 3, dtype=torch.bool), None
    )
    assert torch.isfinite(standard_normal_kl(mean, log_var)).all()
