"""Where each part of a record stands, and the one type that decodes just those parts."""

import re
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Annotated, Any

import msgspec

from stream_vae.errors import ConfigError
from stream_vae.inputs.reading_format import ReadingFormat

FieldPath = tuple[str, ...]

_TIME = int | float | str | None
_SERIES = str | int | None
_FEATURE = float | None


def split_path(path: str) -> FieldPath:
    r"""Return the names a dotted path leads through; `\.` is a dot within a name.

    Raises:
        ConfigError: If a name is empty.

    >>> split_path(r"device.temp\.outer")
    ('device', 'temp.outer')
    """
    names = tuple(name.replace(r"\.", ".") for name in re.split(r"(?<!\\)\.", path))
    if not all(names):
        raise ConfigError(f"input: the field path {path!r} has an empty name between its dots")
    return names


class RecordLayout:
    """Paths of timestamp, series and features in a record, and the msgspec type of those alone.

    A feature without an entry in `feature_fields` is the top-level field of its very name, dots
    and all, so CSV headers such as `cpu.load` need no care.

    Args:
        feature_names: F names, in the model's order.
        fmt: The operator's choices.

    Raises:
        ConfigError: If paths contradict each other or a name cannot be a field's.
    """

    def __init__(self, feature_names: Sequence[str], fmt: ReadingFormat) -> None:
        self.is_vector = fmt.format == "vector"
        self.n_features = len(feature_names)
        self.time_path = split_path(fmt.timestamp_field)
        self.series_path = None if fmt.series_field is None else split_path(fmt.series_field)
        self.value_paths = _value_paths(feature_names, fmt)
        self._tree: dict[str, Any] = {}
        self._plant_all()
        self.record_type = _struct_of(self._tree)
        self.time_of: Callable[[object], Any] = self._getter(self.time_path)
        self.series_of = None if self.series_path is None else self._getter(self.series_path)
        self.values_of: Callable[[object], Any] = self._getter(*self.value_paths)

    def unknown_fields(self, document: object) -> Iterator[str]:
        """Yield the paths in a decoded document that no part of the layout stands for."""
        yield from _unknown(document, self._tree, "")

    def _plant_all(self) -> None:
        _plant(self._tree, self.time_path, _TIME)
        if self.series_path is not None:
            _plant(self._tree, self.series_path, _SERIES)
        leaf: Any = _FEATURE
        if self.is_vector:
            exact = msgspec.Meta(min_length=self.n_features, max_length=self.n_features)
            leaf = Annotated[list[float | None], exact]
        for path in self.value_paths:
            _plant(self._tree, path, leaf)

    def _getter(self, *paths: FieldPath) -> Callable[[object], Any]:
        return attrgetter(*(".".join(_attributes(self._tree, path)) for path in paths))


def _value_paths(feature_names: Sequence[str], fmt: ReadingFormat) -> tuple[FieldPath, ...]:
    if not feature_names:
        raise ConfigError("input: the model has no features; expected one or more")
    strangers = sorted(set(fmt.feature_fields) - set(feature_names))
    if strangers:
        raise ConfigError(
            f"input.feature_fields names {strangers}; the model's features are {[*feature_names]}"
        )
    if fmt.format == "vector":
        if fmt.feature_fields:
            raise ConfigError(
                "input.feature_fields has no meaning with input.format vector: features stand in "
                "the array in the model's order"
            )
        return (split_path(fmt.values_field),)
    mapped = fmt.feature_fields
    return tuple(split_path(mapped[name]) if name in mapped else (name,) for name in feature_names)


def _plant(tree: dict[str, Any], path: FieldPath, leaf: object) -> None:
    """Put a leaf at its path; the same leaf type may stand there already."""
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"input: field {name!r} cannot be a value and hold {path[-1]!r} too")
    found = tree.setdefault(path[-1], leaf)
    if found is not leaf:
        raise ConfigError(
            f"input: field {'.'.join(path)!r} is named for two different things; expected a field "
            "each for timestamp, series and features"
        )


def _attributes(tree: dict[str, Any], path: FieldPath) -> Iterator[str]:
    for name in path:
        yield f"f{[*tree].index(name)}"
        tree = tree[name]


def _struct_of(tree: dict[str, Any]) -> type[msgspec.Struct]:
    """Return a struct type for a level of the tree; absent values are None, absent objects empty.

    The array of a vector is required instead: its absence is an error of the record.
    """
    fields: list[Any] = []
    renamed: dict[str, str] = {}
    for position, (name, node) in enumerate(tree.items()):
        attribute = f"f{position}"
        renamed[attribute] = name
        if isinstance(node, dict):
            below = _struct_of(node)
            is_required = any(field.required for field in msgspec.structs.fields(below))
            default = msgspec.field() if is_required else msgspec.field(default_factory=below)
            fields.append((attribute, below, default))
        elif node in (_TIME, _SERIES, _FEATURE):
            fields.append((attribute, node, None))
        else:
            fields.append((attribute, node))
    try:
        return msgspec.defstruct("Record", fields, gc=False, kw_only=True, rename=renamed)
    except ValueError as exc:
        raise ConfigError(
            f"input: fields {list(tree)}: names with quotes, backslashes or control characters "
            "cannot be read"
        ) from exc


def _unknown(document: object, tree: dict[str, Any], prefix: str) -> Iterator[str]:
    if not isinstance(document, dict):
        return
    for name, value in document.items():
        node = tree.get(name)
        if node is None:
            yield f"{prefix}{name}"
        elif isinstance(node, dict):
            yield from _unknown(value, node, f"{prefix}{name}.")
