"""Errors of a configuration, with suggestions."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stream_vae.core.excerpts import excerpt
from stream_vae.core.masking import MASK, is_secret_name, mask_text
from stream_vae.errors import ConfigError
from stream_vae.settings.fields import FieldSpec, Path, field_specs
from stream_vae.settings.model import NESTING

MAX_REPORTED = 20
"""Most errors reported at once; the search for a suggestion is costly."""
_MAX_SHOWN = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingError:
    """One error that an operator has to fix."""

    where: str
    """The setting, or the location in a file."""
    source: str = ""
    """The source of the value."""
    text: str
    """Found and expected values."""

    def __str__(self) -> str:
        place = f"{self.where} ({self.source})" if self.where and self.source else self.where
        return f"{place or self.source or 'settings'}: {self.text}"


class UnreadableError(Exception):
    """A source that cannot be read at all; its arguments are the errors."""


def refuse(errors: Sequence[SettingError]) -> ConfigError:
    """Return one error that lists all errors, or the first `MAX_REPORTED`."""
    lines = [str(error) for error in errors[:MAX_REPORTED]]
    if len(errors) == 1:
        return ConfigError(lines[0])
    number = f"{len(errors)}" if len(errors) <= MAX_REPORTED else f"more than {MAX_REPORTED}"
    return ConfigError("\n  ".join([f"{number} settings cannot be used:", *lines]))


def unusable_value(spec: FieldSpec, path: Path, value: object, source: str) -> SettingError:
    """Return the error of a value of the wrong type, or out of bounds.

    `path` is that of `spec`, or of an entry of the map that `spec` is.
    """
    is_secret = spec.is_secret or is_secret_name(path[-1])
    is_entry = len(path) > len(spec.path)
    expected = spec.expected.removeprefix("mapping of ") if is_entry else spec.expected
    text = f"found {MASK if is_secret else show(value)}, expected {expected}"
    return SettingError(where=".".join(path), source=source, text=text)


def show(value: object) -> str:
    """Return a value as in a configuration, shortened and without secrets."""
    if isinstance(value, dict | list):
        # May contain secrets under any name, so only its kind is shown.
        return "a mapping" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool | int | float):
        return excerpt(value)
    text = mask_text(str(value))
    shown = text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
    return repr(shown) if isinstance(value, str) else f"{shown} ({type(value).__name__})"


def nearest(path: Path) -> FieldSpec | None:
    """Return the setting that a misspelt path most likely means.

    >>> nearest(("kafka", "grup_id")).name, nearest(("http_port",)).name
    ('kafka.group_id', 'http.port')
    """
    path = tuple(NESTING.join(path).split(NESTING))
    specs = {known: spec for known, spec in field_specs().items() if known}
    flat = {_flatten(known): spec for known, spec in specs.items()}
    if (same := flat.get(_flatten(path))) is not None:
        return same
    siblings = {known[-1]: spec for known, spec in specs.items() if known[:-1] == path[:-1]}
    if (sibling := _closest(path[-1], siblings)) is not None:
        return siblings[sibling]
    namesakes = [spec for known, spec in specs.items() if known[-1] == path[-1]]
    if namesakes:
        return namesakes[0]
    close = _closest(_flatten(path), flat)
    return flat[close] if close is not None else None


def _flatten(path: Path) -> str:
    return "_".join(path).lower().replace(".", "_").replace("-", "_")


def _closest(name: str, names: Iterable[str]) -> str | None:
    found = difflib.get_close_matches(name, list(names), n=1)
    return found[0] if found else None
