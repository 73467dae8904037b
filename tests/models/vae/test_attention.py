import pytest
import torch
from torch.distributions import Normal, kl_divergence

from stream_vae.core.model_spec import Feature
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.training.loss import Batch, loss_terms
from stream_vae.models.vae.attention import VariationalAttention
from stream_vae.models.vae.network import SequenceNetwork
from stream_vae.models.vae.sequence_vae import SequenceVae

ARCHITECTURE = ArchitectureConfig(
    window_length=5, hidden_size=8, latent_size=2, attention="variational"
)


def draw(*shape: int, seed: int = 2) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def make_attention(n_states: int, n_context: int) -> VariationalAttention:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return VariationalAttention(n_states, n_context)


def make_model() -> SequenceVae:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return SequenceVae([Feature(name=name) for name in "abc"], ARCHITECTURE)


@pytest.mark.parametrize("n_states", [4, 5])
def test_context_is_that_of_the_weighted_states(n_states: int) -> None:
    """Step by step: softmax of the scaled dot products, the mean of the states, a linear layer."""
    attention, states = make_attention(n_states, 3), draw(7, 6, n_states)
    found = attention(states)
    for b in range(7):
        for t in range(6):
            products = torch.stack([states[b, t] @ states[b, s] for s in range(6)])
            weights = torch.softmax(products / n_states**0.5, dim=0)
            attended = (weights[:, None] * states[b]).sum(dim=0)
            mean, log_var = attention.to_context(attended).chunk(2)
            torch.testing.assert_close(found.mean[b, t], mean)
            torch.testing.assert_close(found.log_var[b, t], log_var)


def test_alike_states_get_equal_weights() -> None:
    """By hand: with all states the same, each step attends to that state."""
    attention, state = make_attention(4, 3), draw(1, 1, 4)
    mean, _ = attention.to_context(state).chunk(2, dim=-1)
    torch.testing.assert_close(attention(state.expand(2, 6, 4)).mean, mean.expand(2, 6, 3))


def test_kl_of_the_context_is_that_of_torchs_distributions() -> None:
    """Summed over steps and dimensions it stands in the loss beside that of z, by one weight."""
    model = make_model()
    batch = Batch(
        values=draw(7, 5, 3), observed=torch.ones(7, 5, 3, dtype=torch.bool), calendar=None
    )
    terms = loss_terms(model, batch, batch, torch.Generator().manual_seed(0))
    encoding = model.encode(batch.values, batch.observed, None)
    assert encoding.context is not None
    mean, log_var = encoding.context
    prior = Normal(torch.zeros(()), torch.ones(()))
    expected = kl_divergence(Normal(mean, torch.exp(0.5 * log_var)), prior)
    assert terms.context_kl is not None
    assert terms.context_kl.shape == (7, 5, 2)
    torch.testing.assert_close(terms.context_kl, expected)
    training = TrainingConfig()
    plain, weighted = terms.loss(training, kl_weight=0.0), terms.loss(training, kl_weight=0.5)
    whole = terms.latent_kl.sum() + expected.sum()
    torch.testing.assert_close(weighted - plain, 0.5 * whole, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(terms.kl(), whole)
    assert terms.negative_bound() == pytest.approx(float((plain + whole).detach()), rel=1e-5)


def test_kl_of_a_standard_normal_context_is_nothing() -> None:
    """With no weights and no bias the context is the prior itself."""
    model = make_model()
    assert isinstance(model.network, SequenceNetwork)
    assert model.network.attention is not None
    for parameter in model.network.attention.parameters():
        parameter.data.zero_()
    batch = Batch(
        values=draw(7, 5, 3), observed=torch.ones(7, 5, 3, dtype=torch.bool), calendar=None
    )
    terms = loss_terms(model, batch, batch, torch.Generator().manual_seed(0))
    assert terms.context_kl is not None
    assert terms.context_kl.abs().max() == 0


def test_context_of_a_step_reaches_that_step_and_older_ones() -> None:
    """The decoder runs from the newest step back: the oldest context moves the oldest alone."""
    model, latent, context = make_model(), draw(7, 2), draw(7, 5, 2)
    moved = context.clone()
    moved[:, 0] += 1
    before, after = model.decode(latent, None, context), model.decode(latent, None, moved)
    assert torch.equal(before[:, 1:], after[:, 1:])
    assert not torch.equal(before[:, 0], after[:, 0])


def test_training_draws_the_context_and_scoring_takes_its_mean() -> None:
    model = make_model()
    batch = Batch(
        values=draw(7, 5, 3), observed=torch.ones(7, 5, 3, dtype=torch.bool), calendar=None
    )
    encoding = model.encode(batch.values, batch.observed, None)
    assert encoding.context is not None
    assert encoding.mean_context is encoding.context.mean

    generator = torch.Generator().manual_seed(0)
    latent = encoding.latent.sample(torch.randn((7, 2), generator=generator))
    context = encoding.context.sample(torch.randn((7, 5, 2), generator=generator))
    outputs = model.decode(latent, None, context)
    expected = -model.likelihood.reconstruct(batch.values, [outputs]).log_probability
    terms = loss_terms(model, batch, batch, torch.Generator().manual_seed(0))
    torch.testing.assert_close(terms.reconstruction, expected.sum(dim=(1, 2)))
