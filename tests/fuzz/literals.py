"""JSON literals (and what pretends to be some) that have broken readers of numbers and times."""

import struct
from random import Random

INT64 = 2**63

_SHORT_NUMBERS = (
    b"0 -0 -0.0 0.0 1e400 -1e400 1e308 1.7976931348623157e308 1.7976931348623159e308 -1e308 5e-324 "
    b"-5e-324 2e-324 1e-400 2.2250738585072011e-308 1e-320 NaN -NaN nan Infinity -Infinity inf "
    b"1E+2 1e00000000000000000001 1e-99999999999 1e99999999999 01 +1 .5 1. 1.e3 0x10 1_000 1,5 --1 "
    b"1e 1e+ 9007199254740993 9223372036854775807 9223372036854775808 18446744073709551616 "
    b"-9223372036854775809 340282366920938463463374607431768211456 1.0000000000000000000000000001"
).split()
_LONG_NUMBERS = (
    *(b"9" * 309, b"-" + b"9" * 400, b"9" * 5000),
    *(b"0." + b"0" * 5000 + b"1", b"1" + b"0" * 308),
)

NUMBERS = (*_SHORT_NUMBERS, *_LONG_NUMBERS)
"""Numbers at and beyond what a float64 holds, and what is no JSON number at all."""

TYPES = (
    b'null true false "" "1.5" "NaN" "null" [] {} [1] [[]] {"a":1} [null] ["1"] "\\u0000" '
    b'"\\ud800" {"":""} {"timestamp":1} [1,2,3] [1,2,3,4] [1,2] [1,2,"3"] [1,2,NaN] [true,null,7] 7'
).split()
"""Values of every type, for where another type belongs."""

_SECONDS = [0, 1, -1, 7258118399, 7258118400, 4102444800, 99999999999, 10**11, 253402300800]
_EDGES = [INT64 - 1, INT64, -INT64, -INT64 - 1, 2**64, 2**31, 2**31 - 1, 10**14, 10**17, 10**19]

_TEXTS_WITHOUT_BLANKS = (
    b"now today NaT nan 0 -1 1e9 1e400 +1 0x10 \\n \\u0000 \\ud800 "
    b"0000-01-01T00:00:00Z 0001-01-01T00:00:00Z 1582-10-10T00:00:00Z 1969-12-31T23:59:59Z "
    b"1970-01-01T00:00:00Z 1970-01-01T00:00:00+00:01 1970-01-01T00:00:00-23:59 "
    b"2199-12-31T23:59:59.999999999Z 2199-12-31T23:59:59-00:01 2200-01-01T00:00:00Z "
    b"2262-04-11T23:47:16.854775807Z 2262-04-11T23:47:16.854775808Z 9999-12-31T23:59:59Z "
    b"10000-01-01T00:00:00Z -2026-01-01T00:00:00Z +2026-01-01T00:00:00Z "
    b"2016-12-31T23:59:60Z 2015-06-30T16:59:60-07:00 2016-12-31T23:59:60.999Z "
    b"2016-12-31T12:00:60Z 2016-12-31T23:59:61Z 2024-02-29T00:00:00Z 2026-02-29T00:00:00Z "
    b"2026-02-30T00:00:00Z 2026-13-01T00:00:00Z 2026-00-10T00:00:00Z 2026-01-00T00:00:00Z "
    b"2026-01-01T24:00:00Z 2026-01-01T23:60:00Z 2026-01-01T00:00:00+24:00 "
    b"2026-01-01T00:00:00+23:60 2026-01-01T00:00:00 2026-01-01 2026-01-01T00:00Z "
    b"2026-01-01t00:00:00z 2026-01-01T00:00:00.Z 20260101T000000Z 2026-W01-1T00:00:00Z "
    b"2026-001T00:00:00Z 2026-01-01T00:00:00ZZ 2026-01-01T00:00:00Z\\n 2026-01-01T00:00:00Z\\u0000"
).split()
_TEXTS = (
    *_TEXTS_WITHOUT_BLANKS,
    *(b"", b" ", b" 1", b"1 ", b"2026-01-01 00:00:00Z", b"2026-01-01T00:00:00 Z"),
    "\u0662\u0660\u0662\u0666-01-01T00:00:00Z".encode(),  # digits, but not these
    "\uff12\uff10\uff12\uff16-01-01T00:00:00Z".encode(),
    "2026-01-01T00:00:00\u221201:00".encode(),
    b"2026-01-01T00:00:00.%sZ" % (b"9" * 5000),
    b"2026-01-01T00:00:00Z" * 100,
    *(
        b"2026-03-29 02:30:00,2026-10-25 02:30:00,2026-03-08 02:30,2026-11-01 01:30:00.5,"
        b"2026-10-25 02:30:00 CET,2026-10-25T02:30:00+02,1970-01-01 00:00:00,2199-12-31 23:30:00,"
        b"2200-01-01 00:30:00,1969-12-31 19:00:00,0001-01-01 00:00:00,9999-12-31 23:59:59,"
        b"2026-10-25 02:30:00 +0200,04.03.2025 01:00,29.02.2025 01:00,2025/03/04 01:00:00,"
        b"04-Mar-2025 01:00:00,04/Mar/2025:01:00:00 +0000,20250304T010000Z,20250304010000,202503,"
        b"04-Mar-0000,31-Feb-2025,04/03/2025 01:00:00 PM +0100,001 26, 00:00:00,366 25, 00:00:00,"
        b"Tue, 04 Mar 2025 01:00:00 GMT,2025-03-04 01:00:00 UTC,04.03.9999,01/01/0001 01:00:00 AM Z"
    ).split(b","),
    b"2026-10-25 02:30:00,5",
)

