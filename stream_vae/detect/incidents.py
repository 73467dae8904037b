"""Incident state machine per series."""

import sys
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import Enum

from stream_vae.core.alerts import Severity, UpdateReason
from stream_vae.core.incidents import Incident, IncidentState, JudgedReading
from stream_vae.detect.config import IncidentConfig
from stream_vae.detect.severity import severity_of, size_of, worse_of

_TOLD_ONE_BY_ONE = 16
_CLEARLY_WORSE = 2.0
"""Factor by which a reading must be larger than all told of."""
MOST_CAUSES = 64
"""Told of an incident, after which it has no other ones."""
_AFTER_ALL = sys.maxsize
"""Place of a reading in its record that comes after all others."""


class Change(Enum):
    """A change of an incident."""

    OPENED = "opened"
    UPDATED = "updated"
    """It became more severe or clearly worse, has another cause, or is another session that is
    told."""
    RESOLVED = "resolved"
    """Readings are normal again."""
    ABSORBED = "absorbed"
    """Readings are normal because the detector has taken their new level as normal."""


@dataclass(slots=True)
class _SeriesState:
    """A mutable `IncidentState`."""

    recent: deque[JudgedReading]
    incident: Incident | None = None
    normal_run: int = 0
    adapted_run: int = 0
    unjudged_run: int = 0
    unjudged_step: int | None = None
    resolved: JudgedReading | None = None


