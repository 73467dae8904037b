"""Alert events as one line of text."""

from datetime import UTC, datetime

from stream_vae.core.alerts import AlertEvent, AlertFeature
from stream_vae.core.excerpts import printable


def format_alert(event: AlertEvent) -> str:
    """Return an event in one line: event time, change, severity, series, score, top feature.

    Control characters from the stream are escaped.

    ```
    2026-04-27 13:00Z  FIRING    critical  pump-7  score 9.1 > 3.2 (p 1e-12)  flow 24.3, ...
    ```
    """
    if event.kind == "silence":
        scores = printable(event.summary.removeprefix(f"{event.series.key} "), 200)
    elif event.p_value is None:
        scores = printable(event.summary, 200)
    else:
        scores = f"score {event.score:.3g} > {event.threshold:.3g} (p {event.p_value:.1g})"
    if event.status == "resolved" and event.p_value is not None:
        # Readings may be back while the window still remembers: its score would seem to contradict.
        scores = f"peak score {event.score_peak:.3g}"
    parts = [
        _minute(event.window.end),
        f"{event.status.upper():<8}",
        f"{event.severity:<8}",
        printable(event.series.key),
        scores,
    ]
    if event.features:
        parts.append(_feature(event.features[0]))
    return "  ".join(parts)


def _minute(time: datetime) -> str:
    utc = time.astimezone(UTC)
    seconds = f":{utc.second:02d}" if utc.second or utc.microsecond else ""
    return f"{utc:%Y-%m-%d %H:%M}{seconds}Z"


def _feature(feature: AlertFeature) -> str:
    actual = "not observed" if feature.actual is None else f"{feature.actual:.4g}"
    unit = f" {printable(feature.unit, 20)}" if feature.unit else ""
    return (
        f"{printable(feature.name, 60)} {actual}, expected {feature.expected:.4g} "
        f"+- {feature.expected_std:.2g}{unit}"
    )
