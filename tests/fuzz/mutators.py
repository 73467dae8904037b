"""Hostile records, by kind: each spoils a clean record, or has nothing of one."""

import gzip
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from stream_vae.core.records import Headers
from tests.fuzz.layouts import Layout
from tests.fuzz.line_texts import any_line, repeated
from tests.fuzz.literals import TYPES, any_number, any_time

MIB = 2**20
_LITERAL = re.compile(rb'(?<=[:\[,])(?:"[^"]*"|-?[0-9][0-9.eE+-]*|null)(?=[,\]}])')

_TIME_LITERAL = re.compile(rb'"[^"]*"|[-0-9.eE+]+')


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a hostile record is made of."""

    layout: Layout
    key: bytes | None
    clean: bytes
    """The value that would have been the series' next reading."""
    other: bytes
    """The value of another record of the layout."""
    write: Callable[[Sequence[str]], bytes] | None = None
    """Of logs: from lines to the record that would have held them."""


@dataclass(frozen=True, slots=True)
class Hostile:
    """A record as it stands in the topic."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def _flipped_bits(rng: Random, made_of: Material) -> Hostile:
    value = bytearray(made_of.clean)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        value[rng.randrange(len(value))] ^= 1 << rng.randrange(8)
    return Hostile(made_of.key, bytes(value))


def _truncated(rng: Random, made_of: Material) -> Hostile:
    at = rng.randrange(len(made_of.clean))
    return Hostile(made_of.key, made_of.clean[:at] if rng.random() < 0.7 else made_of.clean[at:])


def _spliced(rng: Random, made_of: Material) -> Hostile:
    left, right = rng.randrange(len(made_of.clean)), rng.randrange(len(made_of.other))
    if rng.random() < 0.5:
        right = left
    return Hostile(made_of.key, made_of.clean[:left] + made_of.other[right:])


def _repeated_members(rng: Random, made_of: Material) -> Hostile:
    """Members of another record once more, or the same one many times."""
    inner = made_of.other[1:-1]
    if rng.random() < 0.3:
        inner = b",".join([inner] * rng.randint(2, 40))
    pair = [made_of.clean[1:-1], inner]
    rng.shuffle(pair)
    return Hostile(made_of.key, b"{" + b",".join(pair) + b"}")


def _swapped_types(rng: Random, made_of: Material) -> Hostile:
    return Hostile(made_of.key, _replaced(rng, made_of.clean, rng.choice(TYPES)))


def _extreme_numbers(rng: Random, made_of: Material) -> Hostile:
    value = made_of.clean
    for _ in range(rng.randint(1, 3)):
        value = _replaced(rng, value, any_number(rng), last=3)
    return Hostile(made_of.key, value)


def _wild_values(rng: Random, made_of: Material) -> Hostile:
    """Only numbers that a reader must take: they go on into windows, thresholds and alerts."""
    value = made_of.clean
    for _ in range(rng.randint(1, 3)):
        number = rng.choice(
            (b"1.7e308", b"-1.7e308", b"1e-320", b"-0.0", b"1e12", b"-9e99", b"null")
        )
        value = _replaced(rng, value, number, last=3)
    return Hostile(made_of.key, value)


def _extreme_times(rng: Random, made_of: Material) -> Hostile:
    before = made_of.layout.before_time
    if before is None:
        return _flipped_bits(rng, made_of)  # its time is no literal
    begin = made_of.clean.find(before) + len(before)
    end = _TIME_LITERAL.match(made_of.clean, begin)
    assert end is not None
    time = any_time(rng, made_of.layout.time_form)
    return Hostile(made_of.key, made_of.clean[:begin] + time + made_of.clean[end.end() :])


def _random_bytes(rng: Random, made_of: Material) -> Hostile:
    size = rng.choice((0, 1, 2, 7, 40, 200, 3000))
    return Hostile(made_of.key, rng.randbytes(size))


def _deep_nesting(rng: Random, made_of: Material) -> Hostile:
    depth = rng.choice((10, 200, rng.randint(900, 1100), 5000, rng.randint(1, 2000)))
    if rng.random() < 0.002:
        depth = 70_000
    nest = _nest(rng.choice((b"[", b'{"a":', b'[{"timestamp":')), depth, rng.random() < 0.7)
    where = rng.random()
    if where < 0.3:
        return Hostile(made_of.key, nest)
    if where < 0.6:
        return Hostile(made_of.key, _replaced(rng, made_of.clean, nest))
    return Hostile(made_of.key, b'{"x":' + nest + b"," + made_of.clean[1:])


def _huge_parts(rng: Random, made_of: Material) -> Hostile:
    size = rng.choice((3_000, 3_000, 30_000)) if rng.random() < 0.99 else MIB - 4096
    huge = _huge(rng.randrange(7), size)
    if rng.random() < 0.5:
        return Hostile(made_of.key, _replaced(rng, made_of.clean, huge))
    return Hostile(made_of.key, b'{"x":' + huge + b"," + made_of.clean[1:])


_BROKEN_TEXT = (
    *(
        b"\xff",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xe2\x82",
    ),
    *(
        b"\x00",
        b"\x1b[2J",
        b"\n",
        b"\\u0000",
        b"\\ud800",
        b"\\udc00\\ud800",
        b"\\ud83d\\ude00",
        b"\\x41",
    ),
    *(
        b"\\",
        b'"',
        b"\\u12",
        "\u202e".encode(),
        "\u2028".encode(),
        "\U0010ffff".encode(),
        b"\\uFFFE",
    ),
)


def _broken_text(rng: Random, made_of: Material) -> Hostile:
    """Broken or sly text in a value, in a member's name or anywhere."""
    piece = rng.choice(_BROKEN_TEXT) * rng.choice((1, 1, 3))
    where = rng.random()
    if where < 0.3:
        return Hostile(made_of.key, _replaced(rng, made_of.clean, b'"' + piece + b'"'))
    if where < 0.7:
        return Hostile(made_of.key, b'{"' + piece + b'":1,' + made_of.clean[1:])
    at = rng.randrange(len(made_of.clean))
    return Hostile(made_of.key, made_of.clean[:at] + piece + made_of.clean[at:])


