"""Changes of series without a reading: silence, expiry and eviction."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.incidents import SeriesIncidents, Silence
from stream_vae.core.series_index import SeriesName
from stream_vae.core.usual_gaps import GAPS_ALLOWED
from stream_vae.detect.config import SilenceConfig
from stream_vae.pipeline.alert_builder import AlertBuilder, SeriesEnd, SilentSeries
from stream_vae.pipeline.detector import Detector
from stream_vae.pipeline.scored_batch import ScoredBatch
from stream_vae.pipeline.series_store import SeriesStore

_EXTRA_SHARE = 100
_MOVED_INTERVALS = 10
_SEARCH_AGAIN_NS = 600 * 10**9
_MOST_SILENT = 1000  # told of at a time; a tenth of a second
_MOST_LOOKED_AT = 1000  # keys a second; milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Changes of incidents and series, to be published and saved together."""

    alerts: tuple[AlertEvent, ...] = ()
    incidents: Mapping[SeriesName, SeriesIncidents] = field(default_factory=dict)
    """Of the series with an alert event, as they are now."""
    forgotten: tuple[SeriesName, ...] = ()
    tombstones: tuple[SeriesName, ...] = ()
    """Evicted series with saved state."""


class EvictionClass(Enum):
    """Which series may be evicted, in this order."""

    UNWARMED = "series that never filled a window"
    NO_INCIDENT = "and those without an open incident"
    ANY = "and those with one, which is resolved by that"


