"""An inspection as lines of text, and as plain values for JSON."""

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from stream_vae.core.durations import describe_duration
from stream_vae.core.excerpts import printable
from stream_vae.core.series_index import KEEP_TO_ONE_PARTITION
from stream_vae.inspect.facts import FieldFacts, SeriesFacts, StepFacts, why_left_out
from stream_vae.inspect.inspection import Inspection, Proof
from stream_vae.inspect.record_keys import KeyFacts
from stream_vae.inspect.session_shapes import SessionFacts

_MOST_FIELDS = 60
_MOST_OTHERS = 20
_WIDEST = 48
_ONE_READING = 1.05  # a step, but for a few that came twice
_SUSPICIONS = {
    "counter": "only ever rises: a counter, by its values",
    "row number": "numbers the records",
    "constant": "never changes",
    "seldom changes": "seldom changes: any other value would alert, name it in --features if that "
    "is what is to be found",
    "empty": "never has a value",
}


def report_lines(found: Inspection, read: str = "") -> Iterator[str]:
    """Yield the lines of the report, without the configuration; all from the stream is escaped.

    Args:
        found: What was found.
        read: How much there is of what was looked at.
    """
    yield f"records   {_records(found)}"
    if read:
        yield f"read      {read}"
    yield f"shape     {printable(found.proposal.form, 200)}"
    yield f"keys      {_keys(found.keys)}"
    known = found.proposal.counters
    yield from table_lines(found.fields, found.left_out, found.series, found.steps, known)
    if not found.fields and found.proposal.features:
        names = ", ".join(printable(name, 60) for name in found.proposal.features[:_MOST_FIELDS])
        yield f"fields    seen, and none of them read: {names}"
    yield from _other_lines(found.proposal.other_fields)
    if found.sessions is not None:
        ends = found.proposal.settings.get("session_end_pattern")
        yield from _session_lines(found.sessions, has_end=ends is not None)
    for note in found.proposal.notes:
        yield f"note      {printable(note, 400)}"
    yield from _proof_lines(found.proof)


def _records(found: Inspection) -> str:
    """Return how many records there are, and what they are."""
    n_looked_at = sum(found.forms.values())
    forms = ", ".join(f"{count:,} {form}" for form, count in found.forms.items())
    null = f"; {found.n_null:,} without a value" if found.n_null else ""
    if n_looked_at + found.n_null == found.n_records:
        return f"{found.n_records:,}: {forms or 'none with a value'}{null}"
    if n_looked_at > found.n_records:
        return f"{found.n_records:,}, joined of {forms}{null}"
    return f"{found.n_records:,}{null}; the first {n_looked_at:,} are {forms}"


def _session_lines(sessions: SessionFacts, *, has_end: bool) -> Iterator[str]:
    yield f"sessions  {sessions.words}, so that lines of one can be judged together"
    if has_end:
        rest = "" if sessions.ended else ": it is looked for in what message_pattern finds"
        told = f"{sessions.ended:,} of {sessions.n:,}" if sessions.ended else "none"
        yield f"          session_end_pattern ends {told}, quiet time the others{rest}"
    if sessions.in_several:
        yield (
            f"          {sessions.in_several:.0%} of the ids are in several partitions, where each "
            "part is judged apart: let the producer's key be the id"
        )


def log_history_lines(found: Inspection, n_sessions_wanted: int) -> Iterator[str]:
    """Yield what there is of logs to train on, and how long to collect.

    Args:
        found: Of logs.
        n_sessions_wanted: Sessions that would do.
    """
    steps, sessions = found.log_steps, found.sessions
    if steps is not None:
        span = describe_duration(steps.span_s)
        yield f"step      {_seconds(steps.step_s)}, which training takes for {span} of lines"
        if steps.has_gaps:
            yield f"gaps      {steps.gaps_text}"
        enough = f"{steps.n:,} steps in all; training wants {steps.wanted:,}: enough"
        yield f"history   {steps.short_text if steps.is_short else enough}"
    if sessions is None:
        return
    text = f"history   {sessions.n:,} sessions; training wants {n_sessions_wanted:,}"
    if sessions.n >= n_sessions_wanted:
        yield f"{text}: enough"
        return
    more = (n_sessions_wanted - sessions.n) / sessions.n * sessions.span_s
    yield f"{text}: collect for another {describe_duration(more)}"


