"""Raw readings to readings; shared by all input formats.

A format's parser returns `RawReadings`. Keys and times are parsed here, in the same way for all
formats, and a reading with an error is rejected.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.event_time import END_NS
from stream_vae.core.excerpts import excerpt
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import (
    REDRIVEN_READINGS_HEADER,
    RecordBatch,
    redriven_readings,
)
from stream_vae.core.sessions import LineSessions
from stream_vae.errors import DecodeError
from stream_vae.inputs.decode_errors import CellError, DecodeErrors
from stream_vae.inputs.decoder import Decoded, LineCounts, Unreadable
from stream_vae.inputs.local_times import ParsedTimes
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.series_keys import KeyFormat, RawKey, parse_key, parse_keys
from stream_vae.inputs.series_places import no_series, places_in_json
from stream_vae.inputs.timestamps import RawTime, TimestampParser

REPLACED = "replaced"
"""Reason of a value that is not used since another of its record is of the same feature."""

EVENT_SERIES = "events"
"""Series of event records that name none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """Values of a feature that another one of the same record, series and time replaced."""

    feature: str
    count: int
    index: int
    """Position in the batch of the first record with one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawReadings:
    """R readings as a format's parser returns them, in the order of their records."""

    index: NDArray[np.int64]
    """(R,) position of each reading's record in the batch, ascending; may repeat."""
    series: Sequence[RawKey | DecodeError] | None
    """R names, or why there is none; None where the records' keys name the series."""
    times: Sequence[RawTime] | None
    """R event times; None where Kafka's times of the records are."""
    record_time_serves: bool = False
    """Where one of `times` is lacking, Kafka's time of the record is the event's."""
    values: NDArray[np.float64]
    """(R, F) in input units, NaN = not observed, never infinite."""
    cell_errors: Sequence[CellError] = ()
    """Values that could not be read; they are NaN."""
    elements: Callable[[int], tuple[Sequence[int], int]] | None = None
    """From a reading's position to the numbers, from 1, of what it is made of in its record, and
    how many the record has. None: all of a record's readings are here, in order."""
    ignored: Sequence[int] = ()
    """As in `Decoded`."""
    ignored_fields: tuple[str, ...] = ()
    """As in `Decoded`."""
    unknown_fields: tuple[str, ...] = ()
    """As in `Decoded`."""
    replaced: Sequence[Replaced] = ()
    """Of points: which were of one cell of a reading."""
    templates: NDArray[np.int32] | None = None
    """(R,) as in `Decoded`."""
    sessions: LineSessions | None = None
    """R, as in `Decoded`."""
    lines: LineCounts | None = None
    """As in `Decoded`."""
    unseen: NDArray[Any] | None = None
    """(R,) as in `ReadingBatch`."""


def replaced_values(
    cells: NDArray[np.int64], rows: NDArray[np.int64], feature_names: Sequence[str]
) -> list[Replaced]:
    """Return the values after which another of the same cell came.

    Args:
        cells: (n,) reading and feature of each value, as one number.
        rows: (n,) position of its record.
        feature_names: F, in the model's order.
    """
    backwards = cells[::-1]
    is_last = np.zeros(len(cells), np.bool_)
    is_last[np.unique(backwards, return_index=True)[1]] = True
    lost = np.flatnonzero(~is_last[::-1])
    features, first, counts = np.unique(
        cells[lost] % len(feature_names), return_index=True, return_counts=True
    )
    return [
        Replaced(feature=feature_names[f], count=count, index=int(rows[lost[at]]))
        for f, at, count in zip(features.tolist(), first.tolist(), counts.tolist(), strict=True)
    ]


class _Faults:
    """Which readings of a poll are rejected."""

    def __init__(self, raw: RawReadings, errors: DecodeErrors) -> None:
        self._raw = raw
        self._errors = errors
        self.positions: set[int] = set()

    def note(self, position: int, error: DecodeError) -> None:
        """Reject a reading."""
        self.positions.add(position)
        row = int(self._raw.index[position])
        if self._raw.elements is not None:
            numbers, n_elements = self._raw.elements(position)
        else:
            first, end = np.searchsorted(self._raw.index, [row, row + 1]).tolist()
            numbers, n_elements = [position - first + 1], end - first
        self._errors.reject_elements(row, numbers, n_elements, error)


