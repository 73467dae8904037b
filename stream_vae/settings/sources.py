"""Secrets, environment and flags for pydantic-settings; each knows the origin of its values."""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import is_dataclass
from pathlib import Path as FilePath
from typing import Any, Literal, get_type_hints

from pydantic.fields import FieldInfo
from pydantic_settings import (
    EnvSettingsSource,
    InitSettingsSource,
    NestedSecretsSettingsSource,
    SecretsSettingsSource,
    SettingsError,
)

from stream_vae.inputs.presets import PRESETS, preset_defaults
from stream_vae.settings.fields import Path, field_specs, is_setting
from stream_vae.settings.model import NESTING, PREFIX, Settings
from stream_vae.settings.setting_errors import SettingError, UnreadableError
from stream_vae.settings.stand_ins import StandInSource
from stream_vae.settings.yaml_file import YamlSource

CONFIG_VARIABLE = f"{PREFIX}CONFIG"
SECRETS_VARIABLE = f"{PREFIX}SECRETS_DIR"
DEFAULT_ORIGIN = "default"
LogKind = Literal["logs", "sessions"]
"""What is judged of logs: the counts of their lines by step, or those of sessions."""

_OF_PRESET = "preset "
_DEFAULT_OF = "default of "
# The work for a poll as a whole would cost more than that for its lines; but twice as many series
# as a poll may have must fit in the memory for state.
_POLLED = {"poll_records": 1000}
_OF_KIND: Mapping[LogKind, dict[str, Any]] = {
    # In a mean over a window a burst of lines drowns; `tests.benchmarks.log_detection` compares.
    "logs": {
        "kafka": _POLLED,
        "detect": {
            "score": "worst_feature",
            "threshold": {"quantile": 0.999},
            # Beyond what training had, each count of lines is as improbable as can be told.
            "incident": {
                "open_after": 1,
                "resolve_after": 10,
                "resolve_deviation": 0.5,
                "warning_grade": 1.0,
                "critical_grade": 1.0,
            },
        },
    },
    # On normal sessions of HDFS the usual settings find no unknown event; these find each.
    "sessions": {
        "kafka": _POLLED,
        "model": {
            "window_length": 1,
            "latent_size": 4,
            "sigma_floor": 0.03,
            "count_likelihood": "log_gaussian",
        },
        "training": {"calibration": "cross_validation"},
        "detect": {
            "threshold": {"quantile": 0.999},
            "incident": {"open_after": 1, "open_within": 1, "resolve_after": 1},
        },
    },
}
_GRADES = ("warning_grade", "critical_grade")
_WITH_QUANTILE = ("auto", "percentile", "pot")
_MAX_SECRET_BYTES = 65_536
_TEST_PREFIX = f"{PREFIX}TEST_"
_PROPERTY_MAPS = (("kafka", "common"), ("kafka", "consumer"), ("kafka", "producer"))

# Kubernetes sets variables of this form in each pod for the services around it; those of a service
# named "stream-vae" have our prefix. Their values distinguish them from a misspelt port.
_SERVICE_NAME = re.compile(r"(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)$")
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://")


class TextSource(EnvSettingsSource):
    """Texts whose names nest by `__`; maps and sections are JSON."""

    def _take(self, texts: Mapping[str, str | None]) -> None:
        """Collect texts by lower-case name without the prefix, and those that are not settings.

        The library would ignore most of the latter silently.
        """
        known: dict[str, str | None] = {}
        self._strays: dict[str, str | None] = {}
        self._names: dict[Path, str] = {}
        for name, text in sorted(texts.items()):
            path = tuple(name.split(NESTING))
            if path[:-1] in _PROPERTY_MAPS:
                # librdkafka's properties contain dots, which variable names cannot.
                path = (*path[:-1], path[-1].replace("_", "."))
            if is_setting(path):
                known[self.env_prefix.lower() + NESTING.join(path)] = text
            else:
                path = (name,)
                self._strays[name] = text
            self._names[path] = name
        self.env_vars = known

    def __call__(self) -> dict[str, Any]:
        """Return the values given; a misspelt name is not split."""
        return {**super().__call__(), **self._strays}

    def _name(self, path: Path) -> str:
        """Return the name of the text that gave a setting, alone or within a section's JSON."""
        above = (path[:length] for length in range(len(path), 0, -1))
        return next(self._names[each] for each in above if each in self._names)

    def next_field(
        self,
        field: FieldInfo | Any | None,
        key: str,
        case_sensitive: bool | None = None,
    ) -> FieldInfo | None:
        """Descend into standard dataclasses; the library only supports pydantic's models."""
        kind = field.annotation if isinstance(field, FieldInfo) else field
        hints = get_type_hints(kind, include_extras=True) if is_dataclass(kind) else {}
        return FieldInfo.from_annotation(hints[key]) if key in hints else None

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Leave invalid JSON to the model, which reports its location."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


