"""Alert events as one line of text."""

from datetime import UTC, datetime, timedelta

from stream_vae.core.alerts import AlertEvent, AlertFeature
from stream_vae.core.durations import describe_duration
from stream_vae.core.excerpts import printable
from stream_vae.core.feature_words import values_in_words


def format_alert(event: AlertEvent) -> str:
    """Return an event in one line: time, change, severity, series, score, top feature.

    The time is that of the change: the start of an incident, the window that made it more severe,
    or the end of its last anomalous step. A resolution names no feature: its values are those of
    the normal reading that ended the incident. Control characters from the stream are escaped.

    ```
    2026-04-27 12:00Z  FIRING    critical  pump-7  score 9.1 > 3.2 (p 1e-12)  flow 24.3, ...
    2026-04-27 13:00Z  UPDATE    critical  pump-7  score 11.5 > 3.2 (p 1e-12)  flow 20.1, ...
    2026-04-27 15:00Z  RESOLVED  critical  pump-7  after 3 h, peak score 11.5
    ```
    """
    time, change = _change(event)
    parts = [
        _minute(time),
        f"{change:<8}",
        f"{event.severity:<8}",
        printable(event.series.key),
        _measure(event),
    ]
    if event.features and event.status == "firing":
        parts.append(_feature(event.features[0]))
    return "  ".join(parts)


def _change(event: AlertEvent) -> tuple[datetime, str]:
    """Return when an incident changed, and how."""
    if event.status == "resolved":
        return _end(event), "RESOLVED"
    return (event.starts_at, "FIRING") if event.sequence == 0 else (event.window.end, "UPDATE")


def _end(event: AlertEvent) -> datetime:
    """Return the end of the last anomalous step; of a silence, when it ended."""
    end = event.ends_at or event.window.end
    step_s = 0.0 if event.p_value is None else event.window.step_seconds
    return end + timedelta(seconds=step_s)


def _measure(event: AlertEvent) -> str:
    """Return how bad it is, or was."""
    if event.p_value is None:
        # The summary begins with the key, which stands in the line already.
        key = printable(event.series.key, 200)
        return printable(event.summary.removeprefix(key).strip(), 200)
    if event.status == "firing":
        return f"score {event.score:.3g} > {event.threshold:.3g} (p {event.p_value:.1g})"
    # Readings may be back while the window still remembers: its score would seem to contradict.
    duration = describe_duration((_end(event) - event.starts_at).total_seconds())
    return f"after {duration}, peak score {event.score_peak:.3g}"


def _minute(time: datetime) -> str:
    utc = time.astimezone(UTC)
    seconds = f":{utc.second:02d}" if utc.second or utc.microsecond else ""
    return f"{utc:%Y-%m-%d %H:%M}{seconds}Z"


def _feature(feature: AlertFeature) -> str:
    return f"{printable(feature.name, 60)} {values_in_words(feature, '+-')}"
