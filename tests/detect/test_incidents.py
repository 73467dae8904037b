from dataclasses import replace

import pytest

from stream_vae.core.incidents import Incident, JudgedReading
from stream_vae.detect.config import IncidentConfig
from stream_vae.detect.incidents import MOST_CAUSES, Change, IncidentTracker

SECOND = 1_000_000_000


def play(config: IncidentConfig, pattern: str) -> list[tuple[int, Change, int]]:
    """Play a pattern of `!` (anomalous) and `.` (normal); return (position, change, sequence)."""
    tracker = IncidentTracker(config)
    changes = []
    for i, mark in enumerate(pattern):
        changed = tracker.observe(7, make_reading(i, anomalous=mark == "!"))
        if changed:
            changes.append((i, changed[0], changed[1].sequence))
    return changes


def make_reading(
    i: int,
    *,
    anomalous: bool,
    score: float = 5.0,
    grade: float = 0.5,
    deviation: float = 6.0,
    into_step: int = 0,
) -> JudgedReading:
    return JudgedReading(
        step=i * SECOND,
        time=i * SECOND + into_step,
        offset=1000 + i,
        anomalous=anomalous,
        score=score if anomalous else 0.0,
        grade=grade if anomalous else 0.0,
        deviation=deviation if anomalous else 0.0,
        threshold=3.0,
    )


def test_m_of_n_opens_and_a_normal_run_resolves() -> None:
    config = IncidentConfig(open_after=2, open_within=3, resolve_after=3)
    assert play(config, ".!.!..!....") == [(3, Change.OPENED, 0), (9, Change.RESOLVED, 1)]


def test_fewer_than_m_of_n_never_open() -> None:
    """Control for the test above: the marks stand one step too far apart."""
    config = IncidentConfig(open_after=2, open_within=3, resolve_after=3)
    assert play(config, "!..!..!..!") == []


def test_an_incident_starts_at_its_first_anomalous_reading_and_ends_at_its_last() -> None:
    tracker = IncidentTracker(IncidentConfig(open_after=2, open_within=4, resolve_after=2))
    last = None
    for i, mark in enumerate("..!.!!.."):
        last = tracker.observe(1, make_reading(i, anomalous=mark == "!")) or last
    assert last is not None
    change, incident = last
    assert change is Change.RESOLVED
    assert (incident.started_at, incident.last_anomalous_at) == (2 * SECOND, 5 * SECOND)
    assert (incident.offset_start, incident.offset_end) == (1002, 1007)
    assert incident.peak_score == 5.0


def test_cooldown_holds_a_new_incident_back() -> None:
    pattern = "!!..!!!!!!"
    config = IncidentConfig(open_after=2, open_within=2, resolve_after=2, cooldown_s=4)
    assert play(config, pattern) == [
        (1, Change.OPENED, 0),
        (3, Change.RESOLVED, 1),
        (7, Change.OPENED, 0),
    ]
    eager = IncidentConfig(open_after=2, open_within=2, resolve_after=2, cooldown_s=0)
    assert (5, Change.OPENED, 0) in play(eager, pattern), "control: without it, at once"


def test_growing_severity_updates_and_never_falls_back() -> None:
    tracker = IncidentTracker(IncidentConfig(open_after=1, open_within=1, warning_deviation=6.5))
    axes = [(0.1, 1), (0.2, 1), (0.4, 1), (0.9, 6), (0.1, 7), (0.9, 99)]
    found = [
        tracker.observe(1, make_reading(i, anomalous=True, grade=grade, deviation=deviation))
        for i, (grade, deviation) in enumerate(axes)
    ]
    assert found[4] is not None
    assert found[4][1].updated_because == "more_severe"
    assert [(c[0], c[1].severity, c[1].sequence) if c else None for c in found] == [
        (Change.OPENED, "info", 0),
        None,
        (Change.UPDATED, "warning", 1),
        None,
        (Change.UPDATED, "critical", 2),
        (Change.UPDATED, "critical", 3),
    ]


LARGE = IncidentConfig(open_after=1, open_within=1, critical_deviation=5.0)
"""All that is large is critical, so that no severity rises."""


def updates(
    sizes: list[float], causes: list[str] | None = None, tracker: IncidentTracker | None = None
) -> list[tuple[int, str | None]]:
    """Play anomalous readings of an open incident; return those told, and why."""
    tracker = tracker or IncidentTracker(LARGE)
    found: list[tuple[int, str | None]] = []
    for i, size in enumerate(sizes):
        cause = "" if causes is None else causes[i]
        reading = replace(make_reading(i, anomalous=True), size=size, cause=cause)
        changed = tracker.observe(1, reading)
        if changed is not None and changed[0] is Change.OPENED:
            tracker.name(1, "id", size=size)
            tracker.note_causes(1, [cause] if cause else [])
        elif changed is not None:
            found.append((i, changed[1].updated_because))
        tracker.load(1, tracker.save(1))  # a restart changes nothing
    return found


