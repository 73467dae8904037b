"""What the demo of logs says of its alerts, held against what was done to the broker."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from stream_vae.commands.jobs.log_demo_report import (
    Disturbance,
    LogDemo,
    disturbance_table,
    false_alarms,
)
from stream_vae.core.alerts import AlertEvent, AlertFeature, AlertSeries, LineDirection
from stream_vae.wire.alerts import decode_alert

GOLDEN = Path(__file__).parents[1] / "golden" / "alert_v1.json"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(second: float) -> datetime:
    return NOON + timedelta(seconds=second)


DISTURBANCES = (
    Disturbance(name="slowed", start=at(10), end=at(20)),
    Disturbance(name="down", start=at(40), end=at(50)),
    Disturbance(name="back", start=at(50), end=at(70), is_return=True),
)


def incident(
    start: float, resolved: float | None, direction: LineDirection
) -> Iterator[AlertEvent]:
    """Yield the events of an incident that is told of a second after it starts."""
    told = AlertFeature(
        name="sent-request",
        unit="lines",
        actual=3,
        expected=14,
        expected_std=3.5,
        contribution=0.9,
        kind="count",
        expected_low=7,
        expected_high=22,
        direction=direction,
        template=None if direction == "unseen" else "Sent <*> request",
    )
    golden = decode_alert(GOLDEN.read_bytes())
    window = replace(golden.window, start=at(start - 4), end=at(start + 1), step_seconds=1.0)
    opening = replace(
        golden,
        incident_id=f"{start} {direction}",
        sequence=0,
        series=AlertSeries(key="shop-1"),
        starts_at=at(start),
        window=window,
        features=(told,),
    )
    yield opening
    if resolved is not None:
        yield replace(
            opening,
            sequence=1,
            status="resolved",
            reason="back_to_normal",
            window=replace(window, end=at(resolved)),
        )


def updated(start: float, again: float, direction: LineDirection) -> Iterator[AlertEvent]:
    """Yield the events of an incident that another cause keeps open."""
    (opening,) = incident(start, None, "missing")
    (other,) = incident(again, None, direction)
    yield opening
    yield replace(
        opening,
        sequence=1,
        window=other.window,
        features=other.features,
        updated_because="other_cause",
    )


def rows(*events: Iterator[AlertEvent]) -> tuple[LogDemo, list[str]]:
    """Return the demo, and the text of each row of its table on a line of its own."""
    demo = LogDemo(
        disturbances=DISTURBANCES,
        events=tuple(event for one in events for event in one),
        instances=("shop-1", "shop-2"),
    )
    table = disturbance_table(demo)
    cells = [[str(cell).replace("\n", " ") for cell in column.cells] for column in table.columns]
    Console(file=StringIO(), width=80).print(table)  # it can be drawn
    return demo, [" | ".join(row) for row in zip(*cells, strict=True)]


def test_the_table_says_what_was_found_where_and_in_which_words() -> None:
    demo, (slowed, down, back) = rows(
        incident(11, 30, "missing"), incident(22, 31, "too_many"), incident(41, 60, "unseen")
    )
    assert slowed.startswith("slowed | 12:00:10 to 12:00:20 | in 1 of 2 | 3 s | ")
    assert 'Z, expected 7 to 22: too few "Sent <*> request"' in slowed
    assert "shop-1 3 lines from 12:00:22.5Z to 12:00:23.5Z, " in slowed, (
        "its end belongs to it, with its time"
    )
    assert ": never seen in training" in down
    assert "unseen" not in slowed + back
    assert back.endswith("| in 1 of 2 | 11 s | 12:01:01 shop-1: resolved, back to normal")
    assert not false_alarms(demo)


@pytest.mark.parametrize("start", [2, 24, 35])
def test_what_begins_in_normal_work_is_a_false_alarm_and_finds_nothing(start: float) -> None:
    demo, found = rows(incident(start, start + 3, "missing"))
    assert [event.starts_at for event in false_alarms(demo)] == [at(start)]
    assert all("not found" in row for row in found)


@pytest.mark.parametrize(("again", "is_found"), [(42, True), (30, False), (53, False)])
def test_what_an_open_incident_tells_of_a_disturbance_finds_it(
    again: float, *, is_found: bool
) -> None:
    """Though it began before, which stays a false alarm. Control: told at other times."""
    demo, (slowed, down, _) = rows(updated(35, again, "unseen"))
    assert "not found" in slowed
    assert ("in 1 of 2 | 4 s | " in down) == (": never seen in training" in down) == is_found
    assert [event.starts_at for event in false_alarms(demo)] == [at(35)]


def test_a_return_is_not_found_while_an_incident_goes_on() -> None:
    demo, (_, down, back) = rows(incident(41, None, "missing"))
    assert "in 1 of 2" in down
    assert "not found" in back
    assert not false_alarms(demo)
