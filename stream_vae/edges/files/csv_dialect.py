"""How the bytes of a CSV file are text, and what divides its cells: told, or found in its start."""

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stream_vae.errors import ConfigError, InputFileError

DELIMITERS = (",", ";", "\t", "|")
HEAD_BYTES = 65_536
"""Of a file, that are enough to tell its form."""
_HEAD_ROWS = 20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvDialect:
    """What an operator may tell of a file; None: found in it."""

    encoding: str | None = None
    delimiter: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no file can have."""
        if self.encoding is not None:
            try:
                codecs.lookup(self.encoding)
            except LookupError:
                raise ConfigError(
                    f"--encoding: found {self.encoding!r}; expected the name of an encoding such "
                    "as utf-8, cp1252 or utf-16"
                ) from None
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise ConfigError(
                f"--delimiter: found {self.delimiter!r}; expected one character, such as ';'"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDialect:
    """How one file is read."""

    encoding: str
    delimiter: str
    n_skipped: int
    """Lines before the header: `sep=;`, which spreadsheets take for a word to them."""
    notes: tuple[str, ...]
    """What was found rather than told, where it is not the usual."""


def find_dialect(path: Path, head: bytes, told: CsvDialect) -> FoundDialect:
    """Return how a file is read.

    Args:
        path: For messages.
        head: Its first bytes, at most `HEAD_BYTES`.
        told: What the operator tells.

    Raises:
        InputFileError: If its start shows that it cannot be read.
    """
    encoding = _encoding(path, head, told.encoding)
    # A character that is cut in two at the end is none.
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head).removeprefix("\ufeff")
    lines = text.splitlines()
    if len(head) == HEAD_BYTES and len(lines) > 1:
        lines.pop()  # it may not be whole
    separator = _SEPARATOR_LINE.fullmatch(lines[0].strip()) if lines else None
    notes = [] if told.encoding or encoding == "utf-8-sig" else [f"encoding {encoding}"]
    if told.delimiter is not None:
        delimiter = told.delimiter
    elif separator is not None:
        delimiter = separator[1]
    else:
        delimiter = _guessed(lines)
    if told.delimiter is None and delimiter != ",":
        notes.append(
            f"delimiter {_NAMES.get(delimiter, repr(delimiter))} (--delimiter for another)"
        )
    return FoundDialect(
        encoding=encoding,
        delimiter=delimiter,
        n_skipped=int(separator is not None),
        notes=tuple(notes),
    )


def _encoding(path: Path, head: bytes, told: str | None) -> str:
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if told is not None:
        # The mark is no part of the first name.
        name = codecs.lookup(told).name
        return "utf-8-sig" if name == "utf-8" else told
    start = head[:200]
    for first, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if marked is None and 2 * start[first::2].count(0) > len(start[first::2]):
            raise InputFileError(
                f"{path}, line 1: found text of two bytes a character; expected UTF-8, or another "
                f"encoding told: --encoding {name}"
            )
    return marked or "utf-8-sig"


def _guessed(lines: list[str]) -> str:
    """Return the delimiter that divides the first rows alike, into the most cells.

    If none does, that which divides the header into the most; a comma where nothing divides it.
    """
    lines = [line for line in lines if line.strip() and not line.startswith("#")][:_HEAD_ROWS]
    best, most = ",", 1
    for delimiter in DELIMITERS:
        widths = [*_widths(lines, delimiter)]
        if widths and len(set(widths)) == 1 and widths[0] > most:
            best, most = delimiter, widths[0]
    if most > 1 or not lines:
        return best
    header = {one: len(next(csv.reader(lines[:1], delimiter=one), [])) for one in DELIMITERS}
    return max(DELIMITERS, key=lambda one: header[one])


def _widths(lines: list[str], delimiter: str) -> Iterator[int]:
    try:
        for cells in csv.reader(lines, delimiter=delimiter):
            yield len(cells)
    except csv.Error:
        return
