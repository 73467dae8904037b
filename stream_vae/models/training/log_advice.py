"""Advice on logs: series whose lines are not grouped as they should be.

What is asked of each series is what Elasticsearch asks of its categories of messages before it
calls their status `warn`.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from stream_vae.core.durations import describe_duration
from stream_vae.core.excerpts import printable
from stream_vae.core.log_templates import LogSpec, LogTemplate
from stream_vae.logs.line_times import MOST_MISSING
from stream_vae.models.training.advice import GRAVE
from stream_vae.models.training.reports import Advice

_FEWEST_LINES = 100
"""Of a series about which something is said."""
_MOSTLY_RARE = 0.9
_HALF = 0.5
_FREQUENT = 0.01
"""Share of the lines."""
_TOLD = 3
_WORD = re.compile(r"[^\W\d_][\w.-]*")


def advise_on_templates(
    series: Mapping[str, Mapping[int, int]], logs: LogSpec, covered: Collection[int]
) -> Iterator[Advice]:
    """Yield the series whose lines are grouped too coarsely or too finely.

    Args:
        series: Key -> number of a template -> lines of it; -1: lines without one.
        logs: The templates.
        covered: Numbers of templates whose lines another one takes.
    """
    for key, counts in series.items():
        n_lines = sum(counts.values())
        found = {number: n for number, n in counts.items() if number >= 0}
        if n_lines >= _FEWEST_LINES and found:
            yield from _of_series(key, found, n_lines, logs.templates, covered)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogHistory:
    """A history of logs in steps, and what would do."""

    rows: int
    """Steps of all series."""
    wanted: int
    """That would do."""
    n_series: int
    step_s: float
    window_length: int
    missing: float
    """Share of the time that is in gaps of more than a window."""
    wider_s: float | None
    """The least step with few such gaps; None if up to an hour none has."""


def advise_on_steps(history: LogHistory) -> Iterator[Advice]:
    """Yield what to do about a history that is short, or mostly quiet: to collect comes first.

    A longer step makes fewer rows of a history, so that it is no advice for one that is short.
    """
    step, T = describe_duration(history.step_s), history.window_length
    lacking_s = (history.wanted - history.rows) / history.n_series * history.step_s
    if history.rows < history.wanted:
        text = (
            f"{history.rows:,} steps of {step} in all are few for windows of {T}: "
            f"{history.wanted:,} would do; collect for another {describe_duration(lacking_s)}, or "
            "lines of more such series"
        )
        is_grave = history.rows < GRAVE * history.wanted
        yield Advice(kind="short_history", text=text, is_grave=is_grave)
    if history.missing <= MOST_MISSING:
        return
    text = (
        f"{history.missing:.0%} of the time is in gaps of more than a window "
        f"({describe_duration(T * history.step_s)}) without a line, which are missing, not zero"
    )
    if history.wider_s is not None:
        needed_s = history.wanted / history.n_series * history.wider_s
        text += (
            f": --step-seconds {history.wider_s:g} has few, once lines of "
            f"{describe_duration(needed_s)} are there"
        )
    yield Advice(kind="gaps", text=text)


def _of_series(
    key: str,
    found: Mapping[int, int],
    n_lines: int,
    templates: Sequence[LogTemplate],
    covered: Collection[int],
) -> Iterator[Advice]:
    n, lines = len(found), f"{n_lines:,} lines"
    if n == 1:
        (number,) = found
        text = (
            f"all {lines} are of one template, {_quoted(templates[number])}: nothing but their "
            "number can be judged; see that input.message_field or message_pattern names the "
            "message, and that no mask takes what tells events apart"
        )
        yield Advice(kind="one_template", text=text, series=key)
        return
    once = [number for number, count in found.items() if count == 1]
    rest = _what_to_mask(once or list(found), templates)
    if len(once) > _MOSTLY_RARE * n:
        text = f"{len(once):,} of {n:,} templates took a single one of {lines}{rest}"
        yield Advice(kind="mostly_rare_templates", text=text, series=key)
    if n > _HALF * n_lines:
        text = f"{lines} gave {n:,} templates, more than one for every two lines{rest}"
        yield Advice(kind="too_many_templates", text=text, series=key)
    usual = max(found.values())
    if usual <= _FREQUENT * n_lines:
        text = (
            f"none of {n:,} templates has more than {_FREQUENT:.0%} of {lines}; the most frequent "
            f"has {usual:,}{rest}"
        )
        yield Advice(kind="no_frequent_template", text=text, series=key)
    dead = [number for number in found if number in covered]
    if len(dead) > _HALF * n:
        text = (
            f"{len(dead):,} of {n:,} templates, such as {_quoted(templates[dead[0]])}, get no new "
            f"lines: a wider template takes them{_what_to_mask(dead, templates)}"
        )
        yield Advice(kind="mostly_covered_templates", text=text, series=key)


def _what_to_mask(numbers: Sequence[int], templates: Sequence[LogTemplate]) -> str:
    """Return what keeps templates apart: words that few of them have."""
    words = {number: set(_WORD.findall(templates[number].text)) for number in numbers}
    n_with = Counter(word for of_one in words.values() for word in of_one)
    own = (min(sorted(of_one), key=n_with.__getitem__) for of_one in words.values() if of_one)
    told = [printable(word, 40) for word in dict.fromkeys(own) if n_with[word] == 1][:_TOLD]
    which = " and ".join(_quoted(templates[number]) for number in numbers[:2])
    told_words = f", which differ in {', '.join(told)}" if told else ""
    return (
        f", such as {which}{told_words}. If such words are values (names, ids), give "
        "training.masks a regular expression that finds them: lines that differ in them become one "
        "template"
    )


def _quoted(template: LogTemplate) -> str:
    return f'"{printable(template.text, 80)}"'
