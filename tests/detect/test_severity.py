"""Severity over its two axes and duration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.core.alerts import Severity
from stream_vae.core.incidents import JudgedReading
from stream_vae.detect.config import IncidentConfig
from stream_vae.detect.incidents import Change, IncidentTracker
from stream_vae.detect.severity import RISING, severity_of, size_of

grades = st.floats(0, 1)
sizes = st.floats(0, 1e6)
rules = st.builds(
    lambda grade, more_grade, size, more_size: IncidentConfig(
        warning_grade=grade,
        critical_grade=max(grade, more_grade),
        warning_deviation=size,
        critical_deviation=max(size, more_size),
    ),
    grades,
    grades,
    sizes,
    sizes,
)


def observe(axes: list[tuple[float, float]], config: IncidentConfig) -> list[Severity]:
    """Return the severities that an incident opens with and rises to, reading by reading."""
    tracker = IncidentTracker(config, window_length=4)
    told: list[Severity] = []
    for i, (grade, deviation) in enumerate(axes):
        reading = JudgedReading(
            step=i, time=i, offset=i, anomalous=True, score=9.0, grade=grade, deviation=deviation
        )
        changed = tracker.observe(1, reading)
        if changed:
            assert changed[0] is (Change.OPENED if not told else Change.UPDATED)
            if changed[1].updated_because in {None, "more_severe"}:
                told.append(changed[1].severity)
    return told


@given(grades, sizes, st.integers(1, 10_000), grades, sizes, st.integers(0, 10_000), rules)
def test_severity_never_falls_as_improbability_size_or_duration_grow(
    grade: float,
    deviation: float,
    n: int,
    grade_more: float,
    deviation_more: float,
    n_more: int,
    config: IncidentConfig,
) -> None:
    less = severity_of(grade, size_of(deviation, n, 32), config)
    size = size_of(deviation + deviation_more, n + n_more, 32)
    more = severity_of(max(grade, grade_more), size, config)
    assert RISING.index(more) >= RISING.index(less)


@given(st.lists(st.tuples(grades, sizes), min_size=1, max_size=30), rules)
def test_an_incident_is_told_once_at_each_severity_and_never_at_a_lower_one(
    axes: list[tuple[float, float]], config: IncidentConfig
) -> None:
    told = [RISING.index(severity) for severity in observe(axes, config)]
    assert told == sorted(set(told))


def test_size_and_duration_alone_make_an_incident_critical_in_the_end() -> None:
    """The grade says nothing: clipped scores end far below what 900 degrees deserve."""
    config = IncidentConfig(open_after=1, open_within=1)
    assert observe([(0.1, 1000.0)], config) == ["critical"]
    assert observe([(0.1, 6.0)] * 10, config) == ["warning"]
    assert observe([(0.1, 6.0)] * 60, config) == ["warning", "critical"]
    assert observe([(1.0, 0.5)] * 60, config) == ["warning"], "control: improbable, but tiny"


@pytest.mark.parametrize(
    ("size", "severity"),
    [(0.0, "info"), (4.9, "info"), (5.0, "warning"), (19.9, "warning"), (20.0, "critical")],
)
def test_where_grades_decide_nothing_size_alone_does(size: float, severity: Severity) -> None:
    """As of logs by default: whatever is more than ever was there is as improbable as can be.

    Control: elsewhere that makes the small a warning and the large critical.
    """
    config = IncidentConfig(warning_grade=1.0, critical_grade=1.0)
    assert severity_of(1.0, size, config) == severity
    usual = severity_of(1.0, size, IncidentConfig())
    assert usual == ("warning" if size < 5 else "critical")
