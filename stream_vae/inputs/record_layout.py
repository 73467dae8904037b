"""The paths of a record's parts, and the msgspec types that decode only those parts."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import msgspec

from stream_vae.errors import ConfigError
from stream_vae.inputs.field_kinds import ANY, SERIES, TIME, FieldKind
from stream_vae.inputs.reading_format import RECORD_TIME, ReadingFormat
from stream_vae.inputs.templates import TextTemplate

FieldPath = tuple[str, ...]

WHOLE_RECORD = "$"
"""`records_path` of records that are arrays; before a path: in the record, not in its element."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueField:
    """Where a record keeps the value of a feature, or of all."""

    path: FieldPath
    type: Any
    """What needs no second look."""
    other: FieldPath | None = None
    """Where it is looked for if the path finds nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elements:
    """E elements of a poll's records, each an object with a time, a series and values.

    A record is its only element unless the layout has a path to an array.
    """

    rows: Any
    """(E,) position of each element's record in the batch, ascending."""
    structs: Sequence[msgspec.Struct]
    """E of the layout's types."""
    outers: Sequence[msgspec.Struct]
    """E records that they are in."""
    is_strict: bool
    """All are of the strict type."""
    numbers: Sequence[int] | None = None
    """E numbers, from 1, of the elements in their records; None: each record is its element."""
    sizes: Sequence[int] | None = None
    """E: how many the record has."""
    empty: Sequence[int] = ()
    """Positions of records without any element."""

    def take(self, kept: Sequence[int], rows: Any) -> "Elements":
        """Return some of the elements, by position; `rows` are theirs."""
        return Elements(
            rows=rows,
            structs=[self.structs[i] for i in kept],
            outers=[self.outers[i] for i in kept],
            is_strict=self.is_strict,
            numbers=None if self.numbers is None else [self.numbers[i] for i in kept],
            sizes=None if self.sizes is None else [self.sizes[i] for i in kept],
            empty=self.empty,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of every element that is no value: of time, series or name."""

    path: FieldPath
    kind: FieldKind
    other: FieldPath | None = None
    """Where it is looked for if the path finds nothing."""
    is_outer: bool = False
    """It stands in the record, beside the array of elements."""


class RecordLayout:
    """Paths of timestamp, series and values in a record, and the msgspec types of those alone.

    Args:
        fmt: The operator's choices, for timestamp, series and the array of elements.
        values: Of the features, one each or one for all; at least one.
        labels: Dotted paths of what else is read of each element: any plain value.
        array_length: If there is one value alone, and it is an array of the features.

    Raises:
        ConfigError: If paths contradict each other or a name cannot be a field's.
    """

    def __init__(
        self,
        fmt: ReadingFormat,
        values: Sequence[ValueField],
        *,
        labels: Sequence[str] = (),
        array_length: int | None = None,
    ) -> None:
        if not values:
            raise ConfigError("input: the model has no features; expected one or more")
        self.array_length = array_length
        self.records_path = split_path(fmt.records_path) if fmt.records_path else None
        self._template, series = None, []
        if fmt.series_field is not None:
            series = [fmt.series_field]
            if "{" in fmt.series_field:
                self._template = TextTemplate(fmt.series_field, "input.series_field")
                series = list(self._template.fields)
        self.time: Field | None = None
        if fmt.timestamp_field != RECORD_TIME:
            self.time = self._field(fmt.timestamp_field, TIME)
        self.series = tuple(self._field(path, SERIES) for path in series)
        self.labels = tuple(self._field(path, ANY) for path in labels)
        self.values = tuple(values)
        self._tree: _Tree = {}
        self._plant_fields()
        self._whole_tree = self._tree
        self.strict_type: Any
        """Accepts records of which nothing needs a second look."""
        self.loose_type: Any
        """Accepts any value of a feature; the attributes are those of the strict type."""
        self.loose_element: type[msgspec.Struct]
        """The loose type of an element."""
        self.loose_whole: type[msgspec.Struct]
        """The loose type of a record, which may hold elements."""
        self._make_types()
        self._values_of = self._getter(*(value.path for value in self.values))

    @property
    def fields(self) -> tuple[Field, ...]:
        """All but the values, in the order in which errors are reported."""
        heads = () if self.time is None else (self.time,)
        return (*heads, *self.series, *self.labels)

    @property
    def series_path(self) -> FieldPath | None:
        """Of the only field that names the series, if one does."""
        return self.series[0].path if self.series and self._template is None else None

    def elements_of(self, record: Any) -> Sequence[Any]:
        """Return the elements of a decoded record."""
        if self.records_path is None:
            return (record,)
        if self.records_path == (WHOLE_RECORD,):
            return record if isinstance(record, list) else (record,)
        found = self._array_of_whole(record)
        if isinstance(found, list):
            return found
        return (record if found is None else found,)

    def times_of(self, elements: Elements) -> list[Any] | None:
        """Return E times, not yet parsed; None where they are Kafka's of the records."""
        return None if self.time is None else self.column(self.time, elements)

    def series_of(self, elements: Elements) -> list[Any] | None:
        """Return E keys, not yet parsed; None where the records' keys name the series."""
        if not self.series:
            return None
        columns = [self.column(field, elements) for field in self.series]
        if self._template is None:
            return columns[0]
        return list(map(self._template.fill, zip(*columns, strict=True)))

    def column(self, field: Field, elements: Elements) -> list[Any]:
        """Return E values of a field, None where it is absent."""
        structs = elements.outers if field.is_outer else elements.structs
        tree = self._whole_tree if field.is_outer else self._tree
        found = list(map(_getter(tree, field.path), structs))
        if field.other is not None and None in found:
            other = _getter(tree, field.other)
            found = [
                other(struct) if value is None else value
                for value, struct in zip(found, structs, strict=True)
            ]
        return found

    def rows_of(self, elements: Elements) -> list[Any]:
        """Return E rows of F values.

        Of an array, a loose element may have anything.
        """
        found = map(self._values_of, elements.structs)
        if len(self.values) > 1 or self.array_length is not None:
            return list(found)
        return [(value,) for value in found]

    def cells_of(self, elements: Elements) -> list[Any]:
        """Return what stands at the path of the only value."""
        return list(map(self._values_of, elements.structs))

    def others_of(self, value: int, structs: Sequence[msgspec.Struct]) -> list[Any]:
        """Return what stands in the other place of a value, of some elements."""
        other = self.values[value].other
        return [None] * len(structs) if other is None else list(map(self._getter(other), structs))

    def names_feature(self, document: object) -> bool:
        """Return whether a decoded element has a feature's field, be it null.

        An array of values is asked for in any case.
        """
        return self.array_length is not None or any(
            path is not None and _has(document, path)
            for value in self.values
            for path in (value.path, value.other)
        )

    def unknown_fields(self, document: object) -> Iterator[str]:
        """Yield the paths in a decoded document that are not in the layout."""
        if self.records_path is None:
            yield from _unknown(document, self._tree, "")

    def _field(self, text: str, kind: FieldKind) -> Field:
        path = split_path(text)
        is_outer = path[0] == WHOLE_RECORD and len(path) > 1
        if is_outer and self.records_path in (None, (WHOLE_RECORD,)):
            raise ConfigError(
                f"input: the field path {text!r} leads out of an element of an array; expected "
                "input.records_path to name the field of that array"
            )
        return Field(path=path[1:] if is_outer else path, kind=kind, is_outer=is_outer)

    def _plant_fields(self) -> None:
        """Plan what is decoded; other places only where nothing else stands."""
        inner = [field for field in self.fields if not field.is_outer]
        for field in inner:
            _plant(self._tree, field.path, field.kind)
        leaves: dict[Any, FieldKind] = {}
        for value in self.values:
            is_required = self.array_length is not None
            leaf = FieldKind(
                type=value.type, check=ANY.check, is_required=is_required, is_value=True
            )
            _plant(self._tree, value.path, leaves.setdefault(value.type, leaf))
        self.values = tuple(
            value
            if value.other is None or _plant_if_free(self._tree, value.other, leaves[value.type])
            else replace(value, other=None)
            for value in self.values
        )
        if self.time is not None:
            self.time = self._with_other(self.time)
        self.series = tuple(map(self._with_other, self.series))
        self.labels = tuple(map(self._with_other, self.labels))

    def _with_other(self, field: Field) -> Field:
        """Return a field that is looked for by its literal dotted name too."""
        literal = (".".join(field.path),)
        if field.is_outer or len(field.path) == 1:
            return field
        is_free = _plant_if_free(self._tree, literal, field.kind)
        return replace(field, other=literal) if is_free else field

    def _make_types(self) -> None:
        loose_tree = _loosened(self._tree)
        strict, loose = _struct_of(self._tree), _struct_of(loose_tree)
        self.loose_element = self.loose_whole = loose
        if self.records_path is None:
            self.strict_type, self.loose_type = strict, loose
        elif self.records_path == (WHOLE_RECORD,):
            self.strict_type, self.loose_type = _one_or_several(strict), _one_or_several(loose)
        else:
            # A record without the array is an element itself.
            path = self.records_path
            self.strict_type = self._whole_of(self._tree, strict, path)
            self.loose_type = self.loose_whole = self._whole_of(loose_tree, loose, path)
            self._array_of_whole = _getter(self._whole_tree, self.records_path)

    def _whole_of(
        self, tree: _Tree, element: type[msgspec.Struct], path: FieldPath
    ) -> type[msgspec.Struct]:
        """Return the type of a record: an element's fields, others, and the array at a path."""
        whole = _copied(tree)
        for field in self.fields:
            if field.is_outer:
                _plant(whole, field.path, field.kind)
        leaf = FieldKind(type=_one_or_several(element) | None, check=ANY.check)
        _plant(whole, path, leaf)
        self._whole_tree = whole
        return _struct_of(whole, is_lenient=True)

    def _getter(self, *paths: FieldPath) -> Callable[[object], Any]:
        return _getter(self._tree, *paths)


def _one_or_several(element: type[msgspec.Struct]) -> Any:
    return element | list[element]  # type: ignore[valid-type]


def leaf_paths(document: object, limit: int) -> list[str]:
    """Return the dotted paths of the values in a decoded document, at most `limit`.

    >>> leaf_paths({"name": "cpu", "fields": {"idle": 1, "user": 2}}, 10)
    ['name', 'fields.idle', 'fields.user']
    >>> leaf_paths({"metrics": [{"idle": 1}, {"idle": 2}]}, 10)
    ['metrics[0].idle']
    """
    paths: list[str] = []
    waiting = [("", document)]
    while waiting and len(paths) < limit:
        prefix, found = waiting.pop()
        if isinstance(found, dict) and found:
            below = [(f"{prefix}.{name}" if prefix else name, found[name]) for name in found]
            waiting += reversed(below[:limit])
        elif isinstance(found, list) and found and isinstance(found[0], dict):
            waiting.append((f"{prefix}[0]", found[0]))
        elif prefix:
            paths.append(prefix)
    return paths


def _has(document: object, path: FieldPath) -> bool:
    for name in path:
        if not isinstance(document, dict) or name not in document:
            return False
        document = document[name]
    return True


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


def _plant_if_free(tree: _Tree, path: FieldPath, kind: FieldKind) -> bool:
    """Add a kind at its path if nothing is there; return whether it was added."""
    below: Any = tree
    for name in path:
        if not isinstance(below, dict):
            return False
        below = below.get(name, {})
    if below or not isinstance(below, dict):
        return False
    _plant(tree, path, kind)
    return True


def _loosened(tree: _Tree) -> _Tree:
    """Return a tree of the same names whose values may be anything."""
    return {
        name: _loosened(node) if isinstance(node, dict) else ANY if node.is_value else node
        for name, node in tree.items()
    }


def _copied(tree: _Tree) -> _Tree:
    return {name: _copied(node) if isinstance(node, dict) else node for name, node in tree.items()}


def _getter(tree: _Tree, *paths: FieldPath) -> Callable[[object], Any]:
    return attrgetter(*(".".join(_attributes(tree, path)) for path in paths))


def _attributes(tree: _Tree, path: FieldPath) -> Iterator[str]:
    for name in path:
        yield f"f{[*tree].index(name)}"
        tree = tree[name]


def _struct_of(tree: _Tree, *, is_lenient: bool = False) -> type[msgspec.Struct]:
    """Return a struct type for a level of the tree; absent values are None, absent objects empty.

    A required one has no default: a record without it is rejected, unless the type is lenient.
    """
    fields: list[Any] = []
    renamed: dict[str, str] = {}
    for position, (name, node) in enumerate(tree.items()):
        attribute = f"f{position}"
        renamed[attribute] = name
        if isinstance(node, dict):
            below = _struct_of(node, is_lenient=is_lenient)
            is_required = any(field.required for field in msgspec.structs.fields(below))
            default = msgspec.field() if is_required else msgspec.field(default_factory=below)
            fields.append((attribute, below, default))
        elif node.is_required and not is_lenient:
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
