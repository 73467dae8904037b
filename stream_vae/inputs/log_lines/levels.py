"""Levels of lines: from a field, from the number of a shipper, from the line itself.

In lines the level stands in capitals (`2025-03-04 13:00:07,250 - db - ERROR - ...`), in other
letters with a sign that tells (`[error]`, `level=error`, `error: ...`), as the priority of syslog
(`<11>`), as the first letter of klog and logcat (`E0304 13:00:07...`, `E/db(12): ...`), or as a
letter of its own behind logcat's time.
"""

import re
import string
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stream_vae.inputs.log_lines.line_block import LineBlock
from stream_vae.logs.digit_shapes import ShapeMemory

Level = Literal["none", "trace", "debug", "info", "warn", "error", "fatal"]

LEVELS: tuple[Level, ...] = ("none", "trace", "debug", "info", "warn", "error", "fatal")
"""Names by code, ascending; `none` is that of a line which tells none."""

HEAD_CHARACTERS = 128
"""Where the level is looked for in a line: later words are rather its content."""

_TRACE, _DEBUG, _INFO, _WARN, _ERROR, _FATAL = range(1, 7)
_WORDS: Mapping[str, int] = {
    "trace": _TRACE,
    "finest": _TRACE,
    "verbose": _TRACE,
    "debug": _DEBUG,
    "fine": _DEBUG,
    "info": _INFO,
    "information": _INFO,
    "notice": _INFO,
    "warn": _WARN,
    "warning": _WARN,
    "err": _ERROR,
    "error": _ERROR,
    "severe": _ERROR,
    "crit": _FATAL,
    "critical": _FATAL,
    "fatal": _FATAL,
    "panic": _FATAL,
    "alert": _FATAL,
    "emerg": _FATAL,
    "emergency": _FATAL,
}
_LETTERS: Mapping[str, int] = {
    "v": _TRACE,
    "t": _TRACE,
    "d": _DEBUG,
    "i": _INFO,
    "n": _INFO,
    "w": _WARN,
    "e": _ERROR,
    "f": _FATAL,
}
_OF_SYSLOG = np.array([_FATAL, _FATAL, _FATAL, _ERROR, _WARN, _INFO, _INFO, _DEBUG], dtype=np.int8)
_OF_TENS: Mapping[int, int] = {10: 1, 20: 2, 30: 3, 40: 4, 50: 5, 60: 6}  # pino, bunyan

_BY_NUMBER = len(LEVELS)
_OF_TEXT = {**_WORDS, **_LETTERS}


def level_of(found: object) -> int:
    """Return the level that a field tells; 0 if none.

    Args:
        found: A word or letter of any case, a number of syslog from 0 (emergency) to 7 (debug) as
            journald and GELF have it, or one from 10 (trace) to 60 (fatal) as pino and bunyan do.

    >>> [LEVELS[level_of(one)] for one in ("Warning", "E", "3", 50, "audit", None)]
    ['warn', 'error', 'error', 'error', 'none', 'none']
    """
    if isinstance(found, str):
        text = found.strip().lower()
        level = _OF_TEXT.get(text)
        if level is not None:
            return level
        if not (text.isascii() and text.isdecimal() and len(text) < 3):
            return 0
        found = int(text)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return 0
    if 0 <= found < 8:
        return int(_OF_SYSLOG[int(found)])
    return _OF_TENS.get(int(found), 0) if 8 <= found <= 60 else 0


def levels_of(column: Sequence[object]) -> NDArray[np.int8]:
    """Return (N,) what `level_of` each is."""
    kinds = set(map(type, column))
    if kinds <= {str, NoneType} or kinds == {int}:
        known = {found: level_of(found) for found in set(column)}
        return np.array([known[found] for found in column], dtype=np.int8)
    return np.array(list(map(level_of, column)), dtype=np.int8)