def _framed(rng: Random, made_of: Material) -> Hostile:
    """A clean record in another coding, compressed, or with something around it."""
    clean = made_of.clean
    frames: tuple[Callable[[], bytes], ...] = (
        lambda: b"\xef\xbb\xbf" + clean,
        lambda: clean.decode("latin-1").encode("utf-16"),
        lambda: clean.decode("latin-1").encode("utf-32-le"),
        lambda: gzip.compress(clean, 1),
        lambda: zlib.compress(clean, 1)[: rng.randint(1, 60)],
        lambda: b"\x00\x00\x00\x00\x01" + clean,  # a schema registry's prefix
        lambda: clean + rng.choice((b"\x00", b",", b"}", b"\n{}", b"//", b"null")),
        lambda: clean + b"\n" + made_of.other,
        lambda: b"[" + clean + b"," + made_of.other + b"]",
        lambda: b"/* */" + clean,
        lambda: b" \t\r\n" * rng.randint(1, 500) + clean + b" " * rng.randint(1, 500),
        lambda: b'"' + clean.replace(b'"', b'\\"') + b'"',
        lambda: clean.replace(b'"', b"'"),
    )
    return Hostile(made_of.key, rng.choice(frames)())


def _nothing(rng: Random, made_of: Material) -> Hostile:
    return Hostile(
        made_of.key, rng.choice((None, b"", b" ", b"{}", b"null", b"[]", b"\n", b'""', b"0"))
    )


