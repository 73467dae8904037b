import torch
from torch import Tensor

from stream_vae.models.likelihoods import GaussianReconstruction
from stream_vae.models.outputs import WindowOutput
from stream_vae.models.scores.error import Recency
from stream_vae.models.scores.likelihood import LogProbability


class Watched(GaussianReconstruction):
    """A Gaussian that remembers what was asked of it."""

    def __init__(self, values: Tensor) -> None:
        super().__init__(values, means=[torch.zeros_like(values)], sigma=torch.ones(2))
        self.asked: list[str] = []

    @property
    def log_probability(self) -> Tensor:
        self.asked.append("log_probability")
        return super().log_probability

    @property
    def deviance(self) -> Tensor:
        self.asked.append("deviance")
        return super().deviance


def make(observed: Tensor) -> tuple[Watched, WindowOutput]:
    made = Watched(torch.full(tuple(observed.shape), 3.0))
    return made, WindowOutput(made, observed)


def test_what_was_not_observed_counts_zero_where_values_are_compared() -> None:
    """What was to be expected is known all the same."""
    observed = torch.tensor([[[True, False], [False, True]]])
    made, output = make(observed)
    for name in ("log_probability", "deviance", "squared_residual"):
        found, whole = getattr(output, name), getattr(made, name)
        assert (found[~observed] == 0).all(), name
        assert torch.equal(found[observed], whole[observed]), name
    assert torch.equal(output.expected, made.expected)
    assert torch.equal(output.spread, torch.ones(1, 2, 2))


def test_newest_keeps_its_own_mask() -> None:
    _, output = make(torch.tensor([[[True, True], [False, True]]]))
    newest = output.newest()
    assert newest.observed.tolist() == [[[False, True]]]
    assert newest.squared_residual.tolist() == [[[0.0, 9.0]]]


def test_nothing_is_computed_that_no_score_asks_for() -> None:
    """The control: a score that does need log-probabilities asks once, however often it looks."""
    made, output = make(torch.ones(1, 2, 2, dtype=torch.bool))
    Recency(residual_variance=torch.ones(2))(output)
    assert made.asked == []
    for _ in range(2):
        LogProbability()(output)
    assert made.asked == ["log_probability", "deviance"]
