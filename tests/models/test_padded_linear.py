import pytest
import torch
from torch import nn

from stream_vae.models.padded_linear import pad_linears, padded


def make_layer(n_inputs: int, n_outputs: int) -> nn.Linear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Linear(n_inputs, n_outputs).requires_grad_(requires_grad=False)


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("n_inputs", [1, 2, 3, 6, 7, 10, 13, 30])
@pytest.mark.parametrize("n_outputs", [1, 3, 4, 9, 11])
def test_a_rows_place_changes_no_bit(n_inputs: int, n_outputs: int) -> None:
    """The plain layer's do on some machines, at 10 inputs and 4 outputs for one."""
    layer = make_layer(n_inputs, n_outputs)
    model = nn.Sequential(layer)
    pad_linears(model)
    rows, order = draw(64, n_inputs), torch.randperm(64, generator=torch.Generator().manual_seed(1))
    found = model(rows)
    torch.testing.assert_close(found, layer(rows))
    assert torch.equal(model(rows[order]), found[order])


@pytest.mark.parametrize(("n_inputs", "n_outputs"), [(8, 3), (48, 8), (6, 12), (6, 48)])
def test_layers_that_need_none_are_left_alone(n_inputs: int, n_outputs: int) -> None:
    layer = make_layer(n_inputs, n_outputs)
    model = nn.Sequential(layer)
    pad_linears(model)
    assert model[0] is layer


def test_padding_by_hand() -> None:
    found = padded(torch.ones(2, 5))
    assert found.tolist() == [[1.0] * 5 + [0.0] * 3] * 2
    assert padded(torch.ones(2, 5), dim=0).shape == (4, 5)
    whole = torch.ones(2, 8)
    assert padded(whole) is whole