class ReadingBuilder:
    """Builds readings from raw ones.

    Args:
        fmt: The operator's choices.
        is_events: Records are events without order in time: time and series may be missing.
    """

    def __init__(self, fmt: ReadingFormat, *, is_events: bool = False) -> None:
        self._is_events = is_events
        self._key_format: KeyFormat = fmt.key_format
        self._series = fmt.series
        self._series_field, self._records_path = fmt.series_field, fmt.records_path
        # No valid time is further ahead, and the sum of clock and limit fits int64.
        self._max_future_ns = round(min(fmt.max_future_s * 1e9, END_NS))
        self._times = TimestampParser(fmt.timestamp_format, zone=fmt.timestamp_zone)

    def build(
        self,
        batch: RecordBatch,
        raw: RawReadings,
        errors: DecodeErrors,
        now_ns: int,
        read_since_ns: int | None,
    ) -> Decoded:
        """Return the readings without an error, and the rejections.

        Args:
            batch: M records.
            raw: What the parser found in them.
            errors: Of what the parser rejected; those found here are added.
            now_ns: As in `Decoder.decode`.
            read_since_ns: As in `Decoder.decode`.
        """
        raw = _without_counted(batch, raw, errors)
        index, values, templates, sessions = raw.index, raw.values, raw.templates, raw.sessions
        faults = _Faults(raw, errors)
        cell_errors = _reject_empty(raw, faults) if raw.cell_errors else ()
        series = self._series_of(batch, raw, faults)
        arrivals = _arrivals(batch, index, now_ns, read_since_ns)
        parsed = self._parse_times(batch, raw, arrivals, faults)
        times, unseen = parsed.times, raw.unseen
        if faults.positions:
            kept = np.ones(len(index), dtype=bool)
            kept[list(faults.positions)] = False
            series = [name for name, keep in zip(series, kept.tolist(), strict=True) if keep]
            index, times, values = index[kept], times[kept], values[kept]
            arrivals = arrivals[kept]
            unseen = None if unseen is None else unseen[kept]
            templates = None if templates is None else templates[kept]
            sessions = None if sessions is None else sessions.take(kept)
        return Decoded(
            readings=ReadingBatch(
                topic=batch.topic,
                partitions=batch.partitions[index],
                offsets=batch.offsets[index],
                series=series,
                times=times,
                arrivals=arrivals,
                values=values,
                unseen=unseen,
            ),
            index=index,
            rejections=errors.rejections(),
            unreadable={
                **(_unreadable(raw, cell_errors, faults.positions) if cell_errors else {}),
                **{(one.feature, REPLACED): _of_replaced(one) for one in raw.replaced},
            },
            n_repeated_hour=parsed.n_repeated,
            n_skipped_hour=parsed.n_skipped,
            ignored=raw.ignored,
            ignored_fields=raw.ignored_fields,
            unknown_fields=raw.unknown_fields,
            templates=templates,
            sessions=sessions,
            lines=raw.lines,
        )

    def _series_of(self, batch: RecordBatch, raw: RawReadings, faults: _Faults) -> list[str]:
        """Return R series."""
        if self._series is not None:
            return [self._series] * len(raw.index)
        found: Sequence[RawKey | DecodeError]
        if raw.series is not None:
            found = raw.series
        elif np.array_equal(raw.index, np.arange(len(batch))):
            found = batch.keys
        else:
            found = [batch.keys[row] for row in raw.index.tolist()]
        if self._is_events:
            found = [EVENT_SERIES if _is_unnamed(key) else key for key in found]
        series = parse_keys(found, self._key_format)
        if series is not None:
            return series
        series = []
        for position, key in enumerate(found):
            if isinstance(key, DecodeError):
                # Not raised: parsers remember some, and each raise would add frames, and so polls.
                series.append("")
                faults.note(position, key)
                continue
            try:
                series.append(self._one_series(key, batch, int(raw.index[position])))
            except DecodeError as error:
                series.append("")
                faults.note(position, error)
        return series

    def _one_series(self, key: RawKey, batch: RecordBatch, row: int) -> str:
        """Return a reading's series.

        Raises:
            DecodeError: As of `parse_key`.
        """
        if self._series_field is not None and _is_unnamed(key):
            there = places_in_json(batch.values[row], self._records_path)
            raise no_series(self._series_field, there)
        return parse_key(key, self._key_format)

    def _parse_times(
        self,
        batch: RecordBatch,
        raw: RawReadings,
        clock: NDArray[np.int64],
        faults: _Faults,
    ) -> ParsedTimes:
        """Return R times; Kafka's serve where they are chosen, or may where one is lacking."""
        stamped = batch.timestamps[raw.index]
        found: Sequence[RawTime]
        if raw.times is None:
            found, parsed = stamped.tolist(), self._record_times(raw, stamped, faults)
        else:
            found = raw.times
            own = stamped if raw.record_time_serves else None
            if self._is_events:
                own = np.where(stamped > 0, stamped, clock)
            whole = self._read_times(found, own) if len(found) else ParsedTimes(times=stamped)
            if whole is None:
                whole = self._parse_each(found, faults, own)
            parsed = replace(whole, times=whole.nearest(stamped))
        times = parsed.times
        for position in np.flatnonzero(times - clock > self._max_future_ns).tolist():
            ahead_s = (int(times[position]) - int(clock[position])) / 1e9
            detail = (
                f"timestamp {excerpt(found[position])} is {ahead_s:.0f} s ahead of the clock; "
                f"expected at most {self._max_future_ns / 1e9:g} s"
            )
            faults.note(position, DecodeError("timestamp_in_future", detail))
        return parsed

    def _read_times(
        self, found: Sequence[RawTime], own: NDArray[np.int64] | None
    ) -> ParsedTimes | None:
        """Return R times, `own` where one is lacking; None if any needs a closer look."""
        if own is None or None not in found:
            return self._times.read(found)
        is_told = np.array([time is not None for time in found], dtype=bool)
        if (own[~is_told] <= 0).any():
            return None
        told = self._times.read([time for time in found if time is not None])
        if told is None and is_told.any():
            return None
        times, repeats = own.copy(), np.zeros_like(own)
        if told is None:
            return ParsedTimes(times=times)
        times[is_told] = told.times
        if told.repeats_ns is None:
            return replace(told, times=times)
        repeats[is_told] = told.repeats_ns
        return replace(told, times=times, repeats_ns=repeats)

    def _record_times(
        self, raw: RawReadings, stamped: NDArray[np.int64], faults: _Faults
    ) -> ParsedTimes:
        for position in np.flatnonzero((stamped <= 0) | (stamped >= END_NS)).tolist():
            detail = (
                f"Kafka's time of the record is {excerpt(int(stamped[position]))} ns; expected one "
                "from 1970 to 2200, or a field with the time: input.timestamp_field (in lines of a "
                "log: input.timestamp_pattern)"
            )
            faults.note(position, DecodeError("timestamp_missing", detail))
        return ParsedTimes(times=stamped)

    def _parse_each(
        self,
        found: Sequence[RawTime],
        faults: _Faults,
        record_times: NDArray[np.int64] | None,
    ) -> ParsedTimes:
        """Return R times, read one by one; `record_times` serve where there is none."""
        times = np.zeros(len(found), dtype=np.int64)
        repeats = np.zeros(len(found), dtype=np.int64)
        n_skipped = 0
        for position, time in enumerate(found):
            if time is None and record_times is not None and record_times[position] > 0:
                times[position] = record_times[position]
                continue
            try:
                one = self._times.read_one(time)
            except DecodeError as error:
                faults.note(position, error)
                continue
            times[position] = one.times[0]
            n_skipped += one.n_skipped
            if one.repeats_ns is not None:
                repeats[position] = one.repeats_ns[0]
        return ParsedTimes(
            times=times, repeats_ns=repeats if repeats.any() else None, n_skipped=n_skipped
        )


