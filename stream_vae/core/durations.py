"""Spans of time, in words."""

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def describe_duration(seconds: float) -> str:
    """Return a span in its two largest units.

    >>> describe_duration(0.25), describe_duration(90), describe_duration(7_200)
    ('0.25 s', '1 min 30 s', '2 h')
    >>> describe_duration(187_264)
    '2 d 4 h'
    """
    if seconds < 1:
        return f"{seconds:.2g} s"
    left = round(seconds)
    parts: list[str] = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
    return " ".join(part for part in parts[:2] if part)
