"""Advice on logs: series whose lines are not grouped as they should be.

What is asked of each series is what Elasticsearch asks of its categories of messages before it
calls their status `warn`.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from stream_vae.core.excerpts import printable
from stream_vae.core.log_templates import LogSpec, LogTemplate
from stream_vae.logs.log_steps import LogSteps
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


def advise_on_steps(steps: LogSteps) -> Iterator[Advice]:
    """Yield what to do about a history that is short, or mostly quiet: to collect comes first."""
    if steps.is_short:
        is_grave = steps.n < GRAVE * steps.wanted
        yield Advice(kind="short_history", text=steps.short_text, is_grave=is_grave)
    if steps.has_gaps:
        yield Advice(kind="gaps", text=steps.gaps_text)


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
