"""The bounds that types declare, held against values that were read from a file."""

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from functools import cache
from operator import ge, gt, le, lt
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt

from stream_vae.core.excerpts import excerpt

_RULES = ((Ge, "ge", ge, ">="), (Gt, "gt", gt, ">"), (Le, "le", le, "<="), (Lt, "lt", lt, "<"))


def out_of_bounds(value: object, kind: Any, place: str = "") -> Iterator[str]:
    """Yield place, found and expected for each number that is not within its type's bounds.

    The JSON decoder checks types and not these.

    Args:
        value: Of the type.
        kind: Dataclasses, collections, unions, and numbers `Annotated` with bounds.
        place: Of the value, dotted.

    >>> from stream_vae.models.config import ArchitectureConfig
    >>> list(out_of_bounds(ArchitectureConfig(layers=0), ArchitectureConfig))
    ['layers: found 0, expected >= 1']
    """
    origin, options = get_origin(kind), get_args(kind)
    if origin is Annotated:
        yield from _broken_rules(value, options[1:], place)
    elif isinstance(kind, type) and is_dataclass(kind):
        if isinstance(value, kind):
            for name, hint in _hints(kind).items():
                yield from out_of_bounds(
                    getattr(value, name), hint, f"{place}.{name}" if place else name
                )
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield from out_of_bounds(entry, options[-1], f"{place}.{key}")
    elif isinstance(value, list | tuple) and options:
        for at, entry in enumerate(value):
            yield from out_of_bounds(entry, options[0], f"{place}.{at}")
    else:
        for option in options:  # of a union, those that the value is not are passed over
            yield from out_of_bounds(value, option, place)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _broken_rules(value: object, rules: tuple[object, ...], place: str) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    for rule in rules:
        for kind, name, holds, sign in _RULES:
            if isinstance(rule, kind) and not holds(value, getattr(rule, name)):
                yield f"{place}: found {excerpt(value)}, expected {sign} {getattr(rule, name)}"