def test_a_reading_clearly_worse_than_all_told_of_is_told_and_few_are_however_it_grows() -> None:
    """Control: what is small, or hardly larger, is not."""
    assert updates([6, 11, 12.1, 12.1, 20, 24, 24.3, 6]) == [
        (2, "clearly_worse"),
        (6, "clearly_worse"),
    ]
    few = IncidentTracker(replace(LARGE, warning_deviation=4.0, critical_deviation=4.0))
    assert updates([1, 2.5, 3.9], tracker=few) == []
    assert len(updates([6.0 + i for i in range(1000)])) == 7


def test_another_cause_is_told_once_and_causes_are_bounded() -> None:
    """Control: what an event told of, and what is not large, is none."""
    causes = ["+a", "+a", "-b", "+a", "-b", "", "+b", "-b"]
    assert updates([6.0] * 8, causes) == [(2, "other_cause"), (6, "other_cause")]
    many = [f"+{i}" for i in range(3 * MOST_CAUSES)]
    assert len(updates([6.0] * len(many), many)) == MOST_CAUSES - 1


def test_readings_read_again_and_state_of_an_earlier_release_tell_no_update() -> None:
    """Control: after the first cause that it sees, an incident of such a state has others."""
    tracker = IncidentTracker(LARGE)
    assert updates([6.0], ["+a"], tracker) == []
    again = replace(make_reading(1, anomalous=True), size=60.0, cause="+b")
    assert tracker.observe(1, again, replayed=True) is None

    saved = tracker.save(1)
    assert saved is not None
    assert saved.incident is not None
    earlier = replace(saved.incident, causes=None, told_size=None, peak_size=None)
    restored = IncidentTracker(LARGE)
    restored.load(1, replace(saved, incident=earlier))
    told = []
    for i, cause in ((2, "+a"), (3, "+a"), (4, "+c")):
        reading = replace(make_reading(i, anomalous=True), size=50.0, cause=cause)
        changed = restored.observe(1, reading)
        told.append(None if changed is None else changed[1].updated_because)
    assert told == [None, None, "other_cause"]
    incident = restored.incident(1)
    assert incident is not None
    assert incident.causes == ("", "+a", "+c"), "what opened it is not known"


def test_a_revision_takes_its_steps_place() -> None:
    """The step's first reading was anomalous, the one that replaced it is not: one mark less."""
    config = IncidentConfig(open_after=2, open_within=2)
    tracker = IncidentTracker(config)
    tracker.observe(1, make_reading(0, anomalous=True))
    tracker.observe(1, make_reading(0, anomalous=False))
    assert tracker.observe(1, make_reading(1, anomalous=True)) is None
    control = IncidentTracker(config)
    control.observe(1, make_reading(0, anomalous=True))
    assert control.observe(1, make_reading(1, anomalous=True)) is not None


def test_a_reading_takes_no_other_steps_place() -> None:
    """Step 1's first reading could not be scored: its second one replaces nothing judged."""
    tracker = IncidentTracker(IncidentConfig(open_after=2, open_within=2))
    tracker.observe(1, make_reading(0, anomalous=True))
    assert tracker.observe(1, make_reading(1, anomalous=True, into_step=7)) is not None


@pytest.mark.parametrize("pattern", ["!.!", "!..!", "!.!!..!"])
def test_revisions_of_one_step_give_no_incident_id_twice(pattern: str) -> None:
    """All readings stand in one step, at the same time: detector, key and start are the same.

    Control: events, whose incidents are named by their place, are each judged by itself.
    """
    config = IncidentConfig(open_after=1, open_within=1, resolve_after=1)
    tracker = IncidentTracker(config)
    readings = [make_reading(0, anomalous=mark == "!") for mark in pattern]
    changes = [change for r in readings if (change := tracker.observe(1, r))]
    assert [change for change, _ in changes] == [Change.OPENED, Change.RESOLVED]
    assert tracker.observe(1, make_reading(1, anomalous=False)) is None
    assert not tracker.tracked_rows
    assert tracker.observe(1, make_reading(2, anomalous=True)) is not None, "control: a later step"
    of_events = IncidentTracker(config, window_length=1)
    events = [replace(reading, nth=nth) for nth, reading in enumerate(readings)]
    n_opened = sum(
        change[0] is Change.OPENED for r in events if (change := of_events.observe(1, r))
    )
    assert n_opened == pattern.replace("!!", "!").count("!")


