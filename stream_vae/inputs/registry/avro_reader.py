"""Avro content to plain values.

`fastavro` reads any schema. Flat records of numbers, texts and optional numbers, as sensors send
them, are read by runs of fields at several times its speed.
"""

import json
import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import accumulate
from typing import Any

from stream_vae.core.excerpts import printable
from stream_vae.errors import ConfigError, DecodeError

Reader = Callable[[bytes, int], Any]
"""From bytes, and where the content begins, to its value; raises `DecodeError`."""

_Step = Callable[[bytes, int, dict[str, Any]], int]
"""Reads some fields at a place into a record; returns the place after them."""

_ADDRESS = re.compile(r" from <[^>]*>")
_WIDTHS = {"double": "d", "float": "f"}
_MOST_LEVELS = 100
"""Of content whose schema refers to itself: Python reads as many wherever the stack stands."""
_KEPT = "decimal"  # the only logical type whose bytes are not a plain value


def avro_reader(text: str, references: Mapping[str, str]) -> Reader:
    """Return a reader of a schema's content.

    Times stay numbers of their unit; their texts and dates are for who reads them.

    Args:
        text: The schema.
        references: Name -> schema, those that others need first.

    Raises:
        ConfigError: If `fastavro` is not installed.
        DecodeError: `schema_unusable`.
    """
    plain, schema, named = _parsed(text, references)
    quick = _flat_reader(plain)
    is_recursive = _is_recursive(named)
    library_reader = _reader_in_python() if is_recursive else _library().schemaless_reader

    def read(raw: bytes, begin: int) -> Any:
        if quick is not None:
            try:
                return quick(raw, begin)
            except (struct.error, IndexError, ValueError):
                pass  # the library tells what is wrong
        content = BytesIO(raw)
        content.seek(begin)
        try:
            found = library_reader(content, schema, None)
        except RecursionError:
            raise _too_deep() from None
        except Exception as exc:  # noqa: BLE001 -- whatever hostile bytes make the library raise
            told = _ADDRESS.sub("", str(exc))  # it differs each time
            detail = f"{type(exc).__name__} {printable(told, 100)}; expected Avro of its schema"
            raise DecodeError("not_avro", detail) from None
        if content.tell() != len(raw):
            detail = f"{len(raw) - content.tell()} bytes are left; expected Avro of its schema"
            raise DecodeError("not_avro", detail)
        if is_recursive and _is_too_deep(found):
            raise _too_deep()
        return found

    return read


def _parsed(text: str, references: Mapping[str, str]) -> tuple[Any, Any, Mapping[str, Any]]:
    """Return a schema without logical types, the library's form of it, and what has a name in it.

    Raises:
        DecodeError: `schema_unusable`.
    """
    parse = _library().parse_schema
    try:
        named: dict[str, Any] = {}
        for each in references.values():
            parse(_plain(json.loads(each)), named_schemas=named)
        plain = _plain(json.loads(text))
        return plain, parse(plain, named_schemas=named), named
    except Exception as exc:  # noqa: BLE001 -- the library's, and of JSON
        detail = f"Avro schema: {printable(str(exc), 200)}"
        raise DecodeError("schema_unusable", detail) from None


def _library() -> Any:
    try:
        import fastavro  # noqa: PLC0415 -- an extra
    except ImportError:
        raise ConfigError(
            "input.format registry: a schema is Avro; expected the extra `registry`: "
            "pip install 'stream-vae[registry]'"
        ) from None
    return fastavro


def _reader_in_python() -> Any:
    """Return the library's reader that raises where content nests without an end.

    The compiled one overruns the stack there, and takes the process with it.
    """
    from fastavro import _read_py  # noqa: PLC0415 -- an extra

    return _read_py.schemaless_reader


def _too_deep() -> DecodeError:
    detail = f"nested deeper than {_MOST_LEVELS} levels, of a schema that refers to itself"
    return DecodeError("too_deep", detail)


def _is_too_deep(found: Any) -> bool:
    """Return whether a value has more than `_MOST_LEVELS` objects and arrays in each other."""
    level = [found]
    for _ in range(_MOST_LEVELS + 1):
        inner = [each.values() if isinstance(each, dict) else each for each in level]
        level = [each for some in inner for each in some if isinstance(each, dict | list)]
        if not level:
            return False
    return True


def _is_recursive(named: Mapping[str, Any]) -> bool:
    """Return whether one of these parsed schemas can hold itself."""
    within = {name: set(_named_in(schema, named)) for name, schema in named.items()}
    while within:
        leaves = {name for name, others in within.items() if not others & within.keys()}
        if not leaves:
            return True
        within = {name: others for name, others in within.items() if name not in leaves}
    return False


def _named_in(schema: Any, named: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the schemas that one refers to, or holds."""
    if isinstance(schema, str) and schema in named:
        yield schema
    elif isinstance(schema, list):
        for each in schema:
            yield from _named_in(each, named)
    elif isinstance(schema, dict):
        for part in ("type", "items", "values", "fields"):
            inner = schema.get(part)
            if isinstance(inner, dict) and inner.get("name") in named:
                yield inner["name"]
            else:
                yield from _named_in(inner, named)


def _plain(schema: Any) -> Any:
    """Return a schema without the logical types that turn numbers into objects."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _plain(value) if name in ("type", "items", "values", "fields") else value
        for name, value in schema.items()
        if name != "logicalType" or value == _KEPT
    }


