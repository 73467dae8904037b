"""How often an expression of `re` may go back and try again, found before it meets a line.

An expression that can read a text in one way only, since what may follow each of its repeats never
begins like the repeat itself, tries each place once. Others can take hours for one line.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

MOST_WAYS = 16
"""Ways to read one text, at most, of expressions that are used."""

_TOO_MANY = MOST_WAYS + 1
# One bit each: signs up to U+00FF, and for those beyond a letter, a digit, a space and another.
_SIGNS = [*map(chr, range(256)), "\u4e2d", "\u0663", "\u2028", "\u20ac"]
_EVERY = (1 << len(_SIGNS)) - 1
_BEYOND = _EVERY ^ ((1 << 256) - 1)
_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)
_REFUSED = (op.GROUPREF, op.GROUPREF_EXISTS)
_ONE_SIGN = (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN)
_CATEGORIES: Mapping[Any, Callable[[str], bool]] = {
    op.CATEGORY_DIGIT: str.isdecimal,
    op.CATEGORY_SPACE: str.isspace,
    op.CATEGORY_WORD: lambda sign: sign.isalnum() or sign == "_",
}
_NEGATED = {
    op.CATEGORY_NOT_DIGIT: op.CATEGORY_DIGIT,
    op.CATEGORY_NOT_SPACE: op.CATEGORY_SPACE,
    op.CATEGORY_NOT_WORD: op.CATEGORY_WORD,
}

_Item = tuple[Any, Any]
"""Operator and argument, as the parser of `re` gives them."""


def may_backtrack(pattern: str) -> bool:
    r"""Return whether an expression may read a text in more than `MOST_WAYS` ways.

    Args:
        pattern: A valid one.

    >>> [may_backtrack(one) for one in (r"^(\S+) \[([^]]+)\] ", r"(a+)+b", r"^.*x", r"(\w+)-\d{2}")]
    [False, True, True, False]
    """
    parsed = _parser.parse(pattern)
    return _Reading(ignores_case=bool(re.search(r"\(\?[a-zA-Z]*i", pattern))).ways(parsed, 0) > (
        MOST_WAYS
    )


class _Reading:
    """Counts ways; a set of signs is an integer with their bits."""

    def __init__(self, *, ignores_case: bool) -> None:
        self._ignores_case = ignores_case

    def ways(self, items: Sequence[_Item], after: int) -> int:
        """Return the ways to read items before one of the signs `after`; 0: nothing follows."""
        total = 1
        for place, item in enumerate(items):
            total *= self._ways_of(item, self._first(items[place + 1 :], after))
            if total > MOST_WAYS:
                return _TOO_MANY
        return total

    def _ways_of(self, item: _Item, after: int) -> int:
        what, argument = item
        if what in _REFUSED:
            return _TOO_MANY
        if what in _REPEATS:
            return self._ways_of_repeat(item, after)
        if what is op.BRANCH:
            return self._ways_of_branches(argument[1], after)
        inner = _inner(item)
        return 1 if inner is None else self.ways(inner, 0 if what in _LOOKS else after)

    def _ways_of_repeat(self, item: _Item, after: int) -> int:
        what, (least, most, inner) = item
        begins = self._first(inner, 0)
        is_told = what is op.POSSESSIVE_REPEAT or not begins & after
        ways = 1 if is_told else min(most - least + 1, _TOO_MANY)
        if len(inner) == 1 and inner[0][0] in _ONE_SIGN:
            return ways
        if most > 1 and self._may_be_empty(inner):
            return _TOO_MANY
        each = self.ways(inner, begins | after)
        if each > 1 and most > MOST_WAYS:
            return _TOO_MANY
        return min(ways * each ** int(most), _TOO_MANY) if each > 1 else ways

    def _ways_of_branches(self, branches: Sequence[Sequence[_Item]], after: int) -> int:
        ways = [self.ways(branch, after) for branch in branches]
        seen = 0
        for branch in branches:
            begins = self._first(branch, after)
            if begins & seen:
                return min(sum(ways), _TOO_MANY)
            seen |= begins
        return max(ways)

    def _first(self, items: Iterable[_Item], after: int) -> int:
        """Return the signs that a text of these items, or what follows, may begin with."""
        found = 0
        for item in items:
            found |= self._first_of(item)
            if not self._may_be_empty([item]):
                return found
        return found | after

    def _first_of(self, item: _Item) -> int:
        what, argument = item
        if what in _ONE_SIGN:
            return self._signs(item)
        if what in _REFUSED:
            return _EVERY
        if what is op.BRANCH:
            found = 0
            for branch in argument[1]:
                found |= self._first(branch, 0)
            return found
        inner = _inner(item)
        return 0 if inner is None or what in _LOOKS else self._first(inner, 0)

    def _may_be_empty(self, items: Iterable[_Item]) -> bool:
        return all(self._is_optional(item) for item in items)

    def _is_optional(self, item: _Item) -> bool:
        what, argument = item
        if what in _ONE_SIGN:
            return False
        if what is op.BRANCH:
            return any(self._may_be_empty(branch) for branch in argument[1])
        if what in _REPEATS and argument[0] == 0:
            return True
        inner = _inner(item)
        return inner is None or what in _LOOKS or self._may_be_empty(inner)

    def _signs(self, item: _Item) -> int:
        what, argument = item
        if what is op.ANY:
            return _EVERY
        if what is op.LITERAL:
            return self._signs_between(argument, argument)
        if what is op.NOT_LITERAL:
            return _EVERY & ~(1 << argument if argument < 256 else 0)
        found, is_negated = 0, False
        for kind, of_kind in argument:
            if kind is op.NEGATE:
                is_negated = True
            elif kind is op.CATEGORY:
                found |= _category(of_kind)
            else:
                low, high = of_kind if kind is op.RANGE else (of_kind, of_kind)
                found |= self._signs_between(low, high, is_least=is_negated)
        return _EVERY & ~found if is_negated else found

    def _signs_between(self, low: int, high: int, *, is_least: bool = False) -> int:
        """Return signs of a range; where not all is known, more, or `is_least` fewer."""
        found = 0
        for sign in range(low, min(high, 255) + 1):
            found |= 1 << sign
            if self._ignores_case and not is_least:
                for other in (chr(sign).lower(), chr(sign).upper()):
                    found |= 1 << ord(other) if len(other) == 1 and ord(other) < 256 else _BEYOND
        return found | _BEYOND if high > 255 and not is_least else found


_LOOKS = (op.ASSERT, op.ASSERT_NOT)


def _inner(item: _Item) -> Sequence[_Item] | None:
    """Return what an item is made of; None where it stands for a place alone."""
    what, argument = item
    found: Sequence[_Item] | None = None
    if what in _REPEATS:
        found = argument[2]
    elif what is op.SUBPATTERN:
        found = argument[3]
    elif what is op.ATOMIC_GROUP:
        found = argument
    elif what in _LOOKS:
        found = argument[1]
    return found


def _category(category: Any) -> int:
    test = _CATEGORIES.get(_NEGATED.get(category, category))
    if test is None:
        return _EVERY
    found = 0
    for place, sign in enumerate(_SIGNS):
        found |= test(sign) << place
    return _EVERY & ~found if category in _NEGATED else found
