"""Settings of the input that would read a sample, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inputs.presets import preset_defaults

ONE_SERIES = "all"
"""What the series of all readings is called where nothing names one."""
WHY_ONE_SERIES = "no key and no field names a series: a name of your choice, for all readings"
SERIES_SETTINGS = frozenset({"series", "series_field", "series_pattern"})
"""Each of them names the series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a sample seems to be."""

    form: str
    """In words."""
    settings: Mapping[str, Any]
    """Name below `input` -> value, a preset among them."""
    features: tuple[str, ...]
    """What could be features, in the order in which they come."""
    why: Mapping[str, str] = field(default_factory=dict)
    """Name of a setting -> comment."""
    notes: tuple[str, ...] = ()
    """What the operator should know."""
    other_fields: Mapping[str, str] = field(default_factory=dict)
    """Field that is no feature -> what it holds."""
    counters: frozenset[str] = frozenset()
    """Features that the records themselves call counters."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Feature -> unit, where the records tell it."""


def held_by_preset(given: Mapping[str, Any]) -> dict[str, str]:
    """Return what the preset that the operator has chosen holds; nothing without one."""
    preset = given.get("preset")
    return preset_defaults(preset, given) if preset else {}


def format_of(settings: Mapping[str, Any]) -> LogFormat:
    """Return the format that settings below `input` mean; others than a format's are passed over.

    Raises:
        ValueError: If they contradict each other.
    """
    told = {**held_by_preset(settings), **settings}
    names = {one.name for one in fields(LogFormat)}
    return LogFormat(**{name: value for name, value in told.items() if name in names})
