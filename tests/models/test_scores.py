import math
from collections.abc import Sequence

import pytest
import torch

from stream_vae.models.likelihoods import GaussianReconstruction
from stream_vae.models.outputs import WindowOutput
from stream_vae.models.scores import default_score
from stream_vae.models.scores.error import Recency, SquaredError
from stream_vae.models.scores.likelihood import LastStep, LogProbability
from stream_vae.models.scores.score import FittingData, HeldOut

CPU = torch.device("cpu")
HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
RECENCY = Recency(residual_variance=torch.tensor([1.0, 3.0], dtype=torch.float64))


Nested = Sequence[Sequence[Sequence[float]]]


def make(squared: Nested, observed: Nested | None = None) -> WindowOutput:
    """Return what is said of F = 2 features whose squared residuals are nested (B, T, F) lists."""
    values = torch.tensor(squared, dtype=torch.float32).sqrt()
    seen = torch.ones_like(values) if observed is None else torch.tensor(observed)
    made = GaussianReconstruction(
        values, means=[torch.zeros_like(values)], sigma=torch.tensor([1.0, 2.0])
    )
    return WindowOutput(made, seen.bool())


def test_log_probability_by_hand() -> None:
    """Three steps, two features: residuals 1, 0, 0 under sigma 1 and 4, 4, 0 under sigma 2."""
    score, parts = LogProbability()(make([[[1, 4], [0, 4], [0, 0]]]))
    expected = (0.5 + 0.5 + 0.5 + 3 * math.log(2) + 6 * HALF_LOG_TWO_PI) / 6
    torch.testing.assert_close(score, torch.tensor([expected]))
    torch.testing.assert_close(parts, torch.tensor([[1.0, 2.0]]))


def test_log_probability_is_per_observed_value() -> None:
    seen = [[[True, False], [True, False], [False, True]]]
    score, _ = LogProbability()(make([[[1, 9], [0, 9], [9, 4]]], seen))
    expected = (0.5 + 0.5 + math.log(2) + 3 * HALF_LOG_TWO_PI) / 3
    torch.testing.assert_close(score, torch.tensor([expected]))


def test_last_step_sees_the_newest_step_alone() -> None:
    score, parts = LastStep()(make([[[9, 9], [9, 9], [1, 4]]]))
    expected = (0.5 + 0.5 + math.log(2) + 2 * HALF_LOG_TWO_PI) / 2
    torch.testing.assert_close(score, torch.tensor([expected]))
    torch.testing.assert_close(parts, torch.tensor([[1.0, 1.0]]))


def test_squared_error_is_the_mean_squared_residual() -> None:
    seen = [[[True, True], [True, False], [False, True]]]
    score, parts = SquaredError()(make([[[1, 2], [3, 99], [99, 6]]], seen))
    torch.testing.assert_close(score, torch.tensor([3.0]))
    torch.testing.assert_close(parts, torch.tensor([[4.0, 8.0]]))


def test_recency_by_hand() -> None:
    """Weights exp(-2/8), exp(-1/8), 1; energies over held-out variance + 1 (2 and 4), to 0.75."""
    score, parts = RECENCY(make([[[1, 0], [0, 0], [2, 8]]]))
    weight = [math.exp(-0.25), math.exp(-0.125), 1.0]
    first = (weight[0] * 1 + 2) / sum(weight) / 2
    second = 8 / sum(weight) / 4
    expected = [first**0.75, second**0.75]
    torch.testing.assert_close(parts, torch.tensor([expected]))
    torch.testing.assert_close(score, torch.tensor([math.log(sum(expected) / 2 + 1e-3)]))


def test_recency_weighs_newer_steps_more() -> None:
    old, _ = RECENCY(make([[[4, 4], [0, 0], [0, 0]]]))
    new, _ = RECENCY(make([[[0, 0], [0, 0], [4, 4]]]))
    assert new > old


def test_recency_renormalises_over_what_was_observed() -> None:
    """A feature seen once weighs as if always seen so; one never seen has no part in the mean."""
    seen = [[[True, False], [False, False], [False, False]]]
    score, parts = RECENCY(make([[[2, 99], [99, 99], [99, 99]]], seen))
    torch.testing.assert_close(parts, torch.tensor([[1.0, 0.0]]))
    torch.testing.assert_close(score, torch.tensor([math.log(1 + 1e-3)]))


def test_recency_learns_the_mean_square_of_what_was_observed() -> None:
    """Over all batches; of a feature never observed it keeps 1, the scale of the data."""
    seen = [[[True, False], [False, False]]]
    batches = [make([[[2, 9], [8, 9]]], seen), make([[[4, 9], [3, 9]]], [[[True, False]] * 2])]
    fitted = Recency.fitted(
        FittingData(n_features=2, device=CPU, held_out=[HeldOut(outputs=batches)])
    )
    torch.testing.assert_close(
        fitted.residual_variance, torch.tensor([3.0, 1.0], dtype=torch.float64)
    )


@pytest.mark.parametrize(
    ("n_features", "window_length", "all_numeric", "has_members", "expected"),
    [
        (1, 32, True, True, "log_probability"),
        (2, 32, True, True, "fused"),
        (2, 32, True, False, "tracked"),
        (2, 1, True, True, "recency"),
        (2, 32, False, True, "log_probability"),
    ],
)
def test_default_depends_on_the_data(
    n_features: int, window_length: int, all_numeric: bool, has_members: bool, expected: str
) -> None:
    found = default_score(
        n_features, window_length=window_length, all_numeric=all_numeric, has_members=has_members
    )
    assert found == expected
