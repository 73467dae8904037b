"""Mining of log templates and matching of lines, behind two small interfaces.

The library is logfold (Rust, no dependencies of its own), chosen over drain3-improved. Both on the
same lines of Loghub, in one thread of a machine that others worked on:

| | logfold 0.5 | drain3-improved 0.10 |
|---|---|---|
| grouping accuracy as installed, mean of eight systems | .898 | .844 |
| with our masks, similarity .75, two leading words | .978 | .978 |
| and split by states, below | .992 | the step is ours, not tried |
| masking, lines/s (HDFS) | in the figures below | 39,000, all patterns in one `re` |
| mining (two trees here), lines/s | 310,000 | 178,000 of masked lines |
| matching, lines/s | 770,000 | 327,000 of masked lines |
| learning from distinct lines when full, lines/s | 100,000 to 340,000 | 1,500 |
| masks | linear in the line, any pattern | patterns may backtrack |
| state | texts of templates, from which it is made anew | jsonpickle |

Both are Drain: a tree by number of words and by leading words, in whose leaves a line joins the
template that shares most words with it. What is stored are the templates' texts alone. A matcher
is made of them by adding each to an empty tree that merges nothing; then a line fits a template if
all its words but the free ones are equal, and nothing is learnt. Behind the interface the library
can be replaced without a change of what is stored.

Drain joins lines that differ in a word of meaning (`link up`, `link down`) as readily as those that
differ in a name. Where a free place took no more than a few plain words in training, each often
enough and not where names stand, the words are the event's and the template is split by them. On
the other hand, lines that differ in a leading word are never joined: many templates that differ in
one word alone are.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Annotated, Protocol

import numpy as np
from annotated_types import Ge, Interval
from logfold import Miner as Engine
from numpy.typing import NDArray

from stream_vae.core.log_templates import FREE, VALUE, Mask
from stream_vae.logs.masks import engine_rules, without_surrogates

_BATCH = 10_000
_DISTINCT = 20_000
"""Masked lines that are told apart to see what a free place takes."""
_SPLIT = 500
"""Templates that are looked at for states, most frequent first."""
_MATCHER_CHILDREN = 10_000
_LEAST_CONSTANT = 2
"""Words that templates have in common before they are joined for a name."""
_WORD = re.compile(r"[\"'(\[{<]*[A-Za-z][A-Za-z_-]*(?:\([a-z]+\))?[*+\"')\]}>,;:.!?]*")
"""A plain word: not the dotted, slashed or numbered name of something."""

_BEFORE_NAMES = frozenset(
    "account by client for from group host of server service to user".split()  # noqa: SIM905
)
"""Words after which a word in small letters is who or what, not how it went."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MinerConfig:
    """How lines are joined to templates."""

    similarity: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.75
    """Share of equal words from which a line joins a template. On Loghub .65 to .8 are within .002
    of the best, .6 and .85 lose .03; this is the middle."""
    leading_words: Annotated[int, Ge(0)] = 2
    """Words at the beginning that must be equal, or the line is of another template."""
    max_templates: Annotated[int, Ge(1)] = 20_000
    """While mining; the least recently seen are given up for new ones."""
    states: Annotated[int, Ge(0)] = 5
    """A free place that took at most so many different plain words is split by them; 0 never. Not
    after `user`, `from` and the like, where a small word is a name."""
    state_lines: Annotated[int, Ge(1)] = 2
    """Lines that each of those words must have had."""
    names: Annotated[int, Ge(2)] = 8
    """Templates that differ in one word alone become one from so many on: it is a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MinedTemplate:
    """A template and how often it was seen while mining."""

    pattern: str
    """Words with one space between; `<v>` stands for a masked value, `<*>` for a free word."""
    count: int
    example: str
    """A line of it, whole."""


class TemplateMiner(Protocol):
    """Learns templates from lines, in their order."""

    def add(self, lines: Iterable[str]) -> None:
        """Learn from lines; blank ones are passed over."""
        ...

    def templates(self) -> list[MinedTemplate]:
        """Return what was learnt, most frequent first."""
        ...


class TemplateMatcher(Protocol):
    """Knows templates and learns nothing."""

    def match(self, lines: Sequence[str]) -> NDArray[np.int32]:
        """Return each line's template by its number, or -1; a function of the line alone."""
        ...


