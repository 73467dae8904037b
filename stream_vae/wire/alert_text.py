"""Alert events as one line of text."""

from datetime import UTC, date, datetime, timedelta

from stream_vae.core.alerts import AlertEvent, AlertFeature, AlertLevel, Reason
from stream_vae.core.course_words import because_in_words, opener_in_words, so_far_in_words
from stream_vae.core.durations import describe_duration
from stream_vae.core.excerpts import printable
from stream_vae.core.feature_words import (
    deviation_in_words,
    peak_in_words,
    worst_in_words,
)
from stream_vae.core.line_words import lines_in_words
from stream_vae.core.log_templates import LINES

_MOST_LEVELS = 3
_ENDED: dict[Reason, str] = {
    "back_to_normal": "as expected again",
    "new_level": "its new level taken as normal",
    "cannot_be_judged": "cannot be judged",
    "forgotten": "forgotten",
    "moved": "moved to another partition",
    "returned": "sends again",
}


def format_alert(event: AlertEvent) -> str:
    """Return an event in one line: time, change, severity, series, score, top feature.

    The time is that of the change: the first anomalous reading of an incident (of lines, the last
    line of that step), the newest step of an update, or the end of the last anomalous step. A
    resolution tells why the incident ended and which feature opened it, not the values of the
    normal reading that ended it. Control characters from the stream are escaped.

    ```
    2026-04-27 12:00Z  FIRING    critical  pump-7  score 9.1 > 3.2 (p 1e-12)  flow 24.3, ...
    2026-04-27 13:00Z  UPDATE    critical  pump-7  score 11.5 > 3.2 (p 1e-12)  flow 20.1, ...
    2026-04-27 15:00Z  RESOLVED  critical  pump-7  as expected again after 3 h, peak score 11.5, ...
    2026-04-28 09:00Z  DRIFT     info      pump-8  new level taken as normal: flow 80, expected 101
    2026-04-28 10:02Z  FIRING    info      web-1  0 lines from 10:01:30Z to 10:02:30Z, expected ...
    ```

    Of lines of a log what was wrong with them comes first, the score last.
    """
    time, change = _change(event)
    parts = [_minute(time), f"{change:<8}", f"{event.severity:<8}", printable(event.series.key)]
    parts.append(_because(event) + "  ".join(_told(event, time.astimezone(UTC).date())))
    return "  ".join(parts)


def _because(event: AlertEvent) -> str:
    because = because_in_words(event)
    return f"{because}: " if because else ""


def _told(event: AlertEvent, day: date) -> list[str]:
    """Return how bad it is, and what of."""
    top = event.told if event.status == "firing" else None
    if top is None:
        return [_measure(event)]
    if top.direction is not None:
        words = lines_in_words(top, event.session or event.window, day)
        return ["; ".join(filter(None, (words, so_far_in_words(event, day)))), _measure(event)]
    peak = [] if event.deviation is None else peak_in_words(event.deviation.peak, top)
    return [_measure(event), _feature(top, event.window.end), *peak]


def change_of(event: AlertEvent) -> str:
    """Return how an incident changed, in one word: `FIRING`, `UPDATE`, `RESOLVED` or `DRIFT`."""
    return _change(event)[1]


def _change(event: AlertEvent) -> tuple[datetime, str]:
    """Return when an incident changed, and how."""
    if event.kind == "drift":
        return event.window.end, "DRIFT"
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
        # A value beyond the range so far is anomalous whatever its score.
        sign = ">" if event.score > event.threshold else "<="
        return f"score {event.score:.3g} {sign} {event.threshold:.3g} (p {event.p_value:.1g})"
    if event.kind == "drift":
        moved = "; ".join(_level(level) for level in event.levels[:_MOST_LEVELS])
        return f"new level taken as normal: {moved}" if moved else "new level taken as normal"
    # Readings may be back while the window still remembers: its score would seem to contradict.
    ended = [] if event.reason is None else [_ENDED[event.reason]]
    if event.window.length > 1 or event.ends_at != event.starts_at:  # one event lasts no time
        ended.append(f"after {describe_duration((_end(event) - event.starts_at).total_seconds())}")
    parts = [*filter(None, [" ".join(ended)]), f"peak score {event.score_peak:.3g}"]
    is_of_lines = any(one.unit == LINES for one in event.features)
    if event.deviation is not None and not is_of_lines:
        parts.append(f"{deviation_in_words(event.deviation.peak)} off")
    opener = opener_in_words(event)
    if opener is not None:
        parts.append(f"opened by {opener}")
    return ", ".join(parts)


def _minute(time: datetime) -> str:
    utc = time.astimezone(UTC)
    seconds = f":{utc.second:02d}" if utc.second or utc.microsecond else ""
    return f"{utc:%Y-%m-%d %H:%M}{seconds}Z"


def _feature(feature: AlertFeature, newest_at: datetime) -> str:
    return f"{printable(feature.name, 60)} {worst_in_words(feature, newest_at, '+-')}"


def _level(level: AlertLevel) -> str:
    unit = f" {printable(level.unit, 20)}" if level.unit else ""
    name = printable(level.name, 60)
    return f"{name} {level.after:.4g}{unit}, {level.before:.4g} before"
