r"""Masks: what varies from one line of an event to the next is replaced before templates are mined.

All patterns run in one pass from left to right in the regular expressions of logfold's engine,
which take time linear in the line whatever the pattern is. So an operator's patterns need no second
engine such as RE2: what cannot be done in linear time (look-around, back-references) is refused.

The defaults name kinds of values, not systems: a word with a digit in it is an identifier, whatever
stands around the digit; so are addresses, paths, dates, sizes and what follows `=`. All become the
same sign, since the same place of an event may hold a name of a host or its address, a size with or
without a unit.

>>> Masker(DEFAULT_MASKS).mask("took 12 ms to read /var/log/a.log from db-7.example.com:5432")
'took <v> to read <v> from <v>'
>>> Masker(DEFAULT_MASKS).mask("acquire lock=0x7f, tag=\"View Lock\", user=root for blk_-4711")
'acquire lock=<v>, tag=<v>, user=<v> for <v>'
"""

from collections.abc import Callable, Mapping, Sequence

from logfold import MaskRule
from logfold.errors import LogfoldError
from logfold.ext.masks import Masker as Engine

from stream_vae.core.excerpts import printable
from stream_vae.core.log_templates import VALUE, LogSpec, Mask, shown
from stream_vae.errors import ConfigError

_HEX = "[0-9A-Fa-f]"
_PART = f"{_HEX}{{1,4}}"
_IPV4 = r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?"
_UNIT = (
    r"(?:[KMGTPkmgt]i?[Bb](?:/s|ps)?|[Bb]ytes?|B|ns|us|ms|m?sec(?:ond)?s?|min(?:ute)?s?|hours?|hrs?"
    r"|days?|[smhd]|[KMG]?Hz|%)"
)
_END_OF_VALUE = r"\s\"'<>()\[\]{},;"


DEFAULT_MASKS = (
    Mask(
        name="key=value",
        pattern=r"=(?:\"[^\"]*\"|'[^']*'|[^\s,;\"'(){}\[\]<>]+)",
        keeps="=",
    ),
    Mask(name="uuid", pattern=rf"\b{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}\b"),
    Mask(name="url", pattern=rf"\b[A-Za-z][A-Za-z0-9+.-]*://[^{_END_OF_VALUE}]+"),
    Mask(name="e-mail", pattern=r"\b[\w.+-]+@[A-Za-z0-9][\w-]*(?:\.[\w-]+)+"),
    Mask(name="hardware address", pattern=rf"\b{_HEX}{{2}}(?:[:-]{_HEX}{{2}}){{5,7}}\b"),
    Mask(
        name="IPv6 address",
        pattern=rf"\b{_PART}(?:(?::{_PART}){{3,7}}|(?::{_PART})*::{_PART}(?::{_PART})*)\b",
    ),
    Mask(
        name="date in words",
        pattern=rf"\b(?:{_DAY},? +)?{_MONTH} +\d{{1,2}},? +(?:\d{{4}} +)?{_CLOCK}"
        r"(?: +(?:[A-Z]{3,4} +)?\d{4}\b)?",
    ),
    Mask(
        name="date",
        pattern=r"\b\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?:[T: -]\d{1,2}[:.]\d{2}"
        r"(?:[:.]\d{2}(?:[.,]\d+)?)?(?: ?Z\b|[+-]\d{2}:?\d{2}\b)?)?",
    ),
    Mask(name="clock", pattern=r"\b\d{1,3}:\d{2}(?::\d{2}(?:[.,:]\d+)?)?\b"),
    Mask(name="Windows path", pattern=rf"\b[A-Za-z]:\\[^{_END_OF_VALUE}]*"),
    Mask(name="path", pattern=r"\B(?:/[\w.@~%+:#$&*=-]+)+/?"),
    Mask(
        name="IPv4 address",
        pattern=rf"\b{_IPV4}(?:/\d{{1,2}}\b)?(?::\d{{1,5}}\b)?(?:, ?{_IPV4}\b)*",
    ),
    # In small letters: `a.b.Class:17` is a place in a program and tells what happens.
    Mask(name="host:port", pattern=r"\b[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)+:\d{1,5}\b"),
    Mask(
        name="domain",
        pattern=r"\b[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*\."
        r"(?:com|net|org|edu|gov|mil|io|info|local|internal|localdomain|lan)\b(?::\d{1,5}\b)?",
    ),
    Mask(name="amount", pattern=rf"[<>~]?[-+]?\b\d+(?:\.\d+)? ?{_UNIT}\b"),
    # Also a hexadecimal number; no pattern here names a digit, see `digit_shapes`.
    Mask(name="number or identifier", pattern=r"[A-Za-z_-]*\d[\w-]*(?:\.\d[\w-]*)*"),
    Mask(name="hexadecimal word", pattern=rf"\b{_HEX}{{8,}}\b"),
)
"""In the order in which they are tried at a place of the line."""


class Masker:
    """Masks lines; an operator's own masks go before the defaults.

    Args:
        masks: In the order in which they are tried at a place of the line.

    Raises:
        ConfigError: If a pattern is not one that runs in linear time.
    """

    def __init__(self, masks: Sequence[Mask]) -> None:
        self._engine = Engine(engine_rules(masks))

    def mask(self, text: str) -> str:
        """Return the line with its values masked."""
        try:
            return self._engine.mask(text)
        except UnicodeError:
            return self._engine.mask(without_surrogates(text))


def example_mask(logs: LogSpec) -> Callable[[str], str]:
    """Return what is done to a line before it is shown as an example."""
    if logs.examples == "raw":
        return str
    masker = Masker(logs.masks)
    return lambda text: shown(masker.mask(text))


def with_masks(named: Mapping[str, str]) -> tuple[Mask, ...]:
    """Return masks of an operator, name -> pattern, before the defaults.

    Raises:
        ConfigError: Of a mask that the engine refuses.
    """
    own = tuple(Mask(name=name, pattern=pattern) for name, pattern in named.items())
    masks = (*own, *DEFAULT_MASKS)
    if own:
        engine_rules(masks)
    return masks


def engine_rules(masks: Sequence[Mask]) -> tuple[MaskRule, ...]:
    """Return the masks as the engine takes them.

    Raises:
        ConfigError: Of a mask that it does not take: names it, what is wrong, and what to do.
    """
    rules = tuple(
        MaskRule(
            name=f"{number} {mask.name}", pattern=mask.pattern, token=mask.keeps + VALUE, ascii=True
        )
        for number, mask in enumerate(masks)
    )
    if not _is_taken(rules):
        for mask, rule in zip(masks, rules, strict=True):
            _check(mask, rule)
        raise ConfigError(f"{len(masks)} masks are too large together; expected fewer, or shorter")
    return rules


def _is_taken(rules: tuple[MaskRule, ...]) -> bool:
    try:
        Engine(rules)
    except LogfoldError:
        return False
    return True


def _check(mask: Mask, rule: MaskRule) -> None:
    try:
        Engine((rule,))
    except LogfoldError as exc:
        reason = printable(" ".join(str(exc).split()), 300)
        raise ConfigError(
            f"mask {printable(mask.name)!r}: found the pattern {printable(mask.pattern)!r}, which "
            f"the engine refuses ({reason}); expected a regular expression that matches some text "
            "and has no look-around and no back-reference, so that no line can stall it; name the "
            "value itself, with \\b at its ends"
        ) from None


def without_surrogates(text: str) -> str:
    """Return text that has a UTF-8 form; half a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")
