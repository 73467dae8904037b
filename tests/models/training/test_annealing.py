import pytest

from stream_vae.models.config import TrainingConfig
from stream_vae.models.training.annealing import kl_weight, last_rise_ends


def weights(steps: int, training: TrainingConfig) -> list[float]:
    return [kl_weight(step, steps, training) for step in range(1, steps + 1)]


def test_linear_rises_once() -> None:
    found = weights(10, TrainingConfig(annealing=0.4, beta=2.0))
    assert found == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0])


def test_cyclical_is_linear_in_each_cycle() -> None:
    """Fu et al.: tau = mod(t - 1, T / M) / (T / M), here of the step's end."""
    cyclical = TrainingConfig(annealing=0.4, annealing_shape="cyclical", annealing_cycles=3)
    assert weights(30, cyclical) == pytest.approx(3 * weights(10, TrainingConfig(annealing=0.4)))


def test_one_cycle_is_linear() -> None:
    cyclical = TrainingConfig(annealing_shape="cyclical", annealing_cycles=1)
    assert weights(37, cyclical) == weights(37, TrainingConfig())


def test_cycles_need_not_divide_the_steps() -> None:
    """More cycles than steps included: every weight is above 0 and at most beta."""
    for cycles in (3, 7, 20):
        cyclical = TrainingConfig(annealing_shape="cyclical", annealing_cycles=cycles)
        assert all(0 < weight <= 1 for weight in weights(10, cyclical))


def test_weight_is_full_from_the_end_of_the_last_rise() -> None:
    for shape in ("linear", "cyclical"):
        training = TrainingConfig(annealing=0.5, annealing_shape=shape, annealing_cycles=2)
        end = last_rise_ends(40, training)
        assert end == {"linear": 20, "cyclical": 30}[shape]
        found = weights(40, training)
        assert all(weight == 1 for weight in found[round(end) - 1 :])
        assert found[round(end) - 2] < 1


def test_without_annealing_the_weight_is_beta_throughout() -> None:
    assert weights(4, TrainingConfig(annealing=0.0, beta=3.0)) == [3.0] * 4
