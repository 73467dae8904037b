"""Mask secrets in all output: one rule for logs, error messages and `config show`."""

import re
from collections.abc import Mapping

MASK = "**********"

# Patterns in the names of secrets: librdkafka's, the registry's, and the usual ones.
_REVEALING = (
    r"pass(?:word|wd|phrase)|pwd"
    r"|secret(?!s?[._-]?(?:dir|file|path))"
    r"|(?:access|auth)[._-]token|token$"
    r"|api[._-]key|key[._-]pem|keystore[._-]pem"
    r"|user[._-]info|oauthbearer[._-](?:config|extensions)|jaas[._-]config"
)
_SECRET_NAME = re.compile(_REVEALING, re.IGNORECASE)
# Texts may be as long as a record and are untrusted, so a pattern must look at each character only
# a bounded number of times.
_ASSIGNMENT = re.compile(
    rf"""(?P<name>(?:{_REVEALING.replace("$", "")})[\w.-]{{0,40}}["']?\s{{0,9}}[=:]\s{{0,9}})"""
    # What our own messages say of a file or a setting of such a name is no value of it.
    r"(?!\s{0,9}(?:cannot be|no such|found|expected) )"
    r"""(?:"[^"]*"|'[^']*'|[^\s"',;]+)""",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\s\"']+")


def is_secret_name(name: str) -> bool:
    """Return whether a setting or librdkafka property of this name holds a secret.

    >>> is_secret_name("sasl.password"), is_secret_name("ssl.key.location")
    (True, False)
    """
    return _SECRET_NAME.search(name) is not None


def mask_text(text: str) -> str:
    """Return `text` without URL user information and without values assigned to secret names.

    >>> mask_text("GET http://ann:pw@registry:8081/subjects")
    'GET http://**********@registry:8081/subjects'
    >>> mask_text("sasl.password=hunter2 rejected")
    'sasl.password=********** rejected'
    """
    if "://" in text:
        text = _WORD.sub(_mask_user_info, text)
    return _ASSIGNMENT.sub(rf"\g<name>{MASK}", text)


def mask(value: object, name: str = "") -> object:
    """Return `value` with every secret in it replaced by `MASK`.

    Args:
        value: Text, a number, None, or mappings and sequences of them. Objects that offer
            `get_secret_value` (pydantic's secrets) are masked whatever their name.
        name: Name of the value; decides for values that are not mappings.

    >>> mask({"linger.ms": 5, "sasl.password": "hunter2", "ssl.key.password": None})
    {'linger.ms': 5, 'sasl.password': '**********', 'ssl.key.password': None}
    """
    if value is None:
        return None
    if hasattr(value, "get_secret_value") or is_secret_name(name):
        return MASK
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, Mapping):
        return {key: mask(entry, str(key)) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask(entry, name) for entry in value]
    return value


def _mask_user_info(word: re.Match[str]) -> str:
    scheme, separator, rest = word[0].partition("://")
    # The last @ ends it: a password may contain an @ or a slash.
    _, at, host = rest.rpartition("@")
    return f"{scheme}{separator}{MASK}@{host}" if at else word[0]
