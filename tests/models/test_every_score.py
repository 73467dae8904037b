"""What every score promises, whatever it measures; a new one is held to it by being in `SCORES`."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from itertools import accumulate

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.errors import BundleError
from stream_vae.models.bundle import Bundle, build_score
from stream_vae.models.likelihoods import GaussianReconstruction
from stream_vae.models.members import MEMBERS
from stream_vae.models.members.member import Member
from stream_vae.models.outputs import Posterior, WindowOutput
from stream_vae.models.reconstruct import Reconstructor
from stream_vae.models.scores import SCORES
from stream_vae.models.scores.combined import Combined
from stream_vae.models.scores.score import (
    FittingData,
    HeldOut,
    LatentSample,
    Score,
    log_error,
    part_residuals,
)
from stream_vae.models.scores.tracked import Fused, filled

CPU = torch.device("cpu")
T, F = 5, 3
SIGMA = torch.tensor([0.4, 1.0, 2.0])
SHIFTS = 0.1 * torch.randn((2, T, F), generator=torch.Generator().manual_seed(9))
"""Of the first two posterior samples off the last."""


def output_of(residual: torch.Tensor, observed: torch.Tensor | None = None) -> WindowOutput:
    """Return what is said of windows whose values lie (B, T, F) residuals off what was expected."""
    means = torch.linspace(-1, 1, T * F).reshape(1, T, F).expand_as(residual)
    windows = means + residual
    seen = torch.ones_like(residual, dtype=torch.bool) if observed is None else observed
    made = GaussianReconstruction(
        windows, means=[means - SHIFTS[0], means - SHIFTS[1], means], sigma=SIGMA
    )
    return WindowOutput(made, seen, posterior_of(torch.where(seen, residual, 0.0)), windows)


def posterior_of(residual: torch.Tensor) -> Posterior:
    """Return what an encoder makes of windows: its mean goes up wherever anything is off."""
    mean = residual.abs().sum(dim=1) @ torch.tensor([[0.2, 0.1], [0.1, 0.2], [0.1, 0.1]])
    return Posterior(mean.clamp(max=1e12), torch.full_like(mean, -2.0))


def draw(n_windows: int, seed: int = 0) -> torch.Tensor:
    return torch.randn((n_windows, T, F), generator=torch.Generator().manual_seed(seed))


def held_out(seed: int = 1, sizes: Sequence[int] = (64, 64, 33)) -> list[WindowOutput]:
    """Return batches of windows with gaps, as calibration hands them over."""
    observed = draw(sum(sizes), seed + 1) > -1
    residual = draw(sum(sizes), seed)
    ends = list(accumulate(sizes))
    parts = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    return [output_of(residual[part], observed[part]) for part in parts]


@cache
def training_sample() -> LatentSample:
    """Return what is kept of 200 windows, the last 50 anomalous, every fourth unlabelled."""
    residual = draw(200, 7)
    residual[150:] *= 4
    output = output_of(residual)
    assert output.posterior is not None
    labels = torch.repeat_interleave(torch.tensor([0, 1]), torch.tensor([150, 50]))
    labels[::4] = -1
    return LatentSample(
        mean=output.posterior.mean.double(),
        log_var=output.posterior.log_var.double(),
        log_error=log_error(output).double(),
        residuals=part_residuals(output).double(),
        labels=labels.to(torch.int8),
    )


@cache
def members() -> tuple[Member, ...]:
    """Return every member of the fused score, fitted to 300 windows."""
    windows = filled(output_of(draw(300, 11))).flatten(1)
    return tuple(member.fitted(windows, seed=0) for member in MEMBERS.values())


@cache
def usual(name: str) -> Score:
    """Return a score fitted to `held_out`."""
    return fit(name, held_out())


def fit(name: str, batches: Sequence[WindowOutput]) -> Score:
    if name == Combined.name:
        return combine("log_probability", "latent_wasserstein", batches=batches)
    data = FittingData(
        n_features=F,
        device=CPU,
        held_out=[HeldOut(outputs=batches, members=members())],
        training=training_sample(),
        members=members(),
    )
    score = SCORES[name].fitted(data)
    assert score is not None
    return score


def combine(*names: str, batches: Sequence[WindowOutput]) -> Combined:
    scores = {name: fit(name, batches) for name in names}
    found = {
        name: torch.cat([score(output)[0] for output in batches or held_out()]).double()
        for name, score in scores.items()
    }
    levels = torch.linspace(0, 1, 101, dtype=torch.float64)
    return Combined.of(scores, {name: value.quantile(levels) for name, value in found.items()})


@pytest.fixture(params=list(SCORES))
def score(request: pytest.FixtureRequest) -> Score:
    return usual(request.param)


def test_name_is_the_one_it_is_chosen_by() -> None:
    assert all(score.name == name for name, score in SCORES.items())


def test_shapes_are_one_score_and_f_parts_a_window(score: Score) -> None:
    value, parts = score(output_of(draw(7)))
    assert value.shape == (7,)
    assert parts.shape == (7, F)


@pytest.mark.parametrize("feature", range(F))
def test_sign_a_larger_deviation_scores_higher(score: Score, feature: int) -> None:
    """At the newest step, which every score sees; ever further off is ever more anomalous."""
    residual = draw(1).repeat(5, 1, 1)
    residual[:, -1, feature] = torch.tensor([3.0, 4.0, 6.0, 12.0, 20.0])
    value, parts = score(output_of(residual))
    assert (value.diff() > 0).all()
    if isinstance(score, Fused):  # another window may be the nearest, and share its residual
        assert parts[-1, feature] > parts[0, feature]
    else:
        assert (parts[:, feature].diff() > 0).all()


@given(step=st.integers(0, T - 1), feature=st.integers(0, F - 1), seed=st.integers(0, 1000))
def test_a_planted_spike_never_lowers_a_score(step: int, feature: int, seed: int) -> None:
    plain, spiked = draw(7, seed), draw(7, seed)
    spiked[:, step, feature] += 30.0 * spiked[:, step, feature].sign()
    for name in SCORES:
        score = usual(name)
        assert (score(output_of(spiked))[0] >= score(output_of(plain))[0]).all(), name


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1.0, 20.0, 1e12])
@pytest.mark.parametrize("missing", [0.0, 0.5, 1.0])
def test_finite_whatever_the_residuals(score: Score, scale: float, missing: float) -> None:
    observed = torch.rand((7, T, F), generator=torch.Generator().manual_seed(5)) >= missing
    value, parts = score(output_of(scale * draw(7), observed))
    assert torch.isfinite(value).all()
    assert torch.isfinite(parts).all()
    assert (parts >= 0).all()


def test_nothing_observed_gives_no_feature_a_part(score: Score) -> None:
    value, parts = score(output_of(draw(2), torch.zeros((2, T, F), dtype=torch.bool)))
    assert torch.isfinite(value).all()
    assert (parts == 0).all()


@pytest.mark.parametrize("junk", [0.0, 1e30, float("inf"), float("nan")])
def test_masked_values_never_matter(score: Score, junk: float) -> None:
    observed = draw(7, 3) > -0.5
    expected = score(output_of(draw(7), observed))
    found = score(output_of(torch.where(observed, draw(7), junk), observed))
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


def test_observed_values_do_matter(score: Score) -> None:
    """The control of masking."""
    observed = draw(7, 3) > -0.5
    found = score(output_of(torch.where(observed, 3 * draw(7), 0), observed))
    assert (found[0] != score(output_of(draw(7), observed))[0]).all()


def test_a_feature_never_observed_has_no_part(score: Score) -> None:
    observed = torch.ones((7, T, F), dtype=torch.bool)
    observed[:, :, 1] = False
    _, parts = score(output_of(draw(7), observed))
    assert (parts[:, 1] == 0).all()
    assert (parts[:, [0, 2]] > 0).all()


def test_contributions_can_be_normalised(score: Score) -> None:
    """Wherever anything was off, the parts have a positive sum; `test_scoring` sees the shares."""
    _, parts = score(output_of(draw(50)))
    assert (parts.sum(dim=1) > 0).all()


def test_company_does_not_matter(score: Score) -> None:
    """Windows of a batch, alone: equal to rounding here, bit for bit through `WindowScorer`."""
    residual, observed = draw(50), draw(50, 3) > -1
    value, parts = score(output_of(residual, observed))
    for row in (0, 17, 49):
        one = slice(row, row + 1)
        alone = score(output_of(residual[one], observed[one]))
        torch.testing.assert_close(alone[0], value[one])
        torch.testing.assert_close(alone[1], parts[one])


def test_scoring_changes_nothing(score: Score) -> None:
    """Not the score, not what it looks at: asked again it says the same."""
    output, before = output_of(draw(7)), score.state()
    first, again = score(output), score(output)
    assert torch.equal(first[0], again[0])
    assert all(torch.equal(score.state()[name], tensor) for name, tensor in before.items())


def test_fitting_does_not_depend_on_how_windows_are_batched(score: Score) -> None:
    other = fit(score.name, held_out(sizes=(10, 100, 51)))
    for name, tensor in score.state().items():
        torch.testing.assert_close(other.state()[name], tensor)


def test_fitting_to_no_windows_or_unobserved_ones_still_scores(score: Score) -> None:
    blind = output_of(draw(7), torch.zeros((7, T, F), dtype=torch.bool))
    for batches in ([], [blind]):
        fitted = fit(score.name, batches)
        assert torch.isfinite(fitted(output_of(draw(7)))[0]).all()


def test_state_through_a_file_scores_bit_for_bit_the_same(score: Score) -> None:
    state = safetensors.torch.load(safetensors.torch.save(score.state()))
    again = type(score).from_state(state, CPU)
    for found, expected in zip(again(output_of(draw(7))), score(output_of(draw(7))), strict=True):
        assert torch.equal(found, expected)


def test_state_of_another_score_is_refused(score: Score) -> None:
    state = {**score.state(), "surplus": torch.zeros(1)}
    with pytest.raises(BundleError, match=rf"score {score.name}: found tensors .*'surplus'"):
        type(score).from_state(state, CPU)


def test_score_that_a_bundle_never_fitted_is_refused(
    make_bundle: Callable[..., Bundle], score: Score
) -> None:
    """Only those that learn something; the others need nothing of a bundle."""
    bundle = replace(make_bundle(), score_states={})
    if score.state():
        with pytest.raises(BundleError, match=r"found tensors \[\].*retrained"):
            build_score(bundle, score.name, CPU)
    else:
        assert build_score(bundle, score.name, CPU) == score


def test_a_model_output_is_scored(make_bundle: Callable[..., Bundle], score: Score) -> None:
    """The real thing once: what the network says of windows, not residuals made up here."""
    windows = np.random.default_rng(0).normal(size=(9, T, F)).astype(np.float32)
    output = Reconstructor(make_bundle(), [score], device=CPU).reconstruct(
        windows, np.zeros(9, np.int64)
    )
    assert torch.isfinite(score(output)[0]).all()
