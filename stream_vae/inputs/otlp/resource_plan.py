"""Where the values of a resource's metrics are: found once for all that differ in numbers alone.

Times and values have fixed widths in OTLP, so what a producer sends of a resource has the same
bytes but for these, poll after poll. A plan says which bytes they are; it holds for all bytes of
the same length whose others are equal, since nothing else decides how a message is read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from struct import unpack_from

import numpy as np
from numpy.typing import NDArray

from stream_vae.errors import DecodeError
from stream_vae.inputs.otlp.entries import Entries
from stream_vae.inputs.otlp.names import Labels, MetricNames, PointNames
from stream_vae.inputs.otlp.quantiles import of_buckets, of_exponential
from stream_vae.inputs.otlp.wire import BYTES, FIXED64, VARINT, Field, fields, text, varint

DOUBLE, SIGNED, UNSIGNED = 0, 1, 2
NOWHERE = -1
_DELTA = 1
_NO_RECORDED_VALUE = 1
_SHAPES = {5: "number", 7: "number", 9: "histogram", 10: "exponential", 11: "summary"}


@dataclass(frozen=True, slots=True)
class Place:
    """A number of eight bytes."""

    at: int
    kind: int


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile of buckets whose counts are numbers of eight bytes."""

    q: float
    at: int
    n_counts: int
    bounds: tuple[float, ...]

    def read(self, raw: bytes) -> float:
        """Return it."""
        return of_buckets(self.q, unpack_from(f"<{self.n_counts}Q", raw, self.at), self.bounds)


Source = Place | Quantile | float
"""A number that stands there is the same in each record of the plan; NaN: not observed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResourcePlan:
    """P values of the model's features in a `ResourceMetrics` message, in its own order."""

    values_at: NDArray[np.int64]
    """(P,) places of eight bytes each; `NOWHERE`: `constants` or `quantiles` has it."""
    kinds: NDArray[np.int64]
    """(P,) `DOUBLE`, `SIGNED` or `UNSIGNED`."""
    constants: NDArray[np.float64]
    """(P,)"""
    times_at: NDArray[np.int64]
    """(P,) places; `NOWHERE`: absent."""
    starts_at: NDArray[np.int64]
    """(P,) places; `NOWHERE`: the value is no rate."""
    slots: NDArray[np.int64]
    """(P,) positions in `series`."""
    features: NDArray[np.int64]
    """(P,)"""
    series: tuple[str | DecodeError | None, ...]
    quantiles: tuple[tuple[int, Quantile], ...]
    errors: tuple[tuple[int, DecodeError], ...]
    """Position of a value -> why it is missing."""
    unused: tuple[str, ...]
    mask: NDArray[np.uint8] | None
    """(L,) 0 where bytes may differ, else 255; None if the plan is for these bytes alone."""


class PlanReader:
    """Reads messages into plans.

    Args:
        names: Of features and series.
    """

    def __init__(self, names: PointNames) -> None:
        self._names = names

    def read(self, raw: bytes) -> ResourcePlan:
        """Return the plan of a `ResourceMetrics` message.

        Raises:
            DecodeError: `not_protobuf`.
        """
        return _Walk(raw, self._names).plan()


