"""What an alert event says in one sentence."""

from collections.abc import Sequence

from stream_vae.core.alerts import MAX_SUMMARY_CHARACTERS, AlertEvent, AlertLevel
from stream_vae.core.course_words import because_in_words, opener_in_words, so_far_in_words
from stream_vae.core.durations import describe_duration
from stream_vae.core.excerpts import printable
from stream_vae.core.feature_words import deviation_in_words, peak_in_words, worst_in_words
from stream_vae.core.incidents import Incident, feature_of
from stream_vae.core.line_words import counter_in_words, lines_in_words
from stream_vae.core.model_spec import ModelSpec
from stream_vae.detect.incidents import Change

_MOST_IN_SUMMARY = 3
"""Moved features that a summary names."""
_KEY_CHARACTERS = 200
_NAME_CHARACTERS = 60


def summary_of_change(spec: ModelSpec, change: Change, event: AlertEvent) -> str:
    """Return the summary of an incident's change, of all else that its event tells."""
    shown = shown_key(event.series.key)
    if change is Change.RESOLVED:
        return f"{shown} is as expected again; {course_in_words(spec, event)}"
    if change is Change.ABSORBED:
        return f"{shown}: its new level is taken as normal; {course_in_words(spec, event)}"
    because = because_in_words(event)
    begun = f"{shown}, {because}" if because else shown
    top = event.told
    if top is None:
        return f"{begun} is anomalous"
    share = f"{top.contribution:.0%} of the score"
    if top.direction is not None:
        told = [lines_in_words(top, event.session or event.window), so_far_in_words(event, None)]
        return "; ".join([f"{begun}: {told[0]}", *filter(None, told[1:]), share])
    told_of = f"{printable(top.name, 60)} {worst_in_words(top, event.window.end)}"
    peak = [] if event.deviation is None else peak_in_words(event.deviation.peak, top)
    return f"{begun}: {told_of}; " + ", ".join([share, *peak])


def summary_of_drift(key: str, duration_s: float, levels: Sequence[AlertLevel]) -> str:
    """Return the summary of a new level that was taken as normal after some seconds."""
    return (
        f"{shown_key(key)}: new level taken as normal after {describe_duration(duration_s)}"
        + "".join(f"; {_level_in_words(level)}" for level in levels[:_MOST_IN_SUMMARY])
    )


def course_in_words(spec: ModelSpec, event: AlertEvent) -> str:
    """Return what an incident that is over was: how long, the last step included, how bad."""
    parts = [f"scored as anomalous for {describe_duration(event.duration_s or 0.0)}"]
    if spec.has_sessions and event.course is not None:
        n = event.course.anomalous
        parts = [f"{n:,} session{'' if n == 1 else 's'} did not fit"]
    opener = opener_in_words(event)
    if opener is not None:
        parts.append(f"opened by {opener}")
    parts += [f"peak score {event.score_peak:.3g}"]
    # Of lines, how many there were tells more than how many standard deviations that is.
    if spec.logs is None and event.deviation is not None and event.deviation.peak:
        parts += [f"peak {deviation_in_words(event.deviation.peak)} off"]
    return ", ".join(parts)


def opened_by_in_words(spec: ModelSpec, incident: Incident) -> str | None:
    """Return what opened an incident; None if it is not known."""
    name, causes = incident.opened_by, incident.causes
    if not name:
        return None
    if spec.logs is None or not causes or feature_of(causes[0]) != name:
        return printable(name, _NAME_CHARACTERS)
    usual = spec.logs.usual_template(name)
    template = None if usual is None else usual.text
    return counter_in_words(name, template, is_above=causes[0].startswith("+"))


def duration_of(spec: ModelSpec, incident: Incident) -> float:
    """Return for how many seconds windows have been anomalous, the last step included.

    A window remembers: its score falls only once the fault has mostly left it.
    """
    return (incident.last_anomalous_at - incident.started_at) / 1e9 + spec.step_seconds


def shown_key(key: str) -> str:
    """Return a series key that cannot control the terminal of a consumer."""
    return printable(key, _KEY_CHARACTERS)


def bounded(summary: str) -> str:
    """Return a summary as long as events allow: names and categories can be long."""
    limit = MAX_SUMMARY_CHARACTERS
    return summary if len(summary) <= limit else f"{summary[: limit - 1]}…"


def _level_in_words(level: AlertLevel) -> str:
    unit = f" {printable(level.unit, 20)}" if level.unit else ""
    return f"{printable(level.name)} {level.after:.4g}{unit}, {level.before:.4g} before"