class IncidentTracker:
    """Turns anomalous readings into incidents: M of N to open, a normal run to resolve.

    Only series with a recent anomaly or an open incident are tracked, so the state stays small
    for any number of series.

    An input that is read again, since the group's offsets were set back or the topic was made anew,
    brings readings from before those that a series is known by. An open incident waits until they
    are over: none of them updates or resolves it, and it goes on as if they had not come. Where no
    incident is open they are judged as if they came for the first time.

    Args:
        config: See `IncidentConfig`.
        window_length: T, in steps. At 1 readings are events, without order in time: one never
            replaces another.
        unscorable_after: Consecutive steps that cannot be judged, events at a T of 1, with which
            an incident ends.
        lateness_ns: Steps up to so long before the newest one are still open.
        tells_each: Readings are sessions: of those that go on with an incident the first are told
            as updates one by one, then the 32nd, the 64th and so on.
        held_for: Consecutive normal readings through which an incident stays open at most while
            what it is about is off; its level then counts as normal.
    """

    def __init__(  # noqa: PLR0913 -- what the settings of other sections say of incidents
        self,
        config: IncidentConfig,
        *,
        window_length: int = 32,
        unscorable_after: int = 40,
        lateness_ns: int = 0,
        tells_each: bool = False,
        held_for: int = 1000,
    ) -> None:
        self._config = config
        self._tells_each = tells_each
        self._held_for = held_for
        self._lateness_ns = lateness_ns
        self._window_length = window_length
        self._unscorable_after = unscorable_after
        self._has_steps = window_length > 1
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

    def may_end(self, row: int) -> bool:
        """Return whether another normal reading can resolve the open incident of a series."""
        state = self._series.get(row)
        if state is None or state.incident is None:
            return False
        return state.normal_run + 1 >= self._config.resolve_after

    def first_evidence(self, row: int) -> JudgedReading:
        """Return the first anomalous reading of the incident that this reading has opened.

        Raises:
            KeyError: If it has opened none.
        """
        return next(reading for reading in self._series[row].recent if reading.anomalous)

    def name(  # noqa: PLR0913 -- all that the window tells
        self,
        row: int,
        incident_id: str,
        *,
        opened_by: str = "",
        deviation: float = 0.0,
        size: float | None = None,
        bias: float | None = None,
        leaps: tuple[float | None, ...] = (),
        lines_to: int | None = None,
    ) -> Incident:
        """Give the incident that a series has just opened what its window tells; return it.

        Args:
            row: The series.
            incident_id: Its id.
            opened_by: The feature that contributes most.
            deviation: Of the window's worst step.
            size: The same by `JudgedReading.size`; severity rises with it.
            bias: The tracker's, of that feature.
            leaps: See `Incident`.
            lines_to: The step before the first of it, if its lines are to be counted.

        Raises:
            KeyError: If there is none.
        """
        state = self._series[row]
        if state.incident is None:
            raise KeyError(row)
        incident = state.incident
        size = max(_peak_size(incident), deviation if size is None else size)
        found = self._severity(incident.peak_grade, size, incident.n_anomalous)
        state.incident = replace(
            incident,
            id=incident_id,
            severity=worse_of(found, incident.severity),
            peak_deviation=max(incident.peak_deviation, deviation),
            peak_size=size,
            told_size=size,
            opened_by=opened_by,
            bias=bias,
            leaps=leaps,
            lines_to=lines_to,
        )
        return state.incident

    def note_causes(self, row: int, causes: Iterable[str]) -> None:
        """Take note of what an event of an open incident tells of.

        Args:
            row: The series.
            causes: See `cause_of`, the first first.
        """
        state = self._series.get(row)
        if state is None or state.incident is None:
            return
        state.incident = replace(state.incident, causes=_causes_with(state.incident, *causes))

    def note_lines(self, row: int, counted: Incident) -> None:
        """Take the lines of an open incident from one that is otherwise the same."""
        state = self._series.get(row)
        if state is not None and state.incident is not None:
            state.incident = counted

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
            adapted_run=state.adapted_run,
            unjudged_run=state.unjudged_run,
            unjudged_step=state.unjudged_step,
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
                adapted_run=saved.adapted_run,
                unjudged_run=saved.unjudged_run,
                unjudged_step=saved.unjudged_step,
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
        state = self._state_for(row, reading)
        if state is None:
            return None
        revised: JudgedReading | None = None
        if self._has_steps:
            if state.resolved is not None and reading.step <= state.resolved.step:
                return None  # an incident opened in this step again could get the same id again
            if state.recent and reading.step < state.recent[-1].step:
                return self._observe_earlier(state, reading, replayed=replayed)
            if state.recent and state.recent[-1].step == reading.step:
                revised = state.recent.pop()
                state.normal_run = max(state.normal_run - 1, 0)
                state.adapted_run = min(state.adapted_run, state.normal_run)
        state.recent.append(reading)
        state.unjudged_run, state.unjudged_step = 0, None
        state.normal_run = 0 if reading.anomalous else state.normal_run + 1
        if state.incident is not None:
            is_new = revised is None or not revised.anomalous
            return self._continue(state, state.incident, reading, is_new=is_new, replayed=replayed)
        if self._must_open(state, reading) and not replayed:
            return self._open(state)
        if not any(r.anomalous for r in state.recent) and state.resolved is None:
            del self._series[row]
        return None

    def _observe_earlier(
        self, state: _SeriesState, reading: JudgedReading, *, replayed: bool
    ) -> tuple[Change, Incident] | None:
        """Process a reading of a step before the newest: it takes its place among the last ones.

        A run of normal readings goes on: those after it have been judged.
        """
        same = [each for each in state.recent if each.step == reading.step]
        others = [each for each in state.recent if each.step != reading.step]
        state.recent.clear()
        state.recent.extend(sorted([*others, reading], key=lambda each: each.step))
        if not reading.anomalous:
            return None
        if state.incident is not None:
            # What is older than all that is remembered may have been counted.
            is_new = reading in state.recent and not any(each.anomalous for each in same)
            return self._continue(state, state.incident, reading, is_new=is_new, replayed=replayed)
        if self._must_open(state, reading) and not replayed:
            return self._open(state)
        return None

    def observe_unjudged(
        self, row: int, offset: int, *, step: int, replayed: bool = False
    ) -> Incident | None:
        """Process a reading of a series that could not be judged.

        Returns:
            The open incident, if it ends by that: too many steps in a row could not be judged.

        Args:
            row: The series.
            offset: Of the reading in the input.
            step: Start of its step; of one step all readings count once, events each.
            replayed: See `observe`.
        """
        state = self._series.get(row)
        if state is None or state.incident is None:
            return None
        if self._knows(state, step, step, (offset, _AFTER_ALL)):
            return None
        state.unjudged_run += not self._has_steps or step != state.unjudged_step
        state.unjudged_step = step
        incident = replace(state.incident, offset_end=offset)
        state.incident = incident
        if replayed or state.unjudged_run < self._unscorable_after:
            return None
        del self._series[row]
        return incident

    def _state_for(self, row: int, reading: JudgedReading) -> _SeriesState | None:
        """Return the state that a reading changes; None if there is none."""
        state = self._series.get(row)
        place = (reading.offset, reading.nth)
        if state is not None and self._is_put_in_place(state, reading):
            return state
        if state is not None and self._knows(state, reading.step, reading.time, place):
            if state.incident is not None:
                return None
            del self._series[row]  # it tells of a time that is judged again
            state = None
        if state is None and reading.anomalous:
            state = _SeriesState(recent=deque(maxlen=self._config.open_within))
            self._series[row] = state
        return state

    def _is_put_in_place(self, state: _SeriesState, reading: JudgedReading) -> bool:
        """Return whether a reading is of an open step before the newest, and not read again.

        In the input it comes after the newest one.
        """
        last = state.recent[-1] if state.recent else state.resolved
        if last is None or not self._has_steps:
            return False
        back_ns = last.step - reading.step
        return 0 < back_ns <= self._lateness_ns and reading.offset >= last.offset

    def _knows(self, state: _SeriesState, step: int, time: int, place: tuple[int, int]) -> bool:
        """Return whether a reading is from before the newest one that a series is known by.

        Steps of a series never go back otherwise, but for open ones, see `_is_put_in_place`. Events
        may, in time, but not in the input, whose offsets begin anew with it: they are known by
        both.

        Args:
            state: Of the series.
            step: Start of its step.
            time: Event time.
            place: Offset, and place among those of its series in one record.
        """
        last, incident = state.recent[-1] if state.recent else state.resolved, state.incident
        if not self._has_steps:
            places = [] if last is None else [(last.offset, last.nth)]
            places += [] if incident is None else [(incident.offset_end, -1)]
            times = [] if last is None else [last.time]
            times += [] if incident is None else [incident.last_anomalous_at]
            return place <= max(places, default=(-1, -1)) and time <= max(times, default=-1)
        steps = [] if last is None else [last.step]
        steps += [] if state.unjudged_step is None else [state.unjudged_step]
        if incident is not None and not steps:  # it was taken over from its events
            return time < incident.last_anomalous_at
        return step < max(steps, default=step)

    def _must_open(self, state: _SeriesState, reading: JudgedReading) -> bool:
        if state.resolved is not None:
            cooldown_ns = int((self._config.cooldown_s or 0.0) * 1e9)
            # Events, which come in no order of time, may be older than the resolution.
            if cooldown_ns and reading.time < state.resolved.time + cooldown_ns:
                return False
            state.resolved = None
        return sum(r.anomalous for r in state.recent) >= self._config.opens_after

    def _open(self, state: _SeriesState) -> tuple[Change, Incident]:
        evidence = [r for r in state.recent if r.anomalous]
        grade = max(r.grade for r in evidence)
        size = max(_size(r) for r in evidence)
        state.incident = Incident(
            started_at=evidence[0].time,
            last_anomalous_at=max(r.time for r in evidence),
            offset_start=min(r.offset for r in evidence),
            offset_end=max(r.offset for r in evidence),
            sequence=0,
            peak_score=max(r.score for r in evidence),
            peak_grade=grade,
            severity=self._severity(grade, size, len(evidence)),
            peak_deviation=max(r.deviation for r in evidence),
            peak_size=size,
            told_size=size,
            n_anomalous=len(evidence),
            threshold=evidence[-1].threshold,
            causes=(),
        )
        state.adapted_run = 0
        return Change.OPENED, state.incident

    def _continue(
        self,
        state: _SeriesState,
        incident: Incident,
        reading: JudgedReading,
        *,
        is_new: bool,
        replayed: bool,
    ) -> tuple[Change, Incident] | None:
        if not reading.anomalous:
            return self._calm(state, incident, reading, replayed=replayed)
        state.adapted_run = 0
        grade = max(incident.peak_grade, reading.grade)
        size = max(_peak_size(incident), _size(reading))
        n_anomalous = incident.n_anomalous + is_new
        found = self._severity(grade, size, n_anomalous)
        severity = incident.severity if replayed else worse_of(found, incident.severity)
        because = None if replayed else self._told_because(incident, reading, severity)
        if because is None and self._tells_each and is_new and not replayed:
            is_told = n_anomalous <= _TOLD_ONE_BY_ONE or not n_anomalous & (n_anomalous - 1)
            because = "other_session" if is_told else None
        is_told = because is not None
        state.incident = replace(
            incident,
            last_anomalous_at=max(incident.last_anomalous_at, reading.time),
            offset_end=reading.offset,
            sequence=incident.sequence + is_told,
            peak_score=max(incident.peak_score, reading.score),
            peak_grade=grade,
            severity=severity,
            peak_deviation=max(incident.peak_deviation, reading.deviation),
            peak_size=size,
            told_size=size if is_told or incident.told_size is None else incident.told_size,
            causes=_causes_with(incident, reading.cause) if reading.cause else incident.causes,
            updated_because=because or incident.updated_because,
            n_anomalous=n_anomalous,
        )
        return (Change.UPDATED, state.incident) if is_told else None

    def _told_because(
        self, incident: Incident, reading: JudgedReading, severity: Severity
    ) -> UpdateReason | None:
        """Return why an anomalous reading of an open incident is told, if it is.

        Each reason is one for a few readings alone, however long an incident lasts: sizes double,
        and causes are counted.
        """
        size, causes = _size(reading), incident.causes
        is_full = causes is not None and len(causes) >= MOST_CAUSES
        if reading.cause and causes is not None and not is_full and reading.cause not in causes:
            return "other_cause"
        if severity != incident.severity:
            return "more_severe"
        told = incident.told_size
        if told is None or size <= told or size < self._config.warning_deviation:
            return None
        return "clearly_worse" if size >= _CLEARLY_WORSE * told else None

    def _calm(
        self, state: _SeriesState, incident: Incident, reading: JudgedReading, *, replayed: bool
    ) -> tuple[Change, Incident] | None:
        """Process a normal reading of an open incident."""
        state.adapted_run = state.adapted_run + 1 if _is_adapted(reading, incident) else 0
        incident = replace(incident, offset_end=reading.offset)
        absorbed = state.adapted_run >= self._config.resolve_after
        absorbed |= reading.is_off and state.normal_run >= self._held_for
        is_held = reading.is_off and not absorbed
        if replayed or is_held or state.normal_run < self._config.resolve_after:
            state.incident = incident
            return None
        state.incident = None
        state.recent.clear()
        state.resolved = reading
        ended = replace(incident, sequence=incident.sequence + 1)
        return (Change.ABSORBED if absorbed else Change.RESOLVED), ended

    def _severity(self, grade: float, size: float, n_anomalous: int) -> Severity:
        lasting = size_of(size, n_anomalous, self._window_length)
        return severity_of(grade, lasting, self._config)


def _size(reading: JudgedReading) -> float:
    return reading.deviation if reading.size is None else reading.size


def _peak_size(incident: Incident) -> float:
    return incident.peak_deviation if incident.peak_size is None else incident.peak_size


def _causes_with(incident: Incident, *causes: str) -> tuple[str, ...]:
    """Return the causes of an incident with more of them."""
    known = ("",) if incident.causes is None else incident.causes
    return tuple(dict.fromkeys((*known, *causes)))[:MOST_CAUSES]


def _is_adapted(reading: JudgedReading, incident: Incident) -> bool:
    """Return whether a reading is normal only because the detector adapted during an incident.

    It is if the threshold that opened the incident would still call it anomalous. A score above the
    threshold in force is not normal at all: the reading does not count for another reason.
    """
    if reading.threshold is None or reading.score > reading.threshold:
        return False
    opening = incident.threshold
    return reading.is_adapted or (opening is not None and reading.score > opening)
