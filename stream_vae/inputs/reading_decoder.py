"""Records to readings, a poll at a time and in columns.

The clean way costs about a microsecond a record: one msgspec struct each, then whole columns. Only
records it refuses get a second look (`decode_slowly`). Records are never joined into one document:
a hostile one could swallow its neighbour.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_vae.core.excerpts import excerpt, printable
from stream_vae.core.readings import ReadingBatch
from stream_vae.core.records import RecordBatch, Rejection
from stream_vae.errors import DecodeError
from stream_vae.inputs.decode_slow_path import decode_slowly
from stream_vae.inputs.nesting import MAX_NESTING, is_too_deep, may_be_too_deep
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.record_layout import RecordLayout
from stream_vae.inputs.timestamps import END_NS, TimestampParser

MAX_KEY_CHARACTERS = 1024
"""Keys name series in state, metrics and alerts, so their length is bounded."""

MAX_UNKNOWN_FIELDS = 100
"""Unknown fields reported over a decoder's life; more are ignored without a word."""

_Faults = dict[int, DecodeError]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What one poll of M records holds."""

    readings: ReadingBatch
    """N readings, in the order of their records."""
    index: NDArray[np.int64]
    """(N,) position of each reading's record in the batch, ascending."""
    rejections: list[Rejection]
    """M - N of them, in the order of their records."""
    unknown_fields: tuple[str, ...]
    """Fields seen for the first time that nothing is made of; bounded and printable."""


class ReadingDecoder:
    """Decodes records of one layout.

    Each record's outcome depends on that record (and `now_ns`) alone, never on its neighbours.
    The one thing remembered is which unknown fields were reported.

    Args:
        feature_names: F names, in the model's order.
        fmt: Where a record keeps its parts.

    Raises:
        ConfigError: If the format contradicts itself or the features.
    """

    def __init__(self, feature_names: Sequence[str], fmt: ReadingFormat) -> None:
        self._layout = RecordLayout(feature_names, fmt)
        self._max_bytes = fmt.max_record_bytes
        # No time lies further ahead, and int64 holds what clock and limit come to.
        self._max_future_ns = round(min(fmt.max_future_s * 1e9, END_NS))
        self._decode_one = msgspec.json.Decoder(self._layout.record_type).decode
        self._parser = TimestampParser(fmt.timestamp_format)
        self._reported: set[str] = set()

    def decode(self, batch: RecordBatch, now_ns: int, read_since_ns: int | None = None) -> Decoded:
        """Return the readings of a batch and why its other records are none.

        Args:
            batch: M records.
            now_ns: Wall clock, nanoseconds since 1970.
            read_since_ns: If the records are read again: a time before which none of them was read
                first. Their own times then tell when, as far as they lie between the two.
        """
        faults: _Faults = {}
        index, records = self._parse(batch.values, faults)
        series = self._series(batch.keys, index, records, faults)
        arrivals = _arrivals(batch, index, now_ns, read_since_ns)
        times = self._times(index, records, arrivals, faults)
        values = self._values(records)
        unknown = self._unknown_fields(batch.values[int(index[0])]) if len(index) else ()
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
            unknown_fields=unknown,
        )

    def _parse(
        self, raws: list[bytes | None], faults: _Faults
    ) -> tuple[NDArray[np.int64], list[msgspec.Struct]]:
        """Return the rows that could be parsed and their records."""
        decode_one: Any = self._decode_one
        if self._is_plain(raws):
            try:
                return np.arange(len(raws)), [decode_one(raw) for raw in raws]
            except (msgspec.DecodeError, UnicodeDecodeError):
                pass
        rows: list[int] = []
        records: list[msgspec.Struct] = []
        for row, raw in enumerate(raws):
            try:
                records.append(self._parse_one(raw))
            except DecodeError as fault:
                faults[row] = fault
            else:
                rows.append(row)
        return np.array(rows, dtype=np.int64), records

    def _is_plain(self, raws: list[bytes | None]) -> bool:
        """Tell whether no record is null, too large, or worth a check of its UTF-8 or nesting.

        msgspec skips over unknown fields without looking at their encoding. Joining is safe here:
        ASCII beside ASCII stays what it is.
        """
        present = [raw for raw in raws if raw is not None]
        longest = max(map(len, present), default=0)
        return (
            len(present) == len(raws)
            and longest <= self._max_bytes
            and (longest <= MAX_NESTING or not any(map(may_be_too_deep, present)))
            and b"".join(present).isascii()
        )

    def _parse_one(self, raw: bytes | None) -> msgspec.Struct:
        if raw is None:
            raise DecodeError("null_value", "the record has no value; expected a JSON object")
        if len(raw) > self._max_bytes:
            detail = f"{len(raw)} bytes; expected at most {self._max_bytes}"
            raise DecodeError("too_large", detail)
        try:
            raw.decode()
        except UnicodeDecodeError as exc:
            detail = f"byte 0x{raw[exc.start]:02x} at position {exc.start}; expected UTF-8"
            raise DecodeError("not_utf8", detail) from None
        if is_too_deep(raw):
            raise DecodeError("too_deep", f"nested deeper than {MAX_NESTING} levels")
        try:
            return self._decode_one(raw)
        except msgspec.DecodeError:
            return decode_slowly(raw, self._layout)

    def _series(
        self,
        keys: list[bytes | None],
        index: NDArray[np.int64],
        records: list[msgspec.Struct],
        faults: _Faults,
    ) -> list[str]:
        found: list[Any]
        if self._layout.series_of is not None:
            found = list(map(self._layout.series_of, records))
        elif len(records) == len(keys):
            found = keys
        else:
            found = [keys[row] for row in index.tolist()]
        series = _plain_keys(found)
        if series is not None:
            return series
        series = []
        for row, key in zip(index.tolist(), found, strict=True):
            try:
                series.append(_series_key(key))
            except DecodeError as fault:
                series.append("")
                faults.setdefault(row, fault)
        return series

    def _times(
        self,
        index: NDArray[np.int64],
        records: list[msgspec.Struct],
        clock: NDArray[np.int64],
        faults: _Faults,
    ) -> NDArray[np.int64]:
        raw = list(map(self._layout.time_of, records))
        times = self._parser.parse(raw) if raw else np.empty(0, dtype=np.int64)
        if times is None:
            times = np.zeros(len(raw), dtype=np.int64)
            for position, row in enumerate(index.tolist()):
                try:
                    times[position] = self._parser.parse_one(raw[position])
                except DecodeError as fault:
                    faults.setdefault(row, fault)
        for position in np.flatnonzero(times - clock > self._max_future_ns).tolist():
            ahead_s = (int(times[position]) - int(clock[position])) / 1e9
            detail = (
                f"timestamp {excerpt(raw[position])} is {ahead_s:.0f} s ahead of the clock; "
                f"expected at most {self._max_future_ns / 1e9:g} s"
            )
            faults.setdefault(int(index[position]), DecodeError("timestamp_in_future", detail))
        return times

    def _values(self, records: list[msgspec.Struct]) -> NDArray[np.float64]:
        """Return (N, F), never infinite: decoding refuses what float64 cannot hold."""
        columns = np.array(list(map(self._layout.values_of, records)), dtype=np.float64)
        return columns.reshape(len(records), self._layout.n_features)

    def _unknown_fields(self, raw: bytes | None) -> tuple[str, ...]:
        """Return what the first record of a chunk holds beyond the layout: a cheap sample."""
        if raw is None or len(self._reported) >= MAX_UNKNOWN_FIELDS:
            return ()
        try:
            document = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            return ()
        new: dict[str, None] = {}
        for path in self._layout.unknown_fields(document):
            if len(self._reported) + len(new) >= MAX_UNKNOWN_FIELDS:
                break
            name = printable(path, 100)
            if name not in self._reported:
                new[name] = None
        self._reported.update(new)
        return tuple(new)


