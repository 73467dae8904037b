"""The output of the demo of logs: what was done to the broker, and what the alerts said of it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from rich.table import Table

from stream_vae.core.alerts import AlertEvent, AlertFeature, LineDirection
from stream_vae.core.durations import describe_duration
from stream_vae.core.line_words import lines_in_words
from stream_vae.core.log_templates import LINES
from stream_vae.core.model_spec import ModelSpec
from stream_vae.evaluate.history import History
from stream_vae.evaluate.pictures.signals import draw_score
from stream_vae.evaluate.pictures.themes import render_png
from stream_vae.evaluate.pictures.views import series_views
from stream_vae.models.bundle import Bundle

_SETTLES = timedelta(seconds=3)
"""What begins so soon after a disturbance is its end."""
_LEAST_SHARE = 0.02
"""Of the score, below which a feature is not told of."""
_DIRECTIONS: tuple[LineDirection, ...] = ("unseen", "too_many", "missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """Something that was done to the observed broker."""

    name: str
    start: datetime
    end: datetime
    is_return: bool = False
    """It ends the one before; found if what was open is resolved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDemo:
    """What the demo did and received."""

    disturbances: tuple[Disturbance, ...]
    events: tuple[AlertEvent, ...]
    """All of the topic, in its order."""
    instances: tuple[str, ...]
    """Series that were observed."""


def disturbance_table(demo: LogDemo) -> Table:
    """Return one row for each disturbance: when, where it was found, how soon, in which words."""
    table = Table("broker", "when (UTC)", "found", "after", "what the alerts said", show_lines=True)
    for one in demo.disturbances:
        events = _found(demo, one)
        series = {event.series.key for event in events}
        first = min((_step(event) for event in events), default=None)
        table.add_row(
            one.name,
            f"{one.start:%H:%M:%S}\nto {one.end:%H:%M:%S}",
            f"in {len(series)} of {len(demo.instances)}" if series else "not found",
            "" if first is None else _seconds(first - one.start),
            "\n".join(_resolutions(events) if one.is_return else _words(demo, one)),
        )
    return table


def log_demo_table(
    demo: LogDemo,
    bundle: Bundle,
    *,
    n_trained: int,
    n_streamed: int,
    n_offline: int,
    seconds: float,
) -> Table:
    """Return the summary of the demo.

    Args:
        demo: What it did and received.
        bundle: That was trained.
        n_trained: Lines of normal work.
        n_streamed: Lines published to the daemon.
        n_offline: Incidents that the same pipeline finds in the lines without Kafka.
        seconds: That all took.
    """
    found = [bool(_found(demo, one)) for one in demo.disturbances]
    table = Table(show_header=False)
    templates = 0 if bundle.spec.logs is None else len(bundle.spec.logs.templates)
    table.add_row("lines trained on", f"{n_trained:,}, of {templates} templates")
    table.add_row("lines streamed", f"{n_streamed:,}")
    table.add_row("alert events", str(len(demo.events)))
    table.add_row("incidents", f"{len(list(_openings(demo)))} (offline: {n_offline})")
    table.add_row("disturbances found", f"{sum(found)} of {len(found)}")
    table.add_row("false alarms", str(len(false_alarms(demo))))
    table.add_row("whole demo", f"{seconds:.0f} s")
    return table


def false_alarms(demo: LogDemo) -> list[AlertEvent]:
    """Return the first event of each incident that belongs to no disturbance."""
    explained = [event for one in demo.disturbances for event in _opened(demo, one)]
    return [event for event in _openings(demo) if event not in explained]


def write_picture(
    path: Path, history: History, spec: ModelSpec, disturbances: Sequence[Disturbance]
) -> None:
    """Draw the lines a step and the score of the series with most incidents."""
    labels = np.zeros(len(history), np.int8)
    for one in disturbances:
        if not one.is_return:
            start, end = (round(time.timestamp() * 1e9) for time in (one.start, one.end))
            labels[
                (history.times + round(spec.step_seconds * 1e9) > start) & (history.times < end)
            ] = 1
    lines = [feature.name for feature in spec.features].index(LINES)
    view = series_views(history, spec, max_gap=0, labels=labels)[0]
    title = f"Lines of {view.key} a second; marked: its broker is disturbed"
    drawn = replace(view, key=title, telling=(lines,))
    path.write_bytes(render_png(lambda: draw_score(drawn)))


