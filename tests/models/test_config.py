import pytest

from stream_vae.models.config import ArchitectureConfig, TrainingConfig


def test_held_out_parts_leave_something_to_train_on() -> None:
    """The two held-out shares must sum to less than everything."""
    with pytest.raises(ValueError, match=r"validation_fraction \(0.5\).*sum must be < 1"):
        TrainingConfig(validation_fraction=0.5, calibration_fraction=0.5)
    TrainingConfig(validation_fraction=0.5, calibration_fraction=0.49)


def test_max_steps_is_at_least_min_steps() -> None:
    with pytest.raises(ValueError, match=r"max_steps \(10\) must be >= min_steps \(600\)"):
        TrainingConfig(max_steps=10)
    TrainingConfig(max_steps=600)


def test_windows_of_one_step_are_feed_forward_unless_an_lstm_is_asked_for() -> None:
    assert ArchitectureConfig(window_length=1).is_feed_forward
    assert not ArchitectureConfig(window_length=2).is_feed_forward
    assert not ArchitectureConfig(window_length=1, cell="lstm").is_feed_forward
    assert ArchitectureConfig(window_length=2, cell="feed_forward").is_feed_forward


def test_attention_needs_an_lstm() -> None:
    with pytest.raises(ValueError, match=r"attention: found 'variational' for feed-forward"):
        ArchitectureConfig(window_length=1, attention="variational")
    ArchitectureConfig(window_length=1, cell="lstm", attention="variational")


def test_dropout_needs_layers_to_drop_between() -> None:
    with pytest.raises(ValueError, match=r"dropout: found 0.1 with layers: 1.*set layers to 2"):
        ArchitectureConfig(dropout=0.1)
    ArchitectureConfig(dropout=0.1, layers=2)
    ArchitectureConfig(dropout=0.1, window_length=1)
