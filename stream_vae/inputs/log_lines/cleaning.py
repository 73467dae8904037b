"""Texts of lines made plain: on one line, without control characters, of bounded length."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Sequences of terminals (colours, links, cursor), also without their end where a line was cut.
_TERMINAL = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*(?:[@-~]|$)"
    r"|\x1b[\]PX^_][^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]?",
    re.MULTILINE,
)
# What rsyslog writes in place of a terminal's sequences and of tabs.
_ESCAPED_TERMINAL = re.compile(r"#033\[[0-9;]{0,20}[A-Za-z]")
_SPACES = re.compile("[\t-\r\x1c-\x1f\x85\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")
_LONE = re.compile("[\ud800-\udfff]")
_REPLACED = "\ufffd"
_ESCAPE = "#0"


@dataclass(slots=True)
class TextCounts:
    """What was changed in the texts of a poll."""

    n_cut: int = 0
    n_replaced: int = 0
    n_continuation: int = 0


def clean_texts(
    texts: Sequence[str], max_bytes: int, counts: TextCounts, *, first_only: bool = False
) -> list[str]:
    """Return N texts without white space around them; "" where nothing is left.

    Args:
        texts: N.
        max_bytes: Longer ones are cut there.
        counts: What is changed is added.
        first_only: Of several lines keep the first.
    """
    stripped = [text.strip() for text in texts]
    together = "\n".join(stripped)
    if first_only and together.count("\n") >= max(len(stripped), 1):
        stripped = [_first_line(text, counts) for text in stripped]
        together = "\n".join(stripped)
    longest = max(map(len, stripped), default=0)
    is_ascii = together.isascii()
    is_short = longest * (1 if is_ascii else 4) <= max_bytes
    if is_short and _ESCAPE not in together:
        if _is_plain(together, len(stripped)):
            return stripped
        if together.count("\n") == len(stripped) - 1:
            # Colours and tabs are common: taken out of all at once.
            together = _TERMINAL.sub("", together).replace("\t", " ")
            usual = [text.strip() for text in together.split("\n")]
            if _is_plain("\n".join(usual), len(usual)):
                return usual
    return [clean_text(text, max_bytes, counts) for text in stripped]


def clean_text(text: str, max_bytes: int, counts: TextCounts) -> str:
    r"""Return one text as `clean_texts` does.

    >>> clean_text("\x1b[31mred\x1b[0m\talert\x00\r\n", 1000, TextCounts())
    'red alert'
    """
    text = text.strip()
    if len(text) * 4 > max_bytes:
        raw = text[: max_bytes + 1].encode(errors="surrogatepass")
        if len(raw) > max_bytes:
            counts.n_cut += 1
            text = raw[:max_bytes].decode(errors="ignore").strip()
    if _ESCAPE in text:
        text = _ESCAPED_TERMINAL.sub("", text).replace("#011", " ").strip()
    if not _CONTROLS.search(text):
        return text
    text = _SPACES.sub(" ", _TERMINAL.sub("", text))
    text, n_lone = _LONE.subn(_REPLACED, text)
    counts.n_replaced += n_lone
    return _CONTROLS.sub("", text).strip()


def decode_text(raw: bytes, counts: TextCounts) -> str:
    r"""Return text in which a mark replaces what is not UTF-8.

    >>> counts = TextCounts()
    >>> decode_text(b"caf\xe9", counts), counts.n_replaced
    ('caf�', 1)
    """
    try:
        return raw.decode()
    except UnicodeDecodeError:
        text = raw.decode(errors="replace")
        counts.n_replaced += text.count(_REPLACED) - raw.count(_REPLACED.encode())
        return text


def repaired(raws: list[bytes | None], counts: TextCounts) -> list[bytes | None]:
    """Return records of JSON in which marks replace what is not UTF-8."""
    try:
        b"\n".join(filter(None, raws)).decode()
    except UnicodeDecodeError:
        return [raw if raw is None else _repaired_one(raw, counts) for raw in raws]
    return raws


def _repaired_one(raw: bytes, counts: TextCounts) -> bytes:
    if raw[:1] == b"\0":  # numbers of schemas are no text
        return raw[:5] + decode_text(raw[5:], counts).encode()
    return decode_text(raw, counts).encode()


def _first_line(text: str, counts: TextCounts) -> str:
    first, line_break, rest = text.partition("\n")
    if line_break:
        counts.n_continuation += rest.count("\n") + 1
    return first.rstrip()


def _is_plain(together: str, n: int) -> bool:
    """Return whether N texts, with a line break between any two, need no change."""
    if not together.isascii():
        return together.count("\n") == max(n - 1, 0) and not _CONTROLS.search(
            together.replace("\n", "")
        )
    data = np.frombuffer(together.encode(), dtype=np.uint8)
    n_controls = np.count_nonzero(data < 32) + np.count_nonzero(data == 127)
    return bool(n_controls == max(n - 1, 0))