def _is_unnamed(key: RawKey | DecodeError) -> bool:
    return key in (None, b"", "") or isinstance(key, DecodeError)


def _without_counted(batch: RecordBatch, raw: RawReadings, errors: DecodeErrors) -> RawReadings:
    """Return the readings without those that counted when their record came first.

    A record sent again for some of its readings says for which.
    """
    if raw.elements is None:
        return raw
    counted: list[int] = []
    for row in np.unique(raw.index).tolist():
        headers = batch.headers(row)
        if not any(name == REDRIVEN_READINGS_HEADER for name, _ in headers):
            continue
        for position in np.flatnonzero(raw.index == row).tolist():
            numbers, n_elements = raw.elements(position)
            chosen = redriven_readings(headers, n_elements)
            # One that chooses nothing is not ours.
            if chosen and any(chosen) and not any(chosen[number - 1] for number in numbers):
                counted.append(position)
    return _left_out(raw, counted, errors) if counted else raw


def _left_out(raw: RawReadings, positions: Sequence[int], errors: DecodeErrors) -> RawReadings:
    """Return raw readings without some; records of which nothing is left are ignored."""
    mask = np.ones(len(raw.index), dtype=bool)
    mask[list(positions)] = False
    kept = np.flatnonzero(mask).tolist()
    place = {old: new for new, old in enumerate(kept)}
    lost = np.setdiff1d(raw.index[~mask], raw.index[mask]).tolist()
    elements = raw.elements
    return replace(
        raw,
        index=raw.index[mask],
        series=None if raw.series is None else [raw.series[i] for i in kept],
        times=None if raw.times is None else [raw.times[i] for i in kept],
        values=raw.values[mask],
        unseen=None if raw.unseen is None else raw.unseen[mask],
        templates=None if raw.templates is None else raw.templates[mask],
        sessions=None if raw.sessions is None else raw.sessions.take(mask),
        cell_errors=[
            replace(cell, position=place[cell.position])
            for cell in raw.cell_errors
            if cell.position in place
        ],
        elements=None if elements is None else lambda position: elements(kept[position]),
        ignored=sorted({*raw.ignored, *(row for row in lost if row not in errors)}),
    )


