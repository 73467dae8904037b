"""What all input formats share: from what records say of series and time to readings.

A format's own work ends with `RawReadings`. Keys and times are understood here, alike in all
formats, and records with a fault are left out whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import excerpt
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import RecordBatch, Rejection, name_readings
from stream_vae.errors import DecodeError
from stream_vae.inputs.decoder import Decoded
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.series_keys import RawKey, parse_key, parse_keys
from stream_vae.inputs.timestamps import END_NS, RawTime, TimestampParser

Faults = dict[int, DecodeError]
"""Position of a record in its batch -> the first thing that is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawReadings:
    """R readings as a format's parser found them, in the order of their records."""

    index: NDArray[np.int64]
    """(R,) position of each reading's record in the batch, ascending; may repeat."""
    series: Sequence[RawKey] | None
    """R names; None where the records' keys name the series."""
    times: Sequence[RawTime]
    """R event times."""
    values: NDArray[np.float64]
    """(R, F) in input units, NaN = not observed, never infinite."""
    unknown_fields: tuple[str, ...] = ()
    """As in `Decoded`."""


class ReadingBuilder:
    """Makes readings of raw ones.

    Args:
        fmt: The operator's choices.
    """

    def __init__(self, fmt: ReadingFormat) -> None:
        # No time lies further ahead, and int64 holds what clock and limit come to.
        self._max_future_ns = round(min(fmt.max_future_s * 1e9, END_NS))
        self._times = TimestampParser(fmt.timestamp_format)

    def build(
        self,
        batch: RecordBatch,
        raw: RawReadings,
        faults: Faults,
        now_ns: int,
        read_since_ns: int | None,
    ) -> Decoded:
        """Return the readings of the records without a fault, and the others' rejections.

        Args:
            batch: M records.
            raw: What the parser found in them.
            faults: Of the records that the parser refused; those found here are added.
            now_ns: As in `Decoder.decode`.
            read_since_ns: As in `Decoder.decode`.
        """
        index, values = raw.index, raw.values
        series = _series(batch.keys, raw, faults)
        arrivals = _arrivals(batch, index, now_ns, read_since_ns)
        times = self._parse_times(raw, arrivals, faults)
        if faults:
            kept = np.array([row not in faults for row in index.tolist()], dtype=bool)
            series = [name for name, keep in zip(series, kept.tolist(), strict=True) if keep]
            index, times, values = index[kept], times[kept], values[kept]
            arrivals = arrivals[kept]
        return Decoded(
            readings=ReadingBatch(
                topic=batch.topic,
                partitions=batch.partitions[index],
                offsets=batch.offsets[index],
                series=series,
                times=times,
                arrivals=arrivals,
                values=values,
            ),
            index=index,
            rejections=[
                Rejection(index=row, reason=fault.reason, detail=fault.detail)
                for row, fault in sorted(faults.items())
            ],
            unknown_fields=raw.unknown_fields,
        )

    def _parse_times(
        self, raw: RawReadings, clock: NDArray[np.int64], faults: Faults
    ) -> NDArray[np.int64]:
        found = raw.times
        times = self._times.parse(found) if len(found) else np.empty(0, dtype=np.int64)
        if times is None:
            times = np.zeros(len(found), dtype=np.int64)
            for position, time in enumerate(found):
                try:
                    times[position] = self._times.parse_one(time)
                except DecodeError as fault:
                    _note(faults, raw.index, position, fault)
        for position in np.flatnonzero(times - clock > self._max_future_ns).tolist():
            ahead_s = (int(times[position]) - int(clock[position])) / 1e9
            detail = (
                f"timestamp {excerpt(found[position])} is {ahead_s:.0f} s ahead of the clock; "
                f"expected at most {self._max_future_ns / 1e9:g} s"
            )
            _note(faults, raw.index, position, DecodeError("timestamp_in_future", detail))
        return times


def _note(faults: Faults, index: NDArray[np.int64], position: int, fault: DecodeError) -> None:
    """Note a reading's fault as its record's, unless the record has one already."""
    row = int(index[position])
    if row not in faults:
        named = name_readings(index, [position])
        faults[row] = DecodeError(fault.reason, f"{named}{fault.detail}")


def _series(keys: list[bytes | None], raw: RawReadings, faults: Faults) -> list[str]:
    found: Sequence[RawKey]
    if raw.series is not None:
        found = raw.series
    elif np.array_equal(raw.index, np.arange(len(keys))):
        found = keys
    else:
        found = [keys[row] for row in raw.index.tolist()]
    series = parse_keys(found)
    if series is not None:
        return series
    series = []
    for position, key in enumerate(found):
        try:
            series.append(parse_key(key))
        except DecodeError as fault:
            series.append("")
            _note(faults, raw.index, position, fault)
    return series


def _arrivals(
    batch: RecordBatch, index: NDArray[np.int64], now_ns: int, read_since_ns: int | None
) -> NDArray[np.int64]:
    """Return (R,) when readings came: by the broker's clock, else ours.

    A producer's clock may stand in 1970: it counts where nothing is better, and within bounds.
    """
    stamped = batch.timestamps[index]
    if read_since_ns is not None:
        return np.clip(stamped, min(read_since_ns, now_ns), now_ns)
    if not batch.timed_by_broker:
        return np.full(len(index), now_ns)
    return np.where(stamped > 0, np.minimum(stamped, now_ns), now_ns)
