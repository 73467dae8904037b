"""Texts of the stream, bounded and printable, for the fields of receivers."""

import hashlib

from stream_vae.core.excerpts import printable

_DIGEST_CHARACTERS = 12
_NOT_IN_URLS = frozenset(' <>"{}|\\^`')
"""RFC 3986 has none of them."""


def stable_name(text: str, limit: int) -> str:
    r"""Return a printable text of at most `limit` characters; different ones stay different.

    >>> stable_name("pump-7", 20), stable_name("pump\n7", 20)
    ('pump-7', 'pump\\n7')
    >>> stable_name("x" * 100, 20), stable_name("x" * 101, 20)
    ('xxxxxxx~09ecb6ebc8bc', 'xxxxxxx~c675a2e604b0')
    """
    whole = printable(text, max(limit, 8 * len(text)))
    if len(whole) <= limit:
        return whole
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{whole[: limit - _DIGEST_CHARACTERS - 1]}~{digest}"


def web_link(links: dict[str, str]) -> str | None:
    """Return the address to open first: the dashboard's, else the first that is one.

    >>> web_link({"runbook": "https://a.org/r", "dashboard": "https://a.org/d"})
    'https://a.org/d'
    >>> web_link({"room": "north 3"})
    """
    found = {name: url for name, url in links.items() if is_web(url)}
    return found.get("dashboard") or next(iter(found.values()), None)


def is_web(url: str) -> bool:
    """Return whether a link is an address that receivers take.

    >>> is_web("https://example.org/d/1?a=b"), is_web("javascript:x"), is_web("https://a b")
    (True, False, False)
    """
    is_plain = url.isascii() and url.isprintable() and not set(url) & _NOT_IN_URLS
    return is_plain and url.startswith(("https://", "http://"))