TIMES = (
    *(b"%d" % edge for edge in (*_SECONDS, *_EDGES)),
    *(b"%d%s" % (second, zeros) for second in _SECONDS for zeros in (b"000", b"0" * 6, b"0" * 9)),
    *(b'"%d"' % edge for edge in (*_SECONDS, *_EDGES)),
    *NUMBERS,
    *(b'"%s"' % text for text in _TEXTS),
)
"""Times at the bounds of int64, of years, of units, of leap seconds and offsets."""


def any_number(rng: Random) -> bytes:
    """Return a number from the list, or one of any 64 bits."""
    if rng.random() < 0.6:
        return rng.choice(NUMBERS)
    (number,) = struct.unpack("<d", rng.randbytes(8))
    return repr(number).encode()


DATE_TIME = "{Y:04}-{m:02}-{d:02}T{H:02}:{M:02}:{S:02}{f}{z}"


def any_time(rng: Random, form: str = DATE_TIME) -> bytes:
    """Return a time from the list, any number, or text of digits in the right places.

    Args:
        rng: Of all chance.
        form: Of the text, with the directives of `strptime` in braces.
    """
    kind = rng.random()
    if kind < 0.5:
        return rng.choice(TIMES)
    if kind < 0.7:
        return b"%d" % (rng.getrandbits(rng.randint(1, 70)) * rng.choice((1, 1, -1)))
    bounds = {"Y": 2300, "m": 14, "d": 33, "H": 26, "M": 62, "S": 62}
    parts: dict[str, int | str] = {name: rng.randrange(n) for name, n in bounds.items()}
    if rng.random() < 0.5:
        parts |= {"Y": 2025, "m": rng.choice((3, 10, 11)), "d": rng.choice((1, 9, 26, 30))}
    parts["z"] = rng.choice(("Z", "+00:00", "-23:59", "+14", "", f"+{rng.randrange(30):02}:99"))
    parts["p"] = rng.choice(("AM", "PM", "pm", ""))
    parts["f"] = rng.choice(("", "", ".5", ",25", ".1234567891"))
    return f'"{form.format(**parts)}"'.encode()
