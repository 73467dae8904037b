"""Series without a reading: silence, expiry, room for others."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import jsonschema
import msgspec
import numpy as np
import pytest

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.readings import ReadingBatch
from stream_vae.detect.config import DetectConfig, SilenceConfig
from stream_vae.pipeline import series_lifecycle
from stream_vae.pipeline.incident_ids import incident_id_by_name
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.pipeline.series_lifecycle import Changes, EvictionClass
from stream_vae.wire.alerts import alert_schema, encode_alert

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = 1_000_000_000
T, F = 8, 3
ROW_0 = np.array([0], np.int32)
CONFIG = DetectConfig(silence=SilenceConfig(intervals=4.0, at_least_s=1.0, severity="critical"))

MakePipeline = Callable[..., Pipeline]
MakeReadings = Callable[..., ReadingBatch]


@pytest.fixture
def send(make_readings: MakeReadings) -> Callable[..., Changes]:
    """Send a series' readings, one a second, and return what changed."""

    def send(
        pipeline: Pipeline,
        series: str,
        begin: int,
        end: int,
        level: float = 0.0,
        offset: int | None = None,
        arrives: float | None = None,
    ) -> Changes:
        n = end - begin
        values = np.random.default_rng(begin).normal(size=(n, F)) + level
        first = begin if offset is None else offset
        batch = make_readings(list(range(begin, end)), [series] * n, values, first)
        if arrives is not None:
            batch = replace(batch, arrivals=np.full(n, round(arrives * SECOND)))
        return pipeline.observe(batch, NOW).changes

    return send


def check(events: tuple[AlertEvent, ...]) -> list[tuple[str, str, int, str]]:
    """Hold events against the schema; return what tells them apart."""
    for event in events:
        jsonschema.validate(msgspec.json.decode(encode_alert(event)), alert_schema())
    return [(e.kind, e.series.key, e.sequence, e.status) for e in events]


def watch(pipeline: Pipeline, at_s: float, partitions: set[int] | None = None) -> Changes:
    here = {0} if partitions is None else partitions
    now_ns = round(at_s * SECOND)
    rows = pipeline.lifecycle.overdue(now_ns, here)
    return pipeline.lifecycle.watch_silence(rows, now_ns, "readings", NOW)


def test_a_series_that_stops_is_told_of_once_after_its_time(
    make_pipeline: MakePipeline, send: Callable[..., Changes]
) -> None:
    """One reading a second and four intervals: silent after 4 s. Control: not before."""
    pipeline = make_pipeline(CONFIG)
    send(pipeline, "pump", 0, 20)
    assert not watch(pipeline, 19 + 3.9).alerts
    changes = watch(pipeline, 19 + 4.1)
    assert check(changes.alerts) == [("silence", "pump", 0, "firing")]
    [event] = changes.alerts
    assert event.severity == "critical"
    assert (round(event.score, 3), event.threshold) == (4.1, 4.0)
    assert event.starts_at == datetime(1970, 1, 1, 0, 0, 19, tzinfo=UTC)
    assert changes.incidents[(0, "pump")].silence is not None
    assert pipeline.n_open_incidents == 1
    assert not watch(pipeline, 1000).alerts


@pytest.mark.parametrize("polls", [1, 6], ids=["in one poll", "in six polls"])
def test_uploads_of_many_readings_at_once_are_no_silence_and_their_end_is(
    make_pipeline: MakePipeline, send: Callable[..., Changes], polls: int
) -> None:
    """Sixty readings of a second each, uploaded each minute; also after a restart.

    Control: once as many uploads are missing as may fail, it is silent.
    """
    pipeline = make_pipeline(CONFIG)
    for begin in range(0, 600, 60):
        for nth in range(polls):
            size = 60 // polls
            first = begin + nth * size
            send(pipeline, "logger", first, first + size, arrives=begin + 60 + 0.05 * nth)
        for at_s in range(begin + 61, begin + 120):
            assert not watch(pipeline, at_s).alerts
        if begin == 300:
            names, saved = [(0, "logger")], pipeline.complete(pipeline.capture(ROW_0))
            pipeline = make_pipeline(CONFIG)
            assert pipeline.store.load(names, saved.states)
    assert not watch(pipeline, 600 + 2 * 60).alerts
    assert check(watch(pipeline, 600 + 3 * 60).alerts) == [("silence", "logger", 0, "firing")]


