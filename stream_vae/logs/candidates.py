"""What unseen lines look like: a bounded count of templates that the next training may find.

A line is kept by its masked text. When there are ten times as many as may stay, they are mined,
those of one template are joined, and the most frequent stay. So a flood of lines of one shape
becomes one candidate, and a flood of lines with nothing in common leaves only what recurs. This
depends on the order of the lines alone, not on how they were cut into batches.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec

from stream_vae.core.log_templates import Mask
from stream_vae.errors import StateError
from stream_vae.logs.masks import Masker
from stream_vae.logs.miner import MinerConfig, patterns_of

STATE_VERSION = 1

_COARSE = MinerConfig(leading_words=1)
_HELD = 10
_LONGEST_TEXT = 500
_LONGEST_EXAMPLE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A template that no training has seen."""

    pattern: str
    """Masked; at most 500 characters of it."""
    count: int
    """Lines, as far as they were not forgotten."""
    example: str
    """The beginning of the first line; raw, so escape it before it is shown."""


def joined(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return candidates, most frequent first, those of one template as one."""
    found: dict[str, Candidate] = {}
    for one in candidates:
        before = found.get(one.pattern)
        found[one.pattern] = (
            one if before is None else replace(before, count=before.count + one.count)
        )
    return sorted(found.values(), key=lambda one: (-one.count, one.pattern))


class _State(msgspec.Struct, frozen=True, array_like=True):
    version: int
    lines: int
    kept: list[tuple[str, int, str]]


class Candidates:
    """Candidates of one partition.

    Args:
        masks: Those of the model's templates.
        capacity: Candidates that stay; ten times as many texts are held in between.

    Raises:
        ConfigError: If a mask is refused.
    """

    def __init__(self, masks: Sequence[Mask], *, capacity: int = 100) -> None:
        self._masker = Masker(masks)
        self._capacity = capacity
        self._kept: dict[str, tuple[int, str]] = {}
        self.lines = 0
        """Unseen lines so far, forgotten ones among them."""

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, texts: Iterable[str]) -> None:
        """Count unseen lines, in their order."""
        mask, kept = self._masker.mask, self._kept
        for text in texts:
            pattern = mask(text)[:_LONGEST_TEXT]
            count, example = kept.get(pattern) or (0, text[:_LONGEST_EXAMPLE])
            kept[pattern] = (count + 1, example)
            self.lines += 1
            if len(kept) >= _HELD * self._capacity:
                self._condense()

    def most_frequent(self) -> list[Candidate]:
        """Return the candidates, most frequent first."""
        found = [
            Candidate(pattern=pattern, count=count, example=example)
            for pattern, (count, example) in self._joined().items()
        ]
        return sorted(found, key=lambda one: -one.count)[: self._capacity]

    def snapshot(self) -> bytes:
        """Return all of the state."""
        kept = [(pattern, *rest) for pattern, rest in self._kept.items()]
        return msgspec.msgpack.encode(_State(STATE_VERSION, self.lines, kept))

    def restore(self, state: bytes) -> None:
        """Continue from a snapshot.

        Raises:
            StateError: If it is damaged, or a newer release wrote it.
        """
        try:
            found = msgspec.msgpack.decode(state, type=_State)
        except (msgspec.DecodeError, msgspec.ValidationError) as exc:
            raise StateError(f"log candidates: the saved state is damaged: {exc}") from None
        if found.version != STATE_VERSION:
            raise StateError(
                f"log candidates: found version {found.version}, expected {STATE_VERSION}"
            )
        self.lines = found.lines
        self._kept.clear()
        self._kept.update({pattern: (count, example) for pattern, count, example in found.kept})

    def _condense(self) -> None:
        joined = sorted(self._joined().items(), key=lambda one: -one[1][0])
        self._kept.clear()
        self._kept.update(joined[: self._capacity])

    def _joined(self) -> dict[str, tuple[int, str]]:
        """Return what is kept, texts of one template joined, in the order of their first line."""
        joined: dict[str, tuple[int, str]] = {}
        patterns = patterns_of(list(self._kept), _COARSE)
        for pattern, (count, example) in zip(patterns, self._kept.values(), strict=True):
            before, first = joined.get(pattern, (0, example))
            joined[pattern] = (before + count, first)
        return joined