def _keys(keys: KeyFacts) -> str:
    if not keys.n_distinct:
        return "none: the records have no key"
    examples = ", ".join(keys.examples)
    share = "all" if keys.present == 1 else f"{keys.present:.0%} of the"
    return f"{keys.kind}, on {share} records: {keys.n_distinct:,} different, such as {examples}"


def table_lines(
    fields: Sequence[FieldFacts],
    left_out: Collection[str],
    series: SeriesFacts | None,
    steps: StepFacts | None,
    counters: Collection[str] = (),
) -> Iterator[str]:
    """Yield the lines on readings, from wherever they are; `counters` are so by their records."""
    if series is not None:
        yield from _series_lines(series)
    if steps is not None:
        yield from _step_lines(steps)
    yield from _field_lines(fields, left_out, counters)


def _series_lines(series: SeriesFacts) -> Iterator[str]:
    few, most = series.per_partition
    spread = f"{few:,}" if few == most else f"{few:,} to {most:,}"
    names = ", ".join(f"{printable(name, 40)} ({n:,})" for name, n in series.readings.items())
    yield (
        f"series    {series.n:,} in {series.partitions:,} partitions, {spread} in each: "
        f"{names}{', ...' if series.n > len(series.readings) else ''}"
    )
    if series.in_several:
        several = ", ".join(printable(name, 40) for name in series.in_several)
        yield f"          in several partitions: {several}; {KEEP_TO_ONE_PARTITION}"


def _step_lines(steps: StepFacts) -> Iterator[str]:
    yield (
        f"step      {_seconds(steps.step_s)}, {steps.agreeing:.0%} of the gaps; off the grid by "
        f"{_seconds(steps.jitter_s)} (median); {steps.readings_per_step:.2f} readings a series and "
        "step"
    )
    first, last = steps.phases_s
    phases = f"{_seconds(first)} to {_seconds(last)}"
    yield f"          series have their readings {phases} behind the beginning of a step"
    if steps.disordered:
        yield (
            f"          {steps.disordered:.2%} of the readings come after a later one of their "
            f"series, by up to {_seconds(steps.latest_s)}"
        )


def history_line(n_rows: int, n_wanted: int, n_series: int, step_s: float) -> str:
    """Return what there is to train on, and what training wants.

    Args:
        n_rows: Steps of all series.
        n_wanted: That would do.
        n_series: That they are of.
        step_s: Width of one.
    """
    text = f"history   {n_rows:,} steps of all series; training wants {n_wanted:,}"
    if n_rows >= n_wanted:
        return f"{text}: enough"
    more_s = (n_wanted - n_rows) / max(n_series, 1) * step_s
    return (
        f"{text}: collect for another {describe_duration(more_s)}, or train on more than this "
        "sample holds, before you rely on it"
    )


def _seconds(value: float) -> str:
    return f"{float(f'{value:.4g}'):g} s"


def _field_lines(
    fields: Sequence[FieldFacts], left_out: Collection[str], counters: Collection[str]
) -> Iterator[str]:
    shown = fields[:_MOST_FIELDS]
    width = min(max((len(printable(one.name, _WIDEST)) for one in shown), default=0), _WIDEST)
    for at, one in enumerate(shown):
        title = "fields    " if at == 0 else " " * 10
        text = _field(one, is_left_out=one.name in left_out, is_known_counter=one.name in counters)
        yield f"{title}{printable(one.name, _WIDEST):<{width}}  {text}"
    if len(fields) > len(shown):
        yield f"          and {len(fields) - len(shown):,} more"