def _oversized(rng: Random, made_of: Material) -> Hostile:
    """At and beyond the length the operator allows, some as long as a broker takes."""
    limit = made_of.layout.fmt.max_record_bytes
    if rng.random() < 0.002:
        return Hostile(made_of.key, _blanks(16 * MIB))
    if limit > 4096 and rng.random() < 0.95:
        return Hostile(made_of.key, made_of.clean + b" " * rng.randint(1, 9000))
    length = limit + rng.choice((-1, 0, 1)) - len(made_of.clean)
    return Hostile(made_of.key, made_of.clean + _blanks(length))


KEYS: tuple[bytes | None, ...] = (
    *(
        None,
        b"",
        b" ",
        b"\x00",
        b"\x00" * 1024,
        b"\n",
        b"a\r\nb",
        b"\x1b[2J\x07",
        b"\x7f",
        b"'\"\\",
    ),
    *(
        b"\xff",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"ok\xfe",
        b"\xe2\x82",
        b"\xef\xbb\xbf",
    ),
    *("\u202ecba".encode(), "\u2066\u2069".encode(), "e\u0301".encode(), "\u00e9".encode()),
    *(
        "\U0001f600".encode() * 1024,
        "\U0001f600".encode() * 1025,
        "\ufeff".encode(),
        b"{}",
        b"null",
    ),
    *(
        b"x" * 1023,
        b"x" * 1024,
        b"x" * 1025,
        b"x" * MIB,
        b"\xff" * MIB,
        b"../../etc/passwd",
        b"%s%n",
        b"-1",
    ),
    *("\u2028\u2029".encode(), "\U0010ffff".encode(), "\ud7ff\ue000".encode(), b"a\x00b", b"true"),
)
"""Keys that are none, keys that are too much, and keys that are only ugly."""


def _hostile_keys(rng: Random, made_of: Material) -> Hostile:
    key = rng.choice(KEYS)
    if made_of.key is not None and rng.random() < 0.3:
        key = _spoilt(rng, made_of.key)
    member = made_of.layout.series_member
    if member is None:
        return Hostile(key, made_of.clean)
    if key is None or len(key) > 5000:
        text = rng.choice(TYPES)
    else:
        escaped = "".join(
            f"\\u{ord(c):04x}" if ord(c) < 65536 else c for c in key.decode("latin-1")
        )
        text = b'"' + (escaped.encode() if rng.random() < 0.5 else key) + b'"'
    value = re.sub(rb'"%s":"[^"]*"' % member, lambda _: b'"%s":' % member + text, made_of.clean)
    return Hostile(key, value)


def _spoilt(rng: Random, key: bytes) -> bytes:
    """Return a key with a bit flipped, cut, followed or preceded by something, or nested."""
    at = rng.randrange(len(key))
    return rng.choice(
        (
            key[:at] + bytes([key[at] ^ 1 << rng.randrange(8)]) + key[at + 1 :],
            key[:at],
            key + rng.randbytes(rng.randint(1, 9)),
            rng.randbytes(1) + key,
            key[:5] + _nest(rng.choice((b"[", b'{"a":')), rng.choice((3, 900, 70_000)), False),
            key[:5] + rng.choice(TYPES),
            rng.randbytes(len(key)),
        )
    )


_NAMES = (
    "",
    "h",
    "dlq.reason",
    "dlq.omitted",
    "ce_id",
    "traceparent",
    "\x00",
    "\u202e",
    "\n",
    "n" * 300,
    "__value_schema_id",
    "__key_schema_id",
)


_IDS = (b"\x00\x00\x00\x00\x06", b"\x00\x00\x00\x00\x05", b"\x01" + b"\x07" * 16, b"\x01\x00")
"""Of schemas, as headers name them."""


