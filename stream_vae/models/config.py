"""Settings of a model's architecture and training."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

ENOUGH_WINDOWS = 50
"""Windows end to end in the training part. Our own rule: on public server metrics histories of 500
to 600 rows, 12 windows of 32, found a quarter of what the whole series did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchitectureConfig:
    """Shape of the network. A change of any field requires retraining."""

    window_length: Annotated[int, Ge(1), Le(4096)] = 32
    """T, steps per window. A series is silent in warm-up for T - 1 steps, and scoring costs grow
    with T. On server metrics at 1-minute steps 16 and 64 found less than 32."""

    hidden_size: Annotated[int, Ge(1), Le(4096)] = 48
    """H, units of each LSTM. Cost grows with H squared; 16 is enough for one feature."""

    latent_size: Annotated[int, Ge(1), Le(1024)] = 8
    """Z, dimensions of the latent. Larger ones also reconstruct anomalies; 4 suits few features."""

    calendar: bool | Literal["auto"] = False
    """Give encoder and decoder the sine and cosine of the time of day and of the week (UTC). They
    are never scored. For data with a daily or weekly rhythm longer than the window; `auto` looks
    for one in the training data by autocorrelation."""

    sigma_floor: Annotated[float, Gt(0), Le(10)] = 0.4
    """Least decoder scale, in standard deviations of the training data. A tiny floor lets one
    well-predicted feature dominate every score; a large one widens the expected band in alerts. On
    four server machines 0.4 ranked as well as 0.5 and better than 0.3."""

    numeric_likelihood: Literal[
        "gaussian", "gaussian_per_step", "gaussian_unit", "laplace", "student_t"
    ] = "gaussian"
    """Of numeric features. `gaussian`: one learned sigma per feature; `gaussian_per_step`: the
    decoder gives it at every step (An & Cho 2015); `gaussian_unit`: sigma 1, which ranks as squared
    error; `laplace` and `student_t`: outliers in the training data count less."""

    count_likelihood: Literal["negative_binomial", "poisson", "log_gaussian"] = "negative_binomial"
    """Of counts. `poisson` takes their variance to be their mean, `negative_binomial` learns how
    much wider it is. `log_gaussian`: log(1 + count) is normal, with `sigma_floor`; for counts that
    vary less than their mean, such as of the events of a session."""

    cell: Literal["auto", "lstm", "feed_forward"] = "auto"
    """Encoder and decoder: `lstm` reads the window step by step; `feed_forward` takes all its steps
    at once; `auto` is feed_forward for windows of one step, which have no order, else lstm."""

    bidirectional: bool = True
    """The LSTM encoder also reads the window backwards in time (Schuster & Paliwal 1997). It costs
    twice as much and found more on heartbeats (AUC .989 against .986)."""

    layers: Annotated[int, Ge(1), Le(8)] = 1
    """Layers of the encoder and as many of the decoder. Costs grow in proportion."""

    attention: Literal["none", "variational"] = "none"
    """`variational`: self-attention over the LSTM encoder's states gives the decoder a random
    context at each step, of `latent_size` dimensions and with a KL term of its own (Pereira &
    Silveira 2018). Sharper reconstructions, of anomalies too; costs grow with T squared."""

    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Share of units dropped in training (Srivastava et al. 2014), never at scoring. torch's LSTM
    drops only between layers (Zaremba et al. 2014), so it needs `layers` >= 2; feed_forward drops
    after each layer."""

    categories: Literal["one_hot", "embedding"] = "one_hot"
    """How the encoder is given a category: in a place of its own (`one_hot`), or as a learned
    vector of `embedding_size` numbers (Guo & Berkhahn 2016), for features of many categories."""

    embedding_size: Annotated[int, Ge(1), Le(1024)] = 4
    """Numbers of each categorical feature that the encoder is given (`embedding`)."""

    samples: Annotated[int, Ge(1), Le(1024)] = 1
    """L, posterior samples over which scores are averaged, in the calibration and in all scoring
    with the bundle: quantiles of one number do not hold for another. Cost grows with it; events of
    mixed kinds are ranked better with 16, long windows hardly."""

    @property
    def is_feed_forward(self) -> bool:
        """Return whether encoder and decoder are feed-forward, `auto` resolved."""
        return self.cell == "feed_forward" or (self.cell == "auto" and self.window_length == 1)

    def __post_init__(self) -> None:
        """Validate the fields against each other."""
        if self.attention != "none" and self.is_feed_forward:
            msg = (
                f"attention: found {self.attention!r} for feed-forward layers, expected 'none': it "
                "is over the states of an LSTM; set cell: lstm or a window_length above 1"
            )
            raise ValueError(msg)
        if self.dropout > 0 and self.layers == 1 and not self.is_feed_forward:
            msg = (
                f"dropout: found {self.dropout} with layers: 1, expected 0: an LSTM drops units "
                "between its layers only; set layers to 2 or more"
            )
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """Settings of training. They have no effect on a trained bundle."""

    epochs: Annotated[int, Ge(1)] = 12
    """Epochs of training; the held-out likelihood is evaluated after each."""

    min_steps: Annotated[int, Ge(0)] = 600
    """Least optimiser steps in all: short histories are repeated within an epoch, since a few
    hundred rows give only a handful of batches."""

    max_steps: Annotated[int, Ge(1)] = 20_000
    """Most optimiser steps in all; on very long histories an epoch is a random part of them."""

    batch_size: Annotated[int, Ge(1)] = 128
    """Windows per optimiser step; fewer if there are not that many."""

    stride: Annotated[int, Ge(1)] = 2
    """Steps between the starts of consecutive training windows. They overlap almost completely, so
    2 to 4 trains as well as 1 in less time; windows of one step are all trained on."""

    learning_rate: Annotated[float, Gt(0)] = 3e-3
    """Peak of the one-cycle schedule (Smith & Topin 2019). The default suits adamw and adam;
    rmsprop needs a third of it, sgd about 100 times as much."""

    weight_decay: Annotated[float, Ge(0)] = 0.0
    """L2 shrinkage per step: with adamw decoupled from the gradient, with the others added to
    it."""

    gradient_clip: Annotated[float, Gt(0)] = 5.0
    """Largest gradient norm; limits the effect of a single outlier window on the weights."""

    beta: Annotated[float, Ge(0)] = 1.0
    """Weight of the KL term; 1 is the evidence lower bound."""

    annealing: Annotated[float, Ge(0), Le(1)] = 0.4
    """Share of the training over which the KL weight rises from 0 to `beta`. Without it the latent
    often collapses to the prior."""

    free_bits: Annotated[float, Ge(0)] = 0.0
    """KL per latent dimension that costs nothing, in nats; raise it if the latent collapses."""

    denoising: Annotated[float, Ge(0)] = 0.1
    """Standard deviation of the noise added to the encoder's input, in scaled units."""

    missing_rate: Annotated[float, Ge(0), Lt(1)] = 0.05
    """Share of values, and of whole steps, masked in the encoder's input in training, so that it
    learns to handle gaps in live data. Masked values are still reconstructed."""

    patience: Annotated[int, Ge(1)] = 5
    """Epochs without a better held-out likelihood, once the KL weight is full, that end training.
    The best weights are kept in any case."""

    validation_fraction: Annotated[float, Gt(0), Lt(1)] = 0.1
    """Share of each series, in time order after the training part, for early stopping."""

    calibration_fraction: Annotated[float, Gt(0), Lt(1)] = 0.2
    """Share of each series at its end, held out for the quantiles of normal scores. Scores of rows
    trained on are too low to calibrate with."""

    calibration: Literal["auto", "held_out", "cross_validation"] = "auto"
    """Which rows the quantiles of normal scores come from. `held_out`: the end of each series.
    `cross_validation`: all rows are fitted, and each of up to four blocks of them is scored by a
    model of the others, at the cost of as many more trainings. `auto`: cross_validation where the
    rows make fewer than 25 windows end to end and neither labels nor `trim` need a part of their
    own, else held_out."""

    seed: Annotated[int, Ge(0), Le(2**63 - 1)] = 0
    """Seed of weights, order and noise: the same input, config and seed on the same machine give
    the same scores."""

    device: str = "auto"
    """auto, cpu, cuda or cuda:N. These networks are small: a CPU trains them in a minute."""

    optimizer: Literal["adamw", "adam", "rmsprop", "sgd"] = "adamw"
    """AdamW (Loshchilov & Hutter 2019), Adam (Kingma & Ba 2015), RMSprop (Tieleman & Hinton 2012),
    or stochastic gradient descent with `momentum`."""

    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    """Momentum of `sgd` (Sutskever et al. 2013); the other optimisers do not use it."""

    annealing_shape: Literal["linear", "cyclical"] = "linear"
    """`linear`: the KL weight rises once (Bowman et al. 2016). `cyclical`: it rises anew from 0 in
    each of `annealing_cycles`, which uses the latent better (Fu et al. 2019); training does not
    stop early before the last rise is over."""

    annealing_cycles: Annotated[int, Ge(1)] = 4
    """Equal parts of the training, each with a rise over its share `annealing`, if cyclical."""

    kinds: Literal["numeric", "auto"] = "numeric"
    """Kinds of columns of numbers that `model.features` does not name. `auto`: 0 and 1 alone are
    binary; whole numbers of 0 or more, half of them below 100, that do not only rise are counts.
    The report names those columns in any case. Columns of text are categorical, or binary if they
    say true and false alone."""

    max_categories: Annotated[int, Ge(2), Le(4096)] = 64
    """Most categories of a feature; training refuses more. The network's input grows by one each,
    and a category seen a few times is hardly learnt."""

    latent_sparsity: Annotated[float, Ge(0)] = 0.0
    """Weight of the L1 norm of z in the loss, nats per unit and window; draws unused dimensions of
    the latent to zero (Pereira & Silveira 2018)."""

    scaling: Literal["standard", "min_max", "robust"] = "standard"
    """How numeric features are scaled. `standard`: less their mean, over their standard deviation;
    `robust`: less their median, over the interquartile range / 1.349, for training data with
    outliers; `min_max`: to 0..1 over the training range, where `sigma_floor` should be about
    0.1."""

    combined: str = "log_probability + latent_wasserstein"
    """The scores that the score `combined` is made of, two or more joined by `+`: Fisher's rule on
    their tail probabilities in the calibration. Scores that the training cannot fit are left
    out."""

    members: str = "vae + memory + components"
    """Window models whose tracked scores the score `fused` is the mean of: `vae`, the network,
    always; `memory`, the nearest of at most 3,000 training windows; `components`, the principal
    components that explain 90 % of their variance."""

    latent_clusters: Annotated[int, Ge(1), Le(64)] = 2
    """Components of the mixture that `latent_cluster` fits to the latent means; the largest is
    normal. 1 for a history known to be normal."""

    trim: Literal["off", "auto"] | Annotated[float, Ge(0), Le(0.5)] = "off"
    """Fit a second time without the training windows that scored worst, for data that may hold
    anomalies; labels play no part. A number is their share; `auto` drops those more than 20 robust
    standard deviations of the validation scores above their median, 5 % at most."""

    injected_faults: Annotated[int, Ge(0), Le(1000)] = 10
    """Faults of each kind, feature and size that are injected into the held-out calibration part
    after training, to tell which sizes are found; the report says nine of ten. 0: none; nor
    where all rows are fitted (`calibration`)."""

    log_examples: Literal["raw", "masked"] = "raw"
    """Logs: lines that are shown as examples, in the bundle, in alerts and in events: as they are
    (`raw`), or `masked`, without the values that a mask takes. The bundle keeps it."""
    masks: dict[str, str] = field(default_factory=dict)
    """Logs: name -> regular expression of a value (`order: '\\bORD-[A-Z]+\\b'`) that is replaced
    before lines are compared, ahead of the masks for numbers, addresses, paths and the like. They
    take time linear in the line: look-around and back-references are refused. With one that names
    a digit (`node1`) matching is slower. The bundle keeps them."""

    def __post_init__(self) -> None:
        """Validate the fields against each other."""
        held_out = self.validation_fraction + self.calibration_fraction
        if held_out >= 1:
            msg = (
                f"validation_fraction ({self.validation_fraction}) + calibration_fraction "
                f"({self.calibration_fraction}) leave nothing to train on; their sum must be < 1"
            )
            raise ValueError(msg)
        if self.max_steps < self.min_steps:
            msg = f"max_steps ({self.max_steps}) must be >= min_steps ({self.min_steps})"
            raise ValueError(msg)


def rows_wanted(window_length: int, training: TrainingConfig) -> int:
    """Return the rows of all series together whose training part holds windows enough.

    >>> rows_wanted(32, TrainingConfig())
    2286
    """
    share = 1 - training.validation_fraction - training.calibration_fraction
    return math.ceil(ENOUGH_WINDOWS * window_length / share)
