"""A sample of records, looked at: what it is, and what reads it.

The proposed settings are proven: the daemon's own decoder reads the sample with them.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np

from stream_vae.core.excerpts import printable
from stream_vae.core.model_spec import Feature
from stream_vae.core.records import RecordBatch
from stream_vae.errors import ConfigError
from stream_vae.inputs.decode_errors import DecodeErrors
from stream_vae.inputs.decode_slow_path import parse_document
from stream_vae.inputs.decoder import Decoded, Decoder
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inputs.log_lines.readers import log_format_name
from stream_vae.inputs.raw_readings import RawReadings, ReadingBuilder
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.registry.registry_decoder import RegistryDecoder
from stream_vae.inputs.registry.schemas import SchemaSource
from stream_vae.inspect.collectd_lists import is_of_collectd, propose_collectd
from stream_vae.inspect.facts import (
    FieldFacts,
    StepFacts,
    counters_of,
    field_facts,
    series_facts,
    step_facts,
    why_left_out,
)
from stream_vae.inspect.inspection import (
    Form,
    Inspection,
    Proof,
    ProofCount,
    Sample,
    document_of,
    no_proof,
)
from stream_vae.inspect.json_shapes import Keys, propose_json
from stream_vae.inspect.line_shapes import looks_like_lines, propose_lines
from stream_vae.inspect.line_survey import ReadLines, inspect_lines
from stream_vae.inspect.log_shapes import (
    is_text,
    lines_of,
    looks_like_a_log,
    message_field_of,
    propose_json_log,
    propose_text_log,
    untold_message_field,
)
from stream_vae.inspect.otlp_log_shapes import (
    looks_like_otlp_logs_protobuf,
    propose_otlp_logs,
)
from stream_vae.inspect.otlp_shapes import looks_like_otlp_protobuf, propose_otlp
from stream_vae.inspect.proposal import Proposal, format_of
from stream_vae.inspect.record_keys import KeyFacts, look_at_keys

_OF_REGISTRY = "schema registry, "
_OTLP_JSON = {"resourceMetrics": "OTLP JSON", "resourceLogs": "OTLP logs in JSON"}
_NO_JSON: Mapping[Form, Callable[[bytes], bool]] = {
    "OTLP logs in protobuf": looks_like_otlp_logs_protobuf,
    "OTLP protobuf": looks_like_otlp_protobuf,
    "InfluxDB line protocol": looks_like_lines,
}
"""In the order in which they are tried."""
_PREFIX = 5
"""Bytes of a schema's number and a 0 before it."""
_MOST_FEATURES = 2000
_MAX_BYTES = 16 * 2**20


