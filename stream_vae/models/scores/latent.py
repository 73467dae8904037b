"""Scores by the place of a window's posterior among those of training.

A place in the latent has no parts by feature: the contributions are the features' deviances, what
the decoder could not explain.
"""

import math
import warnings
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stream_vae.models.outputs import Posterior, WindowOutput
from stream_vae.models.scores.score import FittingData, LatentSample, Score, log_error

_WASSERSTEIN_WINDOWS = 256
"""Training posteriors kept; the cost of a score grows with them."""

_LEAST_VARIANCE = 1e-3
"""Added to the variances. The prior's is 1, a dimension that is not used has nearly 0."""

_MIXTURE_STARTS, _MIXTURE_STEPS = 5, 500

_TREES, _TREE_WINDOWS = 64, 256
"""A tree sees 256 windows, as in the paper; of its 100 trees 64 are kept, each costs time."""

_EULER_GAMMA = 0.5772156649015329


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentWasserstein(Score):
    """The median squared 2-Wasserstein distance to the posteriors of training windows.

    Of diagonal Gaussians it is |mean_a - mean_b|^2 + |std_a - std_b|^2. At most 256 training
    windows are kept, evenly spaced, none that is labelled anomalous.

    References:
        Pereira & Silveira (2018), Unsupervised Anomaly Detection in Energy Time Series Data Using
        Variational Recurrent Autoencoders with Attention, ICMLA.
    """

    name: ClassVar[str] = "latent_wasserstein"
    mean: Tensor
    """(N, Z) of the training posteriors."""
    std: Tensor
    """(N, Z) of the training posteriors."""

    def __call__(self, output: WindowOutput) -> tuple[Tensor, Tensor]:
        """Score windows."""
        posterior = posterior_of(output)
        std = torch.exp(0.5 * posterior.log_var)
        apart = ((posterior.mean[:, None] - self.mean) ** 2).sum(dim=2)
        apart = apart + ((std[:, None] - self.std) ** 2).sum(dim=2)
        return apart.median(dim=1).values, output.deviance.sum(dim=1)

    @classmethod
    def fitted(cls, data: FittingData) -> Self | None:
        """Return the score with training posteriors."""
        if data.training is None:
            return None
        rows = _not_anomalous(data.training)
        rows = rows[:: -(-len(rows) // _WASSERSTEIN_WINDOWS)]
        return cls(
            mean=data.training.mean[rows].float().to(data.device),
            std=torch.exp(0.5 * data.training.log_var[rows]).float().to(data.device),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentCluster(Score):
    """The squared Mahalanobis distance to the nearest normal cluster of training windows.

    A Gaussian mixture of `training.latent_clusters` components, each with its own covariance, is
    fitted to latent mean and logarithm of the mean deviance of training windows, labels unseen; the
    component of most weight is the normal cluster. Two fit a history with many anomalies of one
    kind; one fits a history of normal operation. Without the deviance a window that the network
    cannot reconstruct may lie within the cluster. One covariance for all components would be
    widened by the anomalies: on heart beats it cost about one point of accuracy.

    References:
        Pereira & Silveira (2018), Unsupervised Anomaly Detection in Energy Time Series Data Using
        Variational Recurrent Autoencoders with Attention, ICMLA: its clustering of the latent.
    """

    name: ClassVar[str] = "latent_cluster"
    centre: Tensor
    """(K, Z + 1) of the normal clusters."""
    whitening: Tensor
    """(K, Z + 1, Z + 1) matrices W with W W' = the inverse of the cluster's covariance."""

    def __call__(self, output: WindowOutput) -> tuple[Tensor, Tensor]:
        """Score windows."""
        inputs = torch.cat((posterior_of(output).mean, log_error(output)[:, None]), dim=1)
        apart = inputs.double()[:, None] - self.centre
        # Products one by one: the bits of a matrix product depend on the size of the batch.
        white = (apart[:, :, :, None] * self.whitening).sum(dim=2)
        return (white**2).sum(dim=2).min(dim=1).values, output.deviance.sum(dim=1)

    @classmethod
    def fitted(cls, data: FittingData) -> Self | None:
        """Return the score with the cluster of most training windows."""
        if data.training is None:
            return None
        # The daemon never fits, and scikit-learn takes a second to import.
        from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
        from sklearn.mixture import GaussianMixture  # noqa: PLC0415

        sample = torch.cat((data.training.mean, data.training.log_error[:, None]), dim=1).numpy()
        if len(sample) == 1:  # The mixture wants two; of one window twice it is that window.
            sample = np.repeat(sample, 2, axis=0)
        mixture = GaussianMixture(
            n_components=min(data.latent_clusters, len(sample)),
            covariance_type="full",
            n_init=_MIXTURE_STARTS,
            max_iter=_MIXTURE_STEPS,
            reg_covar=_LEAST_VARIANCE,
            random_state=data.seed % 2**32,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(sample)
        most = int(np.argmax(mixture.weights_))
        return cls(
            centre=torch.from_numpy(mixture.means_[most : most + 1]).to(data.device),
            whitening=torch.from_numpy(mixture.precisions_cholesky_[most : most + 1]).to(
                data.device
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentOutlier(Score):
    """How few random cuts isolate the latent mean from those of training windows.

    2^(-mean depth / usual depth) of an isolation forest, in (0, 1); far from all training windows
    it no longer grows. Windows labelled anomalous are left out of the trees.

    References:
        Liu, Ting & Zhou (2008), Isolation Forest, ICDM.
    """

    name: ClassVar[str] = "latent_outlier"
    dimension: Tensor
    """(R, N) latent dimension that each node of R trees cuts; -1 at a leaf."""
    cut: Tensor
    """(R, N) where it cuts."""
    left: Tensor
    """(R, N) node of the means up to the cut; a leaf's is itself."""
    right: Tensor
    """(R, N) node of the others."""
    depth: Tensor
    """(R, N) depth of a leaf and of the unbuilt tree of its windows, over the usual depth."""

    def __call__(self, output: WindowOutput) -> tuple[Tensor, Tensor]:
        """Score windows."""
        mean = posterior_of(output).mean.double()
        tree = torch.arange(len(self.cut), device=mean.device)
        node = torch.zeros((len(mean), len(tree)), dtype=torch.long, device=mean.device)
        dimension, left, right = (one.long() for one in (self.dimension, self.left, self.right))
        for _ in range(math.ceil(math.log2(_TREE_WINDOWS)) + 1):
            value = mean.gather(1, dimension[tree, node].clamp(min=0))
            node = torch.where(value <= self.cut[tree, node], left[tree, node], right[tree, node])
        shallow = -self.depth[tree, node].mean(dim=1)
        return torch.exp2(shallow), output.deviance.sum(dim=1)

    def misfit(self, output: WindowOutput) -> str:
        """Return which nodes or dimensions are none; a window visits few of them."""
        shapes = {tuple(one.shape) for one in self.state().values()}
        if len(shapes) > 1 or self.cut.ndim != 2:
            return f"shapes {sorted(shapes)}"
        Z = posterior_of(output).mean.shape[1]
        ranges = {"left": (0, self.cut.shape[1]), "right": (0, self.cut.shape[1])}
        for name, (lowest, end) in (ranges | {"dimension": (-1, Z)}).items():
            places = getattr(self, name)
            if bool(((places < lowest) | (places >= end)).any()):
                return f"{name} beyond {lowest} to {end - 1}"
        return ""

    @classmethod
    def fitted(cls, data: FittingData) -> Self | None:
        """Return the score with a forest of the training posteriors' means."""
        if data.training is None:
            return None
        means = data.training.mean[_not_anomalous(data.training)].numpy()
        # The daemon never fits, and scikit-learn takes a second to import.
        from sklearn.ensemble import IsolationForest  # noqa: PLC0415

        forest = IsolationForest(
            n_estimators=_TREES,
            max_samples=min(_TREE_WINDOWS, len(means)),
            random_state=data.seed % 2**32,
        ).fit(means)
        trees = [tree.tree_ for tree in forest.estimators_]
        size = max(tree.node_count for tree in trees)
        state = {field.name: np.zeros((len(trees), size)) for field in fields(cls)}
        for row, tree in enumerate(trees):
            for name, values in _tree_arrays(tree).items():
                state[name][row, : tree.node_count] = values
        usual = _unbuilt_depth(np.array([forest.max_samples_], dtype=np.float64))
        state["depth"] /= usual.clip(min=1.0)
        return cls(**{name: torch.from_numpy(a).to(data.device) for name, a in state.items()})


def _tree_arrays(tree: Any) -> dict[str, NDArray[np.float64]]:
    """Return a tree of scikit-learn as the arrays of `LatentOutlier`, one entry per node."""
    left, right = tree.children_left, tree.children_right
    depth = np.zeros(tree.node_count)
    for node in np.flatnonzero(left >= 0):
        # A node comes before its children.
        depth[[left[node], right[node]]] = depth[node] + 1
    own, is_leaf = np.arange(tree.node_count), left < 0
    return {
        "dimension": np.where(is_leaf, -1, tree.feature),
        "cut": np.where(is_leaf, 0.0, tree.threshold),
        "left": np.where(is_leaf, own, left),
        "right": np.where(is_leaf, own, right),
        "depth": depth + _unbuilt_depth(tree.n_node_samples.astype(np.float64)),
    }


def _unbuilt_depth(n_windows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean depth at which a random tree isolates one of so many windows.

    References:
        Liu, Ting & Zhou (2008), Isolation Forest, ICDM, equation 1.
    """
    others = np.maximum(n_windows - 1, 1)
    harmonic = np.log(others) + _EULER_GAMMA
    many = 2 * harmonic - 2 * others / n_windows
    return np.select([n_windows <= 1, n_windows == 2], [0.0, 1.0], many)


def posterior_of(output: WindowOutput) -> Posterior:
    """Return the posterior of an output of the network; others are never scored by the latent."""
    return cast("Posterior", output.posterior)


def _not_anomalous(sample: LatentSample) -> Tensor:
    """Return the rows not labelled anomalous; all if there is no other."""
    normal = torch.nonzero(sample.labels != 1).squeeze(1)
    return normal if len(normal) else torch.arange(len(sample.labels))
