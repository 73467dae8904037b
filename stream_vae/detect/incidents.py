"""Incident state machine per series."""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import Enum

from stream_vae.core.alerts import Severity
from stream_vae.core.incidents import Incident, IncidentState, JudgedReading
from stream_vae.detect.config import IncidentConfig


class Change(Enum):
    """A change of an incident."""

    OPENED = "opened"
    UPDATED = "updated"
    """It became more severe."""
    RESOLVED = "resolved"


@dataclass(slots=True)
class _SeriesState:
    """A mutable `IncidentState`."""

    recent: deque[JudgedReading]
    incident: Incident | None = None
    normal_run: int = 0
    resolved: JudgedReading | None = None


class IncidentTracker:
    """Turns anomalous readings into incidents: M of N to open, a normal run to resolve.

    Only series with a recent anomaly or an open incident are tracked, so the state stays small
    for any number of series.

    Args:
        config: See `IncidentConfig`.
        is_of_events: Readings have no order in time: one never replaces another.
    """

    def __init__(self, config: IncidentConfig, *, is_of_events: bool = False) -> None:
        self._config = config
        self._has_steps = not is_of_events
        self._series: dict[int, _SeriesState] = {}

    @property
    def n_open(self) -> int:
        """Incidents firing now."""
        return sum(state.incident is not None for state in self._series.values())

    @property
    def tracked_rows(self) -> Collection[int]:
        """Series whose state even a normal reading can change."""
        return self._series.keys()

    def incident(self, row: int) -> Incident | None:
        """Return the open incident of a series, if there is one."""
        state = self._series.get(row)
        return state.incident if state else None

    def first_evidence(self, row: int) -> JudgedReading:
        """Return the first anomalous reading of the incident that this reading has opened.

        Raises:
            KeyError: If it has opened none.
        """
        return next(reading for reading in self._series[row].recent if reading.anomalous)

    def name(self, row: int, incident_id: str) -> Incident:
        """Give the open incident of a series its id; return it.

        Raises:
            KeyError: If there is none.
        """
        state = self._series[row]
        if state.incident is None:
            raise KeyError(row)
        state.incident = replace(state.incident, id=incident_id)
        return state.incident

    def forget(self, row: int) -> None:
        """Drop a series without an event: its partition was revoked."""
        self._series.pop(row, None)

    def save(self, row: int) -> IncidentState | None:
        """Return the state of a series; None if it is not tracked."""
        state = self._series.get(row)
        if state is None:
            return None
        return IncidentState(
            recent=tuple(state.recent),
            incident=state.incident,
            normal_run=state.normal_run,
            resolved=state.resolved,
        )

    def load(self, row: int, saved: IncidentState | None) -> None:
        """Restore the saved state of a series."""
        self._series.pop(row, None)
        if saved is not None:
            self._series[row] = _SeriesState(
                recent=deque(saved.recent, maxlen=self._config.open_within),
                incident=saved.incident,
                normal_run=saved.normal_run,
                resolved=saved.resolved,
            )

    def observe(
        self, row: int, reading: JudgedReading, *, replayed: bool = False
    ) -> tuple[Change, Incident] | None:
        """Process one judged reading and return the change, if any.

        Args:
            row: The series.
            reading: Readings of one series come in arrival order.
            replayed: The changes of this reading were published when it was first read, and have
                been loaded: nothing changes, even if the result would differ now.
        """
        state = self._series.get(row)
        if state is None:
            if not reading.anomalous:
                return None
            state = _SeriesState(recent=deque(maxlen=self._config.open_within))
            self._series[row] = state
        if self._has_steps:
            if state.resolved is not None and state.resolved.step == reading.step:
                return None  # an incident opened in this step again could get the same id again
            if state.recent and state.recent[-1].step == reading.step:
                state.recent.pop()
                state.normal_run = max(state.normal_run - 1, 0)
        state.recent.append(reading)
        state.normal_run = 0 if reading.anomalous else state.normal_run + 1
        if state.incident is not None:
            return self._continue(state, state.incident, reading, replayed=replayed)
        if self._must_open(state, reading) and not replayed:
            return self._open(state)
        if not any(r.anomalous for r in state.recent) and state.resolved is None:
            del self._series[row]
        return None

    def _must_open(self, state: _SeriesState, reading: JudgedReading) -> bool:
        if state.resolved is not None:
            cooldown_ns = int(self._config.cooldown_s * 1e9)
            # Events, which come in no order of time, may be older than the resolution.
            if cooldown_ns and reading.time < state.resolved.time + cooldown_ns:
                return False
            state.resolved = None
        return sum(r.anomalous for r in state.recent) >= self._config.open_after

    def _open(self, state: _SeriesState) -> tuple[Change, Incident]:
        evidence = [r for r in state.recent if r.anomalous]
        grade = max(r.grade for r in evidence)
        state.incident = Incident(
            started_at=evidence[0].time,
            last_anomalous_at=max(r.time for r in evidence),
            offset_start=evidence[0].offset,
            offset_end=evidence[-1].offset,
            sequence=0,
            peak_score=max(r.score for r in evidence),
            peak_grade=grade,
            severity=self._severity(grade),
        )
        return Change.OPENED, state.incident

    def _continue(
        self, state: _SeriesState, incident: Incident, reading: JudgedReading, *, replayed: bool
    ) -> tuple[Change, Incident] | None:
        if not reading.anomalous:
            incident = replace(incident, offset_end=reading.offset)
            if replayed or state.normal_run < self._config.resolve_after:
                state.incident = incident
                return None
            state.incident = None
            state.recent.clear()
            state.resolved = reading
            return Change.RESOLVED, replace(incident, sequence=incident.sequence + 1)
        grade = max(incident.peak_grade, reading.grade)
        severity = incident.severity if replayed else self._severity(grade)
        worse = severity != incident.severity
        state.incident = replace(
            incident,
            last_anomalous_at=max(incident.last_anomalous_at, reading.time),
            offset_end=reading.offset,
            sequence=incident.sequence + worse,
            peak_score=max(incident.peak_score, reading.score),
            peak_grade=grade,
            severity=severity,
        )
        return (Change.UPDATED, state.incident) if worse else None

    def _severity(self, grade: float) -> Severity:
        if grade >= self._config.critical_grade:
            return "critical"
        return "warning" if grade >= self._config.warning_grade else "info"
