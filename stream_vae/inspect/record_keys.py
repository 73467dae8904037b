"""What the keys of records are."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from stream_vae.core.excerpts import printable
from stream_vae.errors import DecodeError
from stream_vae.inputs.series_keys import KeyFormat, parse_key

_MOST = 0.95
_PREFIX = 5
"""Bytes of a schema's number and a 0 before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """The keys of a sample."""

    kind: str
    """null, text, int32, int64, binary, or a mixture in words."""
    present: float
    """Share of the records that have one."""
    n_distinct: int
    examples: tuple[str, ...]
    key_format: KeyFormat
    """`input.key_format` that reads them."""
    may_name_series: bool
    """Nearly all records have one, and it is not another for each."""


def look_at_keys(keys: Sequence[bytes | None], *, may_be_registered: bool = False) -> KeyFacts:
    """Return what keys are.

    Args:
        keys: Of the records.
        may_be_registered: Values are a schema registry's, so that keys may be too.
    """
    present = [key for key in keys if key]
    kinds = Counter(map(_kind, present))
    key_format: KeyFormat = "text"
    if kinds:
        lengths = {len(key) for key in present}
        if set(kinds) != {"text"}:
            key_format = {frozenset({4}): "int32", frozenset({8}): "int64"}.get(  # type: ignore[assignment]  # each is one
                frozenset(lengths), "hex"
            )
    if may_be_registered and present and all(map(_names_schema, present)):
        key_format = "registry"
    kind = "null" if not kinds else kinds.most_common(1)[0][0]
    if key_format == "registry":
        kind = f"a schema registry's, of schema {int.from_bytes(present[0][1:5], 'big')}"
    elif kinds and key_format in ("int32", "int64"):
        kind = f"binary, {key_format}"
    elif len(kinds) > 1:
        kind = ", ".join(f"{n:,} {each}" for each, n in kinds.most_common())
    share = len(present) / max(len(keys), 1)
    distinct = Counter(present)
    few = len(present) < 20 or len(distinct) <= len(present) / 2
    return KeyFacts(
        kind=kind,
        present=share,
        n_distinct=len(distinct),
        examples=tuple(_shown(key, key_format) for key, _ in distinct.most_common(3)),
        key_format=key_format,
        may_name_series=share >= _MOST and few,
    )


def _names_schema(key: bytes) -> bool:
    """Return whether a key begins with the number of a schema, which is never 0."""
    return key[:1] == b"\0" and len(key) > _PREFIX and any(key[1:_PREFIX])


def _kind(key: bytes) -> str:
    try:
        parse_key(key)
    except DecodeError:
        return "binary"
    return "text"


def _shown(key: bytes, key_format: KeyFormat) -> str:
    try:
        if key_format == "registry":
            return printable(key[_PREFIX:].decode("utf-8", "backslashreplace"), 60)
        return printable(parse_key(key, key_format), 60)
    except DecodeError:
        return printable(key.hex(), 60)