def _reject_empty(raw: RawReadings, faults: _Faults) -> Sequence[CellError]:
    """Reject readings of which nothing could be read; return the other cell errors."""
    kept: list[CellError] = []
    for cell in raw.cell_errors:
        if np.isnan(raw.values[cell.position]).all():
            faults.note(cell.position, cell.error)
        else:
            kept.append(cell)
    return kept


def _of_replaced(replaced: Replaced) -> Unreadable:
    return Unreadable(
        count=replaced.count,
        index=replaced.index,
        detail=(
            "a later value of the same record, series and time is of this feature, too, and counts "
            "alone; a label may tell them apart: name it in braces in input.feature_name, or in "
            "input.series_field"
        ),
    )


def _unreadable(
    raw: RawReadings, cell_errors: Sequence[CellError], rejected: Collection[int]
) -> dict[tuple[str, str], Unreadable]:
    """Count the cell errors of readings that are not rejected."""
    counted: dict[tuple[str, str], Unreadable] = {}
    for cell in cell_errors:
        if cell.position in rejected:
            continue
        key = (cell.feature, cell.error.reason)
        first = counted.get(key)
        counted[key] = Unreadable(
            count=1 if first is None else first.count + 1,
            index=int(raw.index[cell.position]) if first is None else first.index,
            detail=cell.error.detail if first is None else first.detail,
        )
    return counted


def _arrivals(
    batch: RecordBatch, index: NDArray[np.int64], now_ns: int, read_since_ns: int | None
) -> NDArray[np.int64]:
    """Return (R,) arrival times: by the broker's clock, else by this process's.

    A producer's timestamp, which may be wrong, is used only in a replay, clipped to its bounds.
    """
    stamped = batch.timestamps[index]
    if read_since_ns is not None:
        return np.clip(stamped, min(read_since_ns, now_ns), now_ns)
    if not batch.timed_by_broker:
        return np.full(len(index), now_ns)
    return np.where(stamped > 0, np.minimum(stamped, now_ns), now_ns)
