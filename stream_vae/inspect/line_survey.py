"""Lines of logs, looked at: what the daemon's reader makes of them, and which ids they share."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from stream_vae.core.records import RecordBatch, joined
from stream_vae.errors import ConfigError
from stream_vae.inputs.decoder import Decoded
from stream_vae.inputs.log_lines.learning import LineLearner, learner_of
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inspect.facts import series_facts_of
from stream_vae.inspect.inspection import Inspection, ProofCount, Sample, document_of, no_proof
from stream_vae.inspect.log_shapes import (
    field_columns,
    lines_note,
    of_one_series,
    propose_sessions,
)
from stream_vae.inspect.otlp_log_shapes import label_columns
from stream_vae.inspect.proposal import Proposal, format_of
from stream_vae.inspect.record_keys import look_at_keys
from stream_vae.inspect.session_shapes import (
    SessionFacts,
    key_fields,
    key_patterns,
    session_facts,
)
from stream_vae.logs.line_times import LineTimes
from stream_vae.logs.log_steps import log_steps
from stream_vae.logs.templates import mine

ReadLines = Callable[[LogFormat], Iterator[RecordBatch]]
"""Returns the records of a log anew, by the settings that read them: a sample, or all there are."""


def inspect_lines(
    sample: Sample, fmt: LogFormat, proposal: Proposal, read_lines: ReadLines
) -> Inspection:
    """Return what the daemon's reader makes of lines of logs; forms and keys are not told.

    Templates and sessions are those of as many records as the sample has; counts, times and steps
    are of all.

    Args:
        sample: Of the records.
        fmt: Settings that read them.
        proposal: With these settings.
        read_lines: Returns the records.
    """
    records = read_lines(fmt)
    first = [*_first(records, len(sample.batch))]
    batch = joined(first)
    sample = replace(sample, batch=batch.take(range(min(len(batch), len(sample.batch)))))
    found = Inspection(
        n_records=len(batch),
        n_null=0,
        forms={},
        keys=look_at_keys(sample.batch.keys),
        proposal=proposal,
        features=(),
        left_out={},
        fields=(),
        series=None,
        steps=None,
        proof=no_proof(len(batch), ""),
        of_logs=True,
    )
    try:
        learner, decoder = learner_of(fmt)
    except (ConfigError, ValueError) as exc:
        return replace(found, proof=no_proof(len(batch), str(exc)))
    decoded = decoder.decode(sample.batch, sample.now_ns)
    templates = [*_about_templates(learner)]
    sessions: dict[str, Any] = {}
    if len(decoded.readings):
        sessions = _sessions_of(sample, fmt, proposal, decoded)
        by_sessions: Proposal | None = sessions.get("by_sessions")
        key = None if by_sessions is None else by_sessions.settings.get("session_field")
        if key is not None and key == fmt.series_field:
            one = of_one_series(proposal, f"each id in {key} lives briefly, and is no series")
            return inspect_lines(sample, format_of(one.settings), one, read_lines)
    whole = _Lines(sample, fmt)
    for part in chain(first, records):
        whole.add(part)
    found = whole.told(found, sample.window_length)
    notes = (*proposal.notes, *templates, *whole.notes())
    return replace(found, proposal=replace(proposal, notes=notes), **sessions)


def _first(records: Iterator[RecordBatch], n: int) -> Iterator[RecordBatch]:
    """Yield the first batches, until they hold n records."""
    for batch in records:
        yield batch
        n -= len(batch)
        if n <= 0:
            return


class _Lines:
    """What the daemon's reader makes of lines, added up.

    Args:
        sample: What reading them needs.
        fmt: Settings that read them.
    """

    def __init__(self, sample: Sample, fmt: LogFormat) -> None:
        self._learner, self._decoder = learner_of(fmt)
        self._now_ns = sample.now_ns
        self._proof = ProofCount()
        self._series: Counter[tuple[str, int]] = Counter()
        self._times = LineTimes(sample.window_length, sample.wanted)
        self._span: tuple[int, int] | None = None
        self._n_records = self._n_null = self._n_empty = 0

    def add(self, batch: RecordBatch) -> None:
        """Add some records, which follow those before."""
        decoded = self._decoder.decode(batch, self._now_ns)
        for _ in self._learner.take_texts():
            pass
        readings = decoded.readings
        self._proof.add(len(batch), decoded)
        self._series.update(zip(readings.series, readings.partitions.tolist(), strict=True))
        self._times.add(readings.series, readings.times)
        self._n_records += len(batch)
        self._n_null += batch.values.count(None)
        self._n_empty += len(decoded.ignored)
        if len(readings):
            span = int(readings.times.min()), int(readings.times.max())
            before = self._span or span
            self._span = min(before[0], span[0]), max(before[1], span[1])

    def told(self, found: Inspection, window_length: int) -> Inspection:
        """Return an inspection with all this."""
        found = replace(
            found,
            n_records=self._n_records,
            n_null=self._n_null,
            proof=replace(self._proof.proof(), n_ignored=0),
        )
        if not self._series:
            return found
        return replace(
            found,
            series=series_facts_of(self._series),
            log_steps=None if window_length == 1 else log_steps(self._times),
        )

    def notes(self) -> Iterator[str]:
        """Yield when lines were, the levels that they tell, and what counts nowhere."""
        if self._span is not None:
            first, last = (np.datetime64(at // 10**9, "s") for at in self._span)
            yield f"from {first}Z to {last}Z; levels {', '.join(self._learner.levels) or 'none'}"
        if self._n_empty:
            yield f"{self._n_empty:,} records hold no line but empty ones"
        if n := self._learner.n_keyless:
            yield f"{n:,} lines tell no key of a session, and would count nowhere"


def _sessions_of(
    sample: Sample, fmt: LogFormat, proposal: Proposal, decoded: Decoded
) -> dict[str, Any]:
    """Return what an inspection tells of sessions: nothing, unless lines tell brief ids."""
    if fmt.sessions is not None:
        return {"sessions": _facts_of(decoded)}
    for setting, value in _session_keys(sample, fmt):
        one = proposal if value != fmt.series_field else of_one_series(proposal, "")
        try:
            decoder = learner_of(format_of({**one.settings, setting: value}))[1]
        except (ConfigError, ValueError):  # a field with another role
            continue
        facts = _facts_of(decoder.decode(sample.batch, sample.now_ns))
        if facts is not None:
            by_sessions = propose_sessions(proposal, facts, setting, value)
            return {"by_sessions": by_sessions, "sessions": facts}
    return {}


def _facts_of(decoded: Decoded) -> SessionFacts | None:
    readings, told = decoded.readings, decoded.sessions
    if told is None:
        return None
    return session_facts(told, readings.times, readings.series, readings.partitions)


def _session_keys(sample: Sample, fmt: LogFormat) -> Iterator[tuple[str, str]]:
    """Yield settings that could name the key of a session, and their values."""
    learner, decoder = learner_of(replace(fmt, message_pattern=None))  # the head may tell it
    decoder.decode(sample.batch, sample.now_ns)
    texts = [*learner.take_texts()]
    values = [raw for raw in sample.batch.values if raw is not None]
    columns: Mapping[str, Sequence[str | None]] = {}
    if fmt.format in ("otlp_logs_proto", "otlp_logs_json"):
        columns = label_columns(fmt.format, values)
    elif fmt.message_field is not None:
        columns = field_columns([document_of(raw) for raw in values])
    yield from (("session_field", name) for name in key_fields(columns))
    yield from (("session_pattern", pattern) for pattern in key_patterns(texts))


def _about_templates(learner: LineLearner) -> Iterator[str]:
    """Yield how many templates the lines of a sample have."""
    texts = [*learner.take_texts()]
    if texts:
        yield lines_note(texts, [one.text for one in mine(texts).templates])