def _hostile_headers(rng: Random, made_of: Material) -> Hostile:
    """Headers by the hundred, forged, repeated, without a value: on records that are rejected."""
    if rng.random() < 0.05:
        headers: Headers = [("dlq.headers", b"unreadable")]  # what an unreadable name becomes
    else:
        values = (None, b"", b"not_json", b"\xff\xfe", b"\x00" * 9, b"\r\nx: y", b"v" * 2000, *_IDS)
        count = rng.choice((1, 2, 5, 300)) if rng.random() < 0.1 else rng.randint(1, 5)
        headers = [(rng.choice(_NAMES), rng.choice(values)) for _ in range(count)]
        if rng.random() < 0.001:
            headers.append(("big", _blanks(16 * MIB)))
    values_of = (b"", b"{", None, b"\xff", b"[]", made_of.clean)
    return Hostile(made_of.key, rng.choice(values_of), headers)


def _sent_again(rng: Random, made_of: Material) -> Hostile:
    """A record that claims to be sent again for some of its readings."""
    which = rng.choice((b"1", b"2", b"1-2", b"2-99999999", b"9,8", b"0", b"", b"1-", b"x", None))
    value = made_of.clean
    if rng.random() < 0.3:
        value = value.replace(b":", b":x", 1)
    return Hostile(made_of.key, value, [("dlq.redriven.readings", which)])


def _hostile_lines(rng: Random, made_of: Material) -> Hostile:
    assert made_of.write is not None
    return Hostile(made_of.key, made_of.write([any_line(rng) for _ in range(3)]))


KINDS: dict[str, Callable[[Random, Material], Hostile]] = {
    "flipped bits": _flipped_bits,
    "truncated": _truncated,
    "spliced": _spliced,
    "repeated members": _repeated_members,
    "swapped types": _swapped_types,
    "extreme numbers": _extreme_numbers,
    "wild values": _wild_values,
    "extreme times": _extreme_times,
    "random bytes": _random_bytes,
    "deep nesting": _deep_nesting,
    "huge parts": _huge_parts,
    "broken text": _broken_text,
    "framed": _framed,
    "nothing": _nothing,
    "oversized": _oversized,
    "hostile keys": _hostile_keys,
    "hostile headers": _hostile_headers,
    "sent again": _sent_again,
    "hostile lines": _hostile_lines,
}

OF_LOGS = frozenset({"hostile lines"})
"""Kinds that records of logs alone can be."""


def _replaced(rng: Random, value: bytes, literal: bytes, last: int = 0) -> bytes:
    """Return the document with one literal in place of one it has, of its last ones if asked."""
    found = list(_LITERAL.finditer(value))
    if not found:
        return value + literal
    spot = rng.choice(found[-last:])
    return value[: spot.start()] + literal + value[spot.end() :]


@lru_cache(maxsize=64)
def _nest(opening: bytes, depth: int, closed: bool) -> bytes:
    closing = b"".join({b"[": b"]", b"{": b"}"}.get(opening[i : i + 1], b"") for i in range(2))
    return opening * depth + (b"1" + closing[::-1] * depth if closed else b"")


@lru_cache(maxsize=32)
def _huge(shape: int, size: int) -> bytes:
    """Return an array, object, text or number of about `size` bytes."""
    shapes: tuple[Callable[[], bytes], ...] = (
        lambda: b"[" + b"1," * (size // 2) + b"1]",
        lambda: b"{" + b",".join(b'"%x":0' % i for i in range(size // 9)) + b"}",
        lambda: b"{" + b'"flow":1,' * (size // 9) + b'"speed":1}',
        lambda: b"[" + b"[]," * (size // 3) + b"{}]",
        lambda: b'"' + b"x" * size + b'"',
        lambda: b'"' + b"\\u00e9" * (size // 6) + b'"',
        lambda: b"9" * size,
    )
    return shapes[shape]()


@lru_cache(maxsize=8)
def _blanks(length: int) -> bytes:
    return b" " * max(length, 0)


def forget_templates() -> None:
    """Free what was kept to be sent again, some 100 MiB: it is the test's memory."""
    for template in (_nest, _huge, _blanks, repeated):
        template.cache_clear()
