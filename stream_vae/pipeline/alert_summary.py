"""What an alert event says in one sentence."""

from collections.abc import Iterable, Sequence

from stream_vae.core.alerts import (
    MAX_SUMMARY_CHARACTERS,
    AlertFeature,
    AlertLevel,
    AlertSession,
    AlertWindow,
)
from stream_vae.core.durations import describe_duration
from stream_vae.core.excerpts import printable
from stream_vae.core.feature_words import deviation_in_words, peak_in_words, worst_in_words
from stream_vae.core.incidents import Incident
from stream_vae.core.line_words import lines_in_words, opener_in_words
from stream_vae.core.model_spec import ModelSpec
from stream_vae.detect.incidents import Change

_MOST_IN_SUMMARY = 3
"""Moved features that a summary names."""
_KEY_CHARACTERS = 200


def summary_of_change(  # noqa: PLR0913, PLR0917 -- the change, and what is told of it
    spec: ModelSpec,
    change: Change,
    incident: Incident,
    key: str,
    features: tuple[AlertFeature, ...],
    window: AlertWindow,
    session: AlertSession | None,
) -> str:
    """Return the summary of an incident's change."""
    shown = shown_key(key)
    if change is Change.RESOLVED:
        return f"{shown} is as expected again; {course_in_words(spec, incident, features)}"
    if change is Change.ABSORBED:
        course = course_in_words(spec, incident, features)
        return f"{shown}: its new level is taken as normal; {course}"
    if not features:
        return f"{shown} is anomalous"
    top = features[0]
    share = f"{top.contribution:.0%} of the score"
    if top.direction is not None:
        return f"{shown}: {lines_in_words(top, session or window)}; {share}"
    told = f"{printable(top.name, 60)} {worst_in_words(top, window.end)}"
    peak = peak_in_words(incident.peak_deviation, top)
    return f"{shown}: {told}; " + ", ".join([share, *peak])


def summary_of_drift(key: str, duration_s: float, levels: Sequence[AlertLevel]) -> str:
    """Return the summary of a new level that was taken as normal after some seconds."""
    return (
        f"{shown_key(key)}: new level taken as normal after {describe_duration(duration_s)}"
        + "".join(f"; {_level_in_words(level)}" for level in levels[:_MOST_IN_SUMMARY])
    )


def course_in_words(
    spec: ModelSpec, incident: Incident, features: Iterable[AlertFeature] = ()
) -> str:
    """Return what an incident that is over was: how long, the last step included, how bad."""
    parts = [f"scored as anomalous for {describe_duration(duration_of(spec, incident))}"]
    if spec.has_sessions:
        n = incident.n_anomalous
        parts = [f"{n:,} session{'' if n == 1 else 's'} did not fit"]
    if incident.opened_by:
        parts.append(f"opened by {opener_in_words(incident.opened_by, features)}")
    parts += [f"peak score {incident.peak_score:.3g}"]
    if incident.peak_deviation:
        parts += [f"peak {deviation_in_words(incident.peak_deviation)} off"]
    return ", ".join(parts)


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