class LogfoldMiner:
    """Mines with logfold.

    Args:
        masks: What is replaced before lines are compared.
        config: How lines are joined.

    Raises:
        ConfigError: If a mask is refused.
    """

    def __init__(self, masks: Sequence[Mask], config: MinerConfig) -> None:
        self._config = config
        self._joined = _joining(masks, config)
        # What merges nothing tells every masked line apart.
        self._apart = Engine(masks=engine_rules(masks), sim_th=1.0, max_templates=_DISTINCT)

    def add(self, lines: Iterable[str]) -> None:
        """Learn from lines; blank ones are passed over."""
        for batch in _batches(lines):
            texts = _encodable(batch)
            self._joined.add_many(texts)
            if self._config.states:
                self._apart.add_many(texts)

    def templates(self) -> list[MinedTemplate]:
        """Return what was learnt, most frequent first."""
        joined = [one for one in _read(self._joined) if not _is_remainder(one.pattern)]
        if self._config.states:
            joined = _split(joined, _read(self._apart), self._config)
        joined = _by_frequency(joined)
        while (fewer := _without_names(joined, self._config.names)) is not joined:
            joined = fewer
        return joined


class LogfoldMatcher:
    """Matches with logfold.

    A line is held to each template of as many words that has a free one, .05 to .1 microseconds
    each: 2,000 templates of one length make it 100 microseconds.

    Args:
        patterns: Of the templates; a template's number is its place here.
        masks: Those the templates were mined with.

    Raises:
        ConfigError: If a mask is refused.
    """

    def __init__(self, patterns: Sequence[str], masks: Sequence[Mask]) -> None:
        self._numbers = {pattern: number for number, pattern in enumerate(patterns)}
        self._engine = Engine(
            masks=engine_rules(masks),
            sim_th=1.0,
            max_templates=len(patterns) + 1,
            max_children=_MATCHER_CHILDREN,
        )
        self._engine.add_many(patterns)

    def match(self, lines: Sequence[str]) -> NDArray[np.int32]:
        """Return each line's template by its number, or -1; a function of the line alone."""
        found = self._engine.match_many(_encodable(lines), exact=True)
        numbers = self._numbers
        return np.fromiter(
            (-1 if one is None else numbers[one.text] for one in found), np.int32, len(found)
        )


def patterns_of(texts: Sequence[str], config: MinerConfig) -> list[str]:
    """Return the pattern of each masked text when all of them are mined together."""
    engine = _joining((), config)
    engine.add_many(texts)
    found = engine.match_many(texts, exact=True)
    return [text if one is None else one.text for text, one in zip(texts, found, strict=True)]


def _joining(masks: Sequence[Mask], config: MinerConfig) -> Engine:
    return Engine(
        masks=engine_rules(masks),
        sim_th=config.similarity,
        depth=config.leading_words + 3,
        max_templates=config.max_templates,
        on_full="evict",
    )


def _read(engine: Engine) -> list[MinedTemplate]:
    return [
        MinedTemplate(pattern=one.text, count=one.count, example=one.example or "")
        for one in engine.result().templates
    ]


def _is_remainder(pattern: str) -> bool:
    """Whether it is the engine's collection of what it gave up; similarity leaves none free."""
    return all(word == FREE for word in pattern.split(" "))


def _split(
    joined: Sequence[MinedTemplate], apart: Sequence[MinedTemplate], config: MinerConfig
) -> list[MinedTemplate]:
    """Split each template by the plain words of its free places, where these are few.

    Only the most frequent are: a line is held to each template of its length with a free place.
    """
    given_up = {len(one.pattern.split(" ")) for one in apart if _is_remainder(one.pattern)}
    free = [n for n, one in enumerate(joined) if FREE in one.pattern.split(" ")]
    tried = sorted(free, key=lambda n: -joined[n].count)[:_SPLIT]
    numbers = LogfoldMatcher([joined[n].pattern for n in tried], ()).match(
        [one.pattern for one in apart]
    )
    members: Mapping[int, list[MinedTemplate]] = defaultdict(list)
    for number, one in zip(numbers.tolist(), apart, strict=True):
        if number >= 0:
            members[tried[number]].append(one)
    found: list[MinedTemplate] = []
    for number, template in enumerate(joined):
        words = template.pattern.split(" ")
        # Where distinct lines were given up, a place may have taken more than is known.
        places = [] if len(words) in given_up else _states(words, members[number], config)
        found += _by_words(template, places, members[number]) if places else [template]
    return found


