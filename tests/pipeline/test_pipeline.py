"""The straight line: readings in, verdicts and alert events out."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime

import jsonschema
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertDetector, AlertEvent
from stream_vae.core.incidents import SeriesIncidents
from stream_vae.core.model_spec import Scorer, Scores
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.verdicts import Verdict
from stream_vae.detect.config import DetectConfig, IncidentConfig
from stream_vae.events import NothingJudged, ReadingsJudged, ThresholdReleased
from stream_vae.pipeline.detector import Detector
from stream_vae.pipeline.incident_ids import EventPlace, Origin, incident_id, incident_id_by_name
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.pipeline.series_lifecycle import EvictionClass
from stream_vae.wire.alerts import alert_schema, decode_alert, encode_alert
from stream_vae.wire.snapshots import decode_value, encode_value
from tests.conftest import MeanSquareScorer, T, cut, make_spec
from tests.suites import fewer_examples

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MakePipeline = Callable[..., Pipeline]
MakeReadings = Callable[..., ReadingBatch]

F = 3


def make_stream(make_readings: MakeReadings, n_steps: int = 120, n_series: int = 4) -> ReadingBatch:
    """Return quiet noise in which series s1 goes wild from step 60 to 69."""
    generator = np.random.default_rng(11)
    values = generator.normal(size=(n_steps, n_series, F))
    values[60:70, 1] += 12
    steps = np.repeat(np.arange(n_steps), n_series).tolist()
    names = [f"s{i}" for i in range(n_series)] * n_steps
    return make_readings(steps, names, values.reshape(-1, F))


def assert_valid(event: AlertEvent) -> None:
    """Hold an event against the published JSON Schema."""
    jsonschema.validate(
        msgspec.json.decode(encode_alert(event)),
        alert_schema(),
        cls=jsonschema.Draft202012Validator,
        format_checker=jsonschema.FormatChecker(),
    )


def test_in_the_profile_of_single_series_events_tell_likelihood_and_range(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    """Then the series is quiet for four windows; control: a later fault is told again."""
    values = np.random.default_rng(0).normal(size=(1200, F))
    for at in (700, 700 + 3 * T, 1100):
        values[at : at + 4] += 12
    batch = make_readings(list(range(1200)), ["s"] * 1200, values)
    alerts = make_pipeline(DetectConfig(profile="univariate")).observe(batch, NOW).alerts
    opened = [e for e in alerts if e.sequence == 0 and e.source.offset_start >= 500]
    assert [event.source.offset_start for event in opened] == [700, 1100]
    for event in alerts:
        assert_valid(event)
        assert event.threshold == 3.0
        assert event.threshold_method.startswith("anomaly likelihood: the mean of 5 scores")
        assert event.threshold_method.endswith("; or a value beyond the range so far by 5 %")
    assert opened[0].score > 3.0
    assert (opened[0].p_value or 1.0) < 0.01


def test_one_anomaly_opens_one_incident_and_resolves_it(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    outcome = make_pipeline().observe(make_stream(make_readings), NOW)
    opened, *updates, resolved = outcome.alerts
    assert {event.series.key for event in outcome.alerts} == {"s1"}
    assert opened.starts_at == datetime(1970, 1, 1, 0, 1, 0, tzinfo=UTC)
    assert (opened.status, opened.sequence, opened.ends_at) == ("firing", 0, None)
    assert resolved.status == "resolved"
    assert resolved.ends_at is not None
    lasted_s = (resolved.ends_at - resolved.starts_at).total_seconds()
    assert resolved.deviation is not None
    peak = resolved.deviation.peak
    assert (resolved.reason, resolved.opened_by) == ("back_to_normal", "f1")
    assert resolved.duration_s == lasted_s + 1
    assert peak == np.abs(make_stream(make_readings).values[1::4][60:70]).max()
    assert resolved.summary == (
        f"s1 is as expected again; scored as anomalous for {lasted_s + 1:.0f} s, opened by f1, "
        f"peak score {resolved.score_peak:.3g}, peak {peak:.3g} sd off"
    )
    assert [event.sequence for event in outcome.alerts] == list(range(len(updates) + 2))
    assert resolved.score_peak == max(event.score_peak for event in outcome.alerts)
    assert opened.source.offset_start == 60 * 4 + 1


def test_a_second_fault_within_an_incident_is_told_once_and_where_it_is(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    """Of numbers as of lines; control: without it none is told."""
    values = np.random.default_rng(5).normal(size=(120, F)) / 4
    values[60:80, 1] += 12

    def others(values: NDArray[np.float64]) -> list[AlertEvent]:
        found = make_pipeline().observe(make_readings([*range(120)], ["s"] * 120, values), NOW)
        for event in found.alerts:
            assert_valid(event)
        return [event for event in found.alerts if event.updated_because == "other_cause"]

    assert others(values) == []
    values[70:80, 2] -= 40
    [event] = others(values)
    assert event.told is not None
    assert event.cause == event.told.name == "f2"
    worst = event.told.worst
    assert worst is not None
    assert (worst.offset_start, worst.offset_end) == (70, 70)
    assert event.source.offset_start == 60, "the incident's own"
    assert event.summary.startswith("s, another cause: f2 -39")
    assert event.course is not None
    assert event.course.anomalous == 11


def test_every_alert_event_is_valid_against_the_published_schema(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    outcome = make_pipeline().observe(make_stream(make_readings), NOW)
    assert outcome.alerts
    for event in outcome.alerts:
        assert_valid(event)
        assert abs(sum(f.contribution for f in event.features) - 1) < 1e-6
        assert event.features[0].contribution >= event.features[-1].contribution


@fewer_examples(4)
@given(cuts=st.lists(st.integers(1, 90), min_size=1, max_size=12))
def test_outcomes_do_not_depend_on_how_the_stream_is_polled(
    make_pipeline: MakePipeline, make_readings: MakeReadings, cuts: list[int]
) -> None:
    stream = make_stream(make_readings)
    whole = make_pipeline().observe(stream, NOW)
    pipeline = make_pipeline()
    alerts: list[AlertEvent] = []
    verdicts = []
    begin, i = 0, 0
    while begin < len(stream):
        end = begin + cuts[i % len(cuts)]
        outcome = pipeline.observe(cut(stream, begin, end), NOW)
        alerts += outcome.alerts
        verdicts.append(outcome.verdicts.verdict)
        begin, i = end, i + 1
    assert tuple(alerts) == whole.alerts
    np.testing.assert_array_equal(np.concatenate(verdicts), whole.verdicts.verdict)


def test_warm_up_late_and_unobserved_readings_get_verdicts_of_their_own(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    steps = [*range(10), 3, 10, 11]
    values = np.zeros((13, F))
    values[11:] = np.nan  # the last one may still become complete
    outcome = make_pipeline().observe(make_readings(steps, ["a"] * 13, values), NOW)
    verdict = [Verdict(v).name for v in outcome.verdicts.verdict]
    assert verdict == ["WARMING_UP"] * 7 + ["NORMAL"] * 3 + ["UNSCORABLE"] * 2
    assert outcome.late.tolist() == [10]
    assert np.isnan(outcome.verdicts.score[[0, 6, 10, 11]]).all()
    assert np.isfinite(outcome.verdicts.score[7:10]).all()


def test_an_incident_ends_when_its_series_sends_too_little_to_be_judged(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    """After `unscorable_after` readings, here each of them partly observed.

    Control: while enough is observed, it goes on.
    """
    values = np.random.default_rng(0).normal(size=(100, F))
    values[60:] += 12

    def alerts(n_observed: int) -> list[tuple[AlertEvent, int]]:
        partly = values.copy()
        partly[64:, n_observed:] = np.nan
        config = DetectConfig(unscorable_after=5)
        found = make_pipeline(config).observe(
            make_readings([*range(100)], ["s"] * 100, partly), NOW
        )
        return [(event, event.source.offset_end) for event in found.alerts]

    *_, (ended, offset) = alerts(1)
    assert (ended.status, ended.reason) == ("resolved", "cannot_be_judged")
    assert 64 < offset - 4 <= 64 + T  # a window is judged while half of it is observed
    assert [event.status for event, _ in alerts(2)].count("resolved") == 0


@pytest.mark.parametrize(
    ("every", "n_observed", "reason"),
    [(1, 1, "too_little_observed"), (20, F, "never_warm"), (1, F, None)],
)
def test_a_detector_that_can_judge_nothing_says_so_once_and_why(
    make_pipeline: MakePipeline,
    make_readings: MakeReadings,
    every: int,
    n_observed: int,
    reason: str | None,
) -> None:
    """The last case is a control; and what is judged later ends it."""
    values = np.random.default_rng(0).normal(size=(300, F))
    values[:200, n_observed:] = np.nan
    steps = [*range(0, 200 * every, every)]
    steps += range(steps[-1] + 1, steps[-1] + 101)
    stream = make_readings(steps, ["s"] * 300, values)
    pipeline = make_pipeline()
    events = [
        e for i in range(4) for e in pipeline.observe(cut(stream, 50 * i, 50 * i + 50), NOW).events
    ]
    told = [event for event in events if isinstance(event, NothingJudged)]
    assert [event.reason for event in told] == ([reason] if reason else [])
    assert (told[0].detail in pipeline.complaint) if told else pipeline.complaint == ""
    judged = [event for event in events if isinstance(event, ReadingsJudged)]
    assert (judged[-1].since_judged > 190) == bool(reason)
    pipeline.observe(cut(stream, 200, 300), NOW)
    assert pipeline.complaint == ""


def test_an_absurd_value_gives_a_finite_event(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    """10^12 is clipped for the model, and told as it came."""
    stream = make_stream(make_readings, n_series=2)
    stream.values[130:150:2] = 1e12
    outcome = make_pipeline().observe(stream, NOW)
    fired = [event for event in outcome.alerts if event.series.key == "s0"]
    assert fired[0].features[0].actual == 1e12
    for event in fired:
        assert_valid(event)


def test_the_largest_numbers_there_are_give_a_finite_event(
    make_pipeline: MakePipeline, make_readings: MakeReadings, scorer: Scorer
) -> None:
    """In units of the expected deviation they are beyond float64."""

    class Sharp:
        def score(self, values: NDArray[np.float64], end_times: NDArray[np.int64]) -> Scores:
            scores = scorer.score(values, end_times)
            return dataclasses.replace(scores, expected_std=scores.expected_std / 4)

    stream = make_stream(make_readings, n_series=2)
    stream.values[130:150:2] = 1.7e308
    outcome = make_pipeline(scorer=Sharp()).observe(stream, NOW)
    fired = [event for event in outcome.alerts if event.series.key == "s0"]
    assert fired[0].features[0].actual == 1.7e308
    for event in fired:
        assert_valid(event)


def test_a_summary_cannot_steer_a_terminal(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    """Keys come from the stream, and a summary is what people print."""
    key = "\x1b[2Jpump" + "\u202e" * 200
    stream = make_stream(make_readings, n_series=2)
    stream = dataclasses.replace(stream, series=[key] * len(stream))
    stream = dataclasses.replace(stream, times=np.arange(len(stream)) * 10**9)
    alerts = make_pipeline().observe(stream, NOW).alerts
    assert {event.status for event in alerts} == {"firing", "resolved"}
    for event in alerts:
        assert event.series.key == key, "the key itself is told as it came"
        assert event.summary.isprintable()
        assert_valid(event)


def test_min_deviation_keeps_small_anomalies_out_of_incidents_but_not_out_of_verdicts(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    stream = make_stream(make_readings)
    config = DetectConfig(incident=IncidentConfig(min_deviation=20.0))
    outcome = make_pipeline(config).observe(stream, NOW)
    assert outcome.alerts == ()
    assert (outcome.verdicts.verdict == Verdict.ANOMALOUS).any()
    assert make_pipeline().observe(stream, NOW).alerts, "control: without it, an incident"


def test_a_revision_of_the_open_step_is_scored_again(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    values = np.zeros((10, F))
    values[8] = 40.0
    batch = make_readings([*range(9), 8], ["a"] * 10, values)
    outcome = make_pipeline().observe(batch, NOW)
    assert outcome.verdicts.verdict[8] == Verdict.ANOMALOUS
    assert outcome.verdicts.verdict[9] == Verdict.NORMAL


def test_a_lasting_change_is_absorbed_and_told(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    """Its end says so, and the levels are an event of their own, once, in any cut."""
    stream = make_stream(make_readings, n_steps=1400, n_series=2)
    stream.values[200::2] += 12  # s0, from step 100 on
    outcome = make_pipeline().observe(stream, NOW)
    absorbed = [event for event in outcome.events if isinstance(event, ThresholdReleased)]
    assert [event.series for event in absorbed] == ["s0"]
    others = [event for event in outcome.alerts if event.series.key != "s0"]
    assert {event.kind for event in others} == {"anomaly"}, "control: it passed by itself"
    assert others[-1].reason == "back_to_normal"
    *_, resolved, drift = (event for event in outcome.alerts if event.series.key == "s0")
    assert (resolved.status, resolved.reason) == ("resolved", "new_level")
    assert "new level is taken as normal" in resolved.summary
    assert (drift.kind, drift.status, drift.sequence) == ("drift", "resolved", 0)
    assert drift.incident_id != resolved.incident_id
    assert {level.name for level in drift.levels} == {"f0", "f1", "f2"}
    assert all(abs(level.before) < 2 and 10 < level.after < 14 for level in drift.levels)
    for event in (resolved, drift):
        assert_valid(event)
        assert decode_alert(encode_alert(event)) == event

    pipeline = make_pipeline()
    told = [
        alert
        for begin in range(0, len(stream), 700)
        for alert in pipeline.observe(cut(stream, begin, begin + 700), NOW).alerts
    ]
    assert tuple(told) == outcome.alerts


def test_long_names_leave_every_summary_as_short_as_events_allow(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    spec = make_spec()
    long = tuple(dataclasses.replace(one, name=one.name + "n" * 300) for one in spec.features)
    stream = make_readings(
        list(range(1300)), ["k" * 300] * 1300, np.random.default_rng(1).normal(size=(1300, F))
    )
    stream.values[100:] += 12
    pipeline = make_pipeline(spec=dataclasses.replace(spec, features=long))
    alerts = pipeline.observe(stream, NOW).alerts
    assert alerts[-1].kind == "drift"
    assert max(len(alert.summary) for alert in alerts) == 500
    for alert in alerts:
        assert_valid(alert)


def test_an_incident_whose_series_cannot_be_judged_ends_and_says_so(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    """Control: up to then it may go on, so a gap that is bridged ends nothing."""
    config = DetectConfig(max_gap=2)
    values = np.random.default_rng(1).normal(size=(80, F))
    values[40:44] += 12
    values[44:] = np.nan
    stream = make_readings(list(range(80)), ["a"] * 80, values)
    pipeline, limit = make_pipeline(config), T + 2
    opened = pipeline.observe(cut(stream, 0, 44), NOW).alerts
    assert [event.status for event in opened] == ["firing"]
    assert pipeline.observe(cut(stream, 44, 44 + limit), NOW).alerts == ()
    (ended,) = pipeline.observe(cut(stream, 44 + limit, 80), NOW).alerts
    assert (ended.status, ended.reason) == ("resolved", "cannot_be_judged")
    assert (ended.incident_id, ended.sequence) == (opened[0].incident_id, 1)
    assert (ended.duration_s, ended.opened_by) == (4.0, opened[0].opened_by)
    assert pipeline.n_open_incidents == 0
    assert_valid(ended)


def test_forgotten_partitions_leave_no_incident_behind(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    pipeline = make_pipeline()
    stream = make_stream(make_readings)
    pipeline.observe(cut(stream, 0, 65 * 4), NOW)
    assert (pipeline.n_series, pipeline.n_open_incidents) == (4, 1)
    assert pipeline.forget_partitions({0}) == 4
    assert (pipeline.n_series, pipeline.n_open_incidents) == (0, 0)


def test_counts_of_verdicts_sum_to_the_readings(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    stream = make_stream(make_readings)
    outcome = make_pipeline().observe(stream, NOW)
    told = next(event for event in outcome.events if isinstance(event, ReadingsJudged))
    assert told.normal + told.anomalous + told.warming_up + told.unscorable == len(stream)
    opened = {alert.incident_id for alert in outcome.alerts if alert.kind == "anomaly"}
    assert told.incidents_opened == len(opened) > 0
    assert (round(told.above_asked or 0, 6), told.incidents_asked) == (0.001, None)


def origin_of(detector: str, topic: str, group: str) -> Origin:
    return Origin(
        detector=AlertDetector(name=detector, version="0", instance="i"), topic=topic, group=group
    )


def test_an_incident_id_tells_deployments_series_starts_and_kinds_apart() -> None:
    names = [("a", "bc", "d"), ("ab", "c", "d"), ("a", "b", "cd"), ("a", "bc", "e")]
    ids = {incident_id(origin_of(*who), (0, "s"), 1) for who in names}
    origin = origin_of(*names[0])
    ids |= {incident_id(origin, (0, "s"), 2), incident_id(origin, (0, "t"), 1)}
    places = [EventPlace(offset=o, nth=n) for o in (0, 1) for n in (0, 1)]
    for series in ((0, "s"), (1, "s")):
        ids |= {incident_id(origin, series, 1)}
        ids |= {incident_id(origin, series, 1, silent_at=n) for n in (0, 1)}
        ids |= {incident_id(origin, series, 1, event=place) for place in places}
    assert len(ids) == len(names) + 2 + 2 * 7 - 1, "one of the names is asked for twice"


def pipeline_of(origin: Origin) -> Pipeline:
    config = DetectConfig()
    return Pipeline(Detector(make_spec(), MeanSquareScorer(), config), config, origin)


def anomalous(make_readings: MakeReadings, begin: int, end: int, level: float) -> ReadingBatch:
    """Return readings of one series, one a second."""
    n = end - begin
    values = np.random.default_rng(begin).normal(size=(n, F)) + level
    return make_readings(list(range(begin, end)), ["pump"] * n, values, begin)


def test_two_deployments_of_one_detector_share_no_event(
    make_readings: MakeReadings,
) -> None:
    """One alerts topic, one name; other groups or other input topics. Control: a replica."""
    events = []
    for origin in (
        origin_of("plant", "readings", "a"),
        origin_of("plant", "readings", "b"),
        origin_of("plant", "others", "a"),
        origin_of("plant", "readings", "a"),
    ):
        pipeline = pipeline_of(origin)
        pipeline.observe(anomalous(make_readings, 0, 40, 0.0), NOW)
        alerts = pipeline.observe(anomalous(make_readings, 40, 50, 30.0), NOW).alerts
        alerts += pipeline.observe(anomalous(make_readings, 50, 90, 0.0), NOW).alerts
        assert [alert.status for alert in alerts][-1] == "resolved"
        events.append({(alert.incident_id, alert.sequence) for alert in alerts})
    first, *others, replica = events
    assert all(first.isdisjoint(other) for other in others)
    assert others[0].isdisjoint(others[1])
    assert replica == first


def test_an_open_incident_keeps_its_id_through_a_restart_under_other_names(
    make_readings: MakeReadings,
) -> None:
    """What the group, or the detector, was called when it opened is saved with it."""
    first = pipeline_of(origin_of("plant", "readings", "a"))
    first.observe(anomalous(make_readings, 0, 40, 0.0), NOW)
    (opened,) = first.observe(anomalous(make_readings, 40, 43, 30.0), NOW).alerts
    rows = first.store.index.used()
    saved = decode_value(
        encode_value(first.store.incidents_of(int(rows[0])), offset=43), SeriesIncidents
    )[0]
    second = pipeline_of(origin_of("renamed", "readings", "b"))
    second.store.load([(0, "pump")], first.complete(first.capture(rows)).states)
    second.store.load_incidents((0, "pump"), saved, 0)

    last = second.observe(anomalous(make_readings, 43, 80, 0.0), NOW).alerts[0]

    assert (last.incident_id, last.status) == (opened.incident_id, "resolved")
    assert last.sequence > opened.sequence


def test_what_the_first_release_opened_is_resolved_under_the_id_it_gave(
    make_readings: MakeReadings,
) -> None:
    """It saved no id; see also the changelog it wrote, `tests/golden/changelog_v1.json`."""
    pipeline = pipeline_of(origin_of("plant", "readings", "a"))
    pipeline.observe(anomalous(make_readings, 0, 40, 0.0), NOW)
    pipeline.observe(anomalous(make_readings, 40, 43, 30.0), NOW)
    row = int(pipeline.store.index.used()[0])
    told = msgspec.json.decode(encode_value(pipeline.store.incidents_of(row), offset=43))
    del told["value"]["anomaly"]["incident"]["id"]
    saved = decode_value(msgspec.json.encode(told), SeriesIncidents)[0]
    pipeline.store.load_incidents((0, "pump"), saved, 0)

    last = pipeline.observe(anomalous(make_readings, 43, 80, 0.0), NOW).alerts[0]

    assert saved.anomaly is not None
    assert saved.anomaly.incident is not None
    assert last.status == "resolved"
    assert last.incident_id == incident_id_by_name(
        "plant", "pump", saved.anomaly.incident.started_at
    )


def test_room_for_new_series_is_not_made_of_those_that_just_sent(
    make_pipeline: MakePipeline, make_readings: MakeReadings
) -> None:
    """The longest idle series may be in the very poll that asks for room."""
    pipeline = make_pipeline(capacity=4)
    for step, name in enumerate("abcd"):
        pipeline.observe(make_readings([step], [name], np.zeros((1, F))), NOW)
    both = make_readings([9, 9], ["a", "e"], np.zeros((2, F)))
    assert pipeline.shortfall(both) == 1
    forgotten = pipeline.lifecycle.evict(
        1, range(8), "readings", NOW, EvictionClass.NO_INCIDENT
    ).forgotten
    assert forgotten == ((0, "b"),)
    pipeline.observe(both, NOW)
    assert pipeline.n_series == 4
    alone = make_readings([10], ["f"], np.zeros((1, F)))
    assert pipeline.shortfall(alone) == 1
    pipeline.lifecycle.evict(1, range(8), "readings", NOW, EvictionClass.NO_INCIDENT)
    assert pipeline.store.index.find((0, "a")) is not None
    assert pipeline.store.index.find((0, "c")) is None, "control: reserved for that poll alone"