def inspect_records(  # noqa: PLR0913 -- a sample, and what reading it needs
    batch: RecordBatch,
    *,
    now_ns: int,
    schemas: SchemaSource | None = None,
    wait: Callable[[], bool] = lambda: False,
    given: Mapping[str, Any] = MappingProxyType({}),
    read_lines: ReadLines | None = None,
    window_length: int = 32,
    wanted: int = 2000,
) -> Inspection:
    """Return what a sample shows.

    Args:
        batch: Records, at least one; those of one partition in order.
        now_ns: Clock of the decoder.
        schemas: Of a registry, where one is known.
        wait: Called while a schema is awaited; returns whether to go on waiting.
        given: Settings below `input` that the operator has decided: they are proposed as they are.
        read_lines: Returns the records of a log; without, they are the sample's.
        window_length: T, steps of the model to come.
        wanted: Steps that training wants.
    """
    of_record = [None if raw is None else _form(raw) for raw in batch.values]
    forms = Counter(form for form in of_record if form is not None)
    is_registered = any(form.startswith(_OF_REGISTRY) for form in forms)
    keys = look_at_keys(batch.keys, may_be_registered=is_registered)
    sample = Sample(
        batch=batch,
        now_ns=now_ns,
        schemas=schemas,
        wait=wait,
        given=given,
        window_length=window_length,
        wanted=wanted,
        of_file=read_lines is not None,
    )
    proposal = _with_given(_with_key_format(_propose(sample, of_record, forms, keys), keys), given)
    lines_format = _lines_format(proposal)
    if lines_format is not None:
        found = inspect_lines(
            sample, lines_format, proposal, read_lines or (lambda _: iter([sample.batch]))
        )
        return replace(found, forms=_by_number(forms), keys=keys)
    names = proposal.features[:_MOST_FEATURES]
    _, decoded = _decode(sample, proposal, names)
    fields: list[FieldFacts] = []
    steps: StepFacts | None = None
    if decoded is not None and len(decoded.readings):
        readings = decoded.readings
        steps = step_facts(readings.times, readings.series, readings.partitions)
        fields = field_facts(
            names,
            readings.values,
            readings.times,
            readings.series,
            step_ns=0 if steps is None else round(steps.step_s * 1e9),
        )
    left_out = _left_out(fields, proposal)
    chosen = tuple(name for name in names if name not in left_out)
    if not chosen:
        # Better counters, with a word on them, than nothing.
        chosen = tuple(counters_of(fields, proposal.counters)) or tuple(
            name for name in names if left_out.get(name) not in ("empty", "row number")
        )
        left_out = {name: why for name, why in left_out.items() if name not in chosen}
    chosen = chosen or names
    if "vector" in proposal.settings.get("format", ""):
        chosen, left_out = names, {}
    counters = counters_of(fields, proposal.counters)
    proof, decoded = _decode(sample, proposal, [*dict.fromkeys((*chosen, *counters))])
    has_readings = decoded is not None and len(decoded.readings) > 0
    return Inspection(
        n_records=len(batch),
        n_null=sum(raw is None for raw in batch.values),
        forms=_by_number(forms),
        keys=keys,
        proposal=proposal,
        features=chosen,
        left_out=left_out,
        fields=tuple(fields),
        series=series_facts(decoded.readings.series, decoded.readings.partitions)
        if has_readings and decoded is not None
        else None,
        steps=step_facts(
            decoded.readings.times, decoded.readings.series, decoded.readings.partitions
        )
        if has_readings and decoded is not None
        else None,
        proof=proof,
    )


def _by_number(forms: Mapping[Form, int]) -> dict[Form, int]:
    return dict(sorted(forms.items(), key=lambda pair: (-pair[1], pair[0])))


def _lines_format(proposal: Proposal) -> LogFormat | None:
    """Return the settings of a proposal that reads logs; None of every other."""
    try:
        fmt = format_of(proposal.settings)
    except ValueError:
        return None
    return None if log_format_name(fmt) is None else fmt


def _with_key_format(proposal: Proposal, keys: KeyFacts) -> Proposal:
    """Return a proposal that reads binary keys where keys name the series."""
    settings = dict(proposal.settings)
    if keys.key_format == "text" or settings.get("series_field") or settings.get("series"):
        return proposal
    settings["key_format"] = keys.key_format
    why = {**proposal.why, "key_format": "keys are binary"}
    if keys.key_format == "registry":
        # Only the registry's own format asks it for the schemas of keys.
        settings["format"] = "registry"
        why["key_format"] = "keys are a schema registry's"
    return replace(proposal, settings=settings, why=why)


def _with_given(proposal: Proposal, given: Mapping[str, Any]) -> Proposal:
    """Return a proposal in which the settings are as the operator has decided."""
    settings = dict(proposal.settings)
    for name, other in (("series", "series_field"), ("series_field", "series")):
        if given.get(name) is not None and other not in given:
            settings.pop(other, None)
    feature_of = {field: name for name, field in given.get("feature_fields", {}).items()}
    features = dict.fromkeys(feature_of.get(name, name) for name in proposal.features)
    features |= dict.fromkeys(feature_of.values())
    return replace(
        proposal,
        settings=settings | dict(given),
        why={**proposal.why, **dict.fromkeys(given, "as the configuration has it")},
        features=tuple(features),
        counters=frozenset(feature_of.get(name, name) for name in proposal.counters),
    )