class SeriesLifecycle:
    """Expires, evicts and watches the series in memory.

    Args:
        store: Of the pipeline.
        detector: Its thresholds are in alert events.
        alerts: Builds alert events.
        config: See `SilenceConfig`.
    """

    def __init__(
        self, store: SeriesStore, detector: Detector, alerts: AlertBuilder, config: SilenceConfig
    ) -> None:
        self._store = store
        self._detector = detector
        self._alerts = alerts
        self._severity = config.severity

    def evict(
        self,
        n: int,
        partitions: Collection[int],
        topic: str,
        now: datetime,
        eviction_class: EvictionClass,
    ) -> Changes:
        """Evict up to `n` series of these partitions, except pinned ones.

        The longest idle are evicted first, and some more that never filled a window, so that
        eviction is not needed on every poll.

        Args:
            n: Most series to evict.
            partitions: Those whose state is restored: a tombstone deletes saved state permanently.
            topic: The input topic.
            now: Wall clock.
            eviction_class: Which series may be evicted.
        """
        index, incidents = self._store.index, self._store.incidents
        spared: set[int] = set()
        if eviction_class is not EvictionClass.ANY:
            spared.update(row for row in incidents.tracked_rows if incidents.incident(row))
            spared.update(self._store.silences.open_rows)
        extra_unwarmed = index.capacity // _EXTRA_SHARE
        eviction_candidates = index.eviction_candidates(
            n,
            partitions,
            spared,
            unwarmed_only=eviction_class is EvictionClass.UNWARMED,
            extra_unwarmed=extra_unwarmed,
        )
        return self._forget(eviction_candidates, topic, now)

    def drop(self, n: int, partitions: Collection[int]) -> Changes:
        """Drop up to `n` series of partitions being restored, as if they had not been found.

        Their saved state is unchanged.
        """
        eviction_candidates = self._store.index.eviction_candidates(n, partitions, ())
        return Changes(forgotten=tuple(self._store.release(eviction_candidates)))

    def expire(
        self, idle_since_ns: int, partitions: Collection[int], topic: str, now: datetime
    ) -> Changes:
        """Evict the series of these partitions without a reading since then."""
        index = self._store.index
        return self._forget(index.within(index.idle_since(idle_since_ns), partitions), topic, now)

    def moved(self, now_ns: int, partitions: Collection[int]) -> NDArray[np.int32]:
        """Return the rows of these partitions whose series send in another partition now.

        A series is a key within one partition. Where partitions are added, or a producer chooses
        them otherwise, the key goes on elsewhere as a new series. Its old row has moved once the
        key has sent elsewhere since and this row has been without a reading for ten of its usual
        intervals. A producer that spreads one key over several partitions keeps all its rows: each
        goes on sending.

        Args:
            now_ns: Wall clock, nanoseconds since 1970.
            partitions: Those whose records have all been processed.
        """
        index = self._store.index
        overtaken = index.overtaken(_MOST_LOOKED_AT)
        found = np.flatnonzero(index.elsewhere > index.arrived)  # free rows have neither
        pairs = [*overtaken, *((row, row) for row in found.tolist())]
        if not pairs:
            return np.empty(0, np.int32)
        rows, newest = np.array(pairs, np.int32).T
        # If unknown for the old row, use the new one, once it has sent for long enough.
        usual = np.where(index.interval[rows] > 0, index.interval[rows], index.interval[newest])
        is_away = self._is_away(rows, usual, now_ns)
        return index.within(np.intersect1d(rows[is_away], index.at_rest()), partitions)

    def overdue(self, now_ns: int, partitions: Collection[int]) -> NDArray[np.int32]:
        """Return the rows of these partitions whose series seem to have stopped.

        Args:
            now_ns: Wall clock, nanoseconds since 1970.
            partitions: Those whose records have all been processed.
        """
        index, silences = self._store.index, self._store.silences
        rows = index.at_rest()
        silent_s = (now_ns - index.arrived[rows]) / 1e9
        over = index.within(rows[silent_s > self._allowed_s(rows)], partitions)
        over = over[~np.isin(over, list(silences.open_rows))]
        # One whose key sends in another partition has moved, and is no less alive for it.
        over = over[index.elsewhere[over] <= index.arrived[over]]
        if not index.has_repeated_keys:
            return over
        stays = [index.newest_elsewhere(row) is None for row in over.tolist()]
        return over[np.array(stays, np.bool_)]

    def unsure(
        self, overdue: NDArray[np.int32], now_ns: int, partitions: Collection[int]
    ) -> NDArray[np.int32]:
        """Return the rows of these partitions whose series may have moved to another instance.

        Those that seem to have stopped, and those that have an open incident and have been away for
        long; unless they have been searched for since, of the latter not long ago.

        Args:
            overdue: Rows of these partitions, see `overdue`.
            now_ns: Wall clock, nanoseconds since 1970.
            partitions: Those whose records have all been processed.
        """
        index, store = self._store.index, self._store
        tracked = {row for row in store.incidents.tracked_rows if store.incidents.incident(row)}
        incident = np.fromiter(tracked | set(store.silences.open_rows), np.int32)
        incident = index.within(np.intersect1d(incident, index.at_rest()), partitions)
        incident = incident[self._is_away(incident, index.interval[incident], now_ns)]
        incident = incident[index.elsewhere[incident] <= index.arrived[incident]]
        before = now_ns - _SEARCH_AGAIN_NS
        return np.union1d(
            overdue[index.searched[overdue] <= index.arrived[overdue]],
            incident[index.searched[incident] <= np.maximum(index.arrived[incident], before)],
        )

    def retire(self, rows: NDArray[np.int32], topic: str, now: datetime) -> Changes:
        """Forget series that have moved; their incidents are resolved, with that as the reason."""
        return self._forget(rows, topic, now, SeriesEnd.MOVED)

    def watch_silence(
        self, rows: NDArray[np.int32], now_ns: int, topic: str, now: datetime
    ) -> Changes:
        """Open incidents for series that have stopped, up to a bound the longest silent first.

        When a whole site falls silent, the loop must not stand still: the others are overdue still.

        Args:
            rows: Theirs, see `overdue`.
            now_ns: Wall clock, nanoseconds since 1970.
            topic: The input topic.
            now: Wall clock.
        """
        index, silences = self._store.index, self._store.silences
        alerts: list[AlertEvent] = []
        changed: dict[SeriesName, SeriesIncidents] = {}
        longest = np.argsort(index.arrived[rows], kind="stable")[:_MOST_SILENT]
        for row in rows[longest].tolist():
            silent = self._silent_series(row, topic, (now_ns - int(index.arrived[row])) / 1e9)
            offset = int(index.offset[row])
            silence = Silence(
                id=self._alerts.silence_id(index.name(row), silent.last_step, offset),
                since=silent.last_step,
                offset=offset,
                arrived=int(index.arrived[row]),
                allowed_s=float(self._allowed_s(np.array([row], np.int32))[0]),
            )
            silences.open(row, silence)
            alerts.append(self._alerts.build_silence(silent, silence, self._severity, now))
            changed[index.name(row)] = self._store.incidents_of(row)
            index.recorded[row] = True
        return Changes(alerts=tuple(alerts), incidents=changed)

    def returned(self, scored: ScoredBatch, now: datetime) -> list[tuple[int, int, AlertEvent]]:
        """Resolve the silence of the series that send readings again.

        Returns:
            Position of the reading, row and event of each.
        """
        silences, rows = self._store.silences, scored.window_batch.rows
        changes: list[tuple[int, int, AlertEvent]] = []
        for at in np.flatnonzero(np.isin(rows, list(silences.open_rows))).tolist():
            row, readings = int(rows[at]), scored.readings
            silence = silences.get(row)
            if silence is None:
                continue  # an earlier reading of this poll ended it
            step = self._store.windows.step_time(int(readings.times[at]))
            if readings.offsets[at] <= silence.offset and step <= silence.since:
                continue  # it was there before, and is read again
            silences.close(row)
            silent = SilentSeries(
                key=readings.series[at],
                topic=readings.topic,
                partition=int(readings.partitions[at]),
                last_step=step,
                silent_s=max((int(readings.arrivals[at]) - silence.arrived) / 1e9, 0.0),
            )
            event = self._alerts.build_silence(
                silent, silence, self._severity, now, end=SeriesEnd.RETURNED
            )
            changes.append((at, row, event))
        return changes

    def _forget(
        self,
        rows: NDArray[np.int32],
        topic: str,
        now: datetime,
        end: SeriesEnd = SeriesEnd.FORGOTTEN,
    ) -> Changes:
        """Drop series and resolve their open incidents."""
        alerts: list[AlertEvent] = []
        for row in rows.tolist():
            silent = self._silent_series(row, topic, 0.0)
            incident = self._store.incidents.incident(row)
            if incident is not None:
                threshold = self._detector.threshold.in_force(row)
                alerts.append(self._alerts.build_forgotten(silent, incident, threshold, now, end))
            silence = self._store.silences.get(row)
            if silence is not None:
                silent_s = now.timestamp() - silence.arrived / 1e9
                silent = replace(silent, silent_s=silent_s, last_step=round(now.timestamp() * 1e9))
                alerts.append(
                    self._alerts.build_silence(silent, silence, self._severity, now, end=end)
                )
        recorded = self._store.index.recorded[rows].tolist()
        names = self._store.release(rows)
        tombstones = tuple(name for name, known in zip(names, recorded, strict=True) if known)
        return Changes(alerts=tuple(alerts), forgotten=tuple(names), tombstones=tombstones)

    def _silent_series(self, row: int, topic: str, silent_s: float) -> SilentSeries:
        partition, key = self._store.index.name(row)
        return SilentSeries(
            key=key,
            topic=topic,
            partition=partition,
            last_step=self._store.windows.newest_step(row),
            silent_s=silent_s,
        )

    def _allowed_s(self, rows: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return (K,) seconds that series may be without a reading; infinite while unknown."""
        index = self._store.index
        is_new = index.gaps.is_new(rows, index.arrived[rows])
        usual = np.where(is_new, np.float32(0), index.interval[rows])
        return self._store.silences.allowed_s(usual, index.gaps.usual_s(rows))

    def _is_away(
        self, rows: NDArray[np.int32], usual: NDArray[np.float32], now_ns: int
    ) -> NDArray[np.bool_]:
        """Return whether series have been without a reading for ten of their usual intervals.

        And for longer than those that send many readings at once usually are.
        """
        index = self._store.index
        allowed_s = _MOVED_INTERVALS * np.maximum(usual, self._detector.spec.step_seconds)
        allowed_s = np.maximum(allowed_s, GAPS_ALLOWED * index.gaps.usual_s(rows))
        silent_s = (now_ns - index.arrived[rows]) / 1e9
        return np.asarray((usual > 0) & (silent_s > allowed_s))
