"""The templates of a model: fixed at training, each with an identity and a column.

Online nothing is learnt: which template a line has depends on the line and the templates alone, so
a replay gives the same, and the width and meaning of a vector stay as long as the model does.
"""

import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from stream_vae.core.excerpts import printable
from stream_vae.core.log_templates import RARE, LogTemplate
from stream_vae.errors import BundleError
from stream_vae.logs.masks import DEFAULT_MASKS, VALUE, Mask, Masker
from stream_vae.logs.miner import (
    FREE,
    LogfoldMatcher,
    LogfoldMiner,
    MinedTemplate,
    MinerConfig,
    TemplateMatcher,
)

FORMAT_VERSION = 1

_ID_BYTES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateConfig:
    """Which templates of those mined are kept, and where they are counted."""

    kept: Annotated[int, Ge(1)] = 2_000
    """Templates that are known; of the rest lines count as unseen."""
    own_columns: Annotated[int, Ge(1)] = 100
    """Templates that have a column of their own."""
    shared_columns: Annotated[int, Ge(1)] = 8
    """Columns in which the others are counted together, by a hash of their identity."""
    min_lines: Annotated[int, Ge(1)] = 5
    """Lines in training from which a template has a column of its own."""
    example_length: Annotated[int, Ge(1)] = 200
    """Characters of an example line that are kept."""
    examples: Literal["raw", "masked"] = "raw"
    """`masked` keeps no value of a line that a mask takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A template of log lines."""

    id: str
    """Stays when a later training finds the template again."""
    pattern: str
    """As lines are compared: `<v>` for a masked value, `<*>` for a free word."""
    example: str
    """The beginning of a line of it; raw, so escape it before it is shown."""
    count: int
    """Lines of it in training."""
    column: int
    """In which its lines are counted."""

    @property
    def text(self) -> str:
        """The template as people read it.

        >>> Template(id="", pattern="took <v> for <*>", example="", count=1, column=0).text
        'took <*> for <*>'
        """
        return self.pattern.replace(VALUE, FREE)


