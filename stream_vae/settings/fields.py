"""Names, types, defaults and descriptions of all settings, from the JSON Schema."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from stream_vae.settings.model import DEVICE_PATTERN, TOPIC_PATTERN, Settings

Path = tuple[str, ...]
Kind = Literal["section", "map", "value"]

_BOUNDS = (
    ("exclusiveMinimum", ">"),
    ("minimum", ">="),
    ("exclusiveMaximum", "<"),
    ("maximum", "<="),
)
_PATTERNS = {
    DEVICE_PATTERN: "`auto`, `cpu`, `cuda` or `cuda:N`",
    TOPIC_PATTERN: "topic name (letters, digits, `.`, `_`, `-`; 249 at most)",
}
_COLLECTIONS = {"object": ("mapping", "additionalProperties"), "array": ("list", "items")}
_TYPES = {
    "integer": "integer",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpec:
    """One section, or one setting."""

    path: Path
    kind: Kind
    """A `map` has names chosen by the operator."""
    expected: str
    """The type and its bounds, in words."""
    default: object
    description: str
    is_secret: bool

    @property
    def name(self) -> str:
        """Dotted, as in messages."""
        return ".".join(self.path)


@cache
def field_specs() -> Mapping[Path, FieldSpec]:
    """Return every section and setting in the order of the schema; () is the whole."""
    schema = Settings.model_json_schema()
    return {spec.path: spec for spec in _walk((), schema, schema.get("$defs", {}))}


def is_setting(path: Path) -> bool:
    """Return whether there is a section, setting or map entry at `path`."""
    above = field_specs().get(path[:-1])
    return path in field_specs() or (above is not None and above.kind == "map")


def settings_table() -> list[tuple[str, str, str, str]]:
    """Return (name, type, default, description) of every setting, as the README shows them."""
    return [
        (spec.name, spec.expected, _show_default(spec), spec.description)
        for spec in field_specs().values()
        if spec.kind != "section"
    ]


def markdown_table() -> str:
    """Return `settings_table` as Markdown."""
    lines = ["| Setting | Type | Default | Meaning |", "|---|---|---|---|"]
    for name, expected, default, description in settings_table():
        cells = (f"`{name}`", expected, f"`{default}`" if default else "", description)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _walk(path: Path, schema: dict[str, Any], defs: dict[str, Any]) -> Iterator[FieldSpec]:
    description = " ".join(schema.get("description", "").split())
    target = _resolve(schema, defs)
    kind: Kind = "value"
    if "properties" in target:
        kind = "section"
    elif target.get("type") == "object":
        kind = "map"
    yield FieldSpec(
        path=path,
        kind=kind,
        expected=_expected(target, defs),
        default=schema.get("default", {} if kind == "map" else None),
        description=description,
        is_secret=any(option.get("writeOnly", False) for option in _options(target)),
    )
    for name, child in target.get("properties", {}).items():
        yield from _walk((*path, name), child, defs)


def _resolve(schema: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    resolved: dict[str, Any] = defs[reference.rsplit("/", 1)[-1]]
    return resolved


def _options(schema: dict[str, Any]) -> list[dict[str, Any]]:
    options: list[dict[str, Any]] = schema.get("anyOf", [schema])
    return options


def _expected(schema: dict[str, Any], defs: dict[str, Any]) -> str:
    options = [_resolve(option, defs) for option in _options(schema)]
    return _either([_expected_one(option, defs) for option in options])


def _either(choices: list[str]) -> str:
    *most, last = choices
    return f"{', '.join(most)} or {last}" if most else last


def _expected_one(schema: dict[str, Any], defs: dict[str, Any]) -> str:
    if "properties" in schema:
        return f"a mapping with {', '.join(schema['properties'])}"
    if "enum" in schema:
        return _either([f"`{value}`" for value in schema["enum"]])
    if "const" in schema:
        return f"`{schema['const']}`"
    match schema.get("type"):
        case "object" | "array" as kind:
            name, key = _COLLECTIONS[kind]
            return f"{name} of {_expected(schema[key], defs)}"
        case "string":
            return _expected_text(schema)
        case _:
            return _expected_scalar(schema)


def _expected_text(schema: dict[str, Any]) -> str:
    if "pattern" in schema:
        return _PATTERNS[schema["pattern"]]
    return "text, not empty" if schema.get("minLength") else "text"


def _expected_scalar(schema: dict[str, Any]) -> str:
    bounds = " and ".join(f"{sign} {schema[key]:g}" for key, sign in _BOUNDS if key in schema)
    return f"{_TYPES.get(schema.get('type', ''), 'value')} {bounds}".strip()


def _show_default(spec: FieldSpec) -> str:
    if spec.default is None:
        return ""
    if isinstance(spec.default, bool):
        return str(spec.default).lower()
    return str(spec.default)