def _states(
    words: Sequence[str], members: Sequence[MinedTemplate], config: MinerConfig
) -> list[int]:
    """Return the free places that took few plain words, each of them often enough."""
    places = []
    for place in (place for place, word in enumerate(words) if word == FREE):
        taken: Counter[str] = Counter()
        for one in members:
            taken[one.pattern.split(" ")[place]] += one.count
        if (
            0 < len(taken) <= config.states
            and min(taken.values()) >= config.state_lines
            and all(map(_WORD.fullmatch, taken))
            and (place == 0 or words[place - 1].lower() not in _BEFORE_NAMES or _in_capitals(taken))
        ):
            places.append(place)
    return places


def _in_capitals(words: Iterable[str]) -> bool:
    return all(map(str.isupper, words))


def _by_words(
    template: MinedTemplate, places: Sequence[int], members: Sequence[MinedTemplate]
) -> list[MinedTemplate]:
    parts: dict[str, MinedTemplate] = {}
    for one in members:
        words, taken = template.pattern.split(" "), one.pattern.split(" ")
        for place in places:
            words[place] = taken[place]
        pattern = " ".join(words)
        before = parts.get(pattern)
        parts[pattern] = MinedTemplate(
            pattern=pattern,
            count=one.count + (before.count if before else 0),
            example=before.example if before else one.example,
        )
    return list(parts.values())


def _without_names(templates: list[MinedTemplate], least: int) -> list[MinedTemplate]:
    """Join templates that differ in one word alone, if they are many; the same list if none are.

    Leading words keep lines apart in the tree, whatever they are.
    """
    alike: dict[tuple[int, tuple[str, ...]], list[int]] = defaultdict(list)
    for number, one in enumerate(templates):
        words = tuple(one.pattern.split(" "))
        for place in range(len(words)):
            alike[place, (*words[:place], FREE, *words[place + 1 :])].append(number)
    joined: list[MinedTemplate] = []
    gone: set[int] = set()
    groups = ((words, group) for (_, words), group in alike.items() if len(group) >= least)
    for words, group in sorted(groups, key=lambda found: -len(found[1])):
        if gone.isdisjoint(group) and sum(map(_is_constant, words)) >= _LEAST_CONSTANT:
            gone.update(group)
            count = sum(templates[number].count for number in group)
            first = templates[group[0]]
            joined.append(replace(first, pattern=" ".join(words), count=count))
    if not joined:
        return templates
    return _by_frequency([*joined, *(t for n, t in enumerate(templates) if n not in gone)])


def _is_constant(word: str) -> bool:
    return FREE not in word and VALUE not in word


def _by_frequency(templates: Iterable[MinedTemplate]) -> list[MinedTemplate]:
    """Return the templates, most frequent first, each pattern once."""
    found: dict[str, MinedTemplate] = {}
    for one in templates:
        before = found.get(one.pattern)
        found[one.pattern] = (
            one if before is None else replace(before, count=before.count + one.count)
        )
    return sorted(found.values(), key=lambda one: (-one.count, one.pattern))


def _batches(lines: Iterable[str]) -> Iterator[list[str]]:
    left = iter(lines)
    while batch := list(islice(left, _BATCH)):
        yield batch


def _encodable(lines: Sequence[str]) -> Sequence[str]:
    """Return the lines, those with half a surrogate pair mended; such lines are rare."""
    try:
        "\n".join(lines).encode()
    except UnicodeEncodeError:
        return [without_surrogates(line) for line in lines]
    return lines