class Templates:
    """The templates of a model.

    Args:
        entries: By their numbers, most frequent first.
        masks: Those they were mined with.
        own_columns: Columns that belong to one template each, before those shared.
        shared_columns: Columns of several templates.
        lines: In training, those of templates that are not kept among them.

    Raises:
        ConfigError: If a mask is refused.
    """

    def __init__(
        self,
        entries: Sequence[Template],
        *,
        masks: Sequence[Mask],
        own_columns: int,
        shared_columns: int,
        lines: int,
    ) -> None:
        self.entries = tuple(entries)
        self.masks = tuple(masks)
        self.own_columns = own_columns
        self.shared_columns = shared_columns
        self.lines = lines
        self.columns: NDArray[np.int32] = np.array([one.column for one in entries], np.int32)
        """(templates,): in which column each is counted."""
        self._matcher: TemplateMatcher = LogfoldMatcher([one.pattern for one in entries], masks)

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def n_columns(self) -> int:
        """How many columns the templates have, the shared ones last."""
        return self.own_columns + self.shared_columns

    def match(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Return the number of each line's template, -1 where it has none (unseen, or blank).

        Args:
            texts: Lines, or records of several lines.

        Returns:
            (lines,); of each line the same whatever stands around it.
        """
        return self._matcher.match(texts)

    def masker(self) -> Masker:
        """Return what masks a line as training did."""
        return Masker(self.masks)

    def of_column(self, column: int) -> list[Template]:
        """Return the templates that are counted in a column, most frequent first."""
        return [one for one in self.entries if one.column == column]

    def counted(self) -> tuple[LogTemplate, ...]:
        """Return the templates by their numbers, each with the feature that counts it."""
        return tuple(
            LogTemplate(
                id=one.id,
                text=one.text,
                example=printable(one.example, 2 * len(one.example) + 3),
                count=one.count,
                feature=one.id
                if one.column < self.own_columns
                else f"{RARE}.{one.column - self.own_columns}",
            )
            for one in self.entries
        )

    def as_json(self) -> dict[str, Any]:
        """Return plain values of which `from_json` makes the same templates."""
        return {
            "version": FORMAT_VERSION,
            "lines": self.lines,
            "own_columns": self.own_columns,
            "shared_columns": self.shared_columns,
            "masks": [msgspec.to_builtins(mask) for mask in self.masks],
            "templates": [msgspec.to_builtins(one) for one in self.entries],
        }

    @classmethod
    def from_json(cls, value: object) -> "Templates":
        """Return the templates that `as_json` wrote.

        Raises:
            BundleError: If the value is no such thing, or a later release wrote it.
        """
        version = value.get("version") if isinstance(value, Mapping) else None
        if version != FORMAT_VERSION:
            raise BundleError(
                f"log templates: found version {version!r}, expected {FORMAT_VERSION}; "
                "use the release that trained the model, or train anew"
            )
        try:
            stored = msgspec.convert(value, _Stored)
        except msgspec.ValidationError as exc:
            raise BundleError(f"log templates: {exc}; expected what training wrote") from None
        if not all(
            0 <= one.column < stored.own_columns + stored.shared_columns for one in stored.templates
        ):
            raise BundleError("log templates: a column lies outside the columns that there are")
        return cls(
            stored.templates,
            masks=stored.masks,
            own_columns=stored.own_columns,
            shared_columns=stored.shared_columns,
            lines=stored.lines,
        )


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    lines: int
    own_columns: int
    shared_columns: int
    masks: list[Mask]
    templates: list[Template]


def mine(
    lines: Iterable[str],
    config: TemplateConfig | None = None,
    *,
    miner: MinerConfig | None = None,
    masks: Sequence[Mask] = DEFAULT_MASKS,
) -> Templates:
    """Return the templates of training lines.

    Args:
        lines: In their order; blank ones are passed over.
        config: Which templates are kept, and where they are counted.
        miner: How lines are joined.
        masks: An operator's own stand before the defaults.

    Raises:
        ConfigError: If a mask is refused.
    """
    config = config or TemplateConfig()
    masker = Masker(masks)
    learning = LogfoldMiner(masks, miner or MinerConfig())
    learning.add(lines)
    mined = learning.templates()
    kept = mined[: config.kept]
    n_own = min(config.own_columns, sum(one.count >= config.min_lines for one in kept))
    n_shared = config.shared_columns if len(kept) > n_own else 0
    entries = [
        _entry(one, number if number < n_own else None, n_own=n_own, masker=masker, config=config)
        for number, one in enumerate(kept)
    ]
    return Templates(
        entries,
        masks=masks,
        own_columns=n_own,
        shared_columns=n_shared,
        lines=sum(one.count for one in mined),
    )


def _entry(
    mined: MinedTemplate,
    own: int | None,
    *,
    n_own: int,
    masker: Masker,
    config: TemplateConfig,
) -> Template:
    identity = hashlib.blake2s(mined.pattern.encode(), digest_size=_ID_BYTES).hexdigest()
    example = masker.mask(mined.example) if config.examples == "masked" else mined.example
    return Template(
        id=identity,
        pattern=mined.pattern,
        example=example[: config.example_length],
        count=mined.count,
        column=n_own + zlib.crc32(identity.encode()) % config.shared_columns
        if own is None
        else own,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """Templates of a new training, with the identities of the old one where they are the same."""

    templates: Templates
    kept: tuple[str, ...]
    """Identities that both have."""
    gone: tuple[str, ...]
    """Identities that only the old one has."""
    new: tuple[str, ...]
    """Identities that only the new one has."""


def carry_over(old: Templates, new: Templates) -> Carried:
    """Give templates of a new training the identities that they had in the old one.

    A template is the old one if its pattern is the same, or if one of the two covers the other: a
    word has become free, or is no longer. Of several that it covers, the most frequent gives it its
    identity; each identity is given once.
    """
    identities: dict[int, str] = {}
    taken: set[str] = set()
    old_patterns = [one.pattern for one in old.entries]
    new_patterns = [one.pattern for one in new.entries]
    same = {pattern: number for number, pattern in enumerate(new_patterns)}
    pairs = [(number, same[p]) for number, p in enumerate(old_patterns) if p in same]
    pairs += enumerate(new.match(old_patterns).tolist())
    pairs += ((of, number) for number, of in enumerate(old.match(new_patterns).tolist()))
    for before, after in pairs:
        if before < 0 or after < 0:
            continue
        identity = old.entries[before].id
        if after not in identities and identity not in taken:
            identities[after] = identity
            taken.add(identity)
    entries = []
    for number, one in enumerate(new.entries):
        identity = identities.get(number, one.id)
        entries.append(one if identity == one.id else replace(one, id=identity))
    known = {one.id for one in old.entries}
    return Carried(
        templates=Templates(
            entries,
            masks=new.masks,
            own_columns=new.own_columns,
            shared_columns=new.shared_columns,
            lines=new.lines,
        ),
        kept=tuple(one.id for one in entries if one.id in known),
        gone=tuple(one.id for one in old.entries if one.id not in taken),
        new=tuple(one.id for one in entries if one.id not in known),
    )
