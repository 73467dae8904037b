from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from stream_vae.wire.alert_text import format_alert
from stream_vae.wire.alerts import decode_alert

EVENT = decode_alert((Path(__file__).parents[1] / "golden" / "alert_v1.json").read_bytes())


def test_an_event_is_one_readable_line() -> None:
    assert format_alert(EVENT) == (
        "2026-04-27 13:00Z  FIRING    critical  pump-7  score 9.12 > 3.25 (p 1e-12)  "
        "flow 24.3, expected 102.4 +- 1.1 L/s"
    )


def test_a_resolution_tells_the_peak_of_what_is_over() -> None:
    end = EVENT.window.end + timedelta(seconds=30)
    event = replace(
        EVENT,
        status="resolved",
        severity="info",
        ends_at=end,
        window=replace(EVENT.window, end=end),
        score=1.0,
        features=(),
    )
    assert format_alert(event) == (
        "2026-04-27 13:00:30Z  RESOLVED  info      pump-7  peak score 11.5"
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