def test_an_outage_or_two_are_not_usual_gaps(
    make_pipeline: MakePipeline, send: Callable[..., Changes]
) -> None:
    """Control: what has come three times is."""
    pipeline = make_pipeline(CONFIG)
    told = []
    for nth in range(4):
        begin = nth * 1000
        send(pipeline, "pump", begin, begin + 20, offset=begin)
        told.append(len(watch(pipeline, begin + 500).alerts))
    assert told == [1, 1, 1, 0]


def test_a_reading_ends_the_silence_and_the_next_one_is_another_incident(
    make_pipeline: MakePipeline, send: Callable[..., Changes]
) -> None:
    pipeline = make_pipeline(CONFIG)
    send(pipeline, "pump", 0, 20)
    [opened] = watch(pipeline, 30).alerts
    ended = send(pipeline, "pump", 50, 51)
    assert check(ended.alerts) == [("silence", "pump", 1, "resolved")]
    assert ended.alerts[0].incident_id == opened.incident_id
    assert ended.alerts[0].summary == "pump sends readings again; was silent for 31 s"
    assert ended.incidents[(0, "pump")].silence is None
    [again] = watch(pipeline, 90).alerts
    assert again.incident_id != opened.incident_id


def test_even_a_late_reading_is_a_sign_of_life_and_the_same_step_another_silence(
    make_pipeline: MakePipeline, send: Callable[..., Changes]
) -> None:
    pipeline = make_pipeline(CONFIG)
    send(pipeline, "pump", 0, 20)
    [opened] = watch(pipeline, 30).alerts
    late = send(pipeline, "pump", 3, 4, offset=20)
    assert check(late.alerts) == [("silence", "pump", 1, "resolved")]
    [again] = watch(pipeline, 90).alerts
    assert again.starts_at == opened.starts_at
    assert again.incident_id != opened.incident_id


