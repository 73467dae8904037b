"""Merge all sources; report all their errors at once."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import chain, islice
from operator import getitem
from pathlib import Path as FilePath
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stream_vae.core.masking import mask
from stream_vae.edges.kafka.open_properties import shown_properties
from stream_vae.inputs.reading_format import LogInputFormat
from stream_vae.settings.fields import FieldSpec, Path, field_specs
from stream_vae.settings.model import Settings
from stream_vae.settings.setting_errors import (
    MAX_REPORTED,
    SettingError,
    UnreadableError,
    nearest,
    refuse,
    unusable_value,
)
from stream_vae.settings.sources import (
    CONFIG_VARIABLE,
    DEFAULT_ORIGIN,
    SECRETS_VARIABLE,
    FlagsSource,
    LogKind,
    LogsSource,
    PresetSource,
    SecretsSource,
    Source,
    TextSource,
    VariablesSource,
    spell,
)
from stream_vae.settings.stand_ins import StandInSource
from stream_vae.settings.yaml_file import YamlSource

_UNKNOWN_NAME = ("extra_forbidden", "unexpected_keyword_argument")
_BROKEN_RULE = "value_error"
_SESSION_SETTINGS = ("session_field", "session_pattern")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    value: object
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSettings:
    """Settings, and the origin of each."""

    settings: Settings
    origins: Mapping[str, str]
    """Dotted name -> `default`, `default of logs` (or `sessions`), `preset NAME`, `FILE:LINE`,
    `secret FILE`, `environment NAME` or `command line`; in the order of the schema."""
    config: str | None
    """The YAML file; None: there is none."""

    def masked(self) -> dict[str, Any]:
        """Return the effective settings as plain values, secrets masked."""
        values = self.settings.model_dump(mode="json")
        for place in ("common", "consumer", "producer"):
            values["kafka"][place] = shown_properties(values["kafka"][place])
        shown = mask(values)
        assert isinstance(shown, dict)  # noqa: S101 -- masking keeps a mapping a mapping
        return shown

    def dotted(self) -> dict[str, object]:
        """Return dotted name -> value in force, secrets masked."""
        values = self.masked()
        return {spec.name: reduce(getitem, spec.path, values) for spec in _single_settings()}

    def changed(self) -> dict[str, object]:
        """Return those of `dotted` that differ from the default."""
        return {
            spec.name: value
            for spec, value in zip(_single_settings(), self.dotted().values(), strict=True)
            if value != spec.default
        }


def load_settings(  # noqa: PLR0913 - sources, and what is known beside them
    config: FilePath | None = None,
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    secrets_dir: FilePath | None = None,
    *,
    needs_secrets: bool = True,
    judged: LogKind | None = None,
) -> LoadedSettings:
    """Return the effective settings.

    The later win: defaults, those of logs or of their sessions, a preset of the input, YAML,
    secrets, environment, command line.

    Args:
        config: YAML file; None looks at `STREAM_VAE_CONFIG`, and does without.
        overrides: Dotted name -> value from the command line; None values were not given.
        environ: Environment variables; None takes the process's.
        secrets_dir: Directory of one file per secret; None looks at `STREAM_VAE_SECRETS_DIR`, and
            does without.
        needs_secrets: Whether those that the settings ask for must be there; who only describes
            them does without.
        judged: What a bundle judges of logs, whose defaults hold where no source tells the format
            of the input; None: readings.

    Raises:
        ConfigError: If anything is misspelt, of the wrong type, out of range or contradictory; the
            message lists all errors, up to twenty.
    """
    if environ is None:
        environ = os.environ
    sources = _with_defaults(_read(config, overrides or {}, environ, secrets_dir), judged)
    if not needs_secrets:
        sources = [StandInSource(_values(sources)), *sources]
    given = {
        path: _Given(value=value, source=source)
        for source in sources
        for path, value in _leaves(source(), ())
    }
    found: Iterator[SettingError] = _mistaken_booleans(given)
    try:
        ordered = tuple(reversed(sources))  # the library wants the highest first
        settings = Settings(_build_sources=(ordered, {}))  # type: ignore[call-arg]  # not a field
    except ValidationError as exc:
        found = chain(found, _translate(exc, given))
    if errors := list(islice(found, MAX_REPORTED + 1)):
        raise refuse(errors)
    file = config or environ.get(CONFIG_VARIABLE)
    return LoadedSettings(
        settings=settings, origins=_origins(given), config=str(file) if file else None
    )


def _read(
    config: FilePath | None,
    overrides: Mapping[str, object],
    environ: Mapping[str, str],
    secrets_dir: FilePath | None,
) -> list[Source]:
    """Return the sources, lowest first; raise one error for all that cannot be read."""
    wanted: tuple[tuple[Callable[[Any], Source], object], ...] = (
        (YamlSource, config or environ.get(CONFIG_VARIABLE)),
        (SecretsSource, secrets_dir or environ.get(SECRETS_VARIABLE)),
        (VariablesSource, environ),
        (FlagsSource, overrides),
    )
    sources: list[Source] = []
    errors: list[SettingError] = []
    for source, place in wanted:
        try:
            if place:
                sources.append(source(place))
        except UnreadableError as exc:
            errors += exc.args
    if errors:
        # Without the unreadable ones, the other sources could look contradictory.
        raise refuse(errors)
    return sources


def _with_defaults(sources: list[Source], judged: LogKind | None) -> list[Source]:
    """Return the sources and, lowest, the preset that they name and what suits logs."""
    given = _values(sources)
    lowest: list[Source] = []
    preset = given.get(("input", "preset"))
    if preset is not None:
        beside = {path[-1]: value for path, value in given.items() if path[:-1] == ("input",)}
        of_preset = PresetSource(preset, beside)
        lowest.append(of_preset)
        given = _values([of_preset, *sources])
    kind = judged if given.get(("input", "format")) is None else None
    kind = _kind_of_logs(given) or kind
    if kind is not None:
        lowest.insert(0, LogsSource(kind, given))
    return [*lowest, *sources]


def _values(sources: list[Source]) -> dict[Path, object]:
    """Return what sources give, the lowest first."""
    return {path: value for source in sources for path, value in _leaves(source(), ())}


def _kind_of_logs(given: Mapping[Path, object]) -> LogKind | None:
    """Return what is judged of logs; None where the input is not told to be of logs."""
    if any(given.get(("input", name)) is not None for name in _SESSION_SETTINGS):
        return "sessions"
    return "logs" if given.get(("input", "format")) in get_args(LogInputFormat) else None


def _single_settings() -> list[FieldSpec]:
    return [spec for spec in field_specs().values() if spec.kind != "section"]


def _leaves(values: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, object]]:
    """Yield single settings, entries of maps, and values in the place of neither."""
    for name, value in values.items():
        here = (*path, name)
        spec = field_specs().get(here)
        if spec is not None and spec.kind != "value" and isinstance(value, dict):
            yield from _leaves(value, here)
        else:
            yield here, value


def _mistaken_booleans(given: Mapping[Path, _Given]) -> Iterator[SettingError]:
    """Yield errors that pydantic misses: it reads true as the number 1."""
    for path, each in given.items():
        spec = field_specs().get(path)
        is_number = spec is not None and spec.expected.startswith(("integer", "number"))
        if spec is not None and is_number and isinstance(each.value, bool):
            yield unusable_value(spec, path, each.value, each.source.origin(path))


def _translate(invalid: ValidationError, given: Mapping[Path, _Given]) -> Iterator[SettingError]:
    """Yield one error for each setting, misspelt names first."""
    details = invalid.errors(include_url=False)
    reported = set()
    for each in sorted(details, key=lambda each: each["type"] not in _UNKNOWN_NAME):
        error = _setting_error(each, given)
        if error.where not in reported:
            reported.add(error.where)
            yield error


def _setting_error(details: ErrorDetails, given: Mapping[Path, _Given]) -> SettingError:
    location = tuple(str(part) for part in details["loc"])
    if details["type"] in _UNKNOWN_NAME:
        return _unknown_name(location, given[location].source)
    spec, path = _locate(location)
    if details["type"] == _BROKEN_RULE:
        # A rule over several fields: the message itself names found and expected values.
        beneath = {each.source.origin(at) for at, each in given.items() if at[: len(path)] == path}
        return SettingError(
            where=".".join(path),
            source=", ".join(sorted(beneath)) if path else "",
            text=details["msg"].removeprefix("Value error, "),
        )
    source = given[path].source
    origin = source.origin(path)
    is_json = isinstance(source, TextSource) and spec.kind != "value" and spec.path == path
    if is_json and isinstance(details["input"], str):
        return SettingError(
            where=spec.name, source=origin, text=f"found no JSON, expected {spec.expected}"
        )
    return unusable_value(spec, path, details["input"], origin)


def _unknown_name(path: Path, source: Source) -> SettingError:
    meant = nearest(path)
    hint = "" if meant is None else f"; did you mean {spell(meant.path, source)}?"
    text = f"no such setting{hint}"
    return SettingError(where=spell(path, source), source=source.origin(path), text=text)


def _locate(location: Path) -> tuple[FieldSpec, Path]:
    """Return the setting of an error; pydantic adds the branch of a union to its location."""
    specs = field_specs()
    length = next(n for n in range(len(location), -1, -1) if location[:n] in specs)
    spec = specs[location[:length]]
    return spec, location[: length + 1] if spec.kind == "map" else location[:length]


def _origins(given: Mapping[Path, _Given]) -> dict[str, str]:
    origins: dict[str, str] = {}
    for path, spec in field_specs().items():
        if spec.kind != "section":
            entries = [at for at in given if at[: len(path)] == path]
            origins |= {".".join(at): given[at].source.origin(at) for at in entries}
            if not entries:
                origins[spec.name] = DEFAULT_ORIGIN
    return origins
