"""Input format `otlp_proto`: a record is an `ExportMetricsServiceRequest` in protobuf."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from stream_vae.core.model_spec import Feature
from stream_vae.core.records import RecordBatch
from stream_vae.errors import DecodeError
from stream_vae.inputs.decode_errors import DecodeErrors
from stream_vae.inputs.decoder import Decoded, Decoder
from stream_vae.inputs.otlp.columns import Columns, per_second
from stream_vae.inputs.otlp.names import MAX_UNUSED, PointNames
from stream_vae.inputs.otlp.number_checks import NumberChecks, PointError
from stream_vae.inputs.otlp.plan_cache import PlanCache
from stream_vae.inputs.otlp.resource_plan import (
    NOWHERE,
    SIGNED,
    UNSIGNED,
    PlanReader,
    ResourcePlan,
)
from stream_vae.inputs.otlp.wire import BYTES, fields
from stream_vae.inputs.raw_readings import RawReadings, ReadingBuilder
from stream_vae.inputs.reading_format import ReadingFormat


class OtlpProtobufDecoder(Decoder):
    """Decodes metrics as the OpenTelemetry collector's encoding `otlp_proto` writes them.

    Args:
        features: F, in the model's order.
        fmt: The operator's choices.
        is_events: As in `build_decoder`.

    Raises:
        ConfigError: If a template names what a point does not have, or a feature is a category.
    """

    def __init__(
        self, features: Sequence[Feature], fmt: ReadingFormat, *, is_events: bool = False
    ) -> None:
        self._names = [feature.name for feature in features]
        self._checks = NumberChecks(features, fmt.format)
        self._max_bytes = fmt.max_record_bytes
        self._reader = PlanReader(PointNames(features, fmt))
        self._cache = PlanCache()
        self._builder = ReadingBuilder(
            replace(fmt, timestamp_format="ns", timestamp_zone=None), is_events=is_events
        )

    def decode(self, batch: RecordBatch, now_ns: int, read_since_ns: int | None = None) -> Decoded:
        """See `Decoder.decode`."""
        errors = DecodeErrors()
        rows, parts = self._parts(batch.values, errors)
        raw = self._read(rows, parts)
        return self._builder.build(batch, raw, errors, now_ns, read_since_ns)

    def _parts(
        self, raws: Sequence[bytes | None], errors: DecodeErrors
    ) -> tuple[set[int], list["_Part"]]:
        """Return which records are valid, and what they hold of each resource."""
        valid: set[int] = set()
        rows: list[int] = []
        messages: list[bytes] = []
        for row, raw in enumerate(raws):
            try:
                found = self._messages(raw)
            except DecodeError as error:
                errors.reject(row, error)
                continue
            valid.add(row)
            rows += [row] * len(found)
            messages += found
        parts: list[_Part] = []
        for row, message, plan in zip(rows, messages, self._cache.find(messages), strict=True):
            try:
                parts.append(_Part(row, message, plan or self._plan(message)))
            except DecodeError as error:
                errors.reject(row, error)
                valid.discard(row)
        return valid, [part for part in parts if part.row in valid]

    def _messages(self, raw: bytes | None) -> list[bytes]:
        """Return a record's `ResourceMetrics`."""
        if raw is None:
            raise DecodeError("null_value", "the record has no value; expected OTLP metrics")
        if len(raw) > self._max_bytes:
            detail = f"{len(raw)} bytes; expected at most {self._max_bytes}"
            raise DecodeError("too_large", detail)
        return [
            raw[begin:end]
            for number, kind, begin, end in fields(raw, 0, len(raw))
            if number == 1 and kind == BYTES
        ]

    def _plan(self, message: bytes) -> ResourcePlan:
        plan = self._reader.read(message)
        self._cache.keep(message, plan)
        return plan

    def _read(self, rows: set[int], parts: Sequence["_Part"]) -> RawReadings:
        """Return the readings of the records that are valid."""
        kept = [part for part in parts if len(part.plan.features)]
        series = list(dict.fromkeys(name for part in kept for name in part.plan.series))
        found, errors = _columns(kept, series)
        errors += self._checks.check(found.values, found.features)
        ignored = sorted(rows - {part.row for part in kept})
        raw = found.readings(
            series, sorted(errors, key=lambda error: error[0]), ignored, self._names
        )
        if not ignored:
            return raw
        unused = (name for part in parts if part.row == ignored[0] for name in part.plan.unused)
        return replace(raw, ignored_fields=tuple(islice(unused, MAX_UNUSED)))


@dataclass(frozen=True, slots=True)
class _Part:
    """What a record holds of one resource."""

    row: int
    message: bytes
    plan: ResourcePlan


def _columns(
    parts: Sequence[_Part], series: Sequence[str | DecodeError | None]
) -> tuple[Columns, list[PointError]]:
    """Return the values of a poll, and what is wrong with some of them."""
    plans = [part.plan for part in parts]
    counts = [len(plan.features) for plan in plans]
    lengths = [len(part.message) for part in parts]
    begins = np.cumsum([0, *lengths])[:-1].repeat(counts)
    data = np.frombuffer(b"".join([part.message for part in parts]) + bytes(8), dtype=np.uint8)
    times = _numbers(data, begins, _joined([plan.times_at for plan in plans]))
    values_at = _joined([plan.values_at for plan in plans])
    words = _numbers(data, begins, values_at)
    values = words.view(np.float64).copy()
    kinds = _joined([plan.kinds for plan in plans])
    for kind, form in ((SIGNED, np.int64), (UNSIGNED, np.uint64)):
        if (kinds == kind).any():
            values = np.where(kinds == kind, words.view(form).astype(np.float64), values)
    if (values_at == NOWHERE).any():
        constants = np.concatenate([plan.constants for plan in plans])
        values = np.where(values_at == NOWHERE, constants, values)
    errors: list[PointError] = []
    for first, part in zip(np.cumsum([0, *counts]).tolist(), parts, strict=False):
        for at, quantile in part.plan.quantiles:
            values[first + at] = quantile.read(part.message)
        errors += [(first + at, error) for at, error in part.plan.errors]
    starts_at = _joined([plan.starts_at for plan in plans])
    if (starts_at != NOWHERE).any():
        starts = _numbers(data, begins, starts_at)
        errors += per_second(values, times, starts, starts_at != NOWHERE)
    places = {name: place for place, name in enumerate(series)}
    slots = [[places[name] for name in plan.series] for plan in plans]
    if len(series) == 1:
        slot_of = np.zeros(len(values), dtype=np.int64)
    else:
        slot_of = _joined(
            [np.array(own)[plan.slots] for own, plan in zip(slots, plans, strict=True)]
        )
    columns = Columns(
        rows=np.array([part.row for part in parts], dtype=np.int64).repeat(counts),
        slots=slot_of,
        features=_joined([plan.features for plan in plans]),
        times=times,
        values=values,
    )
    part_of = np.arange(len(parts)).repeat(counts)
    return columns, [*errors, *columns.clashes(part_of)]


def _joined(columns: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(columns) if columns else np.empty(0, dtype=np.int64)


def _numbers(
    data: NDArray[np.uint8], begins: NDArray[np.int64], places: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Return (P,) numbers of eight bytes; 0 where there is none."""
    every = np.lib.stride_tricks.sliding_window_view(data, 8)
    words = every[begins + np.maximum(places, 0)].view("<u8").reshape(-1)
    return np.where(places == NOWHERE, np.uint64(0), words).astype(np.uint64)
