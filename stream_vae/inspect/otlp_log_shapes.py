"""Records of OpenTelemetry logs, in protobuf or JSON."""

from collections.abc import Mapping, Sequence, Set
from typing import Any, Literal

from stream_vae.core.excerpts import printable
from stream_vae.errors import DecodeError
from stream_vae.inputs.log_lines.cleaning import TextCounts
from stream_vae.inputs.log_lines.otlp_json import OtlpJsonLogs
from stream_vae.inputs.log_lines.otlp_logs import OtlpLog, OtlpLogParser
from stream_vae.inputs.log_lines.otlp_proto import OtlpProtobufLogs
from stream_vae.inspect.labelled_points import SERIES_NAMES, series_rank
from stream_vae.inspect.log_shapes import head_of, message_field_of
from stream_vae.inspect.proposal import (
    ONE_SERIES,
    SERIES_SETTINGS,
    WHY_ONE_SERIES,
    Proposal,
    held_by_preset,
)

_MAX_BYTES = 16 * 2**20
_MOST_LOGS = 10_000


def looks_like_otlp_logs_protobuf(raw: bytes) -> bool:
    """Return whether a record is of logs in protobuf.

    Metrics and spans, which are nested alike, have texts where a log has its time and severity.
    """
    if raw[:1] != b"\x0a":
        return False
    return any(one.time or one.severity for one in _logs(OtlpProtobufLogs(_MAX_BYTES), raw))


def propose_otlp_logs(
    form: Literal["otlp_logs_proto", "otlp_logs_json"],
    records: Sequence[bytes],
    *,
    keys_name_series: bool,
    given: Mapping[str, Any],
) -> Proposal:
    """Return the settings that read logs.

    Args:
        form: Of the records.
        records: Values of the sample.
        keys_name_series: Their keys could name the series.
        given: Settings that the operator has decided.
    """
    logs = _logs_of(form, records)
    settings: dict[str, Any] = {"format": form}
    why: dict[str, str] = {}
    field = message_field_of([one.body for one in logs])
    if field is not None:
        settings["message_field"] = field
        why["message_field"] = "of the body, which has fields"
    head = head_of([one.body for one in logs if isinstance(one.body, str)])
    if head is not None and head.message_pattern is not None:
        settings["message_pattern"] = head.message_pattern
        why["message_pattern"] = f"lines begin with a time of their own: {head.name}"
    if not {*given, *held_by_preset(given)} & SERIES_SETTINGS:
        label = _series_label(logs)
        if label is not None:
            settings["series_field"] = label
        elif keys_name_series:
            why["format"] = "the record's key names the series"
        else:
            settings["series"] = ONE_SERIES
            why["series"] = WHY_ONE_SERIES
    return Proposal(
        form=f"OpenTelemetry logs in {'JSON' if form == 'otlp_logs_json' else 'protobuf'}",
        settings=settings,
        features=(),
        why=why,
        notes=tuple(_told_of(logs)),
    )


def label_columns(
    form: Literal["otlp_logs_proto", "otlp_logs_json"], records: Sequence[bytes]
) -> dict[str, list[str | None]]:
    """Return the place of each attribute that logs have of their own -> what each log has there."""
    logs = _logs_of(form, records)
    names = dict.fromkeys(name for one in logs for name in one.attributes)
    return {f"attributes.{name}": [one.attributes.get(name) for one in logs] for name in names}


def _logs_of(
    form: Literal["otlp_logs_proto", "otlp_logs_json"], records: Sequence[bytes]
) -> list[OtlpLog]:
    parser: OtlpLogParser = (
        OtlpJsonLogs(_MAX_BYTES) if form == "otlp_logs_json" else OtlpProtobufLogs(_MAX_BYTES)
    )
    logs: list[OtlpLog] = []
    for raw in records:
        logs += _logs(parser, raw)
        if len(logs) > _MOST_LOGS:
            break
    return logs


def _logs(parser: OtlpLogParser, raw: bytes) -> list[OtlpLog]:
    try:
        return parser.logs(raw, TextCounts())
    except (DecodeError, IndexError):
        return []


def _series_label(logs: Sequence[OtlpLog]) -> str | None:
    """Return the attribute of the resource that is likeliest to name the series, if all have it."""
    if not logs:
        return None
    common: Set[str] = set.intersection(*(set(one.origin.resource) for one in logs))
    rank, label = min(
        ((series_rank(name), name) for name in common), default=(len(SERIES_NAMES), "")
    )
    return f"resource.{label}" if rank < len(SERIES_NAMES) else None


def _told_of(logs: Sequence[OtlpLog]) -> list[str]:
    """Return which attributes logs have, by which series could be told apart."""
    of_resource = {f"resource.{name}" for one in logs for name in one.origin.resource}
    own = {f"attributes.{name}" for one in logs for name in one.attributes}
    names = [printable(name, 60) for name in (*sorted(of_resource), *sorted(own))][:20]
    return [f"attributes: {', '.join(names)}"] if names else []
