"""Nesting depth of a JSON value, computed before it is parsed.

A parser's own limit is about a thousand levels less the frames on the stack: the same record could
be a reading today and a dead letter in a replay.
"""

import numpy as np

MAX_NESTING = 500
"""Most levels in a record: far more than real ones have, and far fewer than the parsers accept. A
shorter record cannot have as many, so short ones are not checked."""

_STEPS = np.zeros(256, np.int32)
_STEPS[list(b"[{")] = 1
_STEPS[list(b"]}")] = -1
_NEITHER = bytes(set(range(256)) - set(b'"[]{}'))


def is_too_deep(raw: bytes) -> bool:
    """Return whether a JSON value has more than `MAX_NESTING` levels.

    >>> is_too_deep(b"[" * 500 + b"]" * 500), is_too_deep(b"[" * 501)
    (False, True)
    >>> is_too_deep(b'"' + b"[" * 501 + b'"')
    False
    """
    return may_be_too_deep(raw) and _depth(raw) > MAX_NESTING


def may_be_too_deep(raw: bytes) -> bool:
    """Return whether there are enough brackets anywhere: a cheap pre-check."""
    return raw.count(b"[") + raw.count(b"{") > MAX_NESTING


def _depth(raw: bytes) -> int:
    unescaped = raw.replace(rb"\\", b"").replace(rb"\"", b"")
    outside_text = b"".join(unescaped.translate(None, _NEITHER).split(b'"')[::2])
    steps = _STEPS[np.frombuffer(outside_text, np.uint8)]
    return int(np.cumsum(steps).max(initial=0))
