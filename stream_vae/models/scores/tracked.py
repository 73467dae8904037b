"""Scores that a tracker adapts to each series: residuals about what is usual for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from stream_vae.core.residuals import UsualResiduals, useful
from stream_vae.errors import BundleError
from stream_vae.models.members import MEMBERS
from stream_vae.models.members.member import Member
from stream_vae.models.members.memory import Memory
from stream_vae.models.outputs import WindowOutput
from stream_vae.models.scores.error import recency_weight, to_three_quarters
from stream_vae.models.scores.score import FittingData, Score

_CPU = torch.device("cpu")
_OFFSET = 1e-3
_MOST_EVIDENCE = 8_000_000
"""Numbers kept of held-out windows, which bounds the memory of fitting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked(Score):
    """The energy of each feature's residuals about an expected bias, newer steps weighing more.

    Of each member and feature the score keeps the `evidence`: the mean and the mean square of the
    residuals over the window, weights proportional to exp(-age / 8). With them
    `stream_vae.detect.tracking` scores a window about what is usual for its series. Called without
    a series it scores about what is usual of held-out windows.
    """

    name: ClassVar[str] = "tracked"
    variance: Tensor
    """(K, F) see `UsualResiduals`, float64."""
    bias: Tensor
    """(K, F)"""
    level: Tensor
    """(K, F)"""
    against_constant: Tensor
    """(K,)"""

    def __call__(self, output: WindowOutput) -> tuple[Tensor, Tensor]:
        """Score windows about what is usual of held-out ones."""
        return self.of_evidence(self.evidence(output))

    def of_evidence(self, evidence: Tensor) -> tuple[Tensor, Tensor]:
        """Return the (B,) scores and (B, F) parts of (B, K, F, 2) evidence."""
        mean, energy = evidence.unbind(dim=-1)
        seen = torch.isfinite(mean)
        bias = self.bias.to(energy.dtype)
        about = (energy - 2 * bias * mean + bias**2).clamp(min=0)
        part = to_three_quarters(about / (self.variance + 1).to(energy.dtype))
        part = torch.where(seen, part, 0.0)
        total = part.sum(dim=2)
        is_useful = torch.from_numpy(useful(self.against_constant.cpu().numpy())).to(total)
        weight = is_useful / is_useful.sum()
        value = torch.log(total / seen.sum(dim=2).clamp(min=1) + _OFFSET) * weight
        shares = part / total.clamp(min=1e-30)[..., None] * weight[:, None]
        return value.sum(dim=1), shares.sum(dim=1)

    def evidence(self, output: WindowOutput, residuals: Sequence[Tensor] | None = None) -> Tensor:
        """Return (B, K, F, 2) mean and energy of residuals; NaN where nothing was observed.

        Args:
            output: Of the network.
            residuals: Of its members, if they are known already.
        """
        if residuals is None:
            residuals = self.residuals_of_members(output)
        observed = output.observed
        steps = self.step_weight(observed.shape[1]).to(observed.device)
        weight = steps[None, :, None] * observed
        weight = weight / weight.sum(dim=1, keepdim=True)  # 0 / 0 where nothing was observed
        pairs = [(_mean(output.residuals), output.squared_residual)]
        pairs += [(residual, residual**2) for residual in residuals]
        sums = [torch.stack([(weight * one).sum(dim=1) for one in pair], dim=-1) for pair in pairs]
        return torch.stack(sums, dim=1)

    def step_weight(self, n_steps: int) -> Tensor:
        """Return the weights of the mean and the energy."""
        return recency_weight(n_steps, torch.device("cpu"))

    def witness(self, output: WindowOutput) -> list[Tensor]:
        """Return the evidence beside score and parts."""
        return [*Score.witness(self, output), self.evidence(output).nan_to_num(nan=-1.0)]

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], device: torch.device) -> Self:
        """Return the score that `state` was taken from.

        Raises:
            BundleError: If the tensors are not this score's.
        """
        return cls(**_checked(cls.name, state, device))

    @property
    def n_members(self) -> int:
        """The network, and those beside it."""
        return 1

    @property
    def usual(self) -> UsualResiduals:
        """What is usual of held-out windows, for the tracker."""
        return usual_of(self.state())

    @classmethod
    def fitted(cls, data: FittingData) -> Self | None:
        """Return the score with what is usual of held-out windows; None for categories."""
        return cls._fitted(cls(**_nothing(1, data)), data) if data.has_distances else None

    @classmethod
    def _fitted(cls, blank: Self, data: FittingData) -> Self:
        """Return a score that knows its members with what is usual of held-out windows."""
        K, F = blank.variance.shape
        evidence, squares = [np.empty((0, K, F, 2), np.float32)], np.zeros((K, F))
        count, constant = np.zeros(F), 0.0
        room = _MOST_EVIDENCE // (2 * K * F)
        batches = (
            (blank.by(one.members), one.constant, output)
            for one in data.held_out
            for output in one.outputs
        )
        for score, mean, output in batches:
            constant += _sum_about(mean, output) if output.has_windows else 0.0
            is_window = output.observed.any(dim=2).any(dim=1)
            squares += score.sum_of_squares(output).cpu().numpy()
            count += output.observed.sum(dim=(0, 1)).cpu().numpy()
            found = score.evidence(output)[is_window].cpu().numpy()
            if room > 0:
                evidence.append(found[:room])
                room -= len(found)
        mean_square = np.where(count > 0, squares / np.maximum(count, 1), 1.0)
        compared = squares.sum(axis=1) / constant if constant else None
        usual = UsualResiduals.of(np.concatenate(evidence), mean_square, compared)
        return blank.about(usual, data.device)

    def by(self, members: tuple[Member, ...]) -> Self:
        """Return the score of other members beside the network; it has none."""
        return self

    def about(self, usual: UsualResiduals, device: torch.device) -> Self:
        """Return the same score with another usual."""
        found = {name: torch.from_numpy(getattr(usual, name)).to(device) for name in _USUAL}
        rest = {one.name: getattr(self, one.name) for one in fields(self)}
        return type(self)(**{**rest, **found})

    def sum_of_squares(self, output: WindowOutput) -> Tensor:
        """Return (K, F) sums of squared residuals over windows and steps, float64."""
        squared = [output.squared_residual]
        squared += [residual**2 for residual in self.residuals_of_members(output)]
        return torch.stack([one.double().sum(dim=(0, 1)) for one in squared])

    def residuals_of_members(self, output: WindowOutput) -> list[Tensor]:
        """Return (B, T, F) of each member beside the network, 0 where nothing was observed."""
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Fused(Tracked):
    """The mean of the tracked scores of the network and of other window models.

    They err on different windows: a memory of training windows knows what has been, principal
    components what goes together, the network both at once. Values that were not observed are
    filled with what the network expects before another member sees a window.
    """

    name: ClassVar[str] = "fused"
    members: tuple[Member, ...]
    """Beside the network, which is the first of the K."""

    @property
    def n_members(self) -> int:
        """The network, and those beside it."""
        return 1 + len(self.members)

    def witness(self, output: WindowOutput) -> list[Tensor]:
        """Return also what the members decide by."""
        flat = filled(output).flatten(1)
        return [*Tracked.witness(self, output), *(one.witness(flat) for one in self.members)]

    @classmethod
    def fitted(cls, data: FittingData) -> Self | None:
        """Return the score of the members that the data brings; None without any."""
        if not data.members or not data.has_distances:
            return None
        blank = cls(members=data.members, **_nothing(1 + len(data.members), data))
        return cls._fitted(blank, data)

    def by(self, members: tuple[Member, ...]) -> Self:
        """Return the score of other members beside the network, with the same usual."""
        return replace(self, members=members)

    def state(self) -> dict[str, Tensor]:
        """Return the tensors of the members as `MEMBER.TENSOR` beside those of what is usual."""
        state = {name: getattr(self, name).cpu() for name in _USUAL}
        for member in self.members:
            state |= {f"{member.name}.{name}": one for name, one in member.state().items()}
        return state

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], device: torch.device) -> Self:
        """Return the score that `state` was taken from.

        Raises:
            BundleError: If the tensors are not those of known members.
        """
        states: dict[str, dict[str, Tensor]] = {}
        usual: dict[str, Tensor] = {}
        for full_name, tensor in state.items():
            member, dot, name = full_name.partition(".")
            if dot:
                states.setdefault(member, {})[name] = tensor
            else:
                usual[full_name] = tensor
        if not states or states.keys() - MEMBERS.keys():
            raise BundleError(
                f"score {cls.name}: found tensors {sorted(state)}, expected those of some of "
                f"{sorted(MEMBERS)} beside {sorted(_USUAL)}; a model trained before this score "
                "existed must be retrained to use it"
            )
        members = tuple(
            MEMBERS[name].from_state(states[name], device) for name in MEMBERS if name in states
        )
        return cls(members=members, **_checked(cls.name, usual, device))

    def residuals_of_members(self, output: WindowOutput) -> list[Tensor]:
        """Return (B, T, F) of each member beside the network, 0 where nothing was observed."""
        windows = filled(output)
        flat = windows.flatten(1)
        return [
            torch.where(output.observed, member.residual(flat).view_as(windows), 0.0)
            for member in self.members
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedWindow(Fused):
    """As `fused`, of the network and the memory, all steps of the window weighing alike.

    For the likelihood of a single series, whose anomalies are long. On its own, without a
    likelihood, it is a tracked score as the others are.
    """

    name: ClassVar[str] = "fused_window"

    @classmethod
    def fitted(cls, data: FittingData) -> Self | None:
        """Return the score with the memory; None without it."""
        memory = _memory_of(data.members)
        if not memory or not data.has_distances:
            return None
        found = cls._fitted(cls(members=memory, **_nothing(2, data)), data)
        # A single series' likelihood compares each member with what is usual of it.
        return replace(found, against_constant=torch.zeros_like(found.against_constant))

    def by(self, members: tuple[Member, ...]) -> Self:
        """Return the score of another memory, with the same usual."""
        return replace(self, members=_memory_of(members))

    def state(self) -> dict[str, Tensor]:
        """Return the tensors, none shared with those of `fused`, as files of them require."""
        return {name: tensor.clone() for name, tensor in Fused.state(self).items()}

    def step_weight(self, n_steps: int) -> Tensor:
        """Return (T,) ones."""
        return torch.ones(n_steps)


_USUAL = ("variance", "bias", "level", "against_constant")


def _checked(score: str, state: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Return the tensors of what is usual; earlier releases compared no member with a constant."""
    found = dict(state)
    if "bias" in found:
        found.setdefault("against_constant", found["bias"].new_zeros(found["bias"].shape[:1]))
    if found.keys() != set(_USUAL):
        raise BundleError(
            f"score {score}: found tensors {sorted(state)}, expected {sorted(_USUAL)}; a model "
            "trained before this score existed must be retrained to use it"
        )
    return {name: tensor.to(device) for name, tensor in found.items()}


def _sum_about(mean: Tensor | None, output: WindowOutput) -> float:
    """Return the sum of the squares of what was observed about a mean of each feature."""
    about = output.windows if mean is None else output.windows - mean
    return float(torch.where(output.observed, about, 0.0).double().square().sum())


def _memory_of(members: tuple[Member, ...]) -> tuple[Member, ...]:
    return tuple(one for one in members if isinstance(one, Memory))


def usual_of(state: Mapping[str, Tensor]) -> UsualResiduals:
    """Return what is usual from the tensors of a tracked score."""
    found = _checked(Tracked.name, {n: state[n] for n in _USUAL if n in state}, _CPU)
    return UsualResiduals(**{name: one.numpy().astype(np.float64) for name, one in found.items()})


def tracking_of(states: Mapping[str, Mapping[str, Tensor]]) -> dict[str, UsualResiduals]:
    """Return what is usual, of each tracked score among the scores' tensors."""
    names = [score.name for score in (Tracked, Fused, FusedWindow) if score.name in states]
    return {name: usual_of(states[name]) for name in names}


def filled(output: WindowOutput) -> Tensor:
    """Return (B, T, F) windows with what the network expects where nothing was observed."""
    return torch.where(output.observed, output.windows, output.expected)


def _nothing(n_members: int, data: FittingData) -> dict[str, Tensor]:
    shape = (n_members, data.n_features)
    found = {name: torch.zeros(shape, dtype=torch.float64, device=data.device) for name in _USUAL}
    return {**found, "against_constant": found["bias"][:, 0]}


def _mean(residuals: list[Tensor]) -> Tensor:
    total = residuals[0]
    for residual in residuals[1:]:
        total = total + residual
    return total / len(residuals) if len(residuals) > 1 else total