# Signs before and after a word that make it a level though it is not in capitals.
_OPENS, _CLOSES = b"[<(", b"]>)"
_LOGCAT = re.compile(r"[0-9]{2}-[0-9]{2} [0-9:.]{12,15} +[0-9]{1,7} +[0-9]{1,7} ([VDIWEF]) ")
_MAX_WORD = max(map(len, _WORDS))
_KEY_BYTES = 8
_DIGITS = b"0123456789"
_LETTERS_OF_WORDS = string.ascii_letters.encode() + b"_" + bytes(range(128, 256))
_LETTER_CODES = np.zeros(256, dtype=np.int8)
for _letter in "vdiwef":
    _LETTER_CODES[ord(_letter.upper())] = _LETTERS[_letter]
_IS_DIGIT = np.isin(np.arange(256), list(_DIGITS))
_IS_WORD = np.isin(np.arange(256), list(_DIGITS + _LETTERS_OF_WORDS))
# By the first three letters, of any case, five bits each: what may begin a word of a level.
_MAY_BEGIN = np.zeros(1 << 15, dtype=bool)
for _word in _WORDS:
    _MAY_BEGIN[ord(_word[0]) % 32 << 10 | ord(_word[1]) % 32 << 5 | ord(_word[2]) % 32] = True


def _key(word: str) -> int:
    return int.from_bytes(word.encode()[:_KEY_BYTES].ljust(_KEY_BYTES, b"\0"), "little")


_SORTED = sorted((_key(word), len(word), level) for word, level in _WORDS.items())
_KEYS = np.array([key for key, _, _ in _SORTED], dtype=np.uint64)
_LENGTHS = np.array([length for _, length, _ in _SORTED], dtype=np.int64)
_CODES = np.array([code for _, _, code in _SORTED], dtype=np.int8)
_MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], dtype=np.uint64)
_LOWER = np.uint64(0x2020202020202020)


def levels_in(texts: Sequence[str]) -> NDArray[np.int8]:
    """Return (N,) levels that lines tell themselves; 0 where one tells none.

    Each depends on its own line alone: the first word counts that is a level.

    Args:
        texts: N, without line breaks.

    >>> lines = ["<11>db: lost", "E0304 13:00:07 db.go:1] lost", "x [warn] y", "a fatal error"]
    >>> [LEVELS[level] for level in levels_in([*lines, "1.5 INFO ERROR", "time=1 level=debug"])]
    ['error', 'error', 'warn', 'none', 'info', 'debug']
    """
    if not texts:
        return np.zeros(0, dtype=np.int8)
    heads = [text[:HEAD_CHARACTERS] for text in texts]
    block = LineBlock.of(heads)
    data, breaks = block.data, block.breaks
    levels = _of_words(data, breaks)
    for own in (_of_logcat(data, breaks + 1, texts), _of_first_bytes(data, breaks + 1)):
        levels = np.where(own > 0, own, levels)
    return levels


class LineLevels:
    """Finds levels as `levels_in` does, once for all lines of a shape.

    But for those that may begin with a priority of syslog: it is a number.
    """

    def __init__(self) -> None:
        self._by_shape = ShapeMemory(_levels_by_shape)

    @property
    def wants_shapes(self) -> bool:
        """Whether they save time now."""
        return not self._by_shape.rests

    def find(self, texts: Sequence[str], shapes: Sequence[bytes] | None) -> NDArray[np.int8]:
        """Return (N,) what `levels_in` does.

        Args:
            texts: N, without line breaks.
            shapes: N, theirs, if they are known.
        """
        levels = self._by_shape.find(texts, shapes).astype(np.int8)
        numbered = np.flatnonzero(levels == _BY_NUMBER)
        if len(numbered):
            levels[numbered] = levels_in([texts[n] for n in numbered.tolist()])
        return levels


def _levels_by_shape(texts: Sequence[str]) -> NDArray[np.int8]:
    has_number = np.array([text.startswith("<") for text in texts])
    return np.where(has_number, np.int8(_BY_NUMBER), levels_in(texts))


