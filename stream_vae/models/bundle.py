"""A trained model as a value."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from stream_vae.core.model_spec import ModelSpec
from stream_vae.errors import BundleError
from stream_vae.models.config import ArchitectureConfig
from stream_vae.models.padded_linear import pad_linears
from stream_vae.models.provenance import TrainingSummary
from stream_vae.models.scores import SCORES
from stream_vae.models.scores.score import Score
from stream_vae.models.vae.sequence_vae import SequenceVae


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Everything scoring needs, and its provenance."""

    spec: ModelSpec
    architecture: ArchitectureConfig
    weights: Mapping[str, Tensor]
    """Tensors of network and likelihood, float32 on the CPU."""
    score_states: Mapping[str, Mapping[str, Tensor]]
    """Score -> its tensors fitted on held-out windows, on the CPU; scores without any are
    absent."""
    noise_seed: int
    """Seed of the posterior noise that all windows share."""
    training: TrainingSummary


def build_model(bundle: Bundle, device: torch.device) -> SequenceVae:
    """Return the bundle's network and likelihood on a device, ready to score.

    Raises:
        BundleError: If the weights are not those of the architecture.
    """
    with torch.device("meta"):
        model = SequenceVae(bundle.spec.features, bundle.architecture)
    expected = {name: tuple(tensor.shape) for name, tensor in model.tensors().items()}
    found = {name: tuple(tensor.shape) for name, tensor in bundle.weights.items()}
    for name in sorted(expected.keys() | found.keys()):
        if found.get(name) != expected.get(name):
            raise BundleError(
                f"weights: {name}: found shape {found.get(name, 'nothing')}, expected "
                f"{expected.get(name, 'nothing')} for this architecture"
            )
    model.to_empty(device=device)
    model.load_tensors(bundle.weights)
    model.requires_grad_(requires_grad=False)
    pad_linears(model)
    return model.eval()


def build_score(bundle: Bundle, name: str, device: torch.device) -> Score:
    """Return one of `SCORES` with its fitted tensors, on a device.

    Raises:
        BundleError: If the bundle does not hold the tensors that the score needs.
    """
    return SCORES[name].from_state(bundle.score_states.get(name, {}), device)
