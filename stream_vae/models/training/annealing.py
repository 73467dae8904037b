"""The weight of the KL term over a training."""

from stream_vae.models.config import TrainingConfig


def kl_weight(step: int, steps: int, training: TrainingConfig) -> float:
    """Return the weight at a step, counted from 1, of all `steps`.

    In each cycle it rises from 0 to `beta` over the share `annealing` and stays there; `linear` is
    one cycle.

    >>> cyclical = TrainingConfig(annealing=0.5, annealing_shape="cyclical", annealing_cycles=2)
    >>> [kl_weight(step, 8, cyclical) for step in range(1, 9)]
    [0.5, 1.0, 1.0, 1.0, 0.5, 1.0, 1.0, 1.0]

    References:
        Bowman et al. (2016), Generating Sentences from a Continuous Space, CoNLL.
        Fu et al. (2019), Cyclical Annealing Schedule: A Simple Approach to Mitigating KL Vanishing,
        NAACL.
    """
    cycle = steps / _cycles(training)
    rise = training.annealing * cycle
    if rise <= 0:
        return training.beta
    within = step if training.annealing_shape == "linear" else (step - 1) % cycle + 1
    return training.beta * min(1.0, within / rise)


def last_rise_ends(steps: int, training: TrainingConfig) -> float:
    """Return the step after which the weight stays at `beta`.

    >>> last_rise_ends(8, TrainingConfig(annealing=0.5))
    4.0
    """
    cycles = _cycles(training)
    return (cycles - 1 + training.annealing) * steps / cycles


def _cycles(training: TrainingConfig) -> int:
    return training.annealing_cycles if training.annealing_shape == "cyclical" else 1
