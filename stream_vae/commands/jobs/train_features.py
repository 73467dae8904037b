"""What the command line and the settings tell of features: kinds, rules and units."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import get_args

from stream_vae.core.excerpts import printable
from stream_vae.core.feature_rule import refuse_unfit, rules_of
from stream_vae.core.model_spec import Feature, FeatureKind
from stream_vae.edges.files.training_data import DataReport
from stream_vae.errors import ConfigError
from stream_vae.settings import Settings

_KINDS: Mapping[str, FeatureKind] = {kind: kind for kind in get_args(FeatureKind)}


def declared_kinds(settings: Settings, pairs: Iterable[str]) -> dict[str, Feature]:
    """Return the declared kinds, those of flags over those of the settings.

    Args:
        settings: Of the training.
        pairs: FEATURE=KIND.

    Raises:
        ConfigError: If one is no such pair.
    """
    kinds = dict(settings.model.features)
    for pair in pairs:
        # A name may hold the sign; a kind does not.
        name, found, kind = pair.rpartition("=")
        if not found or kind not in _KINDS:
            msg = f"--kind {pair!r}: expected FEATURE=KIND with a kind of {_listed(_KINDS)}"
            raise ConfigError(msg)
        kinds[name] = _KINDS[kind]
    return {name: Feature(name=name, kind=kind) for name, kind in kinds.items()}


def rule_texts(settings: Settings, pairs: Iterable[str], *, of_logs: bool) -> dict[str, str]:
    """Return name or pattern -> rule, those of flags over those of the settings.

    Args:
        settings: Of the training.
        pairs: FEATURE=RULE.
        of_logs: Whether features count the lines of logs.

    Raises:
        ConfigError: If one is no such pair, or there may be none.
    """
    texts = dict(settings.input.rules)
    for pair in pairs:
        # A name may hold the sign; a rule does not.
        name, found, text = pair.rpartition("=")
        if not found:
            raise ConfigError(f"--rule {pair!r}: expected FEATURE=RULE, such as bytes_total=rate")
        texts[name] = text
    if of_logs and texts:
        told = ", ".join(f"{printable(name)}={printable(text)}" for name, text in texts.items())
        raise ConfigError(
            f"--rule, input.rules: found {told} for a history of logs; expected none: its features "
            "count lines, which are added up as they are"
        )
    return texts


def with_rules(
    features: Sequence[Feature], texts: Mapping[str, str], *, is_event: bool
) -> tuple[Feature, ...]:
    """Return the features with their rules.

    Args:
        features: As read.
        texts: Name or pattern -> rule.
        is_event: Whether readings are events, without order in time.

    Raises:
        ConfigError: If one is no rule, names no feature, or does not fit its feature.
    """
    try:
        rules = rules_of(texts, [feature.name for feature in features])
        for feature in features:
            if feature.name in rules:
                refuse_unfit(rules[feature.name], feature.kind, is_event=is_event)
    except ValueError as exc:
        raise ConfigError(f"--rule, input.rules: {exc}") from None
    return tuple(replace(feature, rule=rules.get(feature.name)) for feature in features)


def trained_features(
    data: DataReport,
    units: Iterable[str],
    declared: Mapping[str, Feature],
    *,
    proposes_kinds: bool,
) -> list[Feature]:
    """Return the features of the model.

    Args:
        data: What was read.
        units: FEATURE=UNIT.
        declared: Features whose kind the operator gave.
        proposes_kinds: Whether others have the kind that their numbers look like.

    Raises:
        ConfigError: If one names no feature.
    """
    features = {feature.name: feature for feature in data.features}
    unknown = sorted(set(declared) - set(features))
    if unknown:
        raise ConfigError(
            f"model.features, --kind: found {printable(unknown[0])!r}, expected a feature of "
            f"{_listed(features)}"
        )
    if proposes_kinds:
        for name, kind in data.proposed_kinds.items():
            if name not in declared:
                features[name] = replace(features[name], kind=kind)
    for pair in units:
        # A name may hold the sign; a unit does not.
        name, found, unit = pair.rpartition("=")
        if not found or name not in features:
            msg = f"--unit {pair!r}: expected FEATURE=UNIT with a feature of {_listed(features)}"
            raise ConfigError(msg)
        features[name] = replace(features[name], unit=unit)
    return list(features.values())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(printable(name) for name in sorted(names))