def _arrivals(
    batch: RecordBatch, index: NDArray[np.int64], now_ns: int, read_since_ns: int | None
) -> NDArray[np.int64]:
    """Return (N,) when readings came: by the broker's clock, else ours.

    A producer's clock may stand in 1970: it counts where nothing is better, and within bounds.
    """
    stamped = batch.timestamps[index]
    if read_since_ns is not None:
        return np.clip(stamped, min(read_since_ns, now_ns), now_ns)
    if not batch.timed_by_broker:
        return np.full(len(index), now_ns)
    return np.where(stamped > 0, np.minimum(stamped, now_ns), now_ns)


def _plain_keys(found: list[Any]) -> list[str] | None:
    """Return keys without faults in one go, or None where one needs a look of its own."""
    try:
        kinds = set(map(type, found))
        if kinds == {bytes}:
            keys = [key.decode() for key in found]
        elif kinds == {str}:
            keys = found
            "".join(keys).encode()
        else:
            return None
    except UnicodeError:
        return None
    return keys if all(keys) and max(map(len, keys)) <= MAX_KEY_CHARACTERS else None


def _series_key(found: bytes | str | int | None) -> str:
    if found is None or found in (b"", ""):
        raise DecodeError("key_missing", "nothing names the series; expected a key of 1-1024 bytes")
    try:
        key = found.decode() if isinstance(found, bytes) else str(found)
        if not isinstance(found, bytes):
            key.encode()
    except UnicodeError:
        raise DecodeError("key_not_utf8", f"key {excerpt(found)}; expected UTF-8") from None
    if len(key) > MAX_KEY_CHARACTERS:
        detail = f"key of {len(key)} characters; expected at most {MAX_KEY_CHARACTERS}"
        raise DecodeError("key_too_long", detail)
    return key