def test_an_incident_never_ends_before_it_starts() -> None:
    """A step's second reading may carry an earlier time than its first."""
    tracker = IncidentTracker(IncidentConfig(open_after=1, open_within=1, resolve_after=1))
    tracker.observe(1, make_reading(0, anomalous=True, into_step=9))
    tracker.observe(1, make_reading(0, anomalous=True, into_step=1))
    resolved = tracker.observe(1, make_reading(1, anomalous=False))
    assert resolved is not None
    assert resolved[1].last_anomalous_at == resolved[1].started_at == 9


def test_normal_series_are_not_remembered() -> None:
    tracker = IncidentTracker(IncidentConfig(open_after=2, open_within=3, resolve_after=2))
    for i, mark in enumerate("....!...!!......"):
        tracker.observe(1, make_reading(i, anomalous=mark == "!"))
    assert not tracker.tracked_rows
    tracker.observe(1, make_reading(20, anomalous=True))
    assert 1 in tracker.tracked_rows
    tracker.forget(1)
    assert not tracker.tracked_rows


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"open_after": 4, "open_within": 3}, "open_after"),
        ({"warning_grade": 0.8, "critical_grade": 0.7}, "warning_grade"),
        ({"warning_deviation": 8.0, "critical_deviation": 7.0}, "warning_deviation"),
    ],
)
def test_contradictory_settings_are_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        IncidentConfig(**fields)  # type: ignore[arg-type]  # a table of int and float fields


@pytest.mark.parametrize(
    ("score", "threshold", "is_adapted", "change"),
    [
        (1.0, 3.0, False, Change.RESOLVED),
        (4.0, 5.0, False, Change.ABSORBED),  # above the threshold that opened it
        (4.0, 3.0, False, Change.RESOLVED),  # not normal, but too small to count
        (1.0, 3.0, True, Change.ABSORBED),
    ],
)
def test_an_incident_that_ends_because_the_detector_adapted_says_so(
    score: float, threshold: float, is_adapted: bool, change: Change
) -> None:
    tracker = IncidentTracker(IncidentConfig(open_after=1, open_within=1, resolve_after=2))
    tracker.observe(1, make_reading(0, anomalous=True))
    normal = replace(
        make_reading(1, anomalous=False), score=score, threshold=threshold, is_adapted=is_adapted
    )
    assert tracker.observe(1, normal) is None
    ended = tracker.observe(1, replace(normal, step=2 * SECOND))
    assert ended is not None
    assert ended[0] is change


def test_one_reading_above_the_old_threshold_is_no_new_level() -> None:
    tracker = IncidentTracker(IncidentConfig(open_after=1, open_within=1, resolve_after=2))
    tracker.observe(1, make_reading(0, anomalous=True))
    tracker.observe(1, make_reading(1, anomalous=False))
    above = replace(make_reading(2, anomalous=False), score=4.0, threshold=5.0)
    ended = tracker.observe(1, above)
    assert ended is not None
    assert ended[0] is Change.RESOLVED


@pytest.mark.parametrize("window_length", [32, 1], ids=["steps", "events"])
def test_an_open_incident_waits_until_readings_that_come_again_are_over(
    window_length: int,
) -> None:
    """Wherever the input is set back to, it then goes on as if it had not been.

    Control: a second reading of the newest step is none that comes again.
    """
    config = IncidentConfig(open_after=1, open_within=3, resolve_after=4)
    marks = "....!.!..!.."
    for back_to in range(len(marks) + 1):
        tracker = IncidentTracker(config, window_length=window_length)
        readings = [make_reading(i, anomalous=mark == "!") for i, mark in enumerate(marks)]
        for reading in readings:
            tracker.observe(1, reading)
        before = tracker.save(1)
        assert not any(tracker.observe(1, reading) for reading in readings[back_to:])
        assert tracker.observe_unjudged(1, 1001, step=SECOND) is None
        assert tracker.save(1) == before
        ends = [tracker.observe(1, make_reading(i, anomalous=False)) for i in range(12, 14)]
        assert [None if one is None else one[0] for one in ends] == [None, Change.RESOLVED]
    control = IncidentTracker(config)
    control.observe(1, make_reading(5, anomalous=True))
    control.observe(1, make_reading(5, anomalous=False, into_step=1))
    assert control.save(1) != before


def test_where_no_incident_is_open_readings_that_come_again_are_the_first_of_their_time() -> None:
    """Evidence from after them is not theirs, and what was told of them is told again."""
    tracker = IncidentTracker(IncidentConfig(open_after=2, open_within=3, resolve_after=2))
    readings = [make_reading(i, anomalous=mark == "!") for i, mark in enumerate(".!!..!..!")]
    first = [tracker.observe(1, reading) for reading in readings]
    assert [tracker.observe(1, reading) for reading in readings] == first


