"""The score of the feature that is farthest off."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from stream_vae.models.likelihoods import GaussianReconstruction
from stream_vae.models.likelihoods.counts import LogScaling
from stream_vae.models.likelihoods.poisson import Poisson
from stream_vae.models.outputs import WindowOutput
from stream_vae.models.scores.likelihood import LastStep
from stream_vae.models.scores.score import FittingData, HeldOut
from stream_vae.models.scores.worst_feature import SPANS, WorstFeature

CPU = torch.device("cpu")
T = 12


def output_of(residual: Tensor, observed: Tensor | None = None) -> WindowOutput:
    """Return what is said of values (B, T, F) that lie so many standard deviations off."""
    seen = torch.ones_like(residual, dtype=torch.bool) if observed is None else observed
    made = GaussianReconstruction(
        residual, means=[torch.zeros_like(residual)], sigma=torch.ones(residual.shape[2])
    )
    return WindowOutput(made, seen)


def departing(newest: Sequence[float], n_features: int = 1) -> Tensor:
    """Return one window whose first feature is so far off at its newest steps."""
    residual = torch.zeros(1, T, n_features)
    residual[0, -len(newest) :, 0] = torch.tensor(newest)
    return residual


def unfitted(n_features: int = 1) -> WorstFeature:
    return fitted([], n_features)


def fitted(held_out: Sequence[WindowOutput], n_features: int = 1) -> WorstFeature:
    data = FittingData(n_features=n_features, device=CPU, held_out=[HeldOut(outputs=[*held_out])])
    return WorstFeature.fitted(data)


@pytest.mark.parametrize(
    ("newest", "expected"),
    [
        ([3.0], 9 / 2),
        ([2.0, 2.0, 2.0], 12 / 2),
        ([-1.5] * 10, 22.5 / 2),
        ([2.0, -2.0, 2.0], 4 / 2),  # opposite ones cancel; one step is then the most
        ([9.0, *[0.0] * 10], 0.0),  # older than all spans
    ],
)
def test_it_is_that_of_the_span_that_is_farthest_off(newest: list[float], expected: float) -> None:
    """Half the square of the sum over the root of the number of steps."""
    score, parts = unfitted()(output_of(departing(newest)))
    torch.testing.assert_close(score, torch.tensor([expected]))
    torch.testing.assert_close(parts, torch.tensor([[expected]]))


def test_one_feature_among_many_is_told_as_if_it_were_alone() -> None:
    """The control: in a mean over 60 features nothing is left of it."""
    alone, among = (output_of(departing([4.0], F)) for F in (1, 60))
    assert torch.equal(unfitted(60)(among)[0], unfitted()(alone)[0])
    quiet = LastStep()(output_of(departing([0.0], 60)))[0]
    assert LastStep()(among)[0] - quiet < 0.15
    assert int(unfitted(60)(among)[1].argmax()) == 0


def test_steps_without_observation_are_not_counted() -> None:
    """Two steps at 3 sd of three are as far off as two of two."""
    residual, seen = departing([3.0, 50.0, 3.0]), torch.ones(1, T, 1, dtype=torch.bool)
    seen[0, -2] = False
    seen[0, :-3] = False
    score, _ = unfitted()(output_of(residual, seen))
    torch.testing.assert_close(score, torch.tensor([9.0]))


@pytest.mark.parametrize("steps", [1, 3, 10])
@pytest.mark.parametrize("rate", [0.5, 2.0])
def test_no_line_of_a_template_is_as_surprising_as_it_is_improbable(
    rate: float, steps: int
) -> None:
    """Of a Poisson distribution -log P(none in n steps) is n times the rate."""
    scaling = LogScaling([math.log1p(rate)], [1.0])
    likelihood = Poisson(1, hidden_size=1, scaling=scaling)
    counts = torch.zeros(1, T, 1)
    counts[:, :-steps] = rate if rate >= 1 else 1.0
    made = likelihood.reconstruct(scaling.scaled(counts.double()).float(), [torch.zeros(1, T, 1)])
    newest = WindowOutput(made, torch.ones_like(counts, dtype=torch.bool)).newest(steps)
    score, _ = unfitted()(newest)
    torch.testing.assert_close(score, torch.tensor([rate * steps]), rtol=1e-5, atol=1e-5)


def test_a_feature_that_scatters_beyond_the_model_is_measured_by_its_own_scale() -> None:
    """On each side of its own: what often is far above is still surprising when below."""
    rng = torch.Generator().manual_seed(0)
    held_out = torch.randn((4000, T, 2), generator=rng)
    held_out[:, -1, 0] += 6 * (torch.rand(4000, generator=rng) < 0.1)
    score = fitted([output_of(held_out)], 2)
    assert score.scale.shape == (2, len(SPANS), 2)
    below, above = score.scale[:, 0, 0].tolist()
    assert below < 1.1
    assert above > 2.5
    assert (score.scale[:, :, 1] < 1.1).all()
    up, down = (score(output_of(departing([sign * 6.0], 2)))[0] for sign in (1, -1))
    assert up < down


def test_a_scale_is_never_below_the_model_s() -> None:
    """A template that no held-out window has is as rare as the model says, not impossible."""
    still = fitted([output_of(torch.zeros(500, T, 1))])
    assert torch.equal(still.scale, torch.ones(2, len(SPANS), 1, dtype=torch.float64))


def test_of_few_windows_the_largest_is_not_the_scale() -> None:
    """One window in sixty is far off; of a hundred times as many a hundred are, and are usual."""
    rng = torch.Generator().manual_seed(0)
    few = torch.randn((60, T, 1), generator=rng)
    few[0, -1] = 40.0
    assert fitted([output_of(few)]).scale.max() < 2
    assert fitted([output_of(few.repeat(100, 1, 1))]).scale.max() > 5
    assert torch.equal(fitted([output_of(few[:15])]).scale, unfitted().scale)


def test_a_window_shorter_than_a_span_is_that_span() -> None:
    score, _ = unfitted()(output_of(torch.full((1, 2, 1), 2.0)))
    torch.testing.assert_close(score, torch.tensor([4.0]))


@pytest.mark.parametrize("n_steps", [1, 4, 32])
def test_newer_steps_weigh_more_in_what_is_told(n_steps: int) -> None:
    weight = unfitted().step_weight(n_steps)
    assert weight.shape == (n_steps,)
    assert (weight.diff() >= 0).all()
    assert weight[-1] == weight.max()
    assert (weight[: -max(SPANS)] == 0).all()
