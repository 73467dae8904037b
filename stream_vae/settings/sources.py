"""Where settings come from: YAML, a secrets directory, the environment, the command line."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from stream_vae.settings.faults import Fault, expected_at, nearest, show
from stream_vae.settings.fields import FieldSpec, Path, field_specs
from stream_vae.settings.yaml_file import read_yaml

PREFIX = "STREAM_VAE_"
CONFIG_VARIABLE = f"{PREFIX}CONFIG"
SECRETS_VARIABLE = f"{PREFIX}SECRETS_DIR"
_TEST_PREFIX = f"{PREFIX}TEST_"
_NESTING = "__"
_PROPERTY_MAPS = (("kafka", "common"), ("kafka", "consumer"), ("kafka", "producer"))

# Kubernetes tells each pod of the services around it in variables of this form; a service called
# "stream-vae" makes them begin like ours. Their values tell them from a misspelt port.
_SERVICE_NAME = re.compile(r"(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)$")
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One value, and what gave it."""

    value: object
    source: str


@dataclass(slots=True)
class Layer:
    """All that one source gives, by path; entries of maps have a path of their own."""

    given: dict[Path, Given] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


SourceOf = Callable[[Path], str]
SpellingOf = Callable[[Path], str]


def yaml_layer(file: FilePath) -> Layer:
    """Return what a YAML file gives."""
    read = read_yaml(file)
    layer = Layer(faults=read.faults)

    def source_of(path: Path) -> str:
        return f"{file}:{read.lines[path]}" if path in read.lines else str(file)

    _place(layer, (), read.content, source_of, ".".join)
    return layer


def secrets_layer(directory: FilePath) -> Layer:
    """Return what a directory of one file per setting gives (`kafka__sasl_password`)."""
    layer = Layer()
    try:
        files = sorted(directory.iterdir())
    except OSError as exc:
        text = f"cannot be read: {exc.strerror}; expected a directory of secrets"
        layer.faults.append(Fault(where=str(directory), text=text))
        return layer
    for file in files:
        # Kubernetes mounts hold hidden links and folders beside the secrets.
        if file.name.startswith(".") or not file.is_file():
            continue
        try:
            text = file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            fault = Fault(where=str(file), text="cannot be read; expected a file of UTF-8 text")
            layer.faults.append(fault)
            continue
        _place_named(layer, file.name, text, f"secret {file}", _spell_secret)
    return layer


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """Return what the environment variables of our prefix give."""
    layer = Layer()
    for name, value in sorted(environ.items()):
        if name.startswith(PREFIX) and not _is_not_ours(name, value):
            rest = name.removeprefix(PREFIX)
            _place_named(layer, rest, value, f"environment {name}", _spell_variable)
    return layer


def flags_layer(overrides: Mapping[str, object]) -> Layer:
    """Return what the command line gives: dotted names; None means not given."""
    layer = Layer()
    for name, value in overrides.items():
        if value is not None:
            path = _split_map_entry(tuple(name.split(".")))
            _place(layer, path, value, lambda _: "command line", ".".join)
    return layer


def _is_not_ours(name: str, value: str) -> bool:
    if name in {CONFIG_VARIABLE, SECRETS_VARIABLE} or name.startswith(_TEST_PREFIX):
        return True
    if _SERVICE_NAME.search(name):
        return True
    return name.endswith("PORT") and _SERVICE_URL.match(value) is not None


def _place_named(layer: Layer, name: str, text: str, source: str, spelling_of: SpellingOf) -> None:
    """Place a text whose name nests by `__`; maps and sections are given as JSON."""
    path = _split_map_entry(tuple(name.lower().split(_NESTING)))
    spec = field_specs().get(path)
    value: object = text
    if spec is not None and spec.kind != "value":
        try:
            value = json.loads(text)
        except json.JSONDecodeError as exc:
            wanted = f"expected JSON: {spec.expected} ({exc.msg} at column {exc.colno})"
            layer.faults.append(
                Fault(where=spec.name, source=source, text=f"found no JSON, {wanted}")
            )
            return
    _place(layer, path, value, lambda _: source, spelling_of)


def _split_map_entry(parts: Path) -> Path:
    """Return the path of an entry of a map, whose own name may hold dots.

    In names that cannot hold dots, `_` stands for them in librdkafka's properties, all of which
    are written with dots.
    """
    for length in range(1, len(parts)):
        spec = field_specs().get(parts[:length])
        if spec is not None and spec.kind == "map":
            entry = ".".join(parts[length:])
            if parts[:length] in _PROPERTY_MAPS:
                entry = entry.replace("_", ".")
            return (*parts[:length], entry)
    return parts


def _place(
    layer: Layer, path: Path, value: object, source_of: SourceOf, spelling_of: SpellingOf
) -> None:
    """Take `value` apart down to single settings and entries of maps."""
    spec = field_specs().get(path)
    parent = field_specs().get(path[:-1])
    is_entry = parent is not None and parent.kind == "map"
    if spec is None and not is_entry:
        layer.faults.append(_unknown(path, source_of(path), spelling_of))
    elif spec is None or spec.kind == "value":
        layer.given[path] = Given(value=value, source=source_of(path))
    elif value is None:
        return  # a section whose every line is commented out
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            if isinstance(name, str):
                _place(layer, (*path, name), entry, source_of, spelling_of)
            else:
                layer.faults.append(_name_not_text(path, name, source_of(path)))
    else:
        layer.faults.append(_no_mapping(spec, path, value, source_of(path)))


def _unknown(path: Path, source: str, spelling_of: SpellingOf) -> Fault:
    meant = nearest(path)
    text = "no such setting"
    if meant is not None:
        text += f"; did you mean {spelling_of(meant.path)}?"
    return Fault(where=spelling_of(path), source=source, text=text)


def _name_not_text(path: Path, name: object, source: str) -> Fault:
    text = f"found the name {show(name)}, expected text (put it in quotes)"
    return Fault(where=".".join(path), source=source, text=text)


def _no_mapping(spec: FieldSpec, path: Path, value: object, source: str) -> Fault:
    text = f"found {show(value)}, expected {expected_at(spec, path)}"
    return Fault(where=".".join(path), source=source, text=text)


def _spell_variable(path: Path) -> str:
    return PREFIX + _NESTING.join(path).upper()


def _spell_secret(path: Path) -> str:
    return _NESTING.join(path)
