"""Text to numbers: one set of rules for the cells of files and for text in records.

A number is one as programs print it (`18.471`, `-3e5`), optionally with a decimal comma, digits in
groups of three and a unit behind it. Words for a value that is not there are missing, infinity is
told apart, `true` and `false` are 1 and 0. Everything else is unreadable: nothing is guessed where
a guess could be wrong by a factor.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import isnan, nan
from typing import Literal

import numpy as np
from numpy.typing import NDArray

DecimalMark = Literal[".", ","]
Remedy = Literal["decimal", "units", "missing_words"]

MISSING_WORDS = frozenset(
    """
    nan|-nan|+nan|na|n/a|n.a.|#n/a|#na|null|none|nil|\\n|.|?|-|--|---|----|*|unavailable|unknown
    |undefined|missing|invalid|bad|bad input|error|no data|nodata|no value|not available
    |not connect|not connected|offline|comm fail|scan off|pt created|i/o timeout|calc failed
    |nan(ind)|-nan(ind)|1.#ind|-1.#ind|1.#qnan|-1.#qnan|#div/0!|#value!|#ref!|#num!|#name?|#null!
    """.replace("\n", "")
    .replace("    ", "")
    .split("|")
) | {""}
"""Words for a value that is not there, compared without case and surrounding space: of programming
languages, databases (`\\N`), spreadsheets (`#N/A`), home automation (`unavailable`), historians
(`Bad Input`) and displays (`---`)."""

_INFINITE = {"∞": np.inf, "+∞": np.inf, "-∞": -np.inf, "1.#inf": np.inf, "-1.#inf": -np.inf}
TRUE_AND_FALSE: Mapping[str, float] = {"true": 1.0, "false": 0.0}
"""Numbers, wherever they stand."""
TRUTH_WORDS: Mapping[str, float] = {
    **TRUE_AND_FALSE,
    "yes": 1.0,
    "no": 0.0,
    "on": 1.0,
    "off": 0.0,
    "t": 1.0,
    "f": 0.0,
    "y": 1.0,
    "n": 0.0,
}
"""Of a feature with two values. A temperature that says `off` is not 0, so elsewhere such a word
is a number only by a setting."""

# A digit group is three digits behind one to three that do not begin with 0.
_GROUPS = r"[1-9][0-9]{0,2}"
_SPACE = "[ \u00a0\u2009\u202f'\u2019]"
_EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
_NUMBERS: Mapping[DecimalMark | None, re.Pattern[str]] = {
    # Without a told mark, one comma alone may be either (1,234), so it is neither.
    None: re.compile(
        rf"[+-]?(?:[0-9]+|{_GROUPS}(?:{_SPACE}[0-9]{{3}})+|{_GROUPS}(?:,[0-9]{{3}}){{2,}}"
        rf"|{_GROUPS}(?:,[0-9]{{3}})+(?=\.))?(?:\.[0-9]*)?{_EXPONENT}"
    ),
    ".": re.compile(
        rf"[+-]?(?:[0-9]+|{_GROUPS}(?:{_SPACE}[0-9]{{3}})+|{_GROUPS}(?:,[0-9]{{3}})+)?"
        rf"(?:\.[0-9]*)?{_EXPONENT}"
    ),
    ",": re.compile(
        rf"[+-]?(?:[0-9]+|{_GROUPS}(?:{_SPACE}[0-9]{{3}})+|{_GROUPS}(?:\.[0-9]{{3}})+)?"
        rf"(?:,[0-9]*)?{_EXPONENT}"
    ),
}
_LETTERS = r"[^\W\d_]"
# L/s, m3/h, W/m², kg·m⁻², °C, %, km/h, m^3, µg/m³, $: words, superscripts and what joins them.
_UNIT = re.compile(
    rf"(?P<number>.*?[0-9.,])\s*(?P<unit>(?:{_LETTERS}|[°º%‰$€£¥\"'])"
    rf"(?:{_LETTERS}|[°%·*/^²³¹⁻-]|(?<={_LETTERS}|\^)[23](?![0-9])){{0,15}})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFormat:
    """How numbers are written as text."""

    missing_words: Collection[str] = ()
    """Words for a missing value, besides `MISSING_WORDS`; without case."""
    value_words: Mapping[str, float] = field(default_factory=dict)
    """Words for a number (`open`: 1); without case, before all other rules."""
    decimal: DecimalMark | None = None
    """The mark before a fraction; the other mark then divides thousands. None: a point, and commas
    divide thousands where nothing else is possible (`1,234.5`)."""
    units: bool = False
    """Cut off a unit behind the number (`23.4 °C`, `45 %`, which is 45)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadCells:
    """A column of N cells."""

    values: NDArray[np.float64]
    """(N,) NaN = missing or unreadable; may be infinite."""
    unreadable: NDArray[np.int64]
    """Positions of the cells that are neither numbers nor missing, ascending."""
    units: Mapping[str, int]
    """Unit that was cut off -> position of the first such cell."""


