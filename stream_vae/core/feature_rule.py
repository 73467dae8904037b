"""What a feature's rule says: how the values of a producer become those that the model is of."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from stream_vae.core.excerpts import printable

Change = Literal["difference", "rate"]

_CHANGES: Mapping[str, Change] = {"difference": "difference", "rate": "rate"}
_LONGEST_HOLD_S = 1e9
_EXPECTED = "expected scale:FACTOR, difference, rate or hold:SECONDS, with commas between several"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRule:
    """One rule; its parts apply in the order in which they stand here."""

    scale: float = 1.0
    """What values are multiplied by."""
    change: Change | None = None
    """Of a counter: how much it rose since the step before, or that divided by the seconds between.
    A fall is a reset."""
    hold_s: float = 0.0
    """How long the last value stands where none comes, seconds of event time; 0: not at all."""

    @property
    def text(self) -> str:
        """The rule as `parse_rule` takes it.

        >>> FeatureRule(scale=1e-9, change="rate", hold_s=300).text
        'scale:1e-09,rate,hold:300'
        """
        parts = (
            f"scale:{self.scale!r}" if self.scale != 1 else "",
            self.change or "",
            f"hold:{self.hold_s:.15g}" if self.hold_s else "",
        )
        return ",".join(filter(None, parts))

    @property
    def keeps_values(self) -> bool:
        """Whether each value stays what it was sent as."""
        return self.scale == 1 and self.change is None


def parse_rule(text: str) -> FeatureRule:
    """Return the rule that a text is.

    Raises:
        ValueError: If it is none; says what was found and expected.

    >>> parse_rule("rate").change
    'rate'
    """
    words = [word.strip() for word in text.split(",")]
    names = [word.partition(":")[0] for word in words]
    if len(set(names)) < len(names) or {"difference", "rate"} <= set(names):
        raise ValueError(
            f"found {printable(text)!r}; expected scale, one of difference and rate, and hold once "
            "at most"
        )
    scale, hold_s = 1.0, 0.0
    change: Change | None = None
    for word in words:
        name, sign, number = word.partition(":")
        if name == "scale" and sign:
            scale = _number(text, number, "a factor other than 0")
        elif name == "hold" and sign:
            hold_s = _number(text, number, f"seconds above 0, {_LONGEST_HOLD_S:g} at most")
            if not 0 < hold_s <= _LONGEST_HOLD_S:
                raise ValueError(
                    f"found {printable(text)!r}; expected seconds above 0, {_LONGEST_HOLD_S:g} at "
                    "most behind hold:"
                )
        elif word in _CHANGES:
            if hold_s:
                raise ValueError(
                    f"found {printable(text)!r}; expected hold last: it holds what the others give"
                )
            change = _CHANGES[word]
        else:
            raise ValueError(f"found {printable(text)!r}; {_EXPECTED}")
    rule = FeatureRule(scale=scale, change=change, hold_s=hold_s)
    if rule == FeatureRule():
        raise ValueError(f"found {printable(text)!r}, which changes nothing; {_EXPECTED}")
    return rule


def _number(text: str, number: str, expected: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value == 0:
        raise ValueError(f"found {printable(text)!r}; expected {expected}")
    return value


def rules_of(rules: Mapping[str, str], names: Iterable[str]) -> dict[str, FeatureRule]:
    """Return the rules of features by name.

    Args:
        rules: Name of a feature, or a pattern of several with `*` and `?`, -> the rule's text. A
            name wins over a pattern.
        names: Of the features.

    Raises:
        ValueError: If a text is no rule, one names no feature, or two patterns name the same.
    """
    names = tuple(names)
    found: dict[str, FeatureRule] = {}
    by_pattern: dict[str, str] = {}
    for pattern, text in rules.items():
        try:
            rule = parse_rule(text)
        except ValueError as exc:
            raise ValueError(f"{printable(pattern)}: {exc}") from None
        if pattern in names:
            found[pattern] = rule
            continue
        matched = [name for name in names if fnmatchcase(name, pattern)]
        if not matched:
            shown = ", ".join(printable(name) for name in names)
            raise ValueError(f"found {printable(pattern)!r}, expected a feature of {shown}")
        for name in matched:
            if name in rules:
                continue
            if name in by_pattern:
                raise ValueError(
                    f"both {printable(by_pattern[name])!r} and {printable(pattern)!r} name "
                    f"{printable(name)}; expected one of them, or the name itself"
                )
            by_pattern[name] = pattern
            found[name] = rule
    return found


def refuse_unfit(rule: FeatureRule, kind: str, *, is_event: bool) -> None:
    """Refuse a rule that a feature cannot have.

    Args:
        rule: Its rule.
        kind: Its kind.
        is_event: Whether readings are events, without order in time.

    Raises:
        ValueError: If it cannot; says what was found and expected.
    """
    if is_event and (rule.change or rule.hold_s):
        raise ValueError(
            f"found {rule.text} of a model of events (model.window_length 1), which have no order "
            "in time; expected scale alone"
        )
    stays_whole = rule.scale == 1 and rule.change == "difference"
    if not (rule.keeps_values or kind == "numeric" or (kind == "count" and stays_whole)):
        raise ValueError(f"found {rule.text} of a {kind} feature, expected a numeric one")


def refuse_other_rules(
    features: Mapping[str, FeatureRule | None], rules: Mapping[str, str]
) -> None:
    """Refuse rules of the settings that are not the bundle's.

    Args:
        features: Of the bundle: name -> rule.
        rules: Of the settings, see `rules_of`; empty: they say nothing.

    Raises:
        ValueError: If one differs; names both.
    """
    if not rules:
        return
    told = rules_of(rules, features)
    for name, rule in features.items():
        if told.get(name) != rule:
            ours, theirs = (one.text if one else "no rule" for one in (told.get(name), rule))
            raise ValueError(
                f"{printable(name)}: found {ours}, the bundle has {theirs}; expected the same, or "
                "input.rules left out, or a bundle trained with --rule"
            )