def _form(raw: bytes) -> Form:
    """Return what a value is."""
    if raw[:1] == b"\0" and len(raw) > _PREFIX:
        is_json = document_of(raw[_PREFIX:]) is not None
        return f"{_OF_REGISTRY}{'JSON' if is_json else 'Avro or another encoding'}"
    document = document_of(raw)
    if is_of_collectd(document):
        return "JSON of collectd"
    if isinstance(document, dict):
        of_otlp = (
            form for name, form in _OTLP_JSON.items() if isinstance(document.get(name), list)
        )
        return next(of_otlp, "JSON object")
    if document is not None:
        return "JSON array" if isinstance(document, list) else "a bare JSON value"
    found = next((form for form, looks in _NO_JSON.items() if looks(raw)), "")
    return found or ("text" if is_text(raw) else "binary")


def _propose(
    sample: Sample, of_record: Sequence[Form | None], forms: Mapping[Form, int], keys: KeyFacts
) -> Proposal:
    batch = sample.batch
    usual = max(forms, key=lambda form: (forms[form], form), default="")
    records = [
        (row, raw)
        for row, (raw, form) in enumerate(zip(batch.values, of_record, strict=True))
        if raw is not None and form == usual
    ]
    if usual in ("OTLP protobuf", "OTLP JSON"):
        return propose_otlp(
            "otlp_proto" if usual == "OTLP protobuf" else "otlp_json",
            records,
            batch.keys,
            keys_name_series=keys.may_name_series,
            given=sample.given,
        )
    if usual in ("OTLP logs in protobuf", "OTLP logs in JSON"):
        return propose_otlp_logs(
            "otlp_logs_proto" if usual == "OTLP logs in protobuf" else "otlp_logs_json",
            [raw for _, raw in records],
            keys_name_series=keys.may_name_series,
            given=sample.given,
        )
    if usual == "InfluxDB line protocol":
        return propose_lines(
            records, batch.keys, keys_name_series=keys.may_name_series, given=sample.given
        )
    return _propose_other(sample, usual, records, keys)


def _propose_other(
    sample: Sample, usual: Form, records: Sequence[tuple[int, bytes]], keys: KeyFacts
) -> Proposal:
    batch = sample.batch
    if usual == "JSON of collectd":
        return propose_collectd([(row, parse_document(raw)) for row, raw in records], sample.given)
    told = Keys(found=batch.keys, may_name_series=keys.may_name_series, n_distinct=keys.n_distinct)
    if usual.startswith(f"{_OF_REGISTRY}Avro"):
        return _propose_avro(sample, records, told)
    if usual.startswith(("JSON", _OF_REGISTRY)):
        return _propose_json(sample, usual, records, told)
    lines = [raw for _, raw in records] if usual == "text" else []
    if _may_be_logs(sample.given) and (
        looks_like_a_log(lines_of(lines)) or "format" in sample.given
    ):
        n_keys = keys.n_distinct if keys.may_name_series else 0
        return propose_text_log(lines, n_keys=n_keys, given=sample.given, of_file=sample.of_file)
    if lines and lines[0] in (b"{", b"["):
        note = "JSON over several lines; expected one object a line: jq -c . FILE"
        return Proposal(form=usual, settings={}, features=(), notes=(note,))
    note = f"no input format reads records that are {usual or 'without a value'}"
    return Proposal(form=usual or "no values", settings={}, features=(), notes=(note,))


def _propose_json(
    sample: Sample, form: Form, records: Sequence[tuple[int, bytes]], keys: Keys
) -> Proposal:
    documents = [(row, parse_document(raw)) for row, raw in records]
    proposal = propose_json(documents, keys, sample.batch.timestamps, sample.given)
    if _may_be_logs(sample.given) and not sample.given.get("event_field"):
        plain = [document for _, document in documents]
        field, note = message_field_of(plain), ""
        if field is None:
            field, note = untold_message_field(plain)
        if field is not None:
            proposal = propose_json_log(field, proposal, sample.given)
        if note:
            proposal = replace(proposal, notes=(note, *proposal.notes))
        if field is not None:
            return proposal
    if form.startswith(_OF_REGISTRY):
        note = "the five bytes of the schema's number are skipped; no registry is needed"
        return replace(proposal, notes=(*proposal.notes, note))
    return proposal


