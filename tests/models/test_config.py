import pytest

from stream_vae.models.config import TrainingConfig


def test_held_out_parts_leave_something_to_train_on() -> None:
    """The two held-out shares must sum to less than everything."""
    with pytest.raises(ValueError, match=r"validation_fraction \(0.5\).*sum must be < 1"):
        TrainingConfig(validation_fraction=0.5, calibration_fraction=0.5)
    TrainingConfig(validation_fraction=0.5, calibration_fraction=0.49)


def test_max_steps_is_at_least_min_steps() -> None:
    with pytest.raises(ValueError, match=r"max_steps \(10\) must be >= min_steps \(600\)"):
        TrainingConfig(max_steps=10)
    TrainingConfig(max_steps=600)