def _other_lines(fields: Mapping[str, str]) -> Iterator[str]:
    for at, (name, text) in enumerate([*fields.items()][:_MOST_OTHERS]):
        title = "no number " if at == 0 else " " * 10
        yield f"{title}{printable(name, _WIDEST)}: {printable(text)}"
    if len(fields) > _MOST_OTHERS:
        yield f"          and {len(fields) - _MOST_OTHERS:,} more"


def _field(one: FieldFacts, *, is_left_out: bool, is_known_counter: bool) -> str:
    reason = why_left_out(one, is_known_counter=is_known_counter)
    end = ", left out" if is_left_out else ""
    if reason == "counter":
        end = ", trained on as a rate"
    if one.low is None or one.high is None:
        return f"empty{end}"
    examples = ", ".join(f"{value:g}" for value in one.examples)
    text = f"{one.kind}, {one.low:g} to {one.high:g}, {_missing(one.missing)}, such as {examples}"
    why = _SUSPICIONS.get(reason, "")
    if reason == "counter" and is_known_counter:
        why = "a counter, as its records say"
    return f"{text}; {why}{end}" if why else text + end


def _missing(share: float) -> str:
    return f"missing in {share:.0%} of the steps" if share else "in all steps"


def _proof_lines(proof: Proof) -> Iterator[str]:
    if proof.refusal:
        yield f"proof     nothing was read: {proof.refusal}"
        return
    yield (
        f"proof     the daemon's decoder reads {proof.n_read:,} of {proof.n_records:,} records "
        f"with the configuration below: {proof.n_readings:,} readings"
    )
    for reason, (count, example) in proof.rejected.items():
        yield f"          {count:,} would be dead letters, {reason}: {example}"
    if proof.n_ignored:
        yield (
            f"          {proof.n_ignored:,} have none of the features: "
            f"{proof.ignored_example or 'no field'}"
        )
    for place, (count, example) in proof.unreadable.items():
        yield f"          {count:,} values are missing, {place}: {example}"


def why_unread(found: Inspection) -> str:
    """Return why none of the records could be read, and what would help."""
    proof = found.proof
    if proof.refusal:
        return f"{proof.refusal}. {' '.join(found.proposal.notes)}".rstrip(". ")
    if proof.rejected:
        reason, (count, example) = max(proof.rejected.items(), key=lambda pair: pair[1][0])
        return f"{count:,} would be dead letters, {reason}: {example}"
    return f"they have none of the features, but {proof.ignored_example or 'no field'}"


def train_command(  # noqa: PLR0913 -- what is known of the features
    source: Sequence[str],
    features: Sequence[str],
    *,
    config: str = "",
    bundle: str = "bundle",
    steps: StepFacts | None = None,
    counters: Collection[str] = (),
    units: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the command that trains on what was inspected.

    Args:
        source: Options that name it.
        features: To train on; none: those that training finds.
        config: Name of the file of the configuration; "": none is needed.
        bundle: That is written.
        steps: The step is named where parts of steps come apart, whose gaps are no steps.
        counters: Of the features, those to be trained on as rates.
        units: Of features; others are passed over.
    """
    rules = [word for name in counters for word in ("--rule", f"{name}=rate")]
    with_config = ["--config", config] if config else []
    names = ["--features", ",".join(map(_quoted, features))] if features else []
    step: list[str] = []
    if steps is not None and steps.readings_per_step > _ONE_READING:
        step = ["--step-seconds", f"{float(f'{steps.step_s:.3g}'):g}"]
    told = {name: units[name] for name in features if name in units}
    measured = [
        word
        for name, unit in told.items()
        for word in ("--unit", f"{name}={unit}{'/s' if name in counters else ''}")
    ]
    words = ["stream-vae", "train", *source, *with_config, *names, *rules, *measured, *step]
    return shlex.join([*words, "--bundle", bundle])


def _quoted(name: str) -> str:
    """Return a name as `--features` takes it."""
    if not any(mark in name for mark in ',"') and name == name.strip():
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def as_plain(found: Inspection) -> dict[str, Any]:
    """Return an inspection as values of JSON."""
    plain = asdict(found)
    plain["proposal"]["counters"] = sorted(found.proposal.counters)
    return plain
