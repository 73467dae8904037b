"""Ingests polls: decodes them, evicts series if needed, and cuts windows."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import printable
from stream_vae.core.ports import Clock, EventSink
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import RecordBatch, Rejection, name_readings
from stream_vae.core.series_index import KEEP_TO_ONE_PARTITION
from stream_vae.daemon.decoding_told import decoding_events, ruled_events, session_events
from stream_vae.events import Event, RecordsConsumed, SeriesSplit
from stream_vae.inputs.decoder import Decoded, Decoder
from stream_vae.inputs.timestamps import format_times
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.pipeline.polled_batch import Assembled, PolledBatch


class Ingest:
    """Turns records into work for the model.

    Args:
        decoder: Bytes to readings.
        pipeline: Cuts the windows.
        events: Receives what was consumed.
        evict: Called with how many series must be forgotten first.
        clock: The time.
    """

    def __init__(
        self,
        decoder: Decoder,
        pipeline: Pipeline,
        *,
        events: EventSink,
        evict: Callable[[int], None],
        clock: Clock,
    ) -> None:
        self._decoder = decoder
        self._pipeline = pipeline
        self._events = events
        self._clock = clock
        self._evict = evict

    def take(
        self, records: RecordBatch, ticket: int | None, read_since_ns: int | None = None
    ) -> PolledBatch:
        """Return a poll's readings with their windows.

        Args:
            records: At least one.
            ticket: Of the ledger; None if they were committed before and only bring state up to
                date.
            read_since_ns: Then, a wall clock before they were read first, nanoseconds since 1970.
        """
        started = time.perf_counter()
        decoded = self._decoder.decode(records, self._clock.time_ns(), read_since_ns)
        decoded_at = time.perf_counter()
        # Of what is read again, too: the state of the partition is that before it.
        if self._pipeline.unseen_lines is not None:
            self._pipeline.unseen_lines.add(decoded.readings)
        self._pipeline.note_unseen(decoded.readings, decoded.index)
        readings, index = decoded.readings, decoded.index
        if self._pipeline.sessions is not None and decoded.sessions is not None:
            # The state of the partition is that before what is read again, too; a session that is
            # in its series' state already is left out below, by the record that closes it.
            readings, index = self._pipeline.sessions.assemble(
                readings, index, decoded.sessions, records
            )
        if ticket is None:
            unseen = self._pipeline.replayed.unseen(readings)
            readings, index = readings.take(unseen), index[unseen]
        lacking = self._pipeline.shortfall(readings)
        if lacking:
            self._evict(lacking)
        steps = self._pipeline.assemble(readings, index, records)
        rejections = [*decoded.rejections, *_leapt(decoded, readings, index, steps.leaps)]
        if ticket is not None and self._pipeline.sessions is not None:
            for event in session_events(readings, self._pipeline.sessions):
                self._events.record(event)
        if ticket is not None:
            times_s = decoded_at - started, time.perf_counter() - decoded_at
            self._tell(records, decoded, steps, rejections, times_s)
        return PolledBatch(
            ticket=ticket,
            records=records,
            rejections=rejections,
            steps=steps,
            detector=self._pipeline.detector.version,
            positions=records.next_offsets(),
            polled_at=self._clock.monotonic(),
        )

    def _tell_split(self, topic: str) -> None:
        """Report series that have begun in a further partition with this poll."""
        index = self._pipeline.store.index
        if not index.split:
            return
        key = index.split[0]
        self._events.record(
            SeriesSplit(
                topic=topic,
                series=len(index.split),
                example_series=printable(key),
                example_partitions=index.partitions_with(key),
                advice=KEEP_TO_ONE_PARTITION,
            )
        )

    def _tell(
        self,
        records: RecordBatch,
        decoded: Decoded,
        steps: Assembled,
        rejections: Sequence[Rejection],
        times_s: tuple[float, float],
    ) -> None:
        """Record what a poll had in it, and the seconds of decoding and assembling it."""
        times, fit, unread = decoded.readings.times, self._pipeline.fit, self._pipeline.unread
        read = np.delete(decoded.index, steps.leaps)
        nothing_read = unread.observe(
            len(records),
            int(read[-1]) if len(read) else None,
            ignored=decoded.ignored,
            ignored_fields=decoded.ignored_fields,
            rejections=rejections,
        )
        if decoded.lines is not None:
            self._pipeline.line_fit.observe(decoded.lines.n_known, decoded.lines.n_unseen)
        names = [feature.name for feature in self._pipeline.detector.spec.features]
        self._tell_split(records.topic)
        events: list[Event] = [
            RecordsConsumed(
                topic=records.topic,
                records=len(records),
                bytes=sum(map(len, filter(None, records.values))),
                decode_s=times_s[0],
                assemble_s=times_s[1],
                last_event_time_s=float(times.max()) / 1e9 if len(times) else None,
                since_reading=unread.records,
            ),
            *fit.observe(steps.readings, steps.window_batch.rows, decoded.unknown_fields),
            *decoding_events(decoded, records, names),
            *ruled_events(steps.missing, records),
            *nothing_read,
        ]
        for event in events:
            self._events.record(event)


def _leapt(
    decoded: Decoded, readings: ReadingBatch, index: NDArray[np.int64], leaps: NDArray[np.int64]
) -> list[Rejection]:
    """Return a rejection of each record with readings whose times leapt ahead.

    A record that is a dead letter already is none a second time.
    """
    rejected = {rejection.index for rejection in decoded.rejections}
    by_record: dict[int, list[int]] = {}
    for position, record in zip(leaps.tolist(), index[leaps].tolist(), strict=True):
        if record not in rejected:
            by_record.setdefault(record, []).append(position)
    return [
        Rejection(
            index=record,
            reason="timestamp_leap",
            detail=(
                f"{name_readings(index, positions)}"
                f"{format_times(readings.times[positions[:1]])[0]} is more than "
                "input.max_leap_steps ahead of its series and of its record's own time; the next "
                "reading is used if it confirms it"
            ),
        )
        for record, positions in by_record.items()
    ]