def test_when_many_series_stop_at_once_they_are_told_of_in_turn(
    make_pipeline: MakePipeline, send: Callable[..., Changes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once, the longest silent first; the loop goes on in between."""
    monkeypatch.setattr(series_lifecycle, "_MOST_SILENT", 2)
    pipeline = make_pipeline(CONFIG)
    for nth, key in enumerate("cab"):
        send(pipeline, key, nth, nth + 20)
    told = [[e.series.key for e in watch(pipeline, at_s).alerts] for at_s in (60, 61, 62)]
    assert told == [["c", "a"], ["b"], []]


def test_readings_that_come_again_are_no_sign_of_life(
    make_pipeline: MakePipeline, send: Callable[..., Changes]
) -> None:
    """Control: the next one is, also in an input made anew, where it has a low offset."""
    pipeline = make_pipeline(CONFIG)
    send(pipeline, "pump", 0, 20)
    watch(pipeline, 30)
    assert not send(pipeline, "pump", 5, 20).alerts
    control = send(pipeline, "pump", 20, 21, offset=0)
    assert check(control.alerts) == [("silence", "pump", 1, "resolved")]


def test_nobody_is_silent_while_there_is_more_to_read_or_nothing_is_known(
    make_pipeline: MakePipeline, send: Callable[..., Changes]
) -> None:
    pipeline = make_pipeline(CONFIG)
    send(pipeline, "pump", 0, 20)
    send(pipeline, "new", 0, 5)
    assert not watch(pipeline, 1000, set()).alerts
    assert len(pipeline.lifecycle.overdue(1000 * SECOND, {0, 1})) == 1
    assert check(watch(pipeline, 1000).alerts) == [("silence", "pump", 0, "firing")]


def test_silence_can_be_turned_off(
    make_pipeline: MakePipeline, send: Callable[..., Changes]
) -> None:
    pipeline = make_pipeline(DetectConfig(silence=SilenceConfig(intervals=0)))
    send(pipeline, "pump", 0, 40)
    assert not watch(pipeline, 10**6).alerts


def test_a_series_that_expires_leaves_no_incident_open(
    make_pipeline: MakePipeline, send: Callable[..., Changes]
) -> None:
    """Control: the one that has sent since is kept."""
    pipeline = make_pipeline(CONFIG)
    send(pipeline, "pump", 0, 20)
    assert check(send(pipeline, "pump", 20, 24, level=9.0).alerts)[0][3] == "firing"
    send(pipeline, "other", 0, 40)
    watch(pipeline, 30)
    assert pipeline.n_open_incidents == 2
    changes = pipeline.lifecycle.expire(35 * SECOND, {0}, "readings", NOW)
    assert changes.forgotten == ((0, "pump"),)
    told = check(changes.alerts)
    assert {(kind, status) for kind, _, _, status in told} == {
        ("anomaly", "resolved"),
        ("silence", "resolved"),
    }
    reason = "pump is forgotten: no reading for long"
    summaries = sorted(alert.summary for alert in changes.alerts)
    assert summaries[0].startswith(f"{reason}; scored as anomalous for 4 s, opened by f1, peak")
    assert summaries[1].startswith(f"{reason}; was silent for ")
    assert (pipeline.n_series, pipeline.n_open_incidents) == (1, 0)
    assert not pipeline.lifecycle.expire(35 * SECOND, {1}, "readings", NOW).forgotten


def test_a_flood_of_new_series_stays_within_the_rows_and_leaves_the_known_ones_alone(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    """Ten known series, room for 60, and 5,000 keys that send once."""
    pipeline, alone = make_pipeline(capacity=60), make_pipeline()
    generator = np.random.default_rng(2)
    known = [f"known{i}" for i in range(10)]
    for step in range(100):
        values = generator.normal(size=(10, F))
        strangers = [f"stranger{step}-{i}" for i in range(50)]
        for one, names in ((pipeline, [*known, *strangers]), (alone, known)):
            filled = np.concatenate([values, np.ones((len(names) - 10, F))])
            batch = make_readings([step] * len(names), names, filled, step * 60)
            lacking = one.shortfall(batch)
            if lacking:
                one.lifecycle.evict(lacking, range(8), "readings", NOW, EvictionClass.NO_INCIDENT)
            outcome = one.observe(batch, NOW)
            assert one.n_series <= 60
            if one is pipeline:
                flooded = outcome.verdicts.score[:10]
        np.testing.assert_array_equal(flooded, outcome.verdicts.score)
    assert all(pipeline.store.index.find((0, name)) is not None for name in known)


def test_series_with_an_open_incident_are_the_last_to_go(
    make_pipeline: MakePipeline, send: Callable[..., Changes]
) -> None:
    pipeline = make_pipeline(CONFIG, capacity=2)
    send(pipeline, "firing", 0, 20)
    send(pipeline, "firing", 20, 24, level=9.0)
    send(pipeline, "calm", 0, 60)
    assert pipeline.lifecycle.evict(
        1, range(8), "readings", NOW, EvictionClass.NO_INCIDENT
    ).forgotten == ((0, "calm"),)
    assert not pipeline.lifecycle.evict(
        1, {0}, "readings", NOW, EvictionClass.NO_INCIDENT
    ).forgotten
    last = pipeline.lifecycle.evict(1, {0}, "readings", NOW, EvictionClass.ANY)
    assert last.forgotten == ((0, "firing"),)
    assert [status for _, _, _, status in check(last.alerts)] == ["resolved"]


def test_strangers_still_in_use_are_waited_for_before_anybody_known_goes(
    make_pipeline: MakePipeline, make_readings: MakeReadings, send: Callable[..., Changes]
) -> None:
    """The last poll of a flood is on its way through the worker."""
    pipeline = make_pipeline(CONFIG, capacity=4)
    send(pipeline, "known", 0, 20)
    flood = make_readings([30] * 3, ["a", "b", "c"], np.zeros((3, F)), 20)
    in_flight = pipeline.assemble(flood)
    room = pipeline.lifecycle.evict
    assert not room(2, {0}, "readings", NOW, EvictionClass.UNWARMED).forgotten
    pipeline.decide(pipeline.score(in_flight), NOW)
    gone = room(2, {0}, "readings", NOW, EvictionClass.UNWARMED).forgotten
    assert {key for _, key in gone} < {"a", "b", "c"}
    assert len(gone) == 2


def test_a_silence_that_the_first_release_opened_ends_under_the_id_it_gave(
    make_pipeline: MakePipeline, send: Callable[..., Changes]
) -> None:
    """It saved no id. Control: one opened here ends under its own."""
    pipeline = make_pipeline(CONFIG)
    send(pipeline, "pump", 0, 20)
    (opened,) = watch(pipeline, 60).alerts
    row = int(pipeline.store.index.used()[0])
    silence = pipeline.store.silences.get(row)
    assert silence is not None
    pipeline.store.silences.open(row, replace(silence, id=""))
    (ended,) = send(pipeline, "pump", 60, 61).alerts
    given = incident_id_by_name(f"test:silence:{silence.offset}", "pump", silence.since)
    assert ended.incident_id == given != opened.incident_id
    (again,) = watch(pipeline, 200).alerts
    (over,) = send(pipeline, "pump", 200, 201).alerts
    assert again.incident_id == over.incident_id != opened.incident_id