class VariablesSource(TextSource):
    """Settings from environment variables."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(Settings, case_sensitive=False)
        ours = {
            name.removeprefix(PREFIX).lower(): text
            for name, text in environ.items()
            if name.startswith(PREFIX) and not _is_not_ours(name, text)
        }
        self._take(ours)

    def origin(self, path: Path) -> str:
        """Return `environment NAME`."""
        return f"environment {PREFIX}{self._name(path).upper()}"


class SecretsSource(TextSource, NestedSecretsSettingsSource):
    """Settings from a directory of one file per setting (`kafka__sasl_password`).

    Raises:
        UnreadableError: If anything in it cannot be read.
    """

    def __init__(self, directory: FilePath | str) -> None:
        directory = FilePath(directory)
        if errors := list(_unreadable_secrets(directory)):
            raise UnreadableError(*errors)
        self._directory = directory
        unnested = SecretsSettingsSource(Settings, directory)
        try:
            super().__init__(unnested, secrets_case_sensitive=False, secrets_prefix="")
        except (SettingsError, OSError, UnicodeDecodeError) as exc:
            raise UnreadableError(SettingError(where=str(directory), text=str(exc))) from exc
        self._take(self.env_vars)

    def origin(self, path: Path) -> str:
        """Return `secret FILE`."""
        return f"secret {self._directory / self._name(path)}"


class FlagsSource(InitSettingsSource):
    """Settings from the command line: dotted names; None means not given."""

    def __init__(self, overrides: Mapping[str, object]) -> None:
        nested: dict[str, Any] = {}
        for name, value in overrides.items():
            if value is not None:
                _put(nested, (), name, value)
        super().__init__(Settings, nested)

    def origin(self, _: Path) -> str:
        """Return `command line`."""
        return "command line"


class PresetSource(InitSettingsSource):
    """Settings of a producer's preset.

    Args:
        preset: Its name; an unknown one gives none, and the model reports it.
        given: Settings of the input that other sources give.
    """

    def __init__(self, preset: object, given: Mapping[str, object]) -> None:
        self._preset = preset
        known = next((name for name in PRESETS if name == preset), None)
        found = {} if known is None else preset_defaults(known, given)
        super().__init__(Settings, {"input": found})

    def origin(self, _: Path) -> str:
        """Return `preset` and its name."""
        return f"{_OF_PRESET}{self._preset}"


class LogsSource(InitSettingsSource):
    """Settings that suit what is judged of logs.

    Args:
        kind: Of what is judged.
        given: What other sources give; what these rule out is left out.
    """

    def __init__(self, kind: LogKind, given: Mapping[Path, object]) -> None:
        self._kind = kind
        found = deepcopy(_OF_KIND[kind])
        if given.get(("training", "trim"), "off") != "off":
            found.pop("training", None)
        method = given.get(("detect", "threshold", "method"), "auto")
        is_univariate = given.get(("detect", "profile")) == "univariate"
        if given.get(("detect", "budget")) or method not in _WITH_QUANTILE or is_univariate:
            del found["detect"]["threshold"]
        if given.get(("detect", "incident", "open_after")) is not None:
            found["detect"]["incident"].pop("open_within", None)
        if any(given.get(("detect", "incident", name)) is not None for name in _GRADES):
            for name in _GRADES:
                found["detect"]["incident"].pop(name, None)
        super().__init__(Settings, found)

    def origin(self, _: Path) -> str:
        """Return `default of` and what is judged."""
        return f"{_DEFAULT_OF}{self._kind}"


def is_default(origin: str) -> bool:
    """Return whether a setting's origin is a default, of whatever kind of input."""
    return origin == DEFAULT_ORIGIN or origin.startswith(_DEFAULT_OF)


def is_of_preset(origin: str) -> bool:
    """Return whether a setting's origin is a preset."""
    return origin.startswith(_OF_PRESET)


Source = (
    YamlSource
    | SecretsSource
    | VariablesSource
    | FlagsSource
    | PresetSource
    | LogsSource
    | StandInSource
)


def spell(path: Path, source: Source) -> str:
    """Return how a setting is called in a source."""
    if isinstance(source, VariablesSource):
        return PREFIX + NESTING.join(path).upper()
    return (NESTING if isinstance(source, SecretsSource) else ".").join(path)


def _is_not_ours(name: str, value: str) -> bool:
    return (
        name in {CONFIG_VARIABLE, SECRETS_VARIABLE}
        or name.startswith(_TEST_PREFIX)
        or _SERVICE_NAME.search(name) is not None
        or (name.endswith("PORT") and _SERVICE_URL.match(value) is not None)
    )


def _put(into: dict[str, Any], at: Path, name: str, value: object) -> None:
    """Nest a value by its dotted name; the names of a map's entries may hold dots themselves."""
    head, _, rest = name.partition(".")
    spec = field_specs().get(at)
    if rest and (spec is None or spec.kind == "section"):
        _put(into.setdefault(head, {}), (*at, head), rest, value)
    else:
        into[name] = value


def _unreadable_secrets(directory: FilePath) -> Iterator[SettingError]:
    """Yield what the library would pass over, or fail on without saying where."""
    try:
        # Kubernetes mounts hold hidden links and folders beside the secrets.
        files = [file for file in sorted(directory.iterdir()) if not file.name.startswith(".")]
    except OSError as exc:
        text = f"cannot be read: {exc.strerror}; expected a directory of secrets"
        yield SettingError(where=str(directory), text=text)
        return
    for file in filter(FilePath.is_file, files):
        if not file.resolve().is_relative_to(directory.resolve()):
            yield SettingError(where=str(file), text="is a link to a file outside of the directory")
        if file.stat().st_size > _MAX_SECRET_BYTES:
            text = f"found more than {_MAX_SECRET_BYTES:,} bytes, expected a secret of fewer"
            yield SettingError(where=str(file), text=text)
            continue
        try:
            file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            yield SettingError(
                where=str(file), text="cannot be read; expected a file of UTF-8 text"
            )
