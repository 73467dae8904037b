"""Lines of logs that have broken what reads lines."""

from collections.abc import Callable
from functools import lru_cache
from random import Random

_LONG = 10 * 2**20
_TRACE = "".join(f"\n\tat org.x.Y{k}.run(Y.java:{k})" for k in range(3000))
_LEVELS = ("ERROR", "[warn]", "level=info", "<11>", "<999>", "E0304 13:00:07 ", "F/x: ", "INFO:")
_PIECES = (
    *("\x1b[31m", "\x1b[", "\x9b2J", "\x1b]8;;http://x", "\x07", "#033[1;31m", "#011", "#0"),
    *("\x00", "\r", "\n", "\r\n", "\t", "\v\f", "\x1c\x1d", "\x85", "\u2028", "\u2029", "\x7f"),
    *("\ud800", "\udfff\ud800", "\ufeff", "\u202e", "\ufffd", "\U0010ffff", "e\u0301", "\u00a0"),
    *("<v>", "<*>", "<v> <*>", "request <v> served", "{0}", "%s%n", "\\", '"', "'", "}", "]"),
    *("7", "0x", "1.2.3.4", "::1", "k=v", "10ms", "http://", "/", "-", ":", ".", "@", "_"),
    *("Traceback (most recent call last)", "Caused by: ", "at x", "... 12 more", "}", "ValueError"),
)
_MASKED = (
    *("1", "1.", "1.1.1.1:", "a.", "a-", "-1", "0x", "f", "=", "/", "::", "a:1 ", "\u00b5s", "k="),
    *("http://", "//", "2026-01-01T", "[", "[[", '"', "'", "a@", "<", " ", "1 ms ", "_1", "blk_"),
)
"""What masks look for, many times over."""


def any_line(rng: Random) -> str:
    """Return a line of a log, or what stands in the place of one."""
    return rng.choice(_FORMS)(rng)


def _plain(rng: Random) -> str:
    """One of the words that are never the same: of these there is no end of templates."""
    words = (
        "".join(rng.choices("abcdefghij", k=rng.randint(1, 9))) for _ in range(rng.randint(1, 9))
    )
    return " ".join(words)


def _pieces(rng: Random) -> str:
    return "".join(rng.choices((*_PIECES, *_LEVELS, " ", "x"), k=rng.randint(1, 12)))


def _level(rng: Random) -> str:
    return f"{rng.choice(_LEVELS)} {_plain(rng)} {rng.choice(_LEVELS)}"


def _masked(rng: Random) -> str:
    return repeated(rng.choice(_MASKED), rng.choice((300, 3000, 3000, 15_000)))


def _trace(rng: Random) -> str:
    depth = rng.choice((100, 1000, len(_TRACE)))
    return f"ERROR {rng.choice(('lost', _plain(rng)))}{_TRACE[:depth]}"


def _nested(rng: Random) -> str:
    depth = rng.choice((100, 1000, 5000))
    return repeated(rng.choice(('{"a":', "[", '[{"message":')), depth * 5)


def _words(rng: Random) -> str:
    """As many words as a line holds, each one a step of the tree."""
    return repeated(rng.choice(("a ", "a  b ", "\u00e9 ", "<*> ")), rng.choice((1000, 16_000)))


def _long(rng: Random) -> str:
    piece = rng.choice(("x", "\u00e9", " ", "7", "x ", "\n", "\x1b"))
    return repeated(piece, _LONG if rng.random() < 0.001 else rng.choice((16_383, 16_385, 40_000)))


def _nothing(rng: Random) -> str:
    return rng.choice(
        ("", " ", "\n", "\r\n\t", "\x1b[0m", "\x00\x00", "\ufeff", "\n\n\n", "  \n x")
    )


_FORMS: tuple[Callable[[Random], str], ...] = (
    *(_plain, _plain, _pieces, _pieces, _level, _masked, _trace, _nested, _words, _long),
    _nothing,
)


@lru_cache(maxsize=16)
def repeated(piece: str, length: int) -> str:
    """Return a text of about a length."""
    return piece * (length // len(piece))