class CellReader:
    """Reads numbers from text.

    Args:
        fmt: How they are written.
    """

    def __init__(self, fmt: CellFormat = CellFormat()) -> None:
        self._fmt = fmt
        self._number = _NUMBERS[fmt.decimal]
        self._words: dict[str, float] = {
            **dict.fromkeys(MISSING_WORDS, nan),
            **_INFINITE,
            **TRUE_AND_FALSE,
            **dict.fromkeys((word.strip().lower() for word in fmt.missing_words), nan),
            **{word.strip().lower(): value for word, value in fmt.value_words.items()},
        }
        # float() reads these itself, so a told meaning must come first.
        self._has_own_words = bool(fmt.value_words or fmt.missing_words)

    def number(self, text: str) -> float | None:
        """Return the number that a text is, NaN if it is missing, None if it is unreadable.

        >>> reader = CellReader(CellFormat(units=True))
        >>> [reader.number(text) for text in ("1e3", "+Inf", "1 234,5", "23.4 °C", "12 of 20")]
        [1000.0, inf, None, 23.4, None]
        """
        return self._read(text)[0]

    def truth(self, text: str) -> float | None:
        """Return 0.0 or 1.0, NaN if the text is missing, None for anything else."""
        word = text.strip().lower()
        if word in self._words or word not in TRUTH_WORDS:
            value = self.number(text)
            return value if value is None or isnan(value) or value in (0.0, 1.0) else None
        return TRUTH_WORDS[word]

    def is_missing(self, text: str) -> bool:
        """Return whether a text is a word for a missing value."""
        return isnan(self._words.get(text.strip().lower(), 0.0))

    def numbers(self, cells: Sequence[str]) -> ReadCells:
        """Return a column; each cell is read as by `number`."""
        text = "\n".join(cells) + "\n"
        unit = self._common_unit(cells, text)
        whole = None
        if text.count("\n") == len(cells) and not self._has_own_words:
            whole = self._whole_column(
                text.replace(f"{unit}\n", "\n") if unit else text, None if unit else cells
            )
        if whole is not None:
            units = {unit.strip(): 0} if unit else {}
            return ReadCells(values=whole, unreadable=np.empty(0, np.int64), units=units)
        return self._one_by_one(cells)

    def remedy(self, text: str) -> Remedy:
        """Return the setting that would make an unreadable text a number or a missing value."""
        marks = [mark for mark in _NUMBERS if mark not in (None, self._fmt.decimal)]
        if any(_reader(mark, self._fmt.units).number(text) is not None for mark in marks):
            return "decimal"
        # Both may be needed: one after the other.
        if any(
            _reader(mark, True).number(text) is not None for mark in (*marks, self._fmt.decimal)
        ):
            return "units"
        return "missing_words"

    def _read(self, text: str) -> tuple[float | None, str]:
        """Return the value as in `number`, and the unit that was cut off."""
        if self._fmt.decimal != "," and not self._has_own_words and "_" not in text:
            try:
                return float(text), ""
            except ValueError:
                pass
        word = text.strip()
        known = self._words.get(word.lower())
        if known is not None:
            return known, ""
        value = self._plain(word)
        if value is not None or not self._fmt.units:
            return value, ""
        match = _UNIT.fullmatch(word)
        if match is None:
            return None, ""
        return self._plain(match["number"]), match["unit"]

    def _plain(self, text: str) -> float | None:
        """Return a number without a unit."""
        text = text.replace("\u2212", "-")
        if not self._number.fullmatch(text):
            # The forms of infinity that float() knows.
            return float(text) if text.lower().lstrip("+-") in ("inf", "infinity") else None
        groups = "." if self._fmt.decimal == "," else ","
        digits = re.sub(_SPACE, "", text).replace(groups, "").replace(",", ".")
        try:
            return float(digits)
        except ValueError:
            return None

    def _whole_column(self, text: str, cells: Sequence[str] | None) -> NDArray[np.float64] | None:
        """Return the values of lines that are all plain numbers, else None.

        Args:
            text: The lines.
            cells: The same, where there is a list of them.
        """
        # float() reads "1_000" as 1000, which is no number in any export.
        if "_" in text:
            return None
        if self._fmt.decimal == ",":
            if "." in text:
                return None
            text, cells = text.replace(",", "."), None
        try:
            return np.array(text.split("\n")[:-1] if cells is None else cells, dtype=np.float64)
        except ValueError:
            return None

    def _common_unit(self, cells: Sequence[str], text: str) -> str:
        """Return what follows the number in the first cell, with the space before it."""
        if not self._fmt.units or not cells:
            return ""
        match = _UNIT.fullmatch(cells[0])
        unit = "" if match is None else cells[0][match.end("number") :]
        return unit if unit and text.count(f"{unit}\n") == len(cells) else ""

    def _one_by_one(self, cells: Sequence[str]) -> ReadCells:
        values = np.empty(len(cells))
        unreadable = []
        units: dict[str, int] = {}
        known: dict[str, tuple[float | None, str]] = {}  # words and coarse values repeat
        for position, cell in enumerate(cells):
            read = known.get(cell)
            if read is None:
                read = known[cell] = self._read(cell)
            value, unit = read
            if unit:
                units.setdefault(unit, position)
            if value is None:
                unreadable.append(position)
            values[position] = nan if value is None else value
        return ReadCells(
            values=values, unreadable=np.array(unreadable, dtype=np.int64), units=units
        )


@cache
def _reader(decimal: DecimalMark | None, units: bool) -> CellReader:
    return CellReader(CellFormat(decimal=decimal, units=units))
