"""How many lines an incident has had, whatever pauses there were within it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.core.incidents import Incident
from stream_vae.pipeline.line_totals import LineTotals

SECOND, LENGTH = 10**9, 4
FIRST = LENGTH


def opened(totals: LineTotals) -> Incident:
    return Incident(
        started_at=FIRST * SECOND,
        last_anomalous_at=FIRST * SECOND,
        offset_start=0,
        offset_end=0,
        sequence=0,
        peak_score=1.0,
        peak_grade=0.5,
        severity="info",
        lines_to=totals.before(FIRST * SECOND),
    )


def told(
    counts: list[int], anomalous: set[int], lateness: int, unjudged: range = range(0)
) -> list[tuple[int, int | None]]:
    """Return each anomalous step, and how many lines are told at it.

    Args:
        counts: Lines of each step.
        anomalous: Steps, the first of which is `FIRST`.
        lateness: Steps before the newest that may still change.
        unjudged: Steps of which no window is judged.
    """
    totals = LineTotals(["app"], step_ns=SECOND, lateness=lateness)
    incident, found = opened(totals), list[tuple[int, int | None]]()
    for step in range(FIRST, len(counts)):
        if step in unjudged:
            continue
        window = np.array(counts[step - LENGTH + 1 : step + 1], np.float64)[:, None]
        if step in anomalous:
            incident = replace(incident, last_anomalous_at=step * SECOND)
        lines = totals.until(incident, window, step * SECOND)
        if step in anomalous:
            found.append((step, None if lines is None else lines.get("app", 0)))
        incident = totals.settled(incident, window, step * SECOND)
    return found


@given(
    st.lists(st.integers(0, 9), min_size=FIRST + 1, max_size=60),
    st.sets(st.integers(FIRST, 60)),
    st.integers(0, 2),
)
def test_lines_are_those_from_the_first_to_the_last_anomalous_step(
    counts: list[int], anomalous: set[int], lateness: int
) -> None:
    """Also where none of many windows' steps between the two was anomalous."""
    for step, lines in told(counts, anomalous | {FIRST}, lateness):
        assert lines == sum(counts[FIRST : step + 1])


@pytest.mark.parametrize(("end", "lines"), [(10, 13), (30, None)])
def test_lines_are_unknown_once_no_window_of_theirs_was_judged(end: int, lines: int | None) -> None:
    """Control: a pause of fewer steps than a window has hides none."""
    found = told([1] * 40, {FIRST, 16 if lines else 35}, 0, range(8, end))
    assert found[-1][1] == lines