def in_disorder(
    marks: str, *, lateness: int, config: IncidentConfig
) -> tuple[list[tuple[Change, Incident]], IncidentTracker]:
    """Play steps such as `1! 0.`, in this order in the input; return the changes."""
    tracker = IncidentTracker(config, lateness_ns=lateness * SECOND)
    readings = [
        replace(make_reading(int(mark[:-1]), anomalous=mark[-1] == "!"), offset=offset)
        for offset, mark in enumerate(marks.split())
    ]
    return [change for r in readings if (change := tracker.observe(1, r)) is not None], tracker


def test_a_reading_of_an_open_step_takes_its_place_and_wipes_no_evidence() -> None:
    """Step 0 comes after step 1, and so on; control: where no step is open, it is read again."""
    config = IncidentConfig(open_after=2, open_within=3)
    for marks in ("1! 0. 2!", "1! 0. 3! 2.", "1! 0!", "1. 2! 0. 1!"):
        changes, _ = in_disorder(marks, lateness=2, config=config)
        assert [change for change, _ in changes] == [Change.OPENED], marks
    assert not in_disorder("1! 0. 2!", lateness=0, config=config)[0]
    assert not in_disorder("1! 0. 1. 2!", lateness=2, config=config)[0], "control: revised"


def test_an_incident_opened_by_an_earlier_step_starts_there_and_ends_no_record_before() -> None:
    config = IncidentConfig(open_after=2, open_within=3)
    ((_, incident),), _ = in_disorder("5! 4!", lateness=1, config=config)
    assert (incident.started_at, incident.last_anomalous_at) == (4 * SECOND, 5 * SECOND)
    assert (incident.offset_start, incident.offset_end) == (0, 1)


def test_an_earlier_step_counts_in_an_open_incident_once_and_never_resolves_it() -> None:
    config = IncidentConfig(open_after=1, open_within=3, resolve_after=2)
    changes, tracker = in_disorder("5! 4! 4! 6! 5! 7. 6! 6.", lateness=1, config=config)
    assert [change for change, _ in changes if change is not Change.UPDATED] == [Change.OPENED]
    incident = tracker.incident(1)
    assert incident is not None
    assert incident.n_anomalous == 3
    ended = tracker.observe(1, replace(make_reading(8, anomalous=False), offset=9))
    assert ended is not None
    assert ended[0] is Change.RESOLVED


def test_a_step_before_the_one_that_resolved_an_incident_opens_it_not_again() -> None:
    """It would get the same id; control: a later step opens another."""
    config = IncidentConfig(open_after=1, open_within=1, resolve_after=1)
    found, _ = in_disorder("5! 6. 5! 7!", lateness=1, config=config)
    opened = [
        incident.started_at // SECOND for change, incident in found if change is Change.OPENED
    ]
    assert opened == [5, 7]


def observe_unjudged(tracker: IncidentTracker, second: int) -> Incident | None:
    return tracker.observe_unjudged(1, 1000 + second, step=second * SECOND)


def test_an_incident_ends_when_no_reading_can_be_judged_for_too_long() -> None:
    """Control: a reading in between that can be judged lets it go on."""
    tracker = IncidentTracker(IncidentConfig(open_after=1, open_within=1), unscorable_after=4)
    tracker.observe(1, make_reading(0, anomalous=True))
    assert [observe_unjudged(tracker, i) for i in range(1, 4)] == [None] * 3
    assert tracker.observe(1, make_reading(4, anomalous=True)) is None
    assert [observe_unjudged(tracker, i) for i in range(5, 8)] == [None] * 3
    ended = observe_unjudged(tracker, 8)
    assert ended is not None
    assert ended.offset_end == 1008
    assert not tracker.tracked_rows
    assert observe_unjudged(tracker, 9) is None


@pytest.mark.parametrize(("window_length", "n_allowed"), [(32, 9), (1, 3)])
def test_readings_of_one_step_that_cannot_be_judged_count_once_events_each(
    window_length: int, n_allowed: int
) -> None:
    """Also across a restart of the detector."""
    config = IncidentConfig(open_after=1, open_within=1)
    tracker = IncidentTracker(config, window_length=window_length, unscorable_after=4)
    tracker.observe(1, make_reading(0, anomalous=True))
    for n in range(n_allowed):
        assert observe_unjudged(tracker, 1 + n // 3) is None
        tracker.load(1, tracker.save(1))
    assert observe_unjudged(tracker, 1 + n_allowed // 3) is not None
