import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature
from stream_vae.errors import ConfigError, ShapeError
from stream_vae.models.config import TrainingConfig
from stream_vae.models.training.training_windows import (
    TrainingSeries,
    WindowSet,
    check_series,
    cut_parts,
)

NAN = np.nan


def make_series(
    steps: list[int] | range, values: NDArray[np.float64] | None = None, key: str = "a"
) -> TrainingSeries:
    times = np.array(list(steps), np.int64) * 10
    if values is None:
        values = np.stack((times * 1.0, times * -1.0), axis=1)
    return TrainingSeries(key=key, times=times, values=values)


def cut(
    series: list[TrainingSeries], *, window_length: int = 3, max_gap: int = 1, stride: int = 1
) -> dict[str, WindowSet]:
    training = TrainingConfig(validation_fraction=0.2, calibration_fraction=0.3, stride=stride)
    _, parts = cut_parts(
        series,
        features=[Feature(name=str(f)) for f in range(series[0].values.shape[1])],
        step_ns=10,
        window_length=window_length,
        max_gap=max_gap,
        training=training,
    )
    return parts


def ends(windows: WindowSet) -> list[int]:
    """Return the newest step of each window."""
    return [int(time) // 10 for time in windows.take(np.arange(len(windows)))[1]]


def test_parts_are_in_time_order_and_windows_cross_no_cut() -> None:
    """20 rows: 10 to train, 4 to validate, 6 to calibrate; the first 2 of a part end no window."""
    parts = cut([make_series(range(20))])
    assert ends(parts["training"]) == list(range(2, 10))
    assert ends(parts["validation"]) == [12, 13]
    assert ends(parts["calibration"]) == [16, 17, 18, 19]


def test_events_are_all_trained_on() -> None:
    """Control: the test below, where windows overlap."""
    parts = cut([make_series(range(20))], window_length=1, stride=3)
    assert ends(parts["training"]) == list(range(10))


def test_only_training_windows_are_strided() -> None:
    parts = cut([make_series(range(20))], stride=3)
    assert ends(parts["training"]) == [2, 5, 8]
    assert ends(parts["validation"]) == [12, 13]


def test_scaler_knows_the_training_rows_alone() -> None:
    values = np.concatenate((np.tile([[1.0], [3.0]], (5, 1)), np.full((10, 1), 1e6)))
    scaler, _ = cut_parts(
        [make_series(range(20), values)],
        features=[Feature(name="x")],
        step_ns=10,
        window_length=3,
        max_gap=1,
        training=TrainingConfig(validation_fraction=0.2, calibration_fraction=0.3),
    )
    assert scaler.mean.tolist() == [2.0]
    assert scaler.std.tolist() == [1.0]


def test_short_gap_becomes_steps_that_were_not_observed() -> None:
    """Step 3 is missing: windows span it, but none ends there."""
    steps = [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, *range(20, 30)]
    windows = cut([make_series(steps)])["training"]
    values, _ = windows.take(np.arange(len(windows)))
    assert ends(windows) == [2, 4, 5, 6, 7, 8, 9, 10]
    assert values.shape == (8, 3, 2)
    assert np.isnan(values[1, 1]).all()
    assert np.isfinite(values[1, [0, 2]]).all()


def test_long_gap_is_spanned_by_no_window() -> None:
    """Steps 3 and 4 are missing, one more than allowed."""
    steps = [0, 1, 2, 5, 6, 7, 8, 9, 10, 11, *range(20, 30)]
    assert ends(cut([make_series(steps)])["training"]) == [2, 7, 8, 9, 10, 11]
    assert ends(cut([make_series(steps)], max_gap=2)["training"]) == [2, 5, 6, 7, 8, 9, 10, 11]


def test_no_window_spans_two_series() -> None:
    both = [make_series(range(20)), make_series(range(20, 40), key="b")]
    assert ends(cut(both)["training"]) == [*range(2, 10), *range(22, 30)]


def test_window_whose_newest_step_was_not_observed_is_left_out() -> None:
    values = np.ones((20, 2))
    values[4] = NAN
    values[6, 0] = NAN
    parts = cut([make_series(range(20), values)])
    assert ends(parts["training"]) == [2, 3, 5, 6, 7, 8, 9]


@pytest.mark.parametrize(("n_rows", "part"), [(4, "training"), (12, "validation")])
def test_too_few_rows_are_refused_with_numbers(n_rows: int, part: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"in the {part} part: found \d rows.*{n_rows} in all.*3"
    ):
        cut([make_series(range(n_rows))])


def test_enough_rows_are_not_refused() -> None:
    cut([make_series(range(15))])


def test_no_rows_at_all_are_refused() -> None:
    with pytest.raises(ConfigError, match="found 1 series without a row"):
        check_series([make_series([], np.empty((0, 2)))], n_features=2, step_ns=10)
    with pytest.raises(ConfigError, match="found 0 series"):
        check_series([], n_features=2, step_ns=10)


@pytest.mark.parametrize("steps", [[0, 1, 1], [0, 2, 1]])
def test_times_that_do_not_increase_are_a_bug(steps: list[int]) -> None:
    with pytest.raises(ShapeError, match="strictly increase"):
        check_series([make_series(steps)], n_features=2, step_ns=10)
    check_series([make_series([0, 1, 2])], n_features=2, step_ns=10)


def test_times_off_the_grid_are_a_bug() -> None:
    with pytest.raises(ShapeError, match="whole steps of 20 ns"):
        check_series([make_series([0, 2, 3])], n_features=2, step_ns=20)


def test_other_number_of_features_is_a_bug() -> None:
    with pytest.raises(ShapeError, match=r"values \(3, 2\), expected \(3, 4\)"):
        check_series([make_series([0, 1, 2])], n_features=4, step_ns=10)