class _Walk:
    def __init__(self, raw: bytes, names: PointNames) -> None:
        self._raw = raw
        self._quantiles = names.quantiles
        self._entries = Entries[Source, int](names)
        self._varying: list[tuple[int, int]] = []
        self._is_lasting = True

    def plan(self) -> ResourcePlan:
        self._resource_metrics(0, len(self._raw))
        found = self._entries.finished()
        values = [nan if entry.error else entry.value for entry in found]
        places = [value if isinstance(value, Place) else None for value in values]
        return ResourcePlan(
            values_at=_column([NOWHERE if place is None else place.at for place in places]),
            kinds=_column([DOUBLE if place is None else place.kind for place in places]),
            constants=np.array(
                [value if isinstance(value, float) else nan for value in values], dtype=np.float64
            ),
            times_at=_column([entry.time for entry in found]),
            starts_at=_column([NOWHERE if entry.start is None else entry.start for entry in found]),
            slots=_column([entry.series for entry in found]),
            features=_column([entry.feature for entry in found]),
            series=tuple(self._entries.series),
            quantiles=tuple(
                (at, value) for at, value in enumerate(values) if isinstance(value, Quantile)
            ),
            errors=tuple((at, entry.error) for at, entry in enumerate(found) if entry.error),
            unused=tuple(self._entries.unused),
            mask=self._mask() if self._is_lasting else None,
        )

    def _mask(self) -> NDArray[np.uint8]:
        mask = np.full(len(self._raw), 255, dtype=np.uint8)
        for begin, end in self._varying:
            mask[begin:end] = 0
        return mask

    def _resource_metrics(self, begin: int, end: int) -> None:
        resource: Labels = {}
        scopes = []
        for number, kind, at, stop in fields(self._raw, begin, end):
            if number == 1 and kind == BYTES:
                resource = self._labels(at, stop, 1)
            elif number == 2 and kind == BYTES:
                scopes.append((at, stop))
        for at, stop in scopes:
            self._scope_metrics(at, stop, resource)

    def _scope_metrics(self, begin: int, end: int, resource: Labels) -> None:
        scope, metrics = "", []
        for number, kind, at, stop in fields(self._raw, begin, end):
            if number == 1 and kind == BYTES:
                scope = "".join(
                    text(self._raw, here, there)
                    for field, form, here, there in fields(self._raw, at, stop)
                    if field == 1 and form == BYTES
                )
            elif number == 2 and kind == BYTES:
                metrics.append((at, stop))
        for at, stop in metrics:
            self._metric(at, stop, resource, scope)

    def _metric(self, begin: int, end: int, resource: Labels, scope: str) -> None:
        name = unit = ""
        data = []
        for number, kind, at, stop in fields(self._raw, begin, end):
            if kind != BYTES:
                continue
            if number == 1:
                name = text(self._raw, at, stop)
            elif number == 3:
                unit = text(self._raw, at, stop)
            elif number in _SHAPES:
                data.append((_SHAPES[number], at, stop))
        metric = MetricNames(name=name, unit=unit, scope=scope, resource=resource)
        for shape, at, stop in data:
            inner = fields(self._raw, at, stop)
            is_delta = any(field[:2] == (2, VARINT) and field[2] == _DELTA for field in inner)
            for number, kind, here, there in inner:
                if number == 1 and kind == BYTES:
                    self._point(metric, shape, here, there, is_delta=is_delta)

    def _point(
        self, metric: MetricNames, shape: str, begin: int, end: int, *, is_delta: bool
    ) -> None:
        found = fields(self._raw, begin, end)
        one = {number: (at, stop) for number, kind, at, stop in found if kind == FIXED64}
        for at, stop in one.values():
            self._varying.append((at, stop))
        keys, flags = {"number": (7, 8), "histogram": (9, 10), "exponential": (1, 10)}.get(
            shape, (7, 8)
        )
        attributes = self._own_labels(found, keys)
        flag = next((value for n, kind, value, _ in found if n == flags and kind == VARINT), 0)
        values: list[tuple[str, Source]]
        if flag & _NO_RECORDED_VALUE:
            values = [("", nan)]
        elif shape == "number":
            values = [("", self._number(found))]
        else:
            values = [*_totals(one), *self._quantiles_of(shape, found, one)]
        if any(number == 5 and shape == "number" and kind == BYTES for number, kind, *_ in found):
            self._is_lasting = False  # exemplars differ
        self._entries.add(
            metric,
            attributes,
            values,
            time=one.get(3, (NOWHERE, 0))[0],
            start=one.get(2, (0, 0))[0] if is_delta else None,
        )

    @staticmethod
    def _number(found: Sequence[Field]) -> Source:
        value: Source = nan
        for number, kind, at, _ in found:  # the last one of the two counts
            if kind == FIXED64 and number in (4, 6):
                value = Place(at, DOUBLE if number == 4 else SIGNED)
        return value

    def _quantiles_of(
        self, shape: str, found: Sequence[Field], one: dict[int, tuple[int, int]]
    ) -> Iterator[tuple[str, Source]]:
        if shape == "summary":
            yield from self._summary(found)
        elif shape == "histogram":
            yield from self._histogram(found)
        else:
            yield from self._exponential(found, one)

    def _summary(self, found: Sequence[Field]) -> Iterator[tuple[str, Source]]:
        for number, kind, begin, end in found:
            if number != 6 or kind != BYTES:
                continue
            at = {n: here for n, form, here, _ in fields(self._raw, begin, end) if form == FIXED64}
            q = 0.0 if 1 not in at else float(unpack_from("<d", self._raw, at[1])[0])
            if 2 in at and isfinite(q):
                self._varying.append((at[2], at[2] + 8))
                yield f".p{100 * q:g}", Place(at[2], DOUBLE)

    def _histogram(self, found: Sequence[Field]) -> Iterator[tuple[str, Source]]:
        counts, bounds = (0, 0), (0, 0)
        for number, kind, at, stop in found:
            if number in (6, 7) and (kind != BYTES or (stop - at) % 8):
                detail = f"byte {at}: buckets of a histogram that are not packed"
                raise DecodeError("not_protobuf", f"{detail}; expected numbers of eight bytes")
            if number == 6:
                counts = at, stop
            elif number == 7:
                bounds = at, stop
        self._varying.append(counts)
        n_counts, n_bounds = ((stop - at) // 8 for at, stop in (counts, bounds))
        ends = unpack_from(f"<{n_bounds}d", self._raw, bounds[0])
        for suffix, q in self._quantiles:
            yield suffix, Quantile(q, counts[0], n_counts, ends)

    def _exponential(
        self, found: Sequence[Field], one: dict[int, tuple[int, int]]
    ) -> Iterator[tuple[str, Source]]:
        self._is_lasting = False  # its buckets have no fixed width
        scale, zero = 0, 0
        buckets: dict[int, tuple[int, Sequence[int]]] = {}
        for number, kind, at, stop in found:
            if number == 6 and kind == VARINT:
                scale = _zigzag(at)
            elif number in (8, 9) and kind == BYTES:
                buckets[number] = self._buckets(at, stop)
        if 7 in one:
            zero = int(unpack_from("<Q", self._raw, one[7][0])[0])
        for suffix, q in self._quantiles:
            value = of_exponential(
                q,
                scale=max(min(scale, 64), -64),
                zero_count=zero,
                positive=buckets.get(8, (0, ())),
                negative=buckets.get(9, (0, ())),
            )
            yield suffix, value

    def _buckets(self, begin: int, end: int) -> tuple[int, Sequence[int]]:
        first, counts = 0, []
        for number, kind, at, stop in fields(self._raw, begin, end):
            if number == 1 and kind == VARINT:
                first = _zigzag(at)
            elif number == 2 and kind == BYTES:
                counts += _varints(self._raw, at, stop)
        return first, counts

    def _own_labels(self, found: Sequence[Field], keys: int) -> Labels:
        labels: dict[str, str] = {}
        for number, kind, at, stop in found:
            if number == keys and kind == BYTES:
                self._add_label(labels, at, stop)
        return labels

    def _labels(self, begin: int, end: int, keys: int) -> Labels:
        return self._own_labels(fields(self._raw, begin, end), keys)

    def _add_label(self, labels: dict[str, str], begin: int, end: int) -> None:
        key, value = "", None
        for number, kind, at, stop in fields(self._raw, begin, end):
            if number == 1 and kind == BYTES:
                key = text(self._raw, at, stop)
            elif number == 2 and kind == BYTES:
                value = self._any_value(at, stop)
        if value is not None:
            labels[key] = value

    def _any_value(self, begin: int, end: int) -> str | None:
        value = None
        for number, kind, at, stop in fields(self._raw, begin, end):
            if number == 1 and kind == BYTES:
                value = text(self._raw, at, stop)
            elif number == 2 and kind == VARINT:
                value = "true" if at else "false"
            elif number == 3 and kind == VARINT:
                value = str(at - 2**64 if at >= 2**63 else at)
            elif number == 4 and kind == FIXED64:
                value = str(unpack_from("<d", self._raw, at)[0])
        return value


def _totals(one: dict[int, tuple[int, int]]) -> Iterator[tuple[str, Source]]:
    if 4 in one:
        yield ".count", Place(one[4][0], UNSIGNED)
    if 5 in one:
        yield ".sum", Place(one[5][0], DOUBLE)


def _varints(raw: bytes, at: int, end: int) -> list[int]:
    found: list[int] = []
    while at < end:
        value, at = varint(raw, at, end)
        found.append(value)
    return found


def _zigzag(value: int) -> int:
    return (value >> 1) ^ -(value & 1)


def _column(numbers: Sequence[int]) -> NDArray[np.int64]:
    return np.array(numbers, dtype=np.int64)
