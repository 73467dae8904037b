"""The sequence-to-sequence variational autoencoder: a network and a likelihood."""

from collections.abc import Mapping, Sequence
from typing import cast

from torch import Tensor, nn

from stream_vae.core.model_spec import Feature
from stream_vae.core.scaling import Scaler
from stream_vae.models.config import ArchitectureConfig
from stream_vae.models.likelihoods import build_likelihood
from stream_vae.models.vae.encoding import Encoding
from stream_vae.models.vae.feed_forward import FeedForwardNetwork
from stream_vae.models.vae.network import SequenceNetwork
from stream_vae.models.vae.window_inputs import WindowInputs


class SequenceVae(nn.Module):
    """q(z | x) and p(x | z) of windows.

    Args:
        features: F of them, in the order of the windows' columns.
        architecture: Sizes and options.
        scaler: Of the windows; None if the tensors are to be loaded from a bundle.

    References:
        Kingma & Welling (2014), Auto-Encoding Variational Bayes.
        Pereira & Silveira (2018), Unsupervised Anomaly Detection in Energy Time Series Data Using
        Variational Recurrent Autoencoders with Attention, ICMLA; the attention is an option.
    """

    def __init__(
        self,
        features: Sequence[Feature],
        architecture: ArchitectureConfig,
        scaler: Scaler | None = None,
    ) -> None:
        super().__init__()
        self._inputs = WindowInputs(features, architecture)
        network = FeedForwardNetwork if architecture.is_feed_forward else SequenceNetwork
        self.network = network(self._inputs.width, architecture)
        self.likelihood = build_likelihood(features, architecture, scaler)

    @property
    def _parts(self) -> tuple[nn.Module, ...]:
        return self._inputs, self.network, self.likelihood

    def encode(self, values: Tensor, observed: Tensor, calendar: Tensor | None) -> Encoding:
        """Return q(z | x) of windows; see `WindowInputs` for the arguments."""
        return self.network.encode(self._inputs(values, observed, calendar))

    def decode(
        self, latent: Tensor, calendar: Tensor | None, context: Tensor | None = None
    ) -> Tensor:
        """Return the likelihood's (B, T, P) outputs, oldest step first.

        Args:
            latent: (B, Z).
            calendar: (B, T, 4), or None if the architecture has no calendar inputs.
            context: (B, T, C) of the encoding, or None if it has no attention.
        """
        outputs = self.likelihood(self.network.decode(latent, calendar, context))
        return cast("Tensor", outputs.flip(1))

    def tensors(self) -> dict[str, Tensor]:
        """Return all parameters by their names in a bundle."""
        return {name: tensor for part in self._parts for name, tensor in part.state_dict().items()}

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Load parameters as returned by `tensors`."""
        for part in self._parts:
            part.load_state_dict({name: tensors[name] for name in part.state_dict()})
