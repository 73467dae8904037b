"""The demo's output: files, plot, tables."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.model_spec import Feature
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.verdicts import VerdictBatch
from stream_vae.edges.files.outputs import ScoresWriter, whole_file
from stream_vae.evaluate.pictures.signals import draw_score
from stream_vae.evaluate.pictures.themes import render_png
from stream_vae.evaluate.pictures.views import SeriesView

FEATURE = Feature(name="flow", unit="L/s")
STEP_S = 3600.0
_STEP = timedelta(seconds=STEP_S)


def _ns(time: str) -> int:
    return int(np.datetime64(time, "ns").astype(np.int64))


TRAINED_ON = (_ns("2022-04-04T00:00"), _ns("2022-04-24T00:00"))

_KNOWN_EVENTS = (
    ("low flow", _ns("2022-03-24T07:00"), _ns("2022-03-25T00:00")),
    ("low flow", _ns("2022-03-29T06:00"), _ns("2022-03-29T18:00")),
    ("pumping peak", _ns("2022-04-03T04:00"), _ns("2022-04-03T04:00")),
    ("low flow", _ns("2022-04-27T13:00"), _ns("2022-04-28T03:00")),
)
"""The four segments that the data set's description names, located by eye."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offline:
    """The pipeline's verdicts on the streamed readings, with the model's expected values."""

    verdicts: VerdictBatch
    alerts: tuple[AlertEvent, ...]
    expected: NDArray[np.float64]
    """(N,) input units; NaN where no window was scored."""
    expected_std: NDArray[np.float64]
    """(N,) input units."""
    deviation: NDArray[np.float64]
    """(N,) in expected standard deviations."""


def write_files(out: Path, rest: ReadingBatch, offline: Offline) -> None:
    """Write scores.csv and anomalies.png."""
    with whole_file(out / "scores.csv") as file:
        ScoresWriter(file).write(rest, offline.verdicts, offline.deviation)
    view = _view(rest, offline)
    (out / "anomalies.png").write_bytes(render_png(lambda: draw_score(view)))


def _view(rest: ReadingBatch, offline: Offline) -> SeriesView:
    is_found = np.zeros(len(rest), np.bool_)
    for event in last_events(offline.alerts):
        start, end = _time(event.starts_at), _time(event.ends_at or event.starts_at)
        is_found |= (rest.times >= start) & (rest.times <= end)
    step = round(STEP_S * 1e9)
    return SeriesView(
        key="Water flow through a pipeline branch: what the daemon saw",
        places=rest.times,
        actual=rest.values,
        expected=offline.expected[:, None],
        expected_std=offline.expected_std[:, None],
        log_probability=np.full((len(rest), 1), np.nan),
        score=offline.verdicts.score,
        threshold=offline.verdicts.threshold,
        is_labelled=np.zeros(len(rest), np.bool_),
        is_found=is_found,
        features=(FEATURE,),
        telling=(0,),
        step=step,
        gap=6 * step,
        trained_on=(TRAINED_ON,),
    )


def last_events(events: Iterable[AlertEvent]) -> list[AlertEvent]:
    """Return the last event of each incident; a drift is none."""
    return list({e.incident_id: e for e in events if e.kind != "drift"}.values())


def _time(when: datetime) -> int:
    return round(when.timestamp()) * 10**9


def _is_found(event: AlertEvent, start: int, end: int) -> bool:
    incident_end = _time(event.ends_at) if event.ends_at else end
    return _time(event.starts_at) <= end and incident_end >= start


def incident_table(received: list[AlertEvent], offline: Offline, rest: ReadingBatch) -> Table:
    """Return one row per incident: times, peak score, and the expected value at its peak."""
    table = Table(
        "start",
        "end",
        "severity",
        "peak score",
        "sd off",
        "expected",
        "actual",
        "known event",
        title="Incidents",
    )
    for event in last_events(received):
        start = _time(event.starts_at)
        end = _time(event.ends_at) if event.ends_at else int(rest.times[-1])
        inside = np.flatnonzero((rest.times >= start) & (rest.times <= end))
        deviation = np.abs(rest.values[inside, 0] - offline.expected[inside])
        peak = inside[int(np.nanargmax(deviation))]
        known = [name for name, a, b in _KNOWN_EVENTS if _is_found(event, a, b)]
        table.add_row(
            f"{event.starts_at:%Y-%m-%d %H:%M}Z",
            f"{event.ends_at + _STEP:%Y-%m-%d %H:%M}Z" if event.ends_at else "still firing",
            event.severity,
            f"{event.score_peak:.1f} > {event.threshold:.1f}",
            "" if event.deviation is None else f"{event.deviation.peak:.3g}",
            f"{offline.expected[peak]:.1f} ± {offline.expected_std[peak]:.1f} {FEATURE.unit}",
            f"{rest.values[peak, 0]:.1f} {FEATURE.unit}",
            ", ".join(known) or "none: a false alarm",
        )
    return table


def closing_table(
    received: list[AlertEvent],
    offline: Offline,
    rest: ReadingBatch,
    rate: float,
    seconds: float,
) -> Table:
    """Return the summary of the demo."""
    incidents = last_events(received)
    found = [
        any(_is_found(event, start, end) for event in incidents) for _, start, end in _KNOWN_EVENTS
    ]
    table = Table(show_header=False)
    table.add_row("readings streamed", f"{len(rest)}, {rate:.0f} per second (paced)")
    table.add_row("windows scored", str(int(np.isfinite(offline.verdicts.score).sum())))
    table.add_row("alert events", f"{len(received)} (offline: {len(offline.alerts)})")
    table.add_row("incidents", str(len(incidents)))
    table.add_row("known events found", f"{sum(found)} of {len(found)}")
    table.add_row("whole demo", f"{seconds:.0f} s")
    return table
