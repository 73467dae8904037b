"""A trained model as a value."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stream_vae.core.model_spec import ModelSpec
from stream_vae.errors import BundleError
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.vae.network import SequenceVae


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSummary:
    """Where a model came from; scoring needs none of it."""

    config: TrainingConfig
    data_sha256: str
    """Fingerprint of the training data: feature names, series keys, times and values."""
    rows: int
    series: int
    epochs: int
    best_epoch: int
    validation_log_likelihood: float
    """Evidence lower bound, nats per observed value."""
    constant_log_likelihood: float
    """Of a constant model on the same windows, nats per observed value."""
    versions: dict[str, str]
    """Package -> version that trained it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Everything scoring needs, and where it came from."""

    spec: ModelSpec
    architecture: ArchitectureConfig
    weights: Mapping[str, Tensor]
    """The network's tensors, float32 on the CPU."""
    residual_variance: NDArray[np.float64]
    """(F,) mean squared residual per feature on the calibration part, scaled units."""
    noise_seed: int
    """Seed of the posterior noise that all windows share."""
    training: TrainingSummary


def build_network(bundle: Bundle, device: torch.device) -> SequenceVae:
    """Return the bundle's network on a device, ready to score.

    Raises:
        BundleError: If the weights are not those of the architecture.
    """
    with torch.device("meta"):
        network = SequenceVae(len(bundle.spec.features), bundle.architecture)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in bundle.weights.items()}
    for name in sorted(expected.keys() | found.keys()):
        if found.get(name) != expected.get(name):
            raise BundleError(
                f"weights: {name}: found shape {found.get(name, 'nothing')}, expected "
                f"{expected.get(name, 'nothing')} for this architecture"
            )
    network.to_empty(device=device)
    network.load_state_dict(dict(bundle.weights))
    network.requires_grad_(requires_grad=False)
    return network.eval()
