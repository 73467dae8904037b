"""The paths of a record's parts, and the msgspec type that decodes only those parts."""

import re
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from stream_vae.errors import ConfigError
from stream_vae.inputs.field_kinds import ANY, SERIES, TIME, FieldKind
from stream_vae.inputs.reading_format import RECORD_TIME, ReadingFormat

FieldPath = tuple[str, ...]

_Tree = dict[str, Any]  # name -> FieldKind or another tree


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
    """Paths of timestamp, series and values in a record, and the msgspec types of those alone.

    Args:
        fmt: The operator's choices, for timestamp and series.
        value_paths: Paths of the features, one each; at least one.
        value_kinds: Kind of field at each of these paths.
        array_length: If there is one path alone, and the features are an array of this length.

    Raises:
        ConfigError: If paths contradict each other or a name cannot be a field's.
    """

    def __init__(
        self,
        fmt: ReadingFormat,
        value_paths: Sequence[FieldPath],
        value_kinds: Sequence[FieldKind],
        *,
        array_length: int | None = None,
    ) -> None:
        if not value_paths:
            raise ConfigError("input: the model has no features; expected one or more")
        self.time_path = None
        if fmt.timestamp_field != RECORD_TIME:
            self.time_path = split_path(fmt.timestamp_field)
        self.series_path = None if fmt.series_field is None else split_path(fmt.series_field)
        self.value_paths = tuple(value_paths)
        self.array_length = array_length
        self.head_fields: list[tuple[FieldPath, FieldKind]] = []
        """Paths and kinds of time and series, in the order in which errors are reported."""
        if self.time_path is not None:
            self.head_fields.append((self.time_path, TIME))
        if self.series_path is not None:
            self.head_fields.append((self.series_path, SERIES))
        self._tree = _tree([*self.head_fields, *zip(value_paths, value_kinds, strict=True)])
        self.strict_type = _struct_of(self._tree)
        """Accepts records of which nothing needs a second look."""
        anything = [(path, ANY) for path in value_paths]
        self.loose_type = _struct_of(_tree([*self.head_fields, *anything]))
        """Accepts any value of a feature; the attributes are those of the strict type."""
        self.time_of = None if self.time_path is None else self._getter(self.time_path)
        self.series_of = None if self.series_path is None else self._getter(self.series_path)
        self._values_of: Callable[[object], Any] = self._getter(*self.value_paths)

    def rows_of(self, records: Sequence[msgspec.Struct]) -> list[Any]:
        """Return the values of records, of any of the two types: a row of F each.

        Of an array, a loose record may have anything.
        """
        found = map(self._values_of, records)
        if len(self.value_paths) > 1 or self.array_length is not None:
            return list(found)
        return [(value,) for value in found]

    def names_feature(self, document: object) -> bool:
        """Return whether a decoded document has a field of a feature, be it null.

        An array of values is asked for in any case.
        """
        return self.array_length is not None or any(
            _has(document, path) for path in self.value_paths
        )

    def unknown_fields(self, document: object) -> Iterator[str]:
        """Yield the paths in a decoded document that are not in the layout."""
        yield from _unknown(document, self._tree, "")

    def _getter(self, *paths: FieldPath) -> Callable[[object], Any]:
        return attrgetter(*(".".join(_attributes(self._tree, path)) for path in paths))


def leaf_paths(document: object, limit: int) -> list[str]:
    """Return the dotted paths of the values in a decoded document, at most `limit`.

    >>> leaf_paths({"name": "cpu", "fields": {"idle": 1, "user": 2}}, 10)
    ['name', 'fields.idle', 'fields.user']
    """
    paths: list[str] = []
    waiting = [("", document)]
    while waiting and len(paths) < limit:
        prefix, found = waiting.pop()
        if isinstance(found, dict) and found:
            below = [(f"{prefix}.{name}" if prefix else name, found[name]) for name in found]
            waiting += reversed(below[:limit])
        elif prefix:
            paths.append(prefix)
    return paths


def _has(document: object, path: FieldPath) -> bool:
    for name in path:
        if not isinstance(document, dict) or name not in document:
            return False
        document = document[name]
    return True


def _tree(fields: Sequence[tuple[FieldPath, FieldKind]]) -> _Tree:
    tree: _Tree = {}
    for path, kind in fields:
        _plant(tree, path, kind)
    return tree


def _plant(tree: _Tree, path: FieldPath, kind: FieldKind) -> None:
    """Add a kind at its path; the same kind may already be there."""
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"input: field {name!r} cannot be a value and hold {path[-1]!r} too")
    found = tree.setdefault(path[-1], kind)
    if found is not kind:
        raise ConfigError(
            f"input: field {'.'.join(path)!r} is named for two different things; expected a field "
            "each for timestamp, series and features"
        )


def _attributes(tree: _Tree, path: FieldPath) -> Iterator[str]:
    for name in path:
        yield f"f{[*tree].index(name)}"
        tree = tree[name]


def _struct_of(tree: _Tree) -> type[msgspec.Struct]:
    """Return a struct type for a level of the tree; absent values are None, absent objects empty.

    A required one has no default: a record without it is rejected.
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
        elif node.is_required:
            fields.append((attribute, node.type))
        else:
            fields.append((attribute, node.type, None))
    try:
        return msgspec.defstruct("Record", fields, gc=False, kw_only=True, rename=renamed)
    except ValueError as exc:
        raise ConfigError(
            f"input: fields {list(tree)}: names with quotes, backslashes or control characters "
            "cannot be read"
        ) from exc


def _unknown(document: object, tree: _Tree, prefix: str) -> Iterator[str]:
    if not isinstance(document, dict):
        return
    for name, value in document.items():
        node = tree.get(name)
        if node is None:
            yield f"{prefix}{name}"
        elif isinstance(node, dict):
            yield from _unknown(value, node, f"{prefix}{name}.")
