"""Bring all sources together; refuse everything that is wrong with them at once."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stream_vae.core.masking import mask
from stream_vae.settings.faults import Fault, refuse, unusable_value
from stream_vae.settings.fields import FieldSpec, Path, field_specs
from stream_vae.settings.model import Settings
from stream_vae.settings.sources import (
    CONFIG_VARIABLE,
    SECRETS_VARIABLE,
    Given,
    Layer,
    environment_layer,
    flags_layer,
    secrets_layer,
    yaml_layer,
)

DEFAULT_ORIGIN = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSettings:
    """Settings, and what set each of them."""

    settings: Settings
    origins: Mapping[str, str]
    """Dotted name -> `default`, `FILE:LINE`, `secret FILE`, `environment NAME` or
    `command line`; in the order of the schema."""

    def masked(self) -> dict[str, Any]:
        """Return the effective settings as plain values, secrets masked."""
        shown = mask(self.settings.model_dump(mode="json"))
        assert isinstance(shown, dict)  # noqa: S101 -- masking keeps a mapping a mapping
        return shown


def load_settings(
    config: FilePath | None = None,
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    secrets_dir: FilePath | None = None,
) -> LoadedSettings:
    """Return the effective settings: defaults < YAML < secrets < environment < command line.

    Args:
        config: YAML file; None looks at `STREAM_VAE_CONFIG`, and does without.
        overrides: Dotted name -> value from the command line; None values were not given.
        environ: Environment variables; None takes the process's.
        secrets_dir: Directory of one file per secret; None looks at `STREAM_VAE_SECRETS_DIR`, and
            does without.

    Raises:
        ConfigError: If anything is misspelt, of the wrong type, out of range or contradictory; the
            message tells of everything that was found.
    """
    if environ is None:
        environ = os.environ  # noqa: TID251 -- the one place that reads the environment
    layers = list(_layers(config, overrides or {}, environ, secrets_dir))
    faults = [fault for layer in layers for fault in layer.faults]
    given: dict[Path, Given] = {}
    for layer in layers:
        given.update(layer.given)
    faults += _mistaken_booleans(given)
    try:
        settings = Settings.model_validate(_nest(given))
    except ValidationError as exc:
        faults += _translate(exc, given, already=faults)
    if faults:
        raise refuse(faults)
    return LoadedSettings(settings=settings, origins=_origins(given))


def _layers(
    config: FilePath | None,
    overrides: Mapping[str, object],
    environ: Mapping[str, str],
    secrets_dir: FilePath | None,
) -> Iterator[Layer]:
    config_text = environ.get(CONFIG_VARIABLE)
    secrets_text = environ.get(SECRETS_VARIABLE)
    if config is not None or config_text:
        yield yaml_layer(config or FilePath(str(config_text)))
    if secrets_dir is not None or secrets_text:
        yield secrets_layer(secrets_dir or FilePath(str(secrets_text)))
    yield environment_layer(environ)
    yield flags_layer(overrides)


def _nest(given: Mapping[Path, Given]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for path, each in given.items():
        place = nested
        for name in path[:-1]:
            place = place.setdefault(name, {})
        place[path[-1]] = each.value
    return nested


def _mistaken_booleans(given: Mapping[Path, Given]) -> Iterator[Fault]:
    """Yield what pydantic would let pass: it reads true as the number 1."""
    for path, each in given.items():
        spec = field_specs().get(path)
        is_number = spec is not None and spec.expected.startswith(("integer", "number"))
        if spec is not None and is_number and isinstance(each.value, bool):
            yield unusable_value(spec, path, each.value, each.source)


def _translate(
    error: ValidationError, given: Mapping[Path, Given], already: list[Fault]
) -> Iterator[Fault]:
    told = {fault.where for fault in already}
    for details in error.errors(include_url=False):
        fault = _fault(details, given)
        if fault.where not in told or not fault.where:
            told.add(fault.where)
            yield fault


def _fault(details: ErrorDetails, given: Mapping[Path, Given]) -> Fault:
    spec, path = _locate(tuple(str(part) for part in details["loc"]))
    if spec.kind == "section":
        # A rule over several fields: the message itself says what was found and expected.
        beneath = {each.source for at, each in given.items() if at[: len(path)] == path}
        return Fault(
            where=".".join(path),
            source=", ".join(sorted(beneath)) if path else "",
            text=details["msg"].removeprefix("Value error, "),
        )
    source = given[path].source if path in given else DEFAULT_ORIGIN
    return unusable_value(spec, path, details["input"], source)


def _locate(location: Path) -> tuple[FieldSpec, Path]:
    """Return the setting an error is about; pydantic adds the branch of a union to its place."""
    specs = field_specs()
    length = next(n for n in range(len(location), -1, -1) if location[:n] in specs)
    spec = specs[location[:length]]
    return spec, location[: length + 1] if spec.kind == "map" else location[:length]


def _origins(given: Mapping[Path, Given]) -> dict[str, str]:
    origins: dict[str, str] = {}
    for path, spec in field_specs().items():
        if spec.kind == "section":
            continue
        entries = [at for at in given if spec.kind == "map" and at[: len(path)] == path]
        for entry in entries:
            origins[".".join(entry)] = given[entry].source
        if not entries:
            origins[spec.name] = given[path].source if path in given else DEFAULT_ORIGIN
    return origins
