"""Categories of a feature: any value as text in one form, and its code.

Producers write the same value in several ways (`3`, `3.0`, `True`, `true`, ` true`), and files have
text alone; one form for all keeps a model from taking them for different values.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MAX_CATEGORY_CHARACTERS = 256
"""Categories appear in bundles and alerts, so their length is bounded; longer text is no category
of a model."""

_EXACT_INTEGERS = 2.0**53
_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0+")
_TRUTH = frozenset({"true", "false"})


def category_text(value: str | bool | float) -> str:
    """Return a value as text: without surrounding spaces, whole numbers without a fraction.

    Truth values are `true` and `false`, in lower case from text too. Other text stays as it is.

    Args:
        value: Text, a truth value, or a finite number that a 64-bit float holds.

    >>> [category_text(value) for value in (" north ", True, "True", 3, 3.0, "3.0", "03", 2.5)]
    ['north', 'true', 'true', '3', '3', '3', '03', '2.5']
    """
    if isinstance(value, str):
        return _text_in_one_form(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() < 64:
        return str(value)
    number = float(value)
    return (
        str(int(number)) if number.is_integer() and abs(number) < _EXACT_INTEGERS else str(number)
    )


def _text_in_one_form(text: str) -> str:
    text = text.strip()
    if text.lower() in _TRUTH:
        return text.lower()
    whole = _WHOLE.fullmatch(text)
    if whole is None:
        return text
    return "0" if whole[1] == "-0" else whole[1]


class CategoryCodes:
    """Values of one categorical feature to codes.

    Args:
        categories: K texts in the form of `category_text`, in the model's order.
    """

    def __init__(self, categories: Sequence[str]) -> None:
        self._codes = {text: float(code) for code, text in enumerate(categories)}
        self._unseen = float(len(categories))

    def code(self, value: str | bool | float | None) -> float:
        """Return the position of a value's text, K for one that is not there, NaN for None."""
        if value is None:
            return float("nan")
        return self._codes.get(category_text(value), self._unseen)

    def encode(self, column: Sequence[str | bool | float | None]) -> NDArray[np.float64]:
        """Return (N,) codes of a column."""
        # Numbers and truth values are never found: the keys are text. They take the long way, as
        # does text in another form.
        found = list(map(self._codes.get, column))  # type: ignore[arg-type]
        if None in found:
            found = [
                self.code(value) if code is None else code
                for value, code in zip(column, found, strict=True)
            ]
        return np.array(found, dtype=np.float64)
