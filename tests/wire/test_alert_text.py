from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from stream_vae.core.alerts import AlertDeviation
from stream_vae.core.excerpts import printable
from stream_vae.wire.alert_text import format_alert
from stream_vae.wire.alerts import decode_alert

GOLDEN = Path(__file__).parents[1] / "golden"
EVENT = decode_alert((GOLDEN / "alert_v1.json").read_bytes())


def test_what_opens_stands_at_its_start_and_what_grows_at_its_window() -> None:
    rest = "critical  pump-7  score 9.12 > 3.25 (p 1e-12)  flow 24.3, expected 102.4 +- 1.1 L/s"
    assert EVENT.sequence == 1
    assert format_alert(EVENT) == f"2026-04-27 13:00Z  UPDATE    {rest}"
    assert format_alert(replace(EVENT, sequence=0)) == f"2026-04-27 12:00Z  FIRING    {rest}"


def test_a_value_beyond_the_range_is_not_said_to_score_above_the_threshold() -> None:
    assert "  score 1 <= 3.25 (p 1e-12)  " in format_alert(replace(EVENT, score=1.0))


def test_a_resolution_stands_at_the_end_of_its_last_step_and_tells_duration_and_peak() -> None:
    """Its window and values are later: it had to see that readings are normal again."""
    end = EVENT.starts_at + timedelta(hours=3, seconds=30)
    event = replace(
        EVENT,
        status="resolved",
        severity="info",
        ends_at=end,
        window=replace(EVENT.window, end=end + timedelta(hours=5)),
        score=1.0,
    )
    assert event.window.step_seconds == 3600.0
    line = "2026-04-27 16:00:30Z  RESOLVED  info      pump-7"
    assert format_alert(event) == f"{line}  after 4 h, peak score 11.5"
    deviation = AlertDeviation(newest=1.0, window=9.0, peak=900.25)
    explained = replace(event, reason="back_to_normal", opened_by="flow", deviation=deviation)
    assert format_alert(explained) == (
        f"{line}  as expected again after 4 h, peak score 11.5, over 100 sd off, opened by flow"
    )


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "explained",
            "2025-03-03 03:20Z  FIRING    critical  spike900  score 0.832 > -2.02 (p 1e-12)  flow "
            "900, expected 23.22 +- 0.87 (over 100 sd off) 1 min before the newest reading, 23.46",
        ),
        (
            "drift",
            "2025-03-04 23:21Z  DRIFT     info      after  new level taken as normal: pressure "
            "4.911, 4.425 before",
        ),
    ],
)
def test_the_worst_step_stands_beside_the_newest_and_a_drift_tells_its_levels(
    name: str, line: str
) -> None:
    assert format_alert(decode_alert((GOLDEN / f"alert_v1_{name}.json").read_bytes())) == line


@pytest.mark.parametrize("key", ["pump-7", "pump\n7"])
def test_where_no_window_was_judged_the_summary_is_told_and_the_series_once(key: str) -> None:
    event = replace(
        EVENT,
        kind="silence",
        sequence=0,
        series=replace(EVENT.series, key=key),
        p_value=None,
        features=(),
        summary=f"{printable(key)} is silent: no reading for 900 s, 300 s allowed",
    )
    assert format_alert(event) == (
        f"2026-04-27 12:00Z  FIRING    critical  {printable(key)}  "
        "is silent: no reading for 900 s, 300 s allowed"
    )


def test_what_was_not_observed_is_said_so() -> None:
    event = replace(EVENT, features=EVENT.features[1:])
    assert format_alert(event).endswith("pressure not observed, expected 4.5 +- 0.25")


def test_control_characters_of_the_stream_never_reach_the_terminal() -> None:
    event = replace(
        EVENT,
        series=replace(EVENT.series, key="pump\x1b[2J\n7"),
        features=(replace(EVENT.features[0], name="flow\r", unit="\u202e"),),
    )
    line = format_alert(event)
    assert line.isprintable()
    assert "pump\\x1b[2J\\n7" in line
