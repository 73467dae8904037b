"""Quote untrusted values in messages: bounded in length and printable."""


def printable(text: str, limit: int = 100) -> str:
    r"""Return at most `limit` characters of `text`, control characters and the like escaped.

    Stream content is untrusted: it must not control a terminal, a log line or a header.

    >>> printable("pump\x1b[2J\n")
    'pump\\x1b[2J\\n'
    """
    start = _escaped(text[: limit + 1])
    return start if len(start) <= limit else start[: limit - 3] + "..."


def printable_lines(text: str) -> str:
    r"""Return all of `text`, control characters and the like escaped but line breaks.

    >>> printable_lines("pump\x1b[2J\n[bar]")
    'pump\\x1b[2J\n[bar]'
    """
    return "\n".join(map(_escaped, text.split("\n")))


def excerpt(value: object, limit: int = 60) -> str:
    """Return a bounded, printable description of a JSON value.

    >>> excerpt("warm"), excerpt(True), excerpt([1, 2]), excerpt(10**400)
    ('"warm"', 'true', 'an array of 2', 'an integer of 1329 bits')
    """
    if isinstance(value, str):
        return f'"{printable(value, limit)}"'
    if isinstance(value, bytes):
        return printable(value[: limit + 1].decode("utf-8", "backslashreplace"), limit)
    return _describe(value, limit)


def _describe(value: object, limit: int) -> str:
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"
    return printable(repr(value), limit)


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
