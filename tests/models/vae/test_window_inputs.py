import pytest
import torch

from stream_vae.core.model_spec import Feature
from stream_vae.models.config import ArchitectureConfig
from stream_vae.models.vae.window_inputs import WindowInputs

NUMERIC = [Feature(name="a"), Feature(name="b", kind="count"), Feature(name="c", kind="binary")]
CITY = Feature(name="city", kind="categorical", categories=("Bonn", "Kiel"))
MIXED = [NUMERIC[0], CITY, NUMERIC[1]]
PLAIN = ArchitectureConfig()
CALENDAR = ArchitectureConfig(calendar=True)


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_without_categories_inputs_are_values_and_what_was_observed() -> None:
    """The input of every model so far, whose weights it fits."""
    values, observed = draw(7, 5, 3), draw(7, 5, 3) > 0
    found = WindowInputs(NUMERIC, PLAIN)(values, observed, None)
    assert torch.equal(found, torch.cat((values * observed, observed.float()), dim=-1))


def test_a_category_takes_a_place_of_its_own() -> None:
    """After the other features' values: Bonn, Kiel, unseen; scaled codes are 0, 1/2 and 1."""
    values = torch.tensor([[[0.5, 0.0, 2.0], [0.5, 0.5, 2.0], [0.5, 1.0, 2.0]]])
    inputs = WindowInputs(MIXED, PLAIN)
    found = inputs(values, torch.ones(1, 3, 3, dtype=torch.bool), None)
    assert found.tolist() == [
        [
            [0.5, 2.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0],
            [0.5, 2.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0],
            [0.5, 2.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0],
        ]
    ]
    assert inputs.width == 8


def test_an_embedded_category_is_a_learned_vector_and_an_unseen_one_begins_as_nothing() -> None:
    inputs = WindowInputs(MIXED, ArchitectureConfig(categories="embedding", embedding_size=2))
    assert inputs.embedding is not None
    bonn, kiel, unseen = inputs.embedding.weight.detach()
    assert unseen.tolist() == [0, 0]
    values = torch.tensor([[[0.5, 0.0, 2.0], [0.5, 0.5, 2.0], [0.5, 0.5, 2.0]]])
    observed = torch.tensor([[[True, True, True]] * 2 + [[True, False, True]]])
    found = inputs(values, observed, None)[0, :, 2:4].detach()
    assert torch.equal(found, torch.stack((bonn, kiel, unseen)))
    assert inputs.width == 7


@pytest.mark.parametrize("junk", [1e30, float("nan"), float("inf"), -1.0, 0.5])
def test_what_was_not_observed_is_zero_in_every_place(junk: float) -> None:
    values, observed = draw(7, 5, 3).clamp(0, 1), draw(7, 5, 3) > 0
    inputs = WindowInputs(MIXED, PLAIN)
    found = inputs(torch.where(observed, values, junk), observed, None)
    assert torch.equal(found, inputs(values, observed, None))
    hidden = ~observed[..., 1]
    assert (found[..., 2:5][hidden] == 0).all()
    assert (found[..., 2:5][~hidden].sum(dim=-1) == 1).all()


@pytest.mark.parametrize("features", [NUMERIC, MIXED, [CITY]], ids=["numeric", "mixed", "category"])
def test_width_is_that_of_the_inputs(features: list[Feature]) -> None:
    values = draw(7, 5, len(features))
    observed = torch.ones_like(values, dtype=torch.bool)
    with_calendar = WindowInputs(features, CALENDAR)
    assert with_calendar(values, observed, draw(7, 5, 4)).shape == (7, 5, with_calendar.width)
    assert with_calendar.width == WindowInputs(features, PLAIN).width + 4