def _flat_reader(schema: Any) -> Reader | None:
    """Return a reader of a record of plain fields; None if the schema is anything else."""
    if not isinstance(schema, dict) or schema.get("type") != "record":
        return None
    steps: list[_Step] = []
    run: list[tuple[str, str, int | None]] = []
    for field in schema["fields"]:
        fixed = _fixed(field["type"])
        if fixed is not None:
            run.append((field["name"], *fixed))
            continue
        step = _varying(field["name"], field["type"])
        if step is None:
            return None
        if run:
            steps.append(_Run(run))
            run = []
        steps.append(step)
    if run:
        steps.append(_Run(run))

    def read(raw: bytes, begin: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        at = begin
        for step in steps:
            at = step(raw, at, found)
        if at != len(raw):
            raise ValueError
        return found

    return read


def _name(kind: Any) -> Any:
    return kind.get("type") if isinstance(kind, dict) and "logicalType" not in kind else kind


def _fixed(kind: Any) -> tuple[str, int | None] | None:
    """Return the struct code of a number of fixed width, and its branch if it is optional."""
    if isinstance(kind, list):
        names = [_name(each) for each in kind]
        if len(names) != 2 or "null" not in names:
            return None
        branch = 1 - names.index("null")
        code = _WIDTHS.get(names[branch]) if isinstance(names[branch], str) else None
        return None if code is None else (code, branch)
    name = _name(kind)
    code = _WIDTHS.get(name) if isinstance(name, str) else None
    return None if code is None else (code, None)


class _Run:
    """A step of numbers of fixed width: read at once, if none of them is null.

    Args:
        run: Name, struct code, and branch if it is optional, of each.
    """

    def __init__(self, run: Sequence[tuple[str, str, int | None]]) -> None:
        self._run = run
        self._names = [name for name, *_ in run]
        codes = (code if branch is None else f"B{code}" for _, code, branch in run)
        self._whole = struct.Struct("<" + "".join(codes))
        # Where values and branches stand among the numbers of the whole.
        widths = [1 if branch is None else 2 for *_, branch in run]
        ends = list(accumulate(widths))
        self._values = [end - 1 for end in ends]
        self._branches = [
            (end - 2, 2 * branch)
            for end, (*_, branch) in zip(ends, run, strict=True)
            if branch is not None
        ]

    def __call__(self, raw: bytes, at: int, found: dict[str, Any]) -> int:
        """See `_Step`."""
        whole = self._whole
        if len(raw) - at < whole.size:
            return self._one_by_one(raw, at, found)
        numbers = whole.unpack_from(raw, at)
        for place, branch in self._branches:
            if numbers[place] != branch:
                return self._one_by_one(raw, at, found)
        for name, place in zip(self._names, self._values, strict=True):
            found[name] = numbers[place]
        return at + whole.size

    def _one_by_one(self, raw: bytes, at: int, found: dict[str, Any]) -> int:
        for name, code, branch in self._run:
            if branch is not None:
                chosen, at = raw[at], at + 1
                if chosen not in (0, 2):
                    raise ValueError
                if chosen != 2 * branch:
                    found[name] = None
                    continue
            (found[name],) = struct.unpack_from(f"<{code}", raw, at)
            at += struct.calcsize(f"<{code}")
        return at


def _varying(name: str, kind: Any) -> _Step | None:
    """Return a step of an integer, a text or a truth value, optional or not."""
    branch = None
    if isinstance(kind, list):
        names = [_name(each) for each in kind]
        if len(names) != 2 or "null" not in names:
            return None
        branch = 2 * (1 - names.index("null"))
        kind = kind[branch // 2]
    single = {"long": _long, "int": _long, "string": _string, "boolean": _boolean}.get(
        _name(kind) if isinstance(_name(kind), str) else ""
    )
    if single is None:
        return None
    read = single

    def step(raw: bytes, at: int, found: dict[str, Any]) -> int:
        if branch is not None:
            chosen, at = raw[at], at + 1
            if chosen != branch:
                if chosen != 2 - branch:
                    raise ValueError
                found[name] = None
                return at
        found[name], at = read(raw, at)
        return at

    return step


def _long(raw: bytes, at: int) -> tuple[int, int]:
    byte = raw[at]
    at += 1
    value, shift = byte & 127, 7
    while byte > 127:
        byte = raw[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
    if shift > 70 or value >> 64:
        raise ValueError
    return (value >> 1) ^ -(value & 1), at


def _string(raw: bytes, at: int) -> tuple[str, int]:
    size, at = _long(raw, at)
    end = at + size
    if size < 0 or end > len(raw):
        raise ValueError
    return raw[at:end].decode(), end


def _boolean(raw: bytes, at: int) -> tuple[bool, int]:
    if raw[at] > 1:
        raise ValueError
    return raw[at] == 1, at + 1
