"""What the data of a training tell, each with a control that must not."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.training.advice import (
    advise_on_constants,
    advise_on_counters,
    advise_on_data,
    advise_on_gaps,
    advise_on_length,
    advise_on_likelihood,
    advise_on_rhythms,
    uses_calendar,
)
from stream_vae.models.training.reports import EpochReport
from stream_vae.models.training.rhythm import DAY_NS, Rhythm, autocorrelation, find_rhythms
from stream_vae.models.training.training_windows import TrainingSeries

HALF_HOUR_NS = 1800 * 10**9
DAY = 48
"""Steps of half an hour."""
WEEKS = 5
TRAINING = TrainingConfig()


def on_grid(values: NDArray[np.float64], key: str = "a") -> TrainingSeries:
    if values.ndim == 1:
        values = values[:, None]
    times = np.arange(len(values), dtype=np.int64) * HALF_HOUR_NS
    return TrainingSeries(key=key, times=times, values=values)


def steps(n: int = WEEKS * 7 * DAY) -> NDArray[np.float64]:
    return np.arange(n, dtype=np.float64)


def noise(n: int = WEEKS * 7 * DAY, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=n)


def kinds(*series: TrainingSeries) -> list[str]:
    return [one.kind for one in find_rhythms(series, HALF_HOUR_NS)]


def daily() -> NDArray[np.float64]:
    return np.sin(2 * np.pi * steps() / DAY) + 0.5 * noise()


def weekly() -> NDArray[np.float64]:
    """Five working days of two hours of work, and a weekend of none."""
    at, day = steps() % DAY, (steps() // DAY) % 7
    return np.where((day < 5) & (at >= 20) & (at < 28), 3.0, 0.0) + 0.3 * noise()


def resetting(sign: float = 1) -> NDArray[np.float64]:
    """A counter that begins anew after every 500 steps."""
    values = np.cumsum(np.abs(noise()) + 0.1)
    values -= values[steps().astype(int) // 500 * 500]
    return sign * values


@pytest.mark.parametrize(
    ("values", "is_counter"),
    [
        (np.cumsum(noise() ** 2), True),
        (-steps(), True),
        (np.floor(steps() / 7), True),
        (resetting(), True),
        (resetting(-1), True),
        (np.where(noise(seed=3) > 1, np.nan, steps()), True),
        (steps() + noise(), False),
        (np.cumsum(noise()), False),
        (np.where(steps() > 800, 1.0, 0.0), False),
        (np.full(1680, 3.0), False),
        (weekly(), False),
    ],
    ids=[
        "rises",
        "falls",
        "in stairs",
        "resets",
        "falls and resets",
        "gaps",
        "noisy trend",
        "walk",
        "one step",
        "constant",
        "week",
    ],
)
def test_a_counter_is_named(values: NDArray[np.float64], is_counter: bool) -> None:
    found = list(advise_on_counters([on_grid(values)], [Feature(name="total")]))
    assert [one.feature for one in found] == ["total"] * is_counter


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (daily(), ["day"]),
        (weekly(), ["day", "week"]),
        (np.sin(2 * np.pi * steps() / 31) + 0.3 * noise(), ["other"]),
        (noise(), []),
        (np.cumsum(noise()), []),
        (np.full(2000, 7.0), []),
        (steps(), []),
        (daily()[: int(2.5 * DAY)], []),
    ],
    ids=["day", "working week", "31 steps", "noise", "walk", "constant", "ramp", "too short"],
)
def test_a_rhythm_is_found_where_there_is_one(
    values: NDArray[np.float64], expected: list[str]
) -> None:
    assert kinds(on_grid(values)) == expected


def test_another_rhythm_has_its_shortest_period() -> None:
    (found,) = find_rhythms(
        [on_grid(np.sin(2 * np.pi * steps() / 31) + 0.3 * noise())], HALF_HOUR_NS
    )
    assert found.period_ns == 31 * HALF_HOUR_NS


def test_gaps_outliers_and_drift_do_not_hide_a_rhythm() -> None:
    values = daily() + steps() / len(steps())
    values[noise(seed=1) > 0.3] = np.nan
    values[100] = 1e6
    one = on_grid(values)
    kept = np.flatnonzero(noise(seed=2) < 1)
    sparse = TrainingSeries(key="a", times=one.times[kept], values=one.values[kept])
    assert kinds(sparse) == ["day"]


def test_a_stray_time_of_long_ago_does_not_hide_a_rhythm() -> None:
    one = on_grid(daily())
    stray = np.concatenate(([np.int64(-40_000 * DAY_NS)], one.times))
    values = np.concatenate((one.values[:1], one.values))
    assert kinds(TrainingSeries(key="a", times=stray, values=values)) == ["day"]


def test_gaps_themselves_are_no_rhythm() -> None:
    """Every night is missing."""
    values = noise()
    values[(steps() % DAY) < 16] = np.nan
    assert kinds(on_grid(values)) == []


def test_long_histories_are_averaged() -> None:
    n = 60_000
    times = np.arange(n, dtype=np.int64) * 60 * 10**9
    values = np.sin(2 * np.pi * times / DAY_NS)[:, None] + noise(n)[:, None]
    found = find_rhythms([TrainingSeries(key="a", times=times, values=values)], 60 * 10**9)
    assert [one.kind for one in found] == ["day"]


def test_autocorrelation_is_that_of_its_definition_over_observed_pairs() -> None:
    values = daily()[:300]
    values[50:70] = np.nan
    centred = np.clip(values, *np.nanquantile(values, (0.005, 0.995)))
    centred = centred - np.nanmean(centred)
    expected = [np.nanmean(centred[: 300 - k] * centred[k:]) for k in range(100)]
    np.testing.assert_allclose(
        autocorrelation(values)[:100], np.array(expected) / expected[0], atol=1e-9
    )


@pytest.mark.parametrize(
    ("calendar", "window", "expected"),
    [("auto", 32, True), ("auto", 48, False), (False, 32, False), (True, 48, True)],
)
def test_calendar_auto_is_on_for_a_rhythm_longer_than_the_window(
    calendar: bool, window: int, *, expected: bool
) -> None:
    rhythm = Rhythm(kind="day", period_ns=DAY_NS, strength=1.0, features=(0,))
    architecture = ArchitectureConfig(window_length=window, calendar=calendar)
    assert uses_calendar(architecture, [rhythm], step_ns=HALF_HOUR_NS) is expected
    other = replace(rhythm, kind="other")
    used = uses_calendar(architecture, [other], step_ns=HALF_HOUR_NS)
    assert used is (calendar is True)


def test_calendar_inputs_are_suggested_only_where_they_help() -> None:
    rhythm = Rhythm(kind="day", period_ns=DAY_NS, strength=1.0, features=(0,))

    def advised(architecture: ArchitectureConfig) -> list[str]:
        found = advise_on_rhythms(
            [rhythm], [Feature(name="x")], step_ns=HALF_HOUR_NS, architecture=architecture
        )
        return [one.text for one in found if one.kind == "calendar"]

    assert "model.calendar: auto" in advised(ArchitectureConfig(window_length=32))[0]
    assert advised(ArchitectureConfig(window_length=32, calendar="auto"))[0].endswith("are used")
    assert "not used" in advised(ArchitectureConfig(window_length=48, calendar="auto"))[0]
    assert advised(ArchitectureConfig(window_length=48)) == []
    assert advised(ArchitectureConfig(window_length=32, calendar=True)) == []


def test_gaps_are_told_with_their_share_and_the_longest() -> None:
    one = on_grid(noise(100))
    rows = np.r_[0:40, 60:100]
    gappy = TrainingSeries(key="pump", times=one.times[rows], values=one.values[rows])
    (found,) = advise_on_gaps([one, gappy], HALF_HOUR_NS)
    assert found.series == "pump"
    assert "10.00%" in found.text
    assert "20 steps from 1970-01-01T19:30:00Z" in found.text
    assert list(advise_on_gaps([one], HALF_HOUR_NS)) == []


def test_a_wider_step_is_named_only_where_it_is_wider() -> None:
    """One long gap is no reason for it."""
    one = on_grid(noise(100))
    told = []
    for rows in (np.r_[0:20, 80:100], np.arange(0, 100, 4)):
        part = TrainingSeries(key="pump", times=one.times[rows], values=one.values[rows])
        (found,) = advise_on_gaps([part], HALF_HOUR_NS)
        told.append(found.text.partition("try ")[2])
    assert told == ["", "--step-seconds 7200"]


def test_a_grid_much_finer_than_the_rows_is_told_with_a_better_one() -> None:
    one = on_grid(noise(100))
    sparse = TrainingSeries(key="a", times=one.times[::3], values=one.values[::3])
    (found,) = advise_on_gaps([sparse], HALF_HOUR_NS)
    assert "--step-seconds 5400" in found.text


def test_constant_and_near_constant_features_are_told_apart() -> None:
    rare = np.zeros(1000)
    rare[7] = 1.0
    holey = np.where(noise(1000) > 0, 5.0, np.nan)
    values = np.stack((holey, rare, rare, noise(1000)), axis=1)
    features = (
        Feature(name="flat"),
        Feature(name="rare"),
        Feature(name="door", kind="binary"),
        Feature(name="alive"),
    )
    found = advise_on_constants([on_grid(values)], features)
    assert [(one.kind, one.feature) for one in found] == [
        ("constant", "flat"),
        ("near_constant", "rare"),
    ]


def test_a_short_history_is_told_with_what_would_do() -> None:
    (found,) = advise_on_length([on_grid(noise(700))], 32, TRAINING)
    assert "2,286 would do, or a window_length of 9" in found.text
    assert list(advise_on_length([on_grid(noise(2286))], 32, TRAINING)) == []
    (far_too_short,) = advise_on_length([on_grid(noise(500))], 32, TRAINING)
    assert (found.is_grave, far_too_short.is_grave) == (False, True)


def test_a_window_too_short_to_have_an_order_is_not_advised() -> None:
    (found,) = advise_on_length([on_grid(noise(120))], 32, TRAINING)
    assert "would do; a hidden_size" in found.text


def report(
    *, kl: float = 1.0, is_best: bool = True, epoch: int = 1, likelihood: float = -1.0
) -> EpochReport:
    return EpochReport(
        epoch=epoch,
        epochs=2,
        step=1,
        steps=2,
        reconstruction=1.0,
        kl=kl,
        kl_weight=1.0,
        validation_log_likelihood=likelihood,
        is_best=is_best,
    )


@pytest.mark.parametrize(
    ("history", "step"),
    [
        ([report(likelihood=-1.2), report(epoch=2)], "training.epochs"),
        ([report(), report(epoch=2)], "--search"),
        ([report(kl=0.0), report(epoch=2, is_best=False)], "training.free_bits"),
        ([report(), report(epoch=2, is_best=False)], "--search"),
    ],
    ids=["improving", "equal", "collapsed", "no structure"],
)
def test_a_model_no_better_than_a_constant_is_told_with_the_next_step(
    history: list[EpochReport], step: str
) -> None:
    (found,) = advise_on_likelihood(model=-1.4, constant=-1.4, history=history)
    assert step in found.text
    assert list(advise_on_likelihood(model=-1.3, constant=-1.4, history=history)) == []


def test_a_model_that_only_knows_its_own_rows_by_heart_is_told_to_have_more_of_them() -> None:
    """Its likelihood on the rows fitted rises to the end: more epochs would not help."""
    (found,) = advise_on_likelihood(
        model=-4.7, constant=-1.4, history=[report(), report(epoch=2)], folds=2
    )
    assert "longer history" in found.text
    assert "epochs" not in found.text


def test_sound_data_need_no_advice() -> None:
    found = advise_on_data(
        [on_grid(daily())],
        features=[Feature(name="x")],
        step_ns=HALF_HOUR_NS,
        window_length=16,
        training=TRAINING,
    )
    assert found == ()