def _openings(demo: LogDemo) -> Iterator[AlertEvent]:
    return (event for event in demo.events if event.sequence == 0 and event.kind != "drift")


def _found(demo: LogDemo, one: Disturbance) -> list[AlertEvent]:
    """Return the event of each incident that tells of a disturbance first."""
    return _resolved(demo, one) if one.is_return else [*_opened(demo, one), *_updated(demo, one)]


def _opened(demo: LogDemo, one: Disturbance) -> list[AlertEvent]:
    """Return the first event of each incident that began with a disturbance, or at its end."""
    until = _until(demo, one)
    return [x for x in _openings(demo) if one.start - _a_step(x) < x.starts_at < until]


def _updated(demo: LogDemo, one: Disturbance) -> list[AlertEvent]:
    """Return the first update for a disturbance of each incident that was open before."""
    until, before = _until(demo, one), {x.incident_id for x in _opened(demo, one)}
    found: dict[str, AlertEvent] = {}
    for event in demo.events:
        is_of_it = one.start - _a_step(event) < event.window.end < until
        if is_of_it and event.updated_because is not None and event.incident_id not in before:
            found.setdefault(event.incident_id, event)
    return list(found.values())


def _until(demo: LogDemo, one: Disturbance) -> datetime:
    """Return until when what begins belongs to a disturbance."""
    later = [other.start for other in demo.disturbances if other.start >= one.end]
    return min([one.end + _SETTLES, *later])


def _resolved(demo: LogDemo, one: Disturbance) -> list[AlertEvent]:
    """Return the last event of each incident that was open before and ended."""
    ids = {event.incident_id for event in _openings(demo) if event.starts_at < one.start}
    return [
        event
        for event in demo.events
        if event.incident_id in ids and event.status == "resolved" and _step(event) >= one.start
    ]


def _a_step(event: AlertEvent) -> timedelta:
    return timedelta(seconds=event.window.step_seconds)


def _step(event: AlertEvent) -> datetime:
    """Return the end of the step after which an event could be told."""
    return event.window.end + _a_step(event)


def _seconds(span: timedelta) -> str:
    return describe_duration(max(round(span.total_seconds()), 1))


def _words(demo: LogDemo, one: Disturbance) -> list[str]:
    """Return what was told of unseen, too many and missing lines, each where it told most.

    A window remembers some steps before the disturbance; what it tells of those is left out.
    """
    ids = {event.incident_id for event in _found(demo, one)}
    told = [
        (feature, event)
        for event in demo.events
        if event.incident_id in ids and event.status == "firing"
        for feature in event.features
        if feature.contribution >= _LEAST_SHARE
        if one.start - _a_step(event) < _worst_at(feature, event) <= one.end + _SETTLES
    ]
    most = filter(None, (_most(told, direction) for direction in _DIRECTIONS))
    return [_told(*pair) for pair in sorted(most, key=lambda pair: _worst_at(*pair))]


def _worst_at(feature: AlertFeature, event: AlertEvent) -> datetime:
    return event.window.end if feature.worst is None else feature.worst.at


def _told(feature: AlertFeature, event: AlertEvent) -> str:
    """Return what an alert says of a feature, and of which step."""
    day = _worst_at(feature, event).date()
    return f"{event.series.key} {lines_in_words(feature, event.window, day)}"


def _most(
    told: Iterable[tuple[AlertFeature, AlertEvent]], direction: LineDirection
) -> tuple[AlertFeature, AlertEvent] | None:
    """Return what says most of a direction; a template rather than all lines."""
    return max(
        (pair for pair in told if pair[0].direction == direction),
        key=lambda pair: (pair[0].template is not None, pair[0].contribution),
        default=None,
    )


def _resolutions(events: Iterable[AlertEvent]) -> list[str]:
    return [
        f"{_step(event):%H:%M:%S} {event.series.key}: resolved, "
        f"{(event.reason or '').replace('_', ' ')}"
        for event in events
    ]
