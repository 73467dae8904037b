"""A stream that the model cannot judge is told of, with both sides named; one that fits is not."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature
from stream_vae.core.readings import ReadingBatch
from stream_vae.events import (
    Event,
    FeaturesNotObserved,
    StreamMeasured,
    StreamStepDiffered,
    UnknownFieldsIgnored,
)
from stream_vae.pipeline.stream_fit import JUDGED_AFTER, NAMES_TOLD, StreamFit
from tests.conftest import make_spec

F = 3
NAN = np.nan
POLL = 50


SPEC = make_spec()
"""Steps of a second; features f0, f1, f2."""


class Stream:
    """Readings of some series in turn, in polls."""

    def __init__(self, n_series: int = 2) -> None:
        self.fit = StreamFit(SPEC)
        self.events: list[Event] = []
        self.n = 0
        self.n_series = n_series

    def send(
        self,
        n: int,
        *,
        step_s: float = 1.0,
        missing: Sequence[int] = (),
        unknown_fields: Sequence[str] = (),
    ) -> None:
        for begin in range(0, n, POLL):
            self._poll(min(POLL, n - begin), step_s, missing, unknown_fields if not begin else ())

    def _poll(
        self, n: int, step_s: float, missing: Sequence[int], unknown_fields: Sequence[str]
    ) -> None:
        numbers = np.arange(self.n, self.n + n)
        self.n += n
        values = np.ones((n, F))
        values[:, list(missing)] = NAN
        rows: NDArray[np.int32] = (numbers % self.n_series).astype(np.int32)
        times = (numbers // self.n_series * step_s * 1e9).astype(np.int64)
        readings = ReadingBatch(
            topic="readings",
            partitions=np.zeros(n, np.int32),
            offsets=numbers,
            series=[f"s{row}" for row in rows.tolist()],
            times=times,
            arrivals=np.zeros(n, np.int64),
            values=values,
        )
        self.events += self.fit.observe(readings, rows, unknown_fields)

    def told(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def test_a_stream_that_fits_is_measured_and_not_complained_of() -> None:
    stream = Stream()
    stream.send(10 * JUDGED_AFTER)
    assert {type(event) for event in stream.events} == {StreamMeasured}
    assert stream.fit.complaint == ""
    measured = stream.told(StreamMeasured)
    assert measured[-1].step_s == 1.0
    assert sum(event.feature_values["f1"] for event in measured) == 10 * JUDGED_AFTER


def test_features_never_observed_are_named_once() -> None:
    stream = Stream()
    stream.send(JUDGED_AFTER - 1, missing=[1])
    assert stream.told(FeaturesNotObserved) == []
    assert stream.fit.complaint == "", "control: too early to say"
    stream.send(10 * JUDGED_AFTER, missing=[1])
    [told] = stream.told(FeaturesNotObserved)
    assert (told.features, told.features_missing, told.features_expected) == (("f1",), 1, F)
    assert told.readings >= JUDGED_AFTER
    assert stream.fit.complaint == "1 of 3 features never observed: f1"


def test_features_are_told_of_again_when_fewer_are_missing() -> None:
    stream = Stream()
    stream.send(JUDGED_AFTER, missing=[0, 1])
    stream.send(JUDGED_AFTER, missing=[1])
    stream.send(JUDGED_AFTER, missing=[0, 2])
    stream.send(JUDGED_AFTER, missing=[0, 1])
    told = [event.features for event in stream.told(FeaturesNotObserved)]
    assert told == [("f0", "f1"), ("f1",), ()]
    assert stream.fit.complaint == ""


def test_a_field_and_the_feature_it_may_be_are_named_in_one_message() -> None:
    stream = Stream()
    stream.send(JUDGED_AFTER, missing=[1, 2], unknown_fields=["site", "F_1", "sensors.f2"])
    [at_once] = stream.told(UnknownFieldsIgnored)
    assert at_once.fields == ("site", "F_1", "sensors.f2")
    assert at_once.features_missing == ("f1", "f2")
    assert at_once.nearest_fields == {"f1": "F_1", "f2": "sensors.f2"}
    [later] = stream.told(FeaturesNotObserved)
    assert later.unknown_fields == at_once.fields
    assert later.nearest_fields == at_once.nearest_fields


def test_an_unknown_field_beside_all_features_resembles_none() -> None:
    stream = Stream()
    stream.send(JUDGED_AFTER, unknown_fields=["f_1"])
    [told] = stream.told(UnknownFieldsIgnored)
    assert (told.features_missing, told.nearest_fields) == ((), {})


@pytest.mark.parametrize("step_s", [0.01, 0.5, 2.0, 300.0])
def test_a_step_that_differs_is_told_once_with_both_values(step_s: float) -> None:
    stream = Stream()
    stream.send(JUDGED_AFTER, step_s=step_s)
    assert stream.told(StreamStepDiffered) == [], "control: two intervals too few"
    stream.send(20 * JUDGED_AFTER, step_s=step_s)
    [told] = stream.told(StreamStepDiffered)
    assert (told.stream_step_s, told.model_step_s) == (pytest.approx(step_s), 1.0)
    assert f"every {step_s:g} s, the model's step is 1 s" in stream.fit.complaint
    assert stream.told(StreamMeasured)[-1].step_s == pytest.approx(step_s)


def test_a_step_is_told_again_when_it_is_another_and_not_when_it_fits() -> None:
    for after, told in ((0.1, [10.0, 0.1]), (1.1, [10.0])):
        stream = Stream()
        stream.send(20 * JUDGED_AFTER, step_s=10.0)
        stream.n = 0
        stream.fit._last_time[:] = 10**6  # the time of the stream begins anew too
        stream.send(30_000, step_s=after)
        assert [e.stream_step_s for e in stream.told(StreamStepDiffered)] == pytest.approx(told)


def test_parts_of_a_step_and_late_readings_are_no_steps_of_their_own() -> None:
    """As where each field comes in a record of its own."""
    fit = StreamFit(SPEC)
    n = 6 * JUDGED_AFTER
    steps = np.arange(n) // 3
    steps[np.arange(n) % 50 == 49] -= 5
    readings = ReadingBatch(
        topic="readings",
        partitions=np.zeros(n, np.int32),
        offsets=np.arange(n),
        series=["s"] * n,
        times=steps * 10**9,
        arrivals=np.zeros(n, np.int64),
        values=np.ones((n, F)),
    )
    fit.observe(readings, np.zeros(n, np.int32), ())
    assert fit._step_s == 1.0


def test_series_beyond_those_followed_and_polls_without_readings_do_no_harm() -> None:
    stream = Stream(n_series=3000)
    stream.send(9000, step_s=1.0)
    stream._poll(0, 1.0, (), ())
    assert stream.fit.complaint == ""
    assert stream.told(StreamMeasured)[-1].step_s == 1.0


def test_names_in_events_are_few_however_many_features_there_are() -> None:
    wide = dataclasses.replace(SPEC, features=tuple(Feature(name=f"v{i}") for i in range(500)))
    fit = StreamFit(wide)
    readings = ReadingBatch(
        topic="readings",
        partitions=np.zeros(JUDGED_AFTER, np.int32),
        offsets=np.arange(JUDGED_AFTER),
        series=["s"] * JUDGED_AFTER,
        times=np.arange(JUDGED_AFTER),
        arrivals=np.arange(JUDGED_AFTER),
        values=np.full((JUDGED_AFTER, 500), NAN),
    )
    events = fit.observe(readings, np.zeros(JUDGED_AFTER, np.int32), [f"w{i}" for i in range(100)])
    [told] = [event for event in events if isinstance(event, FeaturesNotObserved)]
    assert (len(told.features), told.features_missing) == (NAMES_TOLD, 500)
    assert len(told.nearest_fields) <= NAMES_TOLD
    assert len(told.unknown_fields) <= NAMES_TOLD
    assert len(fit.complaint) < 300