def _may_be_logs(given: Mapping[str, Any]) -> bool:
    """Return whether the operator has decided on no other format."""
    return given.get("format", "log_lines") == "log_lines" and not given.get("value_field")


def _propose_avro(sample: Sample, records: Sequence[tuple[int, bytes]], keys: Keys) -> Proposal:
    ids = sorted({int.from_bytes(raw[1:5], "big") for _, raw in records})
    told = f"of schema {', '.join(map(str, ids[:10]))}"
    if sample.schemas is None:
        note = (
            f"records name schemas {told}: what they hold is known to their registry alone; set "
            "registry.url in a file, and inspect with --config FILE"
        )
        settings = {"format": "registry"}
        return Proposal(form="a schema registry's", settings=settings, features=(), notes=(note,))
    rows = [row for row, _ in records]
    content = _Content()
    decoder = RegistryDecoder(content, sample.schemas, _MAX_BYTES)
    batch = sample.batch.take(rows)
    if not sample.has_all(decoder, batch):
        note = f"the registry has not answered: {printable(decoder.lacks(batch), 300)}"
        settings = {"format": "registry"}
        return Proposal(form="a schema registry's", settings=settings, features=(), notes=(note,))
    decoded = decoder.decode(batch, 0)
    lost = {each.index for each in decoded.rejections}
    kept = [row for at, row in enumerate(rows) if at not in lost]
    documents = [
        (row, msgspec.json.decode(raw))
        for row, raw in zip(kept, content.values, strict=True)
        if raw is not None
    ]
    if not documents:
        why = printable(decoded.rejections[0].detail, 300) if decoded.rejections else "no value"
        return Proposal(
            form="a schema registry's", settings={"format": "registry"}, features=(), notes=(why,)
        )
    found = propose_json(documents, keys, sample.batch.timestamps, sample.given)
    return replace(
        found,
        form=f"a schema registry's {told}; as JSON: {found.form}",
        settings={"format": "registry", **found.settings},
    )


class _Content(Decoder):
    """Stands in the place of a decoder, and keeps what it would decode."""

    def __init__(self) -> None:
        self.values: Sequence[bytes | None] = ()

    def decode(self, batch: RecordBatch, now_ns: int, read_since_ns: int | None = None) -> Decoded:
        """Keep the values of a batch; there are no readings."""
        self.values = batch.values
        raw = RawReadings(
            index=np.empty(0, dtype=np.int64), series=[], times=[], values=np.empty((0, 0))
        )
        builder = ReadingBuilder(ReadingFormat())
        return builder.build(batch, raw, DecodeErrors(), now_ns, read_since_ns)


def _left_out(fields: Sequence[FieldFacts], proposal: Proposal) -> dict[str, str]:
    return {
        field.name: why
        for field in fields
        if (why := why_left_out(field, is_known_counter=field.name in proposal.counters))
    }


def _decode(
    sample: Sample, proposal: Proposal, names: Sequence[str]
) -> tuple[Proof, Decoded | None]:
    batch = sample.batch
    if not names:
        return no_proof(len(batch), "no field of numbers was found"), None
    try:
        features = [Feature(name=name) for name in names]
        decoder = build_decoder(features, format_of(proposal.settings), schemas=sample.schemas)
    except (ConfigError, ValueError) as exc:
        return no_proof(len(batch), str(exc)), None
    if not sample.has_all(decoder, batch):
        return no_proof(len(batch), decoder.lacks(batch)), None
    decoded = decoder.decode(batch, sample.now_ns)
    count = ProofCount()
    count.add(len(batch), decoded)
    return count.proof(), decoded
