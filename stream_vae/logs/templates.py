"""The templates of a model: found at training, and matched ever after.

Online nothing is learnt: which template a line has depends on the line and the templates alone, so
a replay gives the same, and the width and meaning of a vector stay as long as the model does.
"""

import hashlib
import re
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from stream_vae.core.excerpts import printable
from stream_vae.core.log_templates import FREE, RARE, VALUE, LogSpec, LogTemplate, Mask, shown
from stream_vae.logs.digit_shapes import ShapeMemory, are_digits_alike
from stream_vae.logs.masks import DEFAULT_MASKS, Masker
from stream_vae.logs.miner import (
    LogfoldMatcher,
    LogfoldMiner,
    MinedTemplate,
    MinerConfig,
    TemplateMatcher,
)

_NO_TEMPLATE = -1
_ID_BYTES = 4
_WORDS_IN_ID, _CHARACTERS_IN_ID = 4, 40
_WORD = re.compile(r"[A-Za-z][A-Za-z_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateConfig:
    """Which templates of those mined are kept, and which feature counts them."""

    kept: Annotated[int, Ge(1)] = 2_000
    """Templates that are known; of the rest lines count as unseen."""
    own: Annotated[int, Ge(1)] = 100
    """Templates that have a feature of their own."""
    shared: Annotated[int, Ge(1)] = 8
    """Features that count the others, chosen by a hash of their identity."""
    min_lines: Annotated[int, Ge(1)] = 5
    """Lines in training from which a template has a feature of its own."""
    example_length: Annotated[int, Ge(1)] = 200
    """Characters of an example line that are kept."""
    examples: Literal["raw", "masked"] = "raw"
    """`masked` keeps no value of a line that a mask takes."""


class Templates:
    """Finds the template of each line.

    Args:
        logs: The templates, and the masks they were found with.

    Raises:
        ConfigError: If a mask is refused.
    """

    def __init__(self, logs: LogSpec) -> None:
        patterns = [one.pattern for one in logs.templates]
        self._matcher: TemplateMatcher = LogfoldMatcher(patterns, logs.masks)
        self._by_shape = None
        if are_digits_alike([mask.pattern for mask in logs.masks], patterns):
            self._by_shape = ShapeMemory(self._matcher.match)

    def match(
        self, texts: Sequence[str], shapes: Sequence[bytes] | None = None
    ) -> NDArray[np.int32]:
        """Return (N,) number of each line's template; -1: it has none (unseen, or blank).

        Args:
            texts: N lines; the result of each is the same whatever stands around it.
            shapes: N, theirs, if they are known.
        """
        if self._by_shape is None:
            return self._matcher.match(texts)
        return self._by_shape.find(texts, shapes)


def mine(
    lines: Iterable[str],
    config: TemplateConfig | None = None,
    *,
    miner: MinerConfig | None = None,
    masks: Sequence[Mask] = DEFAULT_MASKS,
) -> LogSpec:
    """Return the templates of training lines.

    Args:
        lines: In their order; blank ones are passed over.
        config: Which templates are kept, and which feature counts them.
        miner: How lines are joined.
        masks: An operator's own stand before the defaults.

    Raises:
        ConfigError: If a mask is refused.
    """
    learning = LogfoldMiner(masks, miner or MinerConfig())
    learning.add(lines)
    return chosen(learning.templates(), config or TemplateConfig(), masks)


def of_events(counts: Mapping[str, int], examples: Mapping[str, str]) -> list[MinedTemplate]:
    """Return the events of logs that were parsed before, as templates; most frequent first.

    Args:
        counts: Id or template -> events.
        examples: Id or template -> a line of it.
    """
    found = [
        MinedTemplate(pattern=event, count=count, example=examples.get(event, ""))
        for event, count in counts.items()
    ]
    return sorted(found, key=lambda one: (-one.count, one.pattern))


def chosen(
    mined: Sequence[MinedTemplate], config: TemplateConfig, masks: Sequence[Mask]
) -> LogSpec:
    """Return the most frequent templates, each with the feature that counts it.

    Args:
        mined: Most frequent first.
        config: How many are kept.
        masks: With which they were found.
    """
    masker = Masker(masks)
    templates = []
    for number, one in enumerate(mined[: config.kept]):
        identity = _identity(one.pattern)
        is_own = number < config.own and one.count >= config.min_lines
        shared = zlib.crc32(one.pattern.encode()) % config.shared
        example = one.example if config.examples == "raw" else shown(masker.mask(one.example))
        templates.append(
            LogTemplate(
                id=identity,
                pattern=one.pattern,
                example=printable(example, config.example_length),
                count=one.count,
                feature=identity if is_own else f"{RARE}.{shared}",
            )
        )
    return LogSpec(
        templates=tuple(templates),
        masks=tuple(masks),
        lines=sum(one.count for one in mined),
        examples=config.examples,
    )


def _identity(pattern: str) -> str:
    """Return a name of a template that people can tell from others.

    >>> _identity("Failed password for <*> from <v> port <v>")
    'failed-password-for-from.3f0bc8d0'
    """
    plain = pattern.replace(VALUE, " ").replace(FREE, " ")
    words = "-".join(_WORD.findall(plain)[:_WORDS_IN_ID]).lower()[:_CHARACTERS_IN_ID]
    digest = hashlib.blake2s(pattern.encode(), digest_size=_ID_BYTES).hexdigest()
    return f"{words}.{digest}" if words else digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """Templates of a new training, with the identities of the old one where they are the same."""

    logs: LogSpec
    kept: tuple[str, ...]
    """Identities that both have."""
    gone: tuple[str, ...]
    """Identities that only the old one has."""
    new: tuple[str, ...]
    """Identities that only the new one has."""


def carry_over(old: LogSpec, new: LogSpec) -> Carried:
    """Give templates of a new training the identities that they had in the old one.

    A template is the old one if its pattern is the same, or if one of the two covers the other: a
    word has become free, or is no longer. Of several that it covers, the most frequent gives it its
    identity; each identity is given once.
    """
    identities: dict[int, str] = {}
    old_patterns = [one.pattern for one in old.templates]
    new_patterns = [one.pattern for one in new.templates]
    same = {pattern: number for number, pattern in enumerate(new_patterns)}
    pairs = [(number, same[p]) for number, p in enumerate(old_patterns) if p in same]
    pairs += enumerate(Templates(new).match(old_patterns).tolist())
    pairs += ((of, n) for n, of in enumerate(Templates(old).match(new_patterns).tolist()))
    given: set[str] = set()
    for before, after in pairs:
        if before < 0 or after < 0:
            continue
        identity = old.templates[before].id
        if after not in identities and identity not in given:
            identities[after] = identity
            given.add(identity)
    reserved = {one.id for one in old.templates}
    fresh: dict[int, str] = {}
    for number, one in enumerate(new.templates):
        if number not in identities:
            fresh[number] = _unlike(one.id, reserved)
            reserved.add(fresh[number])
    names = identities | fresh
    return Carried(
        logs=replace(
            new, templates=tuple(_renamed(one, names[n]) for n, one in enumerate(new.templates))
        ),
        kept=tuple(identities[n] for n in sorted(identities)),
        gone=tuple(one.id for one in old.templates if one.id not in given),
        new=tuple(fresh.values()),
    )


def _unlike(identity: str, others: Collection[str]) -> str:
    """Return an identity that no other template has or had.

    It follows from the pattern that a template had at first, which another may have now.
    """
    while identity in others:
        identity += "-2"
    return identity


def covered(logs: LogSpec) -> frozenset[int]:
    """Return the numbers of templates whose lines another one takes."""
    patterns = [one.pattern for one in logs.templates]
    of = Templates(logs).match(patterns).tolist()
    return frozenset(n for n, number in enumerate(of) if number not in (n, _NO_TEMPLATE))


def _renamed(template: LogTemplate, identity: str) -> LogTemplate:
    feature = identity if template.feature == template.id else template.feature
    return replace(template, id=identity, feature=feature)
