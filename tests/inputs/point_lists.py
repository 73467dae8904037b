"""A small input format of which one record gives several readings.

`[["pump-7", 1700000000, 1.0, null, 2.5], ...]`: series, time and F values of each. The
product's own formats give one reading a record; this one proves what holds where there are more.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from stream_vae.core.records import RecordBatch
from stream_vae.errors import DecodeError
from stream_vae.inputs.decode_errors import DecodeErrors
from stream_vae.inputs.decoder import Decoded, Decoder
from stream_vae.inputs.raw_readings import RawReadings, ReadingBuilder
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.series_keys import RawKey
from stream_vae.inputs.timestamps import RawTime


def point_list(*points: Sequence[object]) -> bytes:
    """Return a record's value."""
    return json.dumps(points).encode()


class PointListDecoder(Decoder):
    """Decodes lists of points.

    Args:
        n_features: F
        keyed: The records' keys name the series, whatever the points say.
    """

    def __init__(self, n_features: int, *, keyed: bool = False) -> None:
        self._n_features = n_features
        self._keyed = keyed
        self._builder = ReadingBuilder(ReadingFormat())

    def decode(self, batch: RecordBatch, now_ns: int, read_since_ns: int | None = None) -> Decoded:
        errors = DecodeErrors()
        index: list[int] = []
        series: list[RawKey] = []
        times: list[RawTime] = []
        values: list[list[float | None]] = []
        places: list[tuple[list[int], int]] = []
        for row, value in enumerate(batch.values):
            try:
                points = _points(value)
            except DecodeError as error:
                errors.reject(row, error)
                continue
            for number, point in enumerate(points, 1):
                try:
                    numbers = [_number(found) for found in point[2:]]
                except DecodeError as error:
                    errors.reject_elements(row, [number], len(points), error)
                    continue
                index.append(row)
                series.append(point[0])
                times.append(point[1])
                values.append(numbers)
                places.append(([number], len(points)))
        raw = RawReadings(
            index=np.array(index, np.int64),
            series=None if self._keyed else series,
            times=times,
            values=np.array(values, np.float64).reshape(len(index), self._n_features),
            elements=places.__getitem__,
        )
        return self._builder.build(batch, raw, errors, now_ns, read_since_ns)


def _points(value: bytes | None) -> list[Any]:
    try:
        points = json.loads(value or b"")
    except ValueError:
        raise DecodeError("not_json", "expected a list of points") from None
    if not points:
        raise DecodeError("values_missing", "no points; expected one or more")
    return list(points)


def _number(found: object) -> float | None:
    if found is None or isinstance(found, int | float):
        return found
    raise DecodeError("value_not_a_number", "expected a number")