def _of_words(data: NDArray[np.uint8], breaks: NDArray[np.int64]) -> NDArray[np.int8]:
    """Return (N,) the levels of the first words that are one, 0 if there is none."""
    begins = _word_begins(data)
    first, second, third = (data[begins + n].astype(np.int16) & 31 for n in range(3))
    begins = begins[_MAY_BEGIN[first << 10 | second << 5 | third]]
    line_of = np.searchsorted(breaks, begins) - 1
    windows = np.lib.stride_tricks.sliding_window_view(data, _MAX_WORD + 1)[begins]
    lengths = np.argmin(_IS_WORD[windows], axis=1)
    lengths = np.where(lengths > 0, lengths, _MAX_WORD + 1)
    masks = _MASKS[np.minimum(lengths, _KEY_BYTES)]
    words = np.ascontiguousarray(windows[:, :_KEY_BYTES]).view("<u8").reshape(-1) & masks
    lower = (words | _LOWER) & masks
    places = np.minimum(np.searchsorted(_KEYS, lower), len(_KEYS) - 1)
    hits = np.flatnonzero((_KEYS[places] == lower) & (_LENGTHS[places] == lengths))
    begins, lengths, words = begins[hits], lengths[hits], words[hits]
    told = (words & _LOWER) == 0
    told |= _is_marked(data[begins - 1], data[begins + lengths])
    levels = np.zeros(len(breaks), dtype=np.int8)
    # A line's first is written last.
    levels[line_of[hits][told][::-1]] = _CODES[places[hits]][told][::-1]
    return levels


def _word_begins(data: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the places of letters of ASCII that begin a word."""
    is_letter = ((data | 0x20) - np.uint8(ord("a"))) < 26
    is_word = is_letter | ((data - np.uint8(ord("0"))) < 10) | (data == ord("_")) | (data >= 128)
    return np.flatnonzero(is_letter[1:] & ~is_word[:-1]) + 1


def _is_marked(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return (W,) whether the signs around words tell that they are levels."""
    is_marked: NDArray[np.bool_] = (after == ord(":")) | (before == ord("="))
    for opening, closing in zip(_OPENS, _CLOSES, strict=True):
        is_marked |= (before == opening) & (after == closing)
    return is_marked


def _of_first_bytes(data: NDArray[np.uint8], begins: NDArray[np.int64]) -> NDArray[np.int8]:
    """Return (N,) levels by priorities of syslog and letters of klog and logcat, 0 elsewhere."""
    first = data[begins]
    levels = np.zeros(len(begins), dtype=np.int8)
    has_priority = np.flatnonzero(first == ord("<"))
    if len(has_priority):
        levels[has_priority] = _of_priorities(data, begins[has_priority])
    letters = _LETTER_CODES[first]
    second = data[begins + 1]
    is_klog = (letters > 0) & _IS_DIGIT[data[begins[:, None] + np.arange(1, 5)]].all(axis=1)
    is_klog &= data[begins + 5] == ord(" ")
    is_brief = (letters > 0) & (second == ord("/"))
    return np.where(is_klog | is_brief, letters, levels)


def _of_logcat(
    data: NDArray[np.uint8], begins: NDArray[np.int64], texts: Sequence[str]
) -> NDArray[np.int8]:
    """Return (N,) levels of lines with logcat's time, process, thread and letter, 0 elsewhere."""
    levels = np.zeros(len(begins), dtype=np.int8)
    may_be = _IS_DIGIT[data[begins]] & (data[begins + 2] == ord("-")) & (data[begins + 5] == 32)
    for line in np.flatnonzero(may_be).tolist():
        found = _LOGCAT.match(texts[line][:HEAD_CHARACTERS])
        if found is not None:
            levels[line] = _LETTERS[found[1].lower()]
    return levels


def _of_priorities(data: NDArray[np.uint8], begins: NDArray[np.int64]) -> NDArray[np.int8]:
    """Return (P,) levels of lines that begin with `<`: a number up to 191 and `>` follow, or 0."""
    levels = np.zeros(len(begins), dtype=np.int8)
    number = np.zeros(len(begins), dtype=np.int64)
    is_number = np.ones(len(begins), dtype=bool)
    for place in range(1, 5):
        byte = data[begins + place]
        is_end = is_number & (byte == ord(">")) & (place > 1) & (number < 192)
        levels[is_end] = _OF_SYSLOG[number[is_end] % 8]
        is_number &= _IS_DIGIT[byte]
        number = number * 10 + np.where(is_number, byte, ord("0")) - ord("0")
    return levels
